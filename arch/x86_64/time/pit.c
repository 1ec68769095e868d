/* The 8254 interval timer's channel 2, which raises no interrupt: 1.193182 MHz, 16 bits. */
#include <x86/clock_reference.h>
#include <x86/port.h>

#define PIT_HERTZ     1193182
#define PIT_CHANNEL_2 0x42
#define PIT_COMMAND   0x43
#define PIT_RATE_2    0xb4 /* channel 2, low then high byte, mode 2: down from the start value, and again */
#define PIT_LATCH_2   0x80 /* keeps channel 2's count for the next two reads */
#define SPEAKER       0x61
#define SPEAKER_GATE  0x01 /* lets channel 2 count */
#define SPEAKER_SOUND 0x02

static uint64_t read_counter(void)
{
    port_write8(PIT_COMMAND, PIT_LATCH_2);
    uint16_t low = port_read8(PIT_CHANNEL_2);
    uint16_t high = port_read8(PIT_CHANNEL_2);
    return (uint16_t) - (uint16_t)(high << 8 | low); /* it counts down */
}

static const struct clock_reference pit = {
    .name = "pit", .hertz = PIT_HERTZ, .bits = 16, .read = read_counter};

const struct clock_reference *pit_reference(void)
{
    port_write8(SPEAKER, (uint8_t)((port_read8(SPEAKER) & ~SPEAKER_SOUND) | SPEAKER_GATE));
    port_write8(PIT_COMMAND, PIT_RATE_2);
    port_write8(PIT_CHANNEL_2, 0); /* 65536 */
    port_write8(PIT_CHANNEL_2, 0);
    return &pit;
}
