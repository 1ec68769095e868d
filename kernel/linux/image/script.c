/* The first line of a script; see script.h. */
#include "script.h"

#include <ashlar/string.h>

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t';
}

static char *skip_blanks(char *at)
{
    while (is_blank(*at)) {
        at++;
    }
    return at;
}

static char *skip_word(char *at)
{
    while (*at && !is_blank(*at)) {
        at++;
    }
    return at;
}

/* The end of the line, without blanks before it. NULL: it goes on behind these bytes. */
static char *end_of_line(char *line)
{
    char *end = line;
    while (*end && *end != '\n') {
        end++;
    }
    if (*end != '\n' && end == line + SCRIPT_LINE_BYTES) {
        return NULL;
    }
    while (end > line + 2 && is_blank(end[-1])) {
        end--;
    }
    return end;
}

enum script_kind script_read(char line[SCRIPT_LINE_BYTES + 1], struct script *script)
{
    if (line[0] != '#' || line[1] != '!') {
        return SCRIPT_NONE;
    }
    line[SCRIPT_LINE_BYTES] = 0;
    char *end = end_of_line(line);
    if (end) {
        *end = 0;
    }
    script->program = skip_blanks(line + 2);
    char *behind = skip_word(script->program);
    if (behind == script->program || (!end && !*behind)) {
        return SCRIPT_BROKEN;
    }
    script->argument = NULL;
    if (*behind) {
        *behind = 0;
        char *argument = skip_blanks(behind + 1);
        script->argument = *argument ? argument : NULL;
    }
    return SCRIPT_SOUND;
}
