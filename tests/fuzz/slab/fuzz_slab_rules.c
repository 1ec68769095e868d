/*
 * Any text as debug rules of the slabs, which come from the command line: read or refused at a place within
 * the text; what was read means the same when it is written down and read again, and of several "fail=N" the
 * last one counts.
 */
#include "mm/slab/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool read_rules(struct slab_pool *pool, const char *text)
{
    memset(pool, 0, sizeof *pool);
    pool->config.debug = text;
    return slab_rules_parse(pool);
}

/* The rules of a pool as text. */
static void write_rules(const struct slab_pool *pool, char *text, size_t room)
{
    static const char *const names[] = {"redzone", "poison", "owner", "quarantine"};
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < pool->rule_count; i++) {
        const struct slab_rule *rule = &pool->rules[i];
        require(memchr(rule->pattern, '\0', sizeof rule->pattern) && rule->policy != 0);
        used += (size_t)snprintf(text + used, room - used, "%s%s", i ? ";" : "", rule->pattern);
        char separator = ':';
        for (unsigned bit = 0; bit < ARRAY_LENGTH(names); bit++) {
            if (rule->policy >> bit & 1) {
                used += (size_t)snprintf(text + used, room - used, "%c%s", separator, names[bit]);
                separator = ',';
            }
        }
        if (rule->policy & SLAB_FAIL) {
            used +=
                (size_t)snprintf(text + used, room - used, "%cfail=%" PRIu64, separator, rule->fail_every);
        }
    }
    require(used < room);
}

/* N of the last "fail=N" in the rule at *text, 0 for none; moves *text to the next rule. */
static uint64_t last_failing(const char **text)
{
    const char *end = *text + strcspn(*text, ";");
    uint64_t every = 0;
    for (const char *word = strchr(*text, ':'); word < end; word += 1 + strcspn(word + 1, ",;")) {
        every = strncmp(word + 1, "fail=", 5) == 0 ? strtoull(word + 6, NULL, 10) : every;
    }
    *text = end + (*end == ';');
    return every;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct slab_pool pool;
    static struct slab_pool again;
    char rewritten[SLAB_RULES_MAX * (SLAB_NAME_BYTES + 80)];
    char *text = strndup((const char *)data, size);
    if (!read_rules(&pool, text)) {
        require(pool.debug_error <= strlen(text));
        free(text);
        return 0;
    }
    write_rules(&pool, rewritten, sizeof rewritten);
    require(read_rules(&again, rewritten) && again.rule_count == pool.rule_count);
    const char *rule = text;
    for (uint32_t i = 0; i < pool.rule_count; i++) {
        require(last_failing(&rule) == pool.rules[i].fail_every);
        require(strcmp(again.rules[i].pattern, pool.rules[i].pattern) == 0);
        require(again.rules[i].policy == pool.rules[i].policy);
        require(again.rules[i].fail_every == pool.rules[i].fail_every);
    }
    free(text);
    return 0;
}
