/* The console, the log, the serial port and the string functions as the kernel's compiler flags made them. */
#define LOG_SUBSYSTEM "test"
#include <ashlar/console.h>
#include <ashlar/format.h>
#include <ashlar/log.h>
#include <ashlar/serial.h>
#include <ashlar/string.h>
#include <ashlar/test.h>

KERNEL_TEST(console_is_held_by_one)
{
    EXPECT(console_try_hold());
    bool again = console_try_hold();
    if (again) {
        console_drop();
    }
    console_drop();
    EXPECT(!again);
}

/* What an interrupt handler does that finds the console in use: the line waits in the ring. */
KERNEL_TEST(log_line_waits_for_the_console)
{
    EXPECT(console_try_hold());
    log_debug("written while the console is held");
    console_drop();
    log_show_pending();
    struct log_reader reader = log_reader_last(1);
    struct log_record record;
    EXPECT(log_read(&reader, &record));
    EXPECT(strcmp(record.text, "written while the console is held") == 0);
    EXPECT(strcmp(record.subsystem, "test") == 0);
    EXPECT_EQUAL(record.level, LOG_DEBUG);
    EXPECT(!log_read(&reader, &record));
}

KERNEL_TEST(log_ring_goes_round)
{
    struct log_reader reader = log_reader_last(0);
    for (unsigned i = 0; i < LOG_RECORDS + 10; i++) {
        log_debug("round %u", i);
    }
    struct log_record record;
    EXPECT(log_read(&reader, &record));
    EXPECT_EQUAL(record.lost, 10);
    EXPECT(strcmp(record.text, "round 10") == 0);
}

KERNEL_TEST(serial_port_that_is_not_there)
{
    static struct serial_port port;
    if (serial_init(&port, 0x2e8)) {
        kernel_test_skip("this machine has a fourth serial port");
        return;
    }
    uint8_t byte;
    serial_write(&port, "swallowed", 9);
    EXPECT(!serial_read(&port, &byte));
}

KERNEL_TEST(string_functions_of_every_size)
{
    static uint8_t from[512];
    static uint8_t to[520];
    for (size_t bytes = 0; bytes <= sizeof from; bytes++) {
        memset(to, 0xee, sizeof to);
        memset(from, (int)bytes, bytes);
        memcpy(to + 3, from, bytes);
        EXPECT_EQUAL(memcmp(to + 3, from, bytes), 0);
        EXPECT_EQUAL(to[2], 0xee);
        EXPECT_EQUAL(to[3 + bytes], 0xee);
        memmove(to + 5, to + 3, bytes);
        EXPECT_EQUAL(memcmp(to + 5, from, bytes), 0);
    }
}

KERNEL_TEST(format_of_numbers)
{
    char text[64];
    EXPECT_EQUAL(format(text, sizeof text, "%'" PRIu64 " %d %#" PRIx64 " %p", UINT64_C(1234567), -5,
                        UINT64_C(0xffffffff80000000), (void *)16),
                 48);
    EXPECT(strncmp(text, "1,234,567 -5 0xffffffff80000000 ", 32) == 0);
}
