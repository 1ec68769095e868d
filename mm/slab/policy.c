/* Debug rules: which caches get which policy, as said on the command line. And failures made on purpose. */
#include "internal.h"

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

/* Reads "fail=N" of this length into the rule; false when it is something else, or no number above 0. */
static bool parse_fail(const char *word, size_t length, struct slab_rule *rule)
{
    static const char prefix[] = "fail=";
    size_t digits = sizeof prefix - 1;
    if (strncmp(word, prefix, digits) != 0) {
        return false;
    }
    rule->fail_every = 0;
    for (size_t i = digits; i < length; i++) {
        if (word[i] < '0' || word[i] > '9' || rule->fail_every > UINT32_MAX) {
            return false;
        }
        rule->fail_every = rule->fail_every * 10 + (uint64_t)(word[i] - '0');
    }
    return rule->fail_every > 0;
}

static uint32_t policy_of(const char *word, size_t length, struct slab_rule *rule)
{
    if (parse_fail(word, length, rule)) {
        return SLAB_FAIL;
    }
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
        uint32_t policy = policy_of(*text, length, rule);
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

uint64_t slab_rules_fail_every(const struct slab_pool *pool, const char *name)
{
    uint64_t every = 0;
    for (uint32_t i = 0; i < pool->rule_count; i++) {
        if (pool->rules[i].policy & SLAB_FAIL && matches(pool->rules[i].pattern, name)) {
            every = pool->rules[i].fail_every;
        }
    }
    return every;
}

/* ---- Failures on purpose ---- */

/* Counts an allocation; whether it is one of those that fail. */
static bool is_next(struct slab_failing *failing)
{
    uint64_t every = atomic_load_explicit(&failing->every, memory_order_relaxed);
    return every != 0 &&
           (atomic_fetch_add_explicit(&failing->counted, 1, memory_order_relaxed) + 1) % every == 0;
}

bool slab_fail_counted(struct slab_pool *pool, struct slab_failing *failing)
{
    bool by_pool = is_next(&pool->failing);
    bool by_cache = is_next(failing);
    if (!by_pool && !by_cache) {
        return false;
    }
    atomic_fetch_add_explicit(&pool->failing.failed, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&failing->failed, 1, memory_order_relaxed);
    return true;
}
