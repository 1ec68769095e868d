/* What the files of this folder share. */
#pragma once

#include <ashlar/lock.h>
#include <ashlar/thread.h>
#include <ashlar/wait.h>

#include "task.h"

/* ---- machine.c: what of it depends on the CPU; the explorer of interleavings has its own ---- */

/* Prepares it; slice_over: what is called when a time slice of a CPU is over, on that CPU, interrupts off. */
void machine_start(void (*slice_over)(void));

/* This CPU's run queue, interrupts off; and that of any. */
struct run_queue *run_queue_here(void);
struct run_queue *run_queue_of(unsigned cpu);

/* Notes the wish that another thread runs on this CPU; and that it is fulfilled. Interrupts are off. */
void wish_here(void);
void wish_over(void);
bool wish_is_here(void);

/* Interrupts another CPU, which calls threads_look(). */
void look_there(unsigned cpu);

/* Interrupts this CPU as soon as interrupts are on, so that the wish is seen. */
void look_here_soon(void);

/* Begins a time slice on this CPU if none runs, or in any case. Interrupts are off. */
void slice_begin(bool anew);

/* Leaves one thread for the other, which runs here from now on; returns when it is gone on with. */
void change_thread(struct thread *from, struct thread *to);

/* Makes what change_thread() needs of a thread that has not run yet. */
void prepare_thread(struct thread *thread, void (*begin)(void));

/* Whether waiting till a moment works: there are timers. */
bool can_be_timed(void);

/* Interrupts are off: does one piece of what a CPU does that has nothing to do, or rests until an interrupt
 * if there is none; not if something is in the queue, or looked for. Comes back with interrupts off. */
void rest_here(struct run_queue *queue);

/* ---- queue.c: all with the queue's lock held ---- */

void run_queue_init(struct run_queue *queue, unsigned cpu);

/* Puts a thread in, behind all others of its level or before them. */
void run_queue_add(struct run_queue *queue, struct thread *thread, bool in_front);
void run_queue_remove(struct run_queue *queue, struct thread *thread);

/* The first of the highest level that there is; NULL: the queue is empty. */
struct thread *run_queue_first(const struct run_queue *queue);

/* The level at which the thread runs: who holds a mutex runs as a normal one at least. */
enum thread_level thread_level_now(const struct thread *thread);

/* Whether the first in the queue should run in place of the thread that runs there. at_once: without waiting
 * for the end of its time slice. */
bool run_queue_wants(const struct run_queue *queue, bool at_once);

/* ---- balance.c ---- */

/* CPUs in whose queues something is, and CPUs that have nothing to do. Of length 0 while there is one CPU. */
extern struct cpu_set cpus_with_ready;
extern struct cpu_set cpus_idle;

/* Locks two queues, which may be the same one, in the order of their CPUs; interrupts are off. */
void lock_both(struct run_queue *one, struct run_queue *other);
void unlock_both(struct run_queue *one, struct run_queue *other);

/* Where a thread that wakes had best run. A guess, without a lock. */
unsigned cpu_for(const struct thread *thread);

/* Something has been put into the queue, whose lock is held: its CPU runs it soon. */
void tell_cpu(struct run_queue *queue);

/* The thread, which has been put there, need not wait for that CPU if another one has nothing to do. */
void tell_idle(const struct run_queue *queue, const struct thread *thread);

/* Moves a thread from another CPU's queue into this one's, interrupts off; false: there is none that may. */
bool steal(struct run_queue *queue);

/* Whether the thread may run there. */
bool may_run_on(const struct thread *thread, unsigned cpu);

/* The CPU, whose queue this is, looks soon whether another thread is to run there. */
void tell(struct run_queue *queue);

/* ---- schedule.c ---- */

/* With interrupts off: calls `change`, which changes where the thread may run, with the lock of its queue
 * held, and sees to it that it goes on where it may, if it is not the calling one. */
void thread_change_place(struct thread *thread, void (*change)(struct thread *thread, const void *context),
                         const void *context);

/* A time slice of this CPU is over: the timer calls it. */
void threads_slice_over(void);

/* Makes the stack of a thread that has not run yet: it begins with its entry. */
void thread_set_entry(struct thread *thread, thread_entry *entry, void *argument);

/* Sleeps until thread_wake(), or not at all if that has come since the last thread_park(). It may return for
 * no reason. hopeless: only another thread can wake it. */
void thread_park(bool hopeless);

/* Ends the sleep of a thread, or its next one. From any context but an NMI's, with any lock but those of run
 * queues held. The thread cannot end meanwhile. */
void thread_wake(struct thread *thread);

/* For people: what the calling thread waits for, and the number of who has it, or 0; NULL: it goes on. */
void thread_note_wait(const char *what, uint64_t on);

/* After wakes: lets a thread that should run here do so, if this is a place for it. */
void thread_offer(void);

/* ---- list.c ---- */

void thread_list_add(struct thread *thread);
void thread_list_remove(struct thread *thread);

/* ---- nobody.c ---- */

/* By a CPU that is about to rest, interrupts off: panics if no thread will ever run again. */
void panic_if_nobody_is_left(void);

/* ---- free.c ---- */

/* Gives back the memory of a thread that nobody refers to. */
void thread_free(struct thread *thread);

/* Has it freed soon, by others; interrupts may be off. */
void thread_free_later(struct thread *thread);

/* Frees what waits for that. */
void threads_free_ended(void);

/* The same, but that one thread with such a stack (bytes, whole pages), and with room for vector registers or
 * without, is returned, if there is one. It is in no list, and its memory is the caller's: the stack, the
 * room and the structure, which still says what the old thread was. */
struct thread *threads_take_over(uint64_t stack_bytes, bool has_user_state);
