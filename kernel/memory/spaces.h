/* Shared by the files about the kernel's address spaces. */
#pragma once

#include <ashlar/vm_space.h>

/* What kernel_lazy_space() returns, without the call: the page fault asks it. */
extern struct vm_space kernel_lazy;
