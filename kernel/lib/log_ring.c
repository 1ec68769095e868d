/* The ring of log lines; see log_ring.h. */
#include "log_ring.h"

#include <ashlar/platform.h>
#include <ashlar/string.h>

static struct log_slot *slot_of(const struct log_ring *ring, uint64_t sequence)
{
    return &ring->slots[sequence & (ring->capacity - 1)];
}

static uint64_t writing(uint64_t sequence)
{
    return 2 * sequence + 1;
}

static uint64_t finished(uint64_t sequence)
{
    return 2 * sequence + 2;
}

bool log_ring_begin(struct log_ring *ring, uint64_t *sequence)
{
    *sequence = atomic_fetch_add_explicit(&ring->head, 1, memory_order_relaxed);
    struct log_slot *slot = slot_of(ring, *sequence);
    uint64_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    bool free = state % 2 == 0 && state < writing(*sequence);
    if (!free || !atomic_compare_exchange_strong_explicit(&slot->state, &state, writing(*sequence),
                                                          memory_order_relaxed, memory_order_relaxed)) {
        return false;
    }
    cpu_interleave();
    atomic_thread_fence(memory_order_release); /* a reader that sees a new word sees the new state too */
    return true;
}

void log_ring_finish(struct log_ring *ring, uint64_t sequence)
{
    atomic_store_explicit(&slot_of(ring, sequence)->state, finished(sequence), memory_order_release);
}

void log_ring_append(struct log_ring *ring, enum log_level level, const char *subsystem, uint64_t ticks,
                     unsigned cpu, const struct log_text *text)
{
    uint64_t sequence;
    if (!log_ring_begin(ring, &sequence)) {
        return;
    }
    struct log_slot *slot = slot_of(ring, sequence);
    uint64_t attributes = (uint64_t)level | (uint64_t)cpu << 8 | (uint64_t)text->length << 32;
    atomic_store_explicit(&slot->ticks, ticks, memory_order_relaxed);
    atomic_store_explicit(&slot->subsystem, subsystem, memory_order_relaxed);
    atomic_store_explicit(&slot->attributes, attributes, memory_order_relaxed);
    for (size_t i = 0; i * 8 < text->length; i++) {
        uint64_t word;
        __builtin_memcpy(&word, text->characters + i * 8, sizeof word);
        atomic_store_explicit(&slot->text[i], word, memory_order_relaxed);
    }
    log_ring_finish(ring, sequence);
}

static void copy_record(struct log_slot *slot, struct log_record *record)
{
    uint64_t attributes = atomic_load_explicit(&slot->attributes, memory_order_relaxed);
    size_t length = min_u64(attributes >> 32, LOG_TEXT_BYTES); /* may be torn: it is checked afterwards */
    record->ticks = atomic_load_explicit(&slot->ticks, memory_order_relaxed);
    record->subsystem = atomic_load_explicit(&slot->subsystem, memory_order_relaxed);
    record->level = (enum log_level)(attributes & 0xff);
    record->cpu = (unsigned)(attributes >> 8 & 0xffff);
    for (size_t i = 0; i * 8 < length; i++) {
        uint64_t word = atomic_load_explicit(&slot->text[i], memory_order_relaxed);
        __builtin_memcpy(record->text + i * 8, &word, sizeof word);
    }
    record->text[length] = '\0';
}

/* Copies line `sequence` if it is there, whole. */
static bool copy_if_finished(struct log_slot *slot, uint64_t sequence, struct log_record *record)
{
    if (atomic_load_explicit(&slot->state, memory_order_acquire) != finished(sequence)) {
        return false;
    }
    copy_record(slot, record);
    cpu_interleave();
    atomic_thread_fence(memory_order_acquire);
    return atomic_load_explicit(&slot->state, memory_order_relaxed) == finished(sequence);
}

/* Whether line `sequence`, which could not be read, is lost: it was overwritten, or is still unfinished after
 * half the ring has been written since. */
static bool is_lost(const struct log_ring *ring, uint64_t sequence, uint64_t head)
{
    uint64_t state = atomic_load_explicit(&slot_of(ring, sequence)->state, memory_order_relaxed);
    return state > finished(sequence) || head - sequence > ring->capacity / 2;
}

bool log_ring_readable(const struct log_ring *ring, const struct log_reader *reader)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint64_t sequence = reader->next;
    if (sequence >= head) {
        return false;
    }
    uint64_t state = atomic_load_explicit(&slot_of(ring, sequence)->state, memory_order_acquire);
    return state == finished(sequence) || is_lost(ring, sequence, head);
}

bool log_ring_read(const struct log_ring *ring, struct log_reader *reader, bool pass_unfinished,
                   struct log_record *record)
{
    for (;;) {
        uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (reader->next >= head) {
            return false;
        }
        if (head - reader->next > ring->capacity) {
            reader->lost += head - ring->capacity - reader->next;
            reader->next = head - ring->capacity;
        }
        uint64_t sequence = reader->next;
        struct log_slot *slot = slot_of(ring, sequence);
        if (copy_if_finished(slot, sequence, record)) {
            record->sequence = sequence;
            record->lost = reader->lost;
            *reader = (struct log_reader){sequence + 1, 0};
            return true;
        }
        if (!pass_unfinished && !is_lost(ring, sequence, head)) {
            return false;
        }
        reader->next++;
        reader->lost++;
    }
}
