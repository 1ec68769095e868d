/* Debug rules: which caches get which policy, as said on the command line. And failures made on purpose. */
#include "slab_internal.h"

struct policy_name {
    const char *name;
    uint32_t policy;
};

static const struct policy_name policy_names[] = {
    {"redzone", SLAB_REDZONE},
    {"poison", SLAB_POISON},
    {"owner", SLAB_OWNER},
    {"quarantine", SLAB_QUARANTINE},
    {"all", SLAB_REDZONE | SLAB_POISON | SLAB_OWNER | SLAB_QUARANTINE},
};

static size_t word_length(const char *text, const char *ends)
{
    size_t length = 0;
    while (text[length] != '\0' && !strchr(ends, text[length])) {
        length++;
    }
    return length;
}

static uint32_t policy_of(const char *word, size_t length)
{
    for (size_t i = 0; i < ARRAY_LENGTH(policy_names); i++) {
        if (strlen(policy_names[i].name) == length && strncmp(policy_names[i].name, word, length) == 0) {
            return policy_names[i].policy;
        }
    }
    return 0;
}

/* Reads "PATTERN:POLICY,POLICY" at *text, moves *text behind it; false with *text at what cannot be read. */
static bool parse_rule(const char **text, struct slab_rule *rule)
{
    size_t length = word_length(*text, ":;");
    if (length == 0 || length >= SLAB_NAME_BYTES || (*text)[length] != ':') {
        return false;
    }
    *rule = (struct slab_rule){.policy = 0};
    memcpy(rule->pattern, *text, length);
    do {
        *text += length + 1;
        length = word_length(*text, ",;");
        uint32_t policy = policy_of(*text, length);
        if (policy == 0) {
            return false;
        }
        rule->policy |= policy;
    } while ((*text)[length] == ',');
    *text += length;
    return true;
}

bool slab_rules_parse(struct slab_pool *pool)
{
    const char *text = pool->config.debug ? pool->config.debug : "";
    while (*text != '\0') {
        if (pool->rule_count == SLAB_RULES_MAX || !parse_rule(&text, &pool->rules[pool->rule_count])) {
            pool->debug_error = (uint32_t)(text - pool->config.debug);
            return false;
        }
        pool->rule_count++;
        text += *text == ';';
    }
    return true;
}

static bool matches(const char *pattern, const char *name)
{
    size_t length = strlen(pattern);
    if (length > 0 && pattern[length - 1] == '*') {
        return strncmp(pattern, name, length - 1) == 0;
    }
    return strcmp(pattern, name) == 0;
}

uint32_t slab_rules_policy(const struct slab_pool *pool, const char *name)
{
    uint32_t policy = 0;
    for (uint32_t i = 0; i < pool->rule_count; i++) {
        if (matches(pool->rules[i].pattern, name)) {
            policy |= pool->rules[i].policy;
        }
    }
    return policy;
}

bool slab_fail_counted(struct slab_pool *pool)
{
    uint64_t every = atomic_load_explicit(&pool->fail_every, memory_order_relaxed);
    if (every == 0) {
        return false;
    }
    uint64_t count = atomic_fetch_add_explicit(&pool->fail_count, 1, memory_order_relaxed) + 1;
    if (count % every != 0) {
        return false;
    }
    atomic_fetch_add_explicit(&pool->failed, 1, memory_order_relaxed);
    return true;
}

void slab_fail_every(struct slab_pool *pool, uint64_t every)
{
    atomic_store_explicit(&pool->fail_count, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->fail_every, every, memory_order_relaxed);
    slab_reap(pool); /* allocations that found an object in a magazine would not be counted */
}
