#include "utf8_model.h"

unsigned utf8_model_character(const uint8_t *text, size_t bytes, uint32_t *value)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (bytes == 0) {
        return 0;
    }
    if (text[0] < 0x80) {
        *value = text[0];
        return 1;
    }
    unsigned length = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
    if (text[0] < 0xc0 || text[0] >= 0xf8 || length > bytes) {
        return 0;
    }
    uint32_t number = text[0] & (0x7fU >> length);
    for (unsigned i = 1; i < length; i++) {
        if (text[i] < 0x80 || text[i] >= 0xc0) {
            return 0;
        }
        number = number * 64 + text[i] % 64;
    }
    if (number < least[length] || number > 0x10ffff || (number >= 0xd800 && number < 0xe000)) {
        return 0;
    }
    *value = number;
    return length;
}
