/* Two words, split by the first byte of the input: their distance is what the whole table of the definition
 * says. */
#include <ashlar/string.h>
#include <ashlar/text.h>
#include <limits.h>

#include "tests/fuzz/require.h"

#define LONGEST 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The optimal string alignment distance: one cell for each pair of beginnings. */
static unsigned expected(const char *a, const char *b)
{
    unsigned cell[LONGEST + 1][LONGEST + 1];
    for (size_t i = 0; i <= strlen(a); i++) {
        for (size_t j = 0; j <= strlen(b); j++) {
            cell[i][j] = (unsigned)(i == 0 ? j : i);
            if (i == 0 || j == 0) {
                continue;
            }
            cell[i][j] =
                least(least(cell[i - 1][j], cell[i][j - 1]) + 1, cell[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                cell[i][j] = least(cell[i][j], cell[i - 2][j - 2] + 1);
            }
        }
    }
    return cell[strlen(a)][strlen(b)];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char a[LONGEST + 1] = "";
    char b[LONGEST + 1] = "";
    if (size == 0 || size > LONGEST) {
        return 0;
    }
    size_t first = data[0] % size;
    memcpy(a, data + 1, first);
    memcpy(b, data + 1 + first, size - 1 - first);
    bool too_long = strlen(a) > TEXT_DISTANCE_LENGTH_MAX || strlen(b) > TEXT_DISTANCE_LENGTH_MAX;
    unsigned distance = text_distance(a, b);
    require(distance == (too_long ? UINT_MAX : expected(a, b)));
    require(text_distance(b, a) == distance);
    return 0;
}
