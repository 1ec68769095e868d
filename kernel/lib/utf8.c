/* UTF-8 decoding; see <ashlar/utf8.h>. */
#include <ashlar/utf8.h>

static bool starts_sequence(struct utf8_decoder *decoder, uint8_t byte)
{
    if (byte >= 0xc2 && byte <= 0xdf) {
        *decoder = (struct utf8_decoder){byte & 0x1fU, 0x80, 1};
    } else if (byte >= 0xe0 && byte <= 0xef) {
        *decoder = (struct utf8_decoder){byte & 0x0fU, 0x800, 2};
    } else if (byte >= 0xf0 && byte <= 0xf4) {
        *decoder = (struct utf8_decoder){byte & 0x07U, 0x10000, 3};
    } else {
        return false;
    }
    return true;
}

static bool is_scalar(uint32_t value)
{
    return value <= 0x10ffff && (value < 0xd800 || value > 0xdfff);
}

unsigned utf8_decode(struct utf8_decoder *decoder, uint8_t byte, uint32_t out[static 2])
{
    unsigned count = 0;
    if (decoder->missing > 0) {
        if ((byte & 0xc0) == 0x80) {
            decoder->value = decoder->value << 6 | (byte & 0x3fU);
            if (--decoder->missing == 0) {
                bool good = decoder->value >= decoder->least && is_scalar(decoder->value);
                out[count++] = good ? decoder->value : UTF8_REPLACEMENT;
            }
            return count;
        }
        decoder->missing = 0;
        out[count++] = UTF8_REPLACEMENT;
    }
    if (byte < 0x80) {
        out[count++] = byte;
    } else if (!starts_sequence(decoder, byte)) {
        out[count++] = UTF8_REPLACEMENT;
    }
    return count;
}
