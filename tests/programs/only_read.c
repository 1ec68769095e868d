/* A file that was opened to be read is never written to through a mapping of it. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    char byte = 0;
    int file = open(arguments[count - 1], O_RDONLY);
    char *shown = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);
    if (file < 0 || shown == MAP_FAILED) {
        puts("no mapping");
        return 1;
    }
    if (mprotect(shown, 4096, PROT_READ | PROT_WRITE) == 0) {
        shown[1] = '!';
    }
    if (pread(file, &byte, 1, 1) != 1) {
        return 1;
    }
    printf("%c\n", byte);
    return 0;
}
