/* What the files of <ashlar/provoke.h> share. */
#pragma once

#include <ashlar/types.h>

/* Macros, so that the access is in the provoking function's own line. */
#define READ_AT(address)  (*(const volatile uint64_t *)(uintptr_t)(address))
#define WRITE_AT(address) (*(volatile uint64_t *)(uintptr_t)(address) = 0)

/* The vector of the provocations' own interrupt: no device's. */
#define PROVOKED_VECTOR 0xe1

/* ---- locks.c: what builds with all assertions do not let pass ---- */

void provoke_lock_order(void);
void provoke_lock_in_handler(void);
void provoke_wait_forbidden(void);
void provoke_log_locked(void);
void provoke_alloc_locked(void);
void provoke_alloc_in_handler(void);

/* ---- processors.c: mistakes that take two CPUs ---- */

void provoke_deadlock_of_two(void);
void provoke_deaf_cpu(void);
void provoke_nmi_storm(void);
void provoke_panic_of_two(void);

/* ---- twice.c: what is registered already ---- */

void provoke_timer_twice(void);
void provoke_handler_twice(void);

/* ---- spaces.c: memory that an address space does not deliver ---- */

void provoke_lazy_guard(void);
void provoke_lazy_reserved(void);
void provoke_lazy_denied(void);
void provoke_lazy_no_memory(void);
void provoke_lazy_preempt(void);
void provoke_user_forbidden(void);
void provoke_null_forbidden(void);
