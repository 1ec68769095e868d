/* A dynamic program: it is loaded by an interpreter, and so are its libraries; addresses are where the vector
 * says. */
#include "check.h"

#include <elf.h>
#include <link.h>
#include <math.h>
#include <sys/auxv.h>

static int objects;

static int count(struct dl_phdr_info *object, size_t bytes, void *context)
{
    (void)bytes, (void)context;
    objects += object->dlpi_phnum > 0;
    return 0;
}

int main(int arguments, char **names)
{
    volatile double square = 2;
    const unsigned char *base = (const unsigned char *)getauxval(AT_BASE);
    printf("%d %s %s: %.6f\n", arguments, names[0], arguments > 1 ? names[1] : "", sqrt(square));
    printf("interpreter: %d\n", base && memcmp(base, ELFMAG, SELFMAG) == 0);
    dl_iterate_phdr(count, NULL);
    printf("objects: %d\n", objects);
    printf("entry: %d\n",
           getauxval(AT_ENTRY) > getauxval(AT_PHDR) && (char *)getauxval(AT_ENTRY) < (char *)&objects);
    return 0;
}
