/* Reads lines from its terminal until the end, then one byte with the terminal's editing off. */
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

int main(void)
{
    char line[100];
    struct termios settings;
    setvbuf(stdout, NULL, _IONBF, 0);
    printf("lines: ready\n");
    for (ssize_t bytes; (bytes = read(0, line, sizeof line - 1)) > 0;) {
        bytes -= line[bytes - 1] == '\n';
        line[bytes] = 0;
        printf("\nline: %s.\n", line);
    }
    tcgetattr(0, &settings);
    settings.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    tcsetattr(0, TCSAFLUSH, &settings);
    printf("raw: ready\n");
    if (read(0, line, 1) != 1) {
        return 1;
    }
    printf("byte: %d.\n", line[0]);
    return isatty(0) ? 3 : 2;
}
