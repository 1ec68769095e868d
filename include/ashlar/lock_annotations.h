/*
 * What clang's -Wthread-safety is told of locks: a variable marked GUARDED_BY(lock) can only be touched by
 * code that the compiler sees holding the lock, a function marked REQUIRES(lock) only be called by such code.
 */
#pragma once

#define CAPABILITY(name)    __attribute__((capability(name)))
#define GUARDED_BY(lock)    __attribute__((guarded_by(lock)))
#define PT_GUARDED_BY(lock) __attribute__((pt_guarded_by(lock))) /* what the field points to */
#define ACQUIRES(...)       __attribute__((acquire_capability(__VA_ARGS__)))
#define RELEASES(...)       __attribute__((release_capability(__VA_ARGS__)))
#define TRY_ACQUIRES(...)   __attribute__((try_acquire_capability(__VA_ARGS__)))
#define REQUIRES(...)       __attribute__((requires_capability(__VA_ARGS__)))
#define EXCLUDES(...)       __attribute__((locks_excluded(__VA_ARGS__)))
#define NO_LOCK_ANALYSIS    __attribute__((no_thread_safety_analysis))
