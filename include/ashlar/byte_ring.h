/*
 * A ring of bytes between one producer, an interrupt handler, and one consumer. No lock: each side writes an
 * index of its own, and the release store of that index publishes what was done before it. A byte that finds
 * the ring full is lost and counted.
 */
#pragma once

#include <ashlar/types.h>
#include <stdatomic.h>

#define BYTE_RING_BYTES 1024 /* a power of two */

struct byte_ring {
    _Atomic(uint32_t) put;   /* bytes put since the start; written by the producer */
    _Atomic(uint32_t) taken; /* bytes taken; written by the consumer */
    _Atomic(uint32_t) lost;  /* bytes that found no room; written by the producer */
    uint8_t bytes[BYTE_RING_BYTES];
};

/* Puts a byte; returns whether there was room. The producer only. */
static inline bool byte_ring_put(struct byte_ring *ring, uint8_t byte)
{
    uint32_t put = atomic_load_explicit(&ring->put, memory_order_relaxed);
    if (put - atomic_load_explicit(&ring->taken, memory_order_acquire) == BYTE_RING_BYTES) {
        uint32_t lost = atomic_load_explicit(&ring->lost, memory_order_relaxed);
        atomic_store_explicit(&ring->lost, lost + 1, memory_order_relaxed);
        return false;
    }
    ring->bytes[put % BYTE_RING_BYTES] = byte;
    atomic_store_explicit(&ring->put, put + 1, memory_order_release);
    return true;
}

/* Takes the oldest byte; returns whether there was one. The consumer only. */
static inline bool byte_ring_take(struct byte_ring *ring, uint8_t *byte)
{
    uint32_t taken = atomic_load_explicit(&ring->taken, memory_order_relaxed);
    if (atomic_load_explicit(&ring->put, memory_order_acquire) == taken) {
        return false;
    }
    *byte = ring->bytes[taken % BYTE_RING_BYTES];
    atomic_store_explicit(&ring->taken, taken + 1, memory_order_release);
    return true;
}
