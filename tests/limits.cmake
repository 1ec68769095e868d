# test_limits(NAME LABEL SECONDS): says of a test which runs have it, and after how long it counts as hung.
#
# A long test is added with CONFIGURATIONS long, so that ctest by hand leaves it out unless told `-C long`.
# LABEL is `quick` (tools/test --quick and tools/test), `normal` (tools/test) or `long` (tools/test --long). SECONDS is
# what it takes at most on an idle machine, generously; it may take as many times longer as tools/lib/patience.py says.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tools/lib/patience.py)
file(STRINGS ${CMAKE_SOURCE_DIR}/tools/lib/patience.py times_slower REGEX "^TIMES_SLOWER = [0-9]+$")
string(REGEX REPLACE "[^0-9]" "" times_slower "${times_slower}")
if(NOT times_slower)
    message(FATAL_ERROR "tools/lib/patience.py has no line TIMES_SLOWER = NUMBER")
endif()

function(test_limits name label seconds)
    if(NOT label MATCHES "^(quick|normal|long)$")
        message(FATAL_ERROR "${name}: the label is quick, normal or long, not '${label}'")
    endif()
    math(EXPR limit "${seconds} * ${times_slower}")
    set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${limit})
endfunction()
