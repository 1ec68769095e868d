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

/* The same on all CPUs; set by each on its own start. */
static uint32_t components;
static uint32_t bytes = FXSAVE_BYTES;

/* CPUID tells how many bytes the components take that are enabled now (SDM volume 2, CPUID). */
void extended_state_enable(void)
{
    if (cpu_has(CPU_FEATURE_XSAVE)) {
        components = cpuid(0xd, 0).eax & COMPONENTS_WANTED;
        __asm__ volatile("xsetbv" : : "a"(components), "d"(0), "c"(0));
        bytes = cpuid(0xd, 0).ebx;
    }
}

size_t extended_state_bytes(void)
{
    return bytes;
}

uint64_t extended_state_components(void)
{
    return components;
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

/* Nothing but what extended_state_init() writes lies in what is loaded: the header says that the rest is as
 * at the start. */
void extended_state_reset(void)
{
    static const struct {
        uint16_t control_word;
        uint16_t unused0[11];
        uint32_t mxcsr;
        uint32_t unused1[137];
    } __attribute__((aligned(EXTENDED_STATE_ALIGN)))
    initial = {.control_word = CONTROL_WORD_AT_FIRST, .mxcsr = MXCSR_AT_FIRST};
    _Static_assert(offsetof(__typeof__(initial), mxcsr) == MXCSR_AT, "where XRSTOR finds it");
    extended_state_load(&initial);
}

/* Bits 0 .. 5 of both are the same exceptions, and so are the masks. */
uint32_t extended_state_exceptions(bool of_sse)
{
    uint32_t mxcsr;
    uint16_t status;
    uint16_t control;
    if (of_sse) {
        __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
        return mxcsr & ~(mxcsr >> 7) & 0x3f;
    }
    __asm__ volatile("fnstsw %0" : "=m"(status));
    __asm__ volatile("fnstcw %0" : "=m"(control));
    return status & ~(uint32_t)control & 0x3f;
}
