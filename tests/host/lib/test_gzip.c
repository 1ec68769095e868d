/*
 * Unpacking gzip, against Python's: it packs data of many kinds at all levels, damages some of the results,
 * and says what it makes of them itself.
 */
#include <ashlar/gzip.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A case each: lengths (4 bytes each) of what is packed, of what it should give, and whether Python takes it.
 */
static const char reference[] =
    "import gzip, random, struct, sys, zlib, io\n"
    "r = random.Random(1)\n"
    "def out(packed):\n"
    "    try:\n"
    "        plain, ok = gzip.decompress(packed), 1\n"
    "    except Exception:\n"
    "        plain, ok = b'', 0\n"
    "    sys.stdout.buffer.write(struct.pack('<III', len(packed), len(plain), ok) + packed + plain)\n"
    "def pack(plain, level, strategy):\n"
    "    c = zlib.compressobj(level, 8, 31, 8, strategy)\n"
    "    return c.compress(plain) + c.flush()\n"
    "kinds = [b'', b'a', bytes(100000), bytes(range(256)) * 200, r.randbytes(70000), b'the quick brown fox ' "
    "* 3000,\n"
    "         bytes(r.choice(b'abcde') for _ in range(40000)), open(sys.executable, 'rb').read(1 << 20)]\n"
    "for plain in kinds:\n"
    "    for level in (0, 1, 6, 9):\n"
    "        for strategy in (0, 2, 3, 4):\n"
    "            out(pack(plain, level, strategy))\n"
    "named = io.BytesIO()\n"
    "with gzip.GzipFile('name', 'wb', 9, named, 0) as f: f.write(b'contents')\n"
    "out(named.getvalue())\n"
    "small = [pack(p[:3000], l, s) for p in kinds[2:] for l in (0, 6) for s in (0, 4)]\n"
    "head = small[0][:3]\n"
    "for flags in range(256):\n"
    "    body = small[3][10:]\n"
    "    extra = b'\\3\\0abc' if flags & 4 else b''\n"
    "    text = (b'name\\0' if flags & 8 else b'') + (b'remark\\0' if flags & 16 else b'')\n"
    "    start = head + bytes([flags]) + small[3][4:10] + extra + text\n"
    "    out(start + (struct.pack('<H', zlib.crc32(start) & 65535) if flags & 2 else b'') + body)\n"
    "for packed in small:\n"
    "    for _ in range(150):\n"
    "        b = bytearray(packed)\n"
    "        for _ in range(r.choice((1, 1, 2, 5))):\n"
    "            b[r.randrange(len(b))] = r.randrange(256)\n"
    "        out(bytes(b[:r.choice((len(b), len(b), r.randrange(len(b) + 1)))]))\n"
    "    out(packed + b'x'); out(packed + packed); out(packed[:-1]); out(packed[:-9])\n";

static uint8_t *read_bytes(FILE *from, uint32_t bytes)
{
    uint8_t *memory = malloc(bytes); /* as long as it is: so the sanitizer sees who reads beyond */
    assert_int_equal(fread(memory, 1, bytes, from), bytes);
    return memory;
}

/* Unpacks; NULL, or what is wrong. */
static const char *unpack(const uint8_t *packed, uint32_t bytes, uint8_t **to, uint64_t *unpacked)
{
    uint64_t *work = malloc(GZIP_WORK_BYTES);
    *to = NULL;
    const char *wrong = gzip_length(packed, bytes, unpacked);
    if (!wrong) {
        *to = malloc(*unpacked);
        wrong = gzip_unpack(packed, bytes, *to, *unpacked, work);
    }
    free(work);
    return wrong;
}

/* What Python takes and we do not: several files in one, and headers with flags that mean nothing or a CRC
 * that is wrong, which Python does not look at. */
static bool is_stricter(const char *wrong)
{
    return strcmp(wrong, "has something behind its contents") == 0 || strstr(wrong, "header") != NULL ||
           strcmp(wrong, "has not the length that it says") == 0 ||
           strcmp(wrong, "has a length that its packed bytes cannot have") == 0;
}

static bool next_case(FILE *python, unsigned *taken, unsigned *refused)
{
    uint32_t head[3];
    if (fread(head, 1, sizeof head, python) != sizeof head) {
        return false;
    }
    uint8_t *packed = read_bytes(python, head[0]);
    uint8_t *plain = read_bytes(python, head[1]);
    uint8_t *ours;
    uint64_t unpacked = 0;
    const char *wrong = unpack(packed, head[0], &ours, &unpacked);
    if (!wrong) {
        assert_int_equal(head[2], 1);
        assert_int_equal(unpacked, head[1]);
        assert_memory_equal(ours, plain, unpacked);
        ++*taken;
    } else {
        if (head[0] != 0 && head[2] && !is_stricter(wrong)) {
            fail_msg("Python unpacks to %u bytes what %s", head[1], wrong);
        }
        ++*refused;
    }
    free(ours);
    free(packed);
    free(plain);
    return true;
}

static void test_python(void **state)
{
    (void)state;
    setenv("ASHLAR_REFERENCE", reference, 1);
    FILE *python = popen("exec python3 -c \"$ASHLAR_REFERENCE\"", "r");
    unsigned taken = 0;
    unsigned refused = 0;
    while (next_case(python, &taken, &refused)) {
    }
    assert_int_equal(pclose(python), 0);
    assert_true(taken > 150 && refused > 2000);
}

static void test_crc(void **state)
{
    (void)state;
    assert_int_equal(crc32("", 0), 0);
    assert_int_equal(crc32("123456789", 9), 0xcbf43926); /* the check value of its definition */
}

static void test_not_gzip(void **state)
{
    uint64_t unpacked;
    (void)state;
    assert_false(gzip_is("\x1f", 1));
    assert_false(gzip_is("070701", 6));
    assert_string_equal(gzip_length("\x1f\x8b\x08", 3, &unpacked), "is cut short");
    assert_string_equal(gzip_length("\x1f\x8b\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 19, &unpacked),
                        "is packed by a method other than deflate");
    assert_string_equal(gzip_length("", GZIP_BYTES_MAX + 1, &unpacked), "is longer than 2 GiB");
    /* Lengths that would have to be allocated before they are seen to be wrong. */
    assert_string_equal(gzip_length("\x1f\x8b\x08\0\0\0\0\0\0\0\3\0\0\0\0\0\xff\xff\xff\x7f", 20, &unpacked),
                        "has a length that its packed bytes cannot have");
    assert_string_equal(gzip_length("\x1f\x8b\x08\0\0\0\0\0\0\0\3\0\0\0\0\0\xff\xff\xff\xff", 20, &unpacked),
                        "is longer than 2 GiB when it is unpacked");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_python),
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_not_gzip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
