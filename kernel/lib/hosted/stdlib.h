/* What stb_image needs of the C library's <stdlib.h>: declared only, since the kernel has no caller.
 */
#pragma once

#include <stddef.h>

int abs(int value);
