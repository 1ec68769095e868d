/* What stb_image needs of the C library's <string.h>. */
#pragma once

#include <ashlar/string.h>
