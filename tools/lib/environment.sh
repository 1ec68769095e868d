# Sourced by the scripts in tools/: makes the environment they run in the same for everybody.
#
# An ordinary user's PATH lacks /usr/sbin, where sgdisk lies. What a distribution's packagers, or a shell's start-up
# file, set for compilers is not for a kernel (CMake would take CFLAGS and LDFLAGS over). What programs print is read by
# our tools, which know English. Files we make may be read by the emulator's user.
PATH="${PATH:+$PATH:}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
export PATH
export LC_ALL=C.UTF-8
unset CFLAGS CXXFLAGS CPPFLAGS ASMFLAGS LDFLAGS CC CXX CPATH C_INCLUDE_PATH LIBRARY_PATH CCC_OVERRIDE_OPTIONS
unset LANGUAGE MAKEFLAGS GREP_OPTIONS CDPATH
umask 022
