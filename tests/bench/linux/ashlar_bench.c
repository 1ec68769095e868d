// SPDX-License-Identifier: MIT OR GPL-2.0
/*
 * What Linux's allocators cost: calls alloc_pages, kmalloc, kmem_cache_alloc and vmalloc in the loops that
 * our own benchmarks have, under the same names, counts time-stamp ticks (guest instructions, under QEMU's
 * -icount shift=0), and prints a line of JSON per benchmark.
 *
 * All of it happens when the module is loaded. One call of a benchmark's function is one sample: one to warm
 * up, then SAMPLES in earnest. Interrupts stay enabled, as they are for whoever calls these functions; a
 * timer interrupt falls into the samples above the median.
 *
 * Parameter: pattern=TEXT, only benchmarks whose name has TEXT in it.
 */
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include <linux/utsname.h>
#include <linux/vmalloc.h>
#include <string.h>

#define SAMPLES       21
#define PAIRS         1000
#define VMALLOC_PAIRS 100
#define BATCH         4096
#define SLOTS         4096 /* the mix takes 12 bits of a random number to choose one */
#define MIX           10000
#define OBJECT_BYTES  200
#define SEED          88172645463325252ULL

static char *pattern = "";
module_param(pattern, charp, 0444);
MODULE_PARM_DESC(pattern, "run only the benchmarks whose name contains this");

/* Takes one sample; returns the ticks it took, or 0 when an allocation failed. */
typedef u64 (*sample_function)(unsigned long argument);

struct linux_bench {
    const char *name;       /* as in Ashlar */
    sample_function sample; /* does the work once */
    unsigned long argument; /* order, bytes or pages */
    unsigned int operations;
};

static void *slots[SLOTS];
static u8 slot_orders[SLOTS];
static struct kmem_cache *objects;

/* The next random number; the higher bits are the better ones. */
static u64 next_random(u64 random)
{
    return random * 6364136223846793005ULL + 1442695040888963407ULL;
}

/* ---- Frames ---- */

static u64 frame_pair(unsigned long order)
{
    u64 start = rdtsc();
    unsigned int i;
    for (i = 0; i < PAIRS; i++) {
        struct page *page = alloc_pages(GFP_KERNEL, order);
        if (!page) {
            return 0;
        }
        __free_pages(page, order);
    }
    return rdtsc() - start;
}

static u64 frame_batch(unsigned long order)
{
    unsigned int got = 0;
    unsigned int i;
    u64 start = rdtsc();
    while (got < BATCH && (slots[got] = alloc_pages(GFP_KERNEL, order))) {
        got++;
    }
    for (i = 0; i < got; i++) {
        __free_pages(slots[i], order);
    }
    start = rdtsc() - start;
    memset(slots, 0, sizeof slots);
    return got == BATCH ? start : 0;
}

/* A random slot: freed if it holds a block, else filled with one of a random order up to `most`. */
static u64 frame_mix(unsigned long most)
{
    u64 random = SEED;
    bool good = true;
    unsigned int i;
    u64 start = rdtsc();
    for (i = 0; i < MIX && good; i++) {
        unsigned int slot;
        random = next_random(random);
        slot = random >> 52;
        if (slots[slot]) {
            __free_pages(slots[slot], slot_orders[slot]);
            slots[slot] = NULL;
        } else {
            slot_orders[slot] = (random >> 40 & 0xff) % (most + 1);
            slots[slot] = alloc_pages(GFP_KERNEL, slot_orders[slot]);
            good = slots[slot];
        }
    }
    start = rdtsc() - start;
    for (i = 0; i < SLOTS; i++) {
        if (slots[i]) {
            __free_pages(slots[i], slot_orders[i]);
        }
    }
    memset(slots, 0, sizeof slots);
    return good ? start : 0;
}

/* ---- Heap ---- */

static u64 heap_pair(unsigned long bytes)
{
    u64 start = rdtsc();
    unsigned int i;
    for (i = 0; i < PAIRS; i++) {
        void *block = kmalloc(bytes, GFP_KERNEL);
        if (!block) {
            return 0;
        }
        kfree(block);
    }
    return rdtsc() - start;
}

static u64 heap_batch(unsigned long bytes)
{
    unsigned int got = 0;
    unsigned int i;
    u64 start = rdtsc();
    while (got < BATCH && (slots[got] = kmalloc(bytes, GFP_KERNEL))) {
        got++;
    }
    for (i = 0; i < got; i++) {
        kfree(slots[i]);
    }
    start = rdtsc() - start;
    memset(slots, 0, sizeof slots);
    return got == BATCH ? start : 0;
}

/* As frame_mix(), with 8 to `most` bytes. */
static u64 heap_mix(unsigned long most)
{
    u64 random = SEED;
    bool good = true;
    unsigned int i;
    u64 start = rdtsc();
    for (i = 0; i < MIX && good; i++) {
        unsigned int slot;
        random = next_random(random);
        slot = random >> 52;
        if (slots[slot]) {
            kfree(slots[slot]);
            slots[slot] = NULL;
        } else {
            slots[slot] = kmalloc(8 + (random >> 32 & 0xfffff) % (most - 7), GFP_KERNEL);
            good = slots[slot];
        }
    }
    start = rdtsc() - start;
    for (i = 0; i < SLOTS; i++) {
        kfree(slots[i]);
    }
    memset(slots, 0, sizeof slots);
    return good ? start : 0;
}

static u64 cache_pair(unsigned long bytes)
{
    u64 start = rdtsc();
    unsigned int i;
    for (i = 0; i < PAIRS; i++) {
        void *object = kmem_cache_alloc(objects, GFP_KERNEL);
        if (!object) {
            return 0;
        }
        kmem_cache_free(objects, object);
    }
    return rdtsc() - start;
}

static u64 vmalloc_pair(unsigned long pages)
{
    u64 start = rdtsc();
    unsigned int i;
    for (i = 0; i < VMALLOC_PAIRS; i++) {
        void *block = vmalloc(pages * PAGE_SIZE);
        if (!block) {
            return 0;
        }
        vfree(block);
    }
    return rdtsc() - start;
}

/* ---- Running them ---- */

static const struct linux_bench benches[] = {
    {"frame.pair.o0", frame_pair, 0, PAIRS},
    {"frame.pair.o3", frame_pair, 3, PAIRS},
    {"frame.pair.o9", frame_pair, 9, PAIRS},
    {"frame.batch.o0", frame_batch, 0, BATCH},
    {"frame.mix.o0-4", frame_mix, 4, MIX},
    {"heap.pair.8", heap_pair, 8, PAIRS},
    {"heap.pair.16", heap_pair, 16, PAIRS},
    {"heap.pair.32", heap_pair, 32, PAIRS},
    {"heap.pair.64", heap_pair, 64, PAIRS},
    {"heap.pair.128", heap_pair, 128, PAIRS},
    {"heap.pair.256", heap_pair, 256, PAIRS},
    {"heap.pair.512", heap_pair, 512, PAIRS},
    {"heap.pair.1024", heap_pair, 1024, PAIRS},
    {"heap.pair.2048", heap_pair, 2048, PAIRS},
    {"heap.pair.4096", heap_pair, 4096, PAIRS},
    {"heap.pair.8192", heap_pair, 8192, PAIRS},
    {"heap.pair.65536", heap_pair, 65536, PAIRS},
    {"heap.batch.64", heap_batch, 64, BATCH},
    {"heap.mix", heap_mix, 2048, MIX},
    {"cache.pair.200", cache_pair, OBJECT_BYTES, PAIRS},
    {"vmalloc.pair.1", vmalloc_pair, 1, VMALLOC_PAIRS},
    {"vmalloc.pair.16", vmalloc_pair, 16, VMALLOC_PAIRS},
};

static int by_value(const void *a, const void *b)
{
    u64 x = *(const u64 *)a;
    u64 y = *(const u64 *)b;
    return (x > y) - (x < y);
}

/* Takes a benchmark's samples, ticks per operation, rounded; returns whether none failed. */
static bool take_samples(const struct linux_bench *bench, u64 *samples)
{
    unsigned int i;
    bool good = true;
    for (i = 0; i <= SAMPLES && good; i++) { /* number 0 warms up; 1 overwrites it */
        u64 ticks = bench->sample(bench->argument);
        good = ticks != 0;
        samples[i == 0 ? 0 : i - 1] = (ticks + bench->operations / 2) / bench->operations;
        cond_resched();
    }
    return good;
}

static void report(const struct linux_bench *bench)
{
    static u64 samples[SAMPLES];
    const char *release = init_utsname()->release;
    if (!take_samples(bench, samples)) {
        pr_alert("{\"bench\":\"%s\",\"skipped\":\"out of memory\",\"peer\":\"linux-%s\"}\n", bench->name,
                 release);
        return;
    }
    sort(samples, SAMPLES, sizeof samples[0], by_value, NULL);
    pr_alert("{\"bench\":\"%s\",\"unit\":\"tick\",\"median\":%llu,\"min\":%llu,\"max\":%llu,\"n\":%d,"
             "\"peer\":\"linux-%s\"}\n",
             bench->name, samples[SAMPLES / 2], samples[0], samples[SAMPLES - 1], SAMPLES, release);
}

static int __init ashlar_bench_init(void)
{
    unsigned int done = 0;
    unsigned int i;
    objects = kmem_cache_create("ashlar_bench", OBJECT_BYTES, 0, 0, NULL);
    if (!objects) {
        return -ENOMEM;
    }
    for (i = 0; i < ARRAY_SIZE(benches); i++) {
        if (strstr(benches[i].name, pattern)) {
            report(&benches[i]);
            done++;
        }
    }
    kmem_cache_destroy(objects);
    pr_alert("ashlar_bench: end of %u benchmarks\n", done);
    return 0;
}

static void __exit ashlar_bench_exit(void)
{
}

module_init(ashlar_bench_init);
module_exit(ashlar_bench_exit);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("What Linux's allocators cost, to compare Ashlar's with");
