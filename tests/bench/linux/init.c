/*
 * The only program of the Linux that --vs-linux boots: loads the benchmarks' module, with the parameters that
 * stand in /parameters, and switches the machine off. Linked statically; runs as process 1.
 */
#define _DEFAULT_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

static void load_module(void)
{
    char parameters[128] = "";
    int file = open("/parameters", O_RDONLY);
    int module = open("/ashlar_bench.ko", O_RDONLY);
    if (file < 0 || module < 0 || read(file, parameters, sizeof parameters - 1) < 0) {
        printf("init: cannot read the files of the initramfs: %s\n", strerror(errno));
    } else if (syscall(SYS_finit_module, module, parameters, 0) != 0) {
        printf("init: cannot load the module: %s\n", strerror(errno));
    }
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    load_module();
    reboot(RB_POWER_OFF);
    printf("init: cannot switch the machine off: %s\n", strerror(errno));
    return 1;
}
