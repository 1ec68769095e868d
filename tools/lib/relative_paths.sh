# relative_paths.sh FOLDER COMMAND...: runs a compiler's command with paths below FOLDER written from where it is run.
#
# CMake says all paths from the root. The compiler's options that take the source tree's own path out of what is built,
# -ffile-prefix-map=OLD=NEW, end OLD at the first equals sign: where the tree's path has one, the build runs the compiler
# through this script (CMakeLists.txt), and OLD becomes "../".
folder=$1
shift
from_here=$(realpath --relative-to=. "$folder")
command=()
for word in "$@"; do
    command+=("${word//"$folder"/"$from_here"}")
done
exec "${command[@]}"
