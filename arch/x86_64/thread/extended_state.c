/* Floating-point and vector registers: see <x86/extended_state.h>. */
#include <ashlar/string.h>
#include <x86/cpuid.h>
#include <x86/extended_state.h>

#define FXSAVE_BYTES 512 /* SDM volume 1, 10.5.1 */

/* Components in XCR0 (SDM volume 1, 13.1): x87, SSE, AVX, and the three of AVX-512. */
#define COMPONENTS_WANTED 0xe7u

#define CONTROL_WORD_AT       0 /* in the area of either instruction */
#define MXCSR_AT              24
#define CONTROL_WORD_AT_FIRST 0x37f  /* all exceptions masked, extended precision (ABI, 3.4.1) */
#define MXCSR_AT_FIRST        0x1f80 /* all exceptions masked */

/* Of these the CPU has. */
static uint32_t components(void)
{
    return cpuid(0xd, 0).eax & COMPONENTS_WANTED;
}

void extended_state_enable(void)
{
    if (cpu_has(CPU_FEATURE_XSAVE)) {
        __asm__ volatile("xsetbv" : : "a"(components()), "d"(0), "c"(0));
    }
}

/* CPUID tells it of the components that are enabled now (SDM volume 2, CPUID). */
size_t extended_state_bytes(void)
{
    return cpu_has(CPU_FEATURE_XSAVE) ? cpuid(0xd, 0).ebx : FXSAVE_BYTES;
}

/* The header of XSAVE says with zeros that every component is as at the start; but MXCSR is loaded even so.
 */
void extended_state_init(void *room)
{
    const uint16_t control_word = CONTROL_WORD_AT_FIRST;
    const uint32_t mxcsr = MXCSR_AT_FIRST;
    memset(room, 0, extended_state_bytes());
    memcpy((uint8_t *)room + CONTROL_WORD_AT, &control_word, sizeof control_word);
    memcpy((uint8_t *)room + MXCSR_AT, &mxcsr, sizeof mxcsr);
}

void extended_state_save(void *room)
{
    if (cpu_has(CPU_FEATURE_XSAVE)) {
        __asm__ volatile("xsave64 (%0)" : : "r"(room), "a"(UINT32_MAX), "d"(UINT32_MAX) : "memory");
    } else {
        __asm__ volatile("fxsave64 (%0)" : : "r"(room) : "memory");
    }
}

void extended_state_load(const void *room)
{
    if (cpu_has(CPU_FEATURE_XSAVE)) {
        __asm__ volatile("xrstor64 (%0)" : : "r"(room), "a"(UINT32_MAX), "d"(UINT32_MAX) : "memory");
    } else {
        __asm__ volatile("fxrstor64 (%0)" : : "r"(room) : "memory");
    }
}
