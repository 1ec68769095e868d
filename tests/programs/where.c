/* Where things are: code, heap, mmap(), stack. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
    int local = 0;
    printf("%p\n%p\n%p\n%p\n", (void *)main, sbrk(0),
           mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), (void *)&local);
    return 0;
}
