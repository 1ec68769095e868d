/* What stb_image needs of the C library's <stdlib.h>: declared only, since what calls it is left out of the kernel. */
#pragma once

#include <stddef.h>

int abs(int value);
