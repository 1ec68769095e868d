/* Rules of users, groups and capabilities: against Linux itself, call by call, where the test is run by root;
 * and what holds whatever the calls are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "kernel/linux/credentials/rules.h"

#define SEQUENCES 400
#define STEPS     40
#define MODELS    200000

static uint64_t seed;

static uint64_t chance(uint64_t limit)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (seed >> 33) % limit;
}

static uint32_t some_id(void)
{
    static const uint32_t some[] = {0, 1, 2, 1000, ID_NONE};
    return some[chance(sizeof some / sizeof some[0])];
}

static uint64_t some_set(const struct rights *rights)
{
    switch (chance(4)) {
    case 0:
        return 0;
    case 1:
        return rights->permitted;
    case 2:
        return rights->permitted & ~(1ULL << chance(CAPABILITY_COUNT));
    default:
        return rights->permitted & (seed >> 20);
    }
}

/* ---- Linux ---- */

struct capability_header {
    uint32_t version;
    int32_t number;
};

struct capability_part {
    uint32_t effective, permitted, inheritable;
};

static const long id_calls[2][4] = {{SYS_setuid, SYS_setreuid, SYS_setresuid, SYS_setfsuid},
                                    {SYS_setgid, SYS_setregid, SYS_setresgid, SYS_setfsgid}};

/* What Linux says of the calling process. */
static void look(struct rights *rights)
{
    struct capability_header header = {0x20080522, 0};
    struct capability_part parts[2];
    memset(rights, 0, sizeof *rights);
    syscall(SYS_getresuid, &rights->user.real, &rights->user.effective, &rights->user.saved);
    syscall(SYS_getresgid, &rights->group.real, &rights->group.effective, &rights->group.saved);
    rights->user.file = (uint32_t)syscall(SYS_setfsuid, -1);
    rights->group.file = (uint32_t)syscall(SYS_setfsgid, -1);
    syscall(SYS_capget, &header, parts);
    rights->effective = parts[0].effective | (uint64_t)parts[1].effective << 32;
    rights->permitted = parts[0].permitted | (uint64_t)parts[1].permitted << 32;
    rights->inheritable = parts[0].inheritable | (uint64_t)parts[1].inheritable << 32;
    for (unsigned i = 0; i < CAPABILITY_COUNT; i++) {
        rights->bounding |= (uint64_t)(prctl(PR_CAPBSET_READ, i) == 1) << i;
    }
}

static int set_capabilities(struct rights *model)
{
    struct capability_header header = {0x20080522, 0};
    uint64_t effective = some_set(model);
    uint64_t permitted = chance(2) ? effective | some_set(model) : some_set(model);
    uint64_t inheritable = some_set(model);
    struct capability_part parts[2] = {
        {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)}};
    int here = rights_set_capabilities(model, effective, permitted, inheritable);
    int there = syscall(SYS_capset, &header, parts) == 0 ? 0 : -errno;
    return here == there ? 0 : 1;
}

static int drop(struct rights *model)
{
    unsigned capability = (unsigned)chance(CAPABILITY_COUNT);
    bool may = rights_have(model, CAPABILITY_SET_CAPABILITIES);
    if (may) {
        model->bounding &= ~CAPABILITY_BIT(capability);
    }
    return (prctl(PR_CAPBSET_DROP, capability) == 0) == may ? 0 : 1;
}

static int set_ids(struct rights *model, bool keeps)
{
    bool of_groups = chance(3) == 0;
    enum ids_call call = (enum ids_call)chance(4);
    const uint32_t ids[3] = {some_id(), some_id(), some_id()};
    struct rights before = *model;
    if (call == IDS_THREE && before.user.file != before.user.effective) {
        return 0; /* whether one that sets nothing sets the user of files differs between versions */
    }
    int here = rights_set_ids(model, of_groups, call, ids, keeps);
    long answer = syscall(id_calls[of_groups][call], ids[0], ids[1], ids[2]);
    if (call == IDS_FILE) {
        return answer == (long)(of_groups ? before.group.file : before.user.file) && here == 0 ? 0 : 1;
    }
    return here == (answer == 0 ? 0 : -errno) ? 0 : 1;
}

/* One sequence of calls, in a process of its own. 0: both agree always; else the step. */
static int compare(uint64_t number)
{
    struct rights model;
    struct rights real;
    bool keeps = false;
    seed = number;
    look(&model);
    for (int step = 1; step <= STEPS; step++) {
        uint64_t what = chance(10);
        int differs = 0;
        if (what == 0) {
            keeps = chance(2);
            prctl(PR_SET_KEEPCAPS, keeps);
        } else if (what == 1) {
            differs = drop(&model);
        } else if (what < 4) {
            differs = set_capabilities(&model);
        } else {
            differs = set_ids(&model, keeps);
        }
        look(&real);
        if (differs || memcmp(&real, &model, sizeof real) != 0) {
            return step;
        }
    }
    return 0;
}

static void test_linux(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        skip();
    }
    for (uint64_t number = 1; number <= SEQUENCES; number++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            _exit(compare(number));
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (status != 0) {
            fail_msg("sequence %lu: they differ at step %d", (unsigned long)number, WEXITSTATUS(status));
        }
    }
}

/* ---- What holds always ---- */

static struct rights of_root(void)
{
    return (struct rights){
        .permitted = CAPABILITIES_ALL, .effective = CAPABILITIES_ALL, .bounding = CAPABILITIES_ALL};
}

static bool is_one_of(const struct ids *ids, uint32_t id)
{
    return id == ids->real || id == ids->effective || id == ids->saved || id == ids->file;
}

static void check_ids(const struct ids *before, const struct ids *now, bool may_all)
{
    assert_true(may_all || (is_one_of(before, now->real) && is_one_of(before, now->effective) &&
                            is_one_of(before, now->saved) && is_one_of(before, now->file)));
}

/* Nobody gets an ID that he had not, nor a capability, but by the one that allows it; execve() apart. */
static void test_never_more(void **state)
{
    (void)state;
    seed = 7;
    struct rights rights = of_root();
    for (unsigned i = 0; i < MODELS; i++) {
        struct rights before = rights;
        bool of_groups = chance(2);
        const uint32_t ids[3] = {some_id(), some_id(), some_id()};
        int error;
        if (chance(500) == 0) {
            rights = before = of_root();
        }
        if (chance(4) == 0) {
            error = rights_set_capabilities(&rights, some_set(&rights), some_set(&rights), some_set(&rights));
        } else {
            error = rights_set_ids(&rights, of_groups, (enum ids_call)chance(4), ids, chance(2));
        }
        assert_true(error == 0 || memcmp(&before, &rights, sizeof rights) == 0);
        assert_int_equal(rights.effective & ~rights.permitted, 0);
        assert_int_equal(rights.permitted & ~before.permitted, 0);
        assert_int_equal(rights.inheritable & ~(before.inheritable | before.bounding), 0);
        assert_true(rights.user.effective != ID_NONE && rights.group.file != ID_NONE);
        check_ids(&before.user, &rights.user, rights_have(&before, CAPABILITY_SET_USER));
        check_ids(&before.group, &rights.group, rights_have(&before, CAPABILITY_SET_GROUP));
    }
}

/* What execve() makes of them: user, what of it is root, what is permitted and effective, and AT_SECURE. */
static void test_execute(void **state)
{
    static const struct {
        uint32_t real, effective;
        uint64_t permitted, bounding;
        bool no_new;
        uint64_t permitted_then, effective_then;
        uint32_t effective_user;
        bool secure;
    } rows[] = {
        {0, 0, 0xff, 0xff, false, 0xff, 0xff, 0, false}, {0, 0, 0x0f, 0xff, false, 0xff, 0xff, 0, false},
        {0, 0, 0x0f, 0xff, true, 0x0f, 0x0f, 0, false},  {5, 5, 0xff, 0xff, false, 0, 0, 5, false},
        {0, 5, 0xff, 0xff, false, 0xff, 0, 5, true},     {5, 0, 0xff, 0x3f, false, 0x3f, 0x3f, 0, true},
        {5, 0, 0x0f, 0xff, true, 0x0f, 0x0f, 5, true},   {5, 6, 0, 0xff, false, 0, 0, 6, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct rights rights = {
            .user = {rows[i].real, rows[i].effective, 9, 8},
            .group = {3, 3, 4, 5},
            .permitted = rows[i].permitted,
            .effective = rows[i].permitted,
            .bounding = rows[i].bounding,
        };
        assert_int_equal(rights_execute(&rights, rows[i].no_new), rows[i].secure);
        assert_int_equal(rights.permitted, rows[i].permitted_then);
        assert_int_equal(rights.effective, rows[i].effective_then);
        assert_int_equal(rights.user.real, rows[i].real);
        assert_int_equal(rights.user.effective, rows[i].effective_user);
        assert_int_equal(rights.user.saved, rows[i].effective_user);
        assert_int_equal(rights.user.file, rows[i].effective_user);
        assert_int_equal(rights.group.saved, 3);
        assert_int_equal(rights.group.file, 3);
    }
}

/* ---- Others ---- */

static struct rights of_user(uint32_t real, uint32_t effective, uint32_t saved, uint64_t capabilities)
{
    return (struct rights){.user = {real, effective, saved, effective},
                           .group = {real, effective, saved, effective},
                           .permitted = capabilities,
                           .effective = capabilities};
}

static void test_others(void **state)
{
    struct rights own = of_user(1, 2, 3, 0);
    struct rights same = of_user(1, 1, 1, 0);
    struct rights strong = of_user(1, 1, 1, 1);
    struct rights mixed = of_user(1, 1, 7, 0);
    struct rights saved = of_user(7, 7, 2, 0);
    struct rights other = of_user(7, 3, 8, 0);
    struct rights debugger = of_user(9, 9, 9, CAPABILITY_BIT(CAPABILITY_TRACE));
    struct rights all = of_user(9, 9, 9, CAPABILITIES_ALL);
    (void)state;
    assert_true(rights_may_signal(&own, &same) && rights_may_signal(&own, &saved));
    assert_true(rights_may_signal(&all, &other) && !rights_may_signal(&own, &other));
    assert_true(!rights_may_signal(&debugger, &other));
    assert_true(rights_may_trace(&own, &same, true, false) && !rights_may_trace(&own, &same, true, true));
    assert_true(!rights_may_trace(&own, &same, false, false) && !rights_may_trace(&own, &mixed, true, false));
    assert_true(!rights_may_trace(&own, &strong, true, false));
    assert_true(rights_may_trace(&debugger, &strong, false, true));
    assert_true(rights_may_limit(&own, &same) && !rights_may_limit(&own, &mixed));
    assert_true(rights_may_limit(&all, &other) && !rights_may_limit(&debugger, &same));
    assert_true(!rights_may_schedule(&own, &same) && rights_may_schedule(&same, &mixed));
    assert_true(rights_may_schedule(&all, &other) && !rights_may_schedule(&debugger, &other));
    assert_true(rights_differ(&same, &strong) && !rights_differ(&strong, &same));
    assert_true(!rights_differ(&same, &mixed) && rights_differ(&same, &own));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linux),
        cmocka_unit_test(test_never_more),
        cmocka_unit_test(test_execute),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
