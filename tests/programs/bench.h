/* The benchmarks of a program, bench.c: what its parts share. */
#pragma once

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <x86intrin.h>

#define PAGE       4096UL
#define PAGES      2048UL
#define SMALL_AREA 65536 /* bytes: what mmap and brk give and take, and a thread's stack */
#define MANY       1000  /* times that a short call is made */
#define HALF       500
#define FEW        50

/* Each takes one sample: ticks of an operation, or not_there(). */
uint64_t bench_syscall_null(void);
uint64_t bench_fault_anon_write(void);
uint64_t bench_fault_anon_read(void);
uint64_t bench_fault_cow_copy(void);
uint64_t bench_fault_cow_reuse(void);
uint64_t bench_fault_file(void);
uint64_t bench_fault_huge(void);
uint64_t bench_munmap_page(void);
uint64_t bench_dontneed_page(void);
uint64_t bench_mprotect_page(void);
uint64_t bench_mmap_pair(void);
uint64_t bench_brk_pair(void);
uint64_t bench_fork_2048(void);
uint64_t bench_fork_exit_wait(void);
uint64_t bench_vfork_exec_exit_wait(void);
uint64_t bench_thread_pair(void);
uint64_t bench_pipe_local(void);
uint64_t bench_pipe_round(void);
uint64_t bench_futex_round(void);
uint64_t bench_signal_self(void);
uint64_t bench_segv_round(void);
uint64_t bench_pread_4k(void);
uint64_t bench_swap_out(void);
uint64_t bench_swap_in(void);

/* Why the kernel cannot do what is to be measured; the sample's answer. */
uint64_t not_there(const char *why);

/* What must not fail, as all that is measured depends on it. */
static inline void need(int holds, const char *what)
{
    if (!holds) {
        perror(what);
        exit(1);
    }
}

/* Ticks of one of the operations that were done since `begin`. */
static inline uint64_t since(uint64_t begin, uint64_t operations)
{
    return (__rdtsc() - begin) / operations;
}

/* ---- bench_memory.c ---- */

/* Fresh memory, of small pages; and the same, PAGES of them, written to. */
volatile char *zeros(uint64_t pages);
volatile char *written(void);
void release(volatile char *memory, uint64_t pages);

/* Writes to, or reads from, each of PAGES pages; ticks for one. */
uint64_t write_pages(volatile char *memory, char value);
uint64_t read_pages(volatile char *memory);
