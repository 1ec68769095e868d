/*
 * Any bytes as an initrd, unpacked into a tree: nothing beyond the input is read; a tree that could not be
 * made has a reason; and when the tree is gone, every frame is back.
 */
#include "tests/fuzz/require.h"
#include "tests/host/fs/fixture.h"
#include <ashlar/cpio.h>
#include <ashlar/initrd.h>

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static struct fs_fixture fixture;

/* What the reader gives lies in the archive. */
static void read_all(const uint8_t *data, size_t bytes)
{
    struct cpio_reader reader;
    struct cpio_entry entry;
    enum cpio_result result;
    cpio_start(&reader, data, bytes);
    while ((result = cpio_read(&reader, &entry)) == CPIO_ENTRY || result == CPIO_NEXT) {
        if (result == CPIO_ENTRY) {
            const uint8_t *contents = entry.data;
            require(contents >= data && contents + entry.bytes <= data + bytes);
            require((const uint8_t *)entry.name >= data && strlen(entry.name) < CPIO_NAME_MAX);
        }
    }
    require(result == CPIO_END || reader.wrong);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char complaint[INITRD_COMPLAINT_BYTES] = "";
    if (!fixture.fs.root) {
        fs_fixture_start(&fixture);
    }
    read_all(data, bytes);
    bool done = initrd_unpack(&fixture.fs, data, bytes, complaint);
    require(done == (complaint[0] == 0));
    fs_view_put(&fixture.view);
    fs_destroy(&fixture.fs);
    struct fs_config config = fixture.fs.config;
    require(fs_init(&fixture.fs, &config) == 0);
    fs_view_root(&fixture.fs, &fixture.view);
    struct frame_ledger ledger;
    frame_pool_ledger(&fixture.heap.machine.pool, &ledger);
    require(ledger.owner_bytes[OWNER_CACHE] == 0);
    return 0;
}
