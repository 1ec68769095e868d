/*
 * What the kernel needs of the processor. All x86-64 processors that were ever sold have it; virtual machines
 * can be told to leave it out.
 */
#include <ashlar/format.h>

#include "cpu.h"
#include "loader.h"

#define BASIC_LEAF    1U
#define EXTENDED_LEAF 0x80000001U

/* CPUID bits in EDX of a leaf (SDM volume 2, CPUID). */
static const struct {
    uint32_t leaf;
    unsigned bit;
    const char *name;
} needed[] = {
    {BASIC_LEAF, 0, "FPU"},    {BASIC_LEAF, 4, "TSC"},       {BASIC_LEAF, 5, "MSR"},
    {BASIC_LEAF, 6, "PAE"},    {BASIC_LEAF, 8, "CMPXCHG8B"}, {BASIC_LEAF, 15, "CMOV"},
    {BASIC_LEAF, 24, "FXSR"},  {BASIC_LEAF, 25, "SSE"},      {BASIC_LEAF, 26, "SSE2"},
    {EXTENDED_LEAF, 20, "NX"},
};

bool processor_check(struct loader *loader)
{
    char missing[64] = "";
    size_t used = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(needed); i++) {
        if (!(cpuid_checked(needed[i].leaf).edx & (1U << needed[i].bit))) {
            used += format(missing + used, sizeof missing - used, "%s%s", used ? ", " : "", needed[i].name);
        }
    }
    return used == 0 || step_fail(loader, EFI_UNSUPPORTED, "the CPU lacks what Ashlar needs: %s", missing);
}
