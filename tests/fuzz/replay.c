/* In place of libFuzzer where lines are counted: runs a fuzz target over the inputs in the folders it is
 * given. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* The input is in memory of exactly its size. */
static void replay(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        fail(path);
    }
    size_t bytes = (size_t)ftell(file);
    uint8_t *input = malloc(bytes + !bytes);
    rewind(file);
    if (fread(input, 1, bytes, file) != bytes) {
        fail(path);
    }
    (void)fclose(file);
    LLVMFuzzerTestOneInput(input, bytes);
    free(input);
}

int main(int count, char **folders)
{
    for (int i = 1; i < count; i++) {
        struct dirent **entries;
        int inputs = scandir(folders[i], &entries, NULL, alphasort);
        if (inputs < 0) {
            fail(folders[i]);
        }
        for (int input = 0; input < inputs; input++) {
            char path[4096];
            (void)snprintf(path, sizeof path, "%s/%s", folders[i], entries[input]->d_name);
            if (entries[input]->d_name[0] != '.') {
                replay(path);
            }
            free(entries[input]);
        }
        free((void *)entries);
    }
    return 0;
}
