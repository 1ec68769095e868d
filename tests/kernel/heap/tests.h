/* What the tests of the heap share: a heap is large, and a small machine holds it with the kernel's image. */
#pragma once

#include <ashlar/heap.h>

extern struct heap tests_heap; /* made and destroyed by each test */
