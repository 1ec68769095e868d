/*
 * The PS/2 keyboard as a console input. Its interrupt takes the codes, translates them and puts the bytes
 * into a ring; console_read() takes them from there. Without an IO-APIC the reader polls the controller
 * instead: then there is no interrupt, so the ring still has one producer at a time.
 */
#define LOG_SUBSYSTEM "keyboard"
#include <ashlar/byte_ring.h>
#include <ashlar/console.h>
#include <ashlar/console_input.h>
#include <ashlar/interrupts.h>
#include <ashlar/keyboard.h>
#include <ashlar/log.h>
#include <x86/i8042.h>

#define KEYBOARD_INTERRUPT 1
#define CODES_AT_ONCE_MAX  64

static struct keyboard_translator translator; /* the producer's */
static struct byte_ring ring;
static bool polled;

static void take_codes(void)
{
    uint8_t code;
    for (unsigned i = 0; i < CODES_AT_ONCE_MAX && i8042_take(&code); i++) {
        uint8_t bytes[KEYBOARD_BYTES_MAX];
        size_t count = keyboard_translate(&translator, code, bytes);
        for (size_t b = 0; b < count; b++) {
            byte_ring_put(&ring, bytes[b]);
        }
    }
}

static void handle(void *context)
{
    (void)context;
    take_codes();
    console_input_arrived();
}

static bool read_ring(struct console_input *input, uint8_t *byte)
{
    (void)input;
    if (polled) {
        take_codes();
    }
    return byte_ring_take(&ring, byte);
}

static struct console_input keyboard_input = {.name = "keyboard", .read = read_ring};

bool keyboard_initialise(void)
{
    bool translates;
    if (!i8042_initialise(&translates)) {
        return false;
    }
    keyboard_translator_initialise(&translator, translates ? KEYBOARD_SET_1 : KEYBOARD_SET_2);
    static const struct interrupt_user user = {handle, NULL, "keyboard"};
    polled = !interrupts_route_legacy(KEYBOARD_INTERRUPT, &user);
    console_add_input(&keyboard_input);
    log_info("PS/2 keyboard, scan code set %u, %s", translates ? 1 : 2, polled ? "polled" : "by interrupt");
    return true;
}
