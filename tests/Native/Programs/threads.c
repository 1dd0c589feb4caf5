/* malloc with more than one thread, and threads that end. */
#include "cases.h"

#include <pthread.h>
#include <sched.h>

static void start(pthread_t *thread, void *(*work)(void *), void *argument) { CHECK(pthread_create(thread, NULL, work, argument) == 0); }

static void join(pthread_t thread) { CHECK(pthread_join(thread, NULL) == 0); }

/* ------------------------------------------------------------------ hand over */

enum { RING = 1024, HANDED = 400000, SIDES = 2 };

struct parcel {
  size_t size;
  unsigned seed;
  unsigned char content[];
};

static struct ring {
  struct parcel *slots[RING];
} rings[SIDES];

static void *produce(void *argument) {
  struct ring *ring = argument;
  uint64_t random = 1234567 + (uintptr_t)argument;
  for (unsigned i = 0; i < HANDED / SIDES; i++) {
    uint64_t r = next_random(&random);
    size_t size = r % 100 == 0 ? (r >> 10) % 50000 : (r >> 10) % 300;
    struct parcel *parcel = malloc(sizeof *parcel + size);
    CHECK(parcel != NULL);
    parcel->size = size;
    parcel->seed = i;
    fill(parcel->content, size, i);
    struct parcel **slot = &ring->slots[i % RING];
    while (__atomic_load_n(slot, __ATOMIC_ACQUIRE) != NULL)
      sched_yield();
    __atomic_store_n(slot, parcel, __ATOMIC_RELEASE);
  }
  return NULL;
}

static void *consume(void *argument) {
  struct ring *ring = argument;
  for (unsigned i = 0; i < HANDED / SIDES; i++) {
    struct parcel **slot = &ring->slots[i % RING], *parcel;
    while ((parcel = __atomic_load_n(slot, __ATOMIC_ACQUIRE)) == NULL)
      sched_yield();
    CHECK(parcel->seed == i && is_filled(parcel->content, parcel->size, i));
    __atomic_store_n(slot, NULL, __ATOMIC_RELEASE);
    free(parcel);
  }
  return NULL;
}

CASE(one_thread_allocates_and_another_frees) {
  pthread_t threads[2 * SIDES];
  for (int i = 0; i < SIDES; i++) {
    start(&threads[2 * i], produce, &rings[i]);
    start(&threads[2 * i + 1], consume, &rings[i]);
  }
  for (int i = 0; i < 2 * SIDES; i++)
    join(threads[i]);
  CHECK(resident_bytes() < 150 * MIB);
}

/* ------------------------------------------------------------------ storm */

enum { STORM_THREADS = 64, STORM_SLOTS = 3000, STORM_STEPS = 12000 };

static struct parcel *shared[STORM_SLOTS];

static struct parcel *make(uint64_t r) {
  size_t size = r % 64 == 0 ? (r >> 8) % 100000 : (r >> 8) % 500;
  struct parcel *parcel = (r >> 40) % 16 == 0 ? aligned_alloc(64, sizeof *parcel + size) : malloc(sizeof *parcel + size);
  CHECK(parcel != NULL);
  parcel->size = size;
  parcel->seed = (unsigned)r;
  fill(parcel->content, size, parcel->seed);
  return parcel;
}

static void drop(struct parcel *parcel) {
  CHECK(parcel == NULL || is_filled(parcel->content, parcel->size, parcel->seed));
  free(parcel);
}

static void *storm(void *argument) {
  uint64_t random = (uintptr_t)argument * 0x9E3779B97F4A7C15u;
  for (int step = 0; step < STORM_STEPS; step++) {
    uint64_t r = next_random(&random);
    struct parcel **slot = &shared[(r >> 48) % STORM_SLOTS];
    drop(__atomic_exchange_n(slot, r % 3 == 0 ? NULL : make(r >> 2), __ATOMIC_ACQ_REL));
    if (r % 8 == 1) {
      struct parcel *parcel = __atomic_exchange_n(slot, NULL, __ATOMIC_ACQ_REL);
      if (parcel != NULL) {
        size_t kept = parcel->size < 40 ? parcel->size : 40;
        parcel->size = kept;
        CHECK((parcel = realloc(parcel, sizeof *parcel + kept)) != NULL);
        drop(parcel);
      }
    }
  }
  return NULL;
}

CASE(sixty_four_threads_exchange_blocks) {
  pthread_t threads[STORM_THREADS];
  for (uintptr_t i = 0; i < STORM_THREADS; i++)
    start(&threads[i], storm, (void *)(i + 1));
  for (int i = 0; i < STORM_THREADS; i++)
    join(threads[i]);
  for (int i = 0; i < STORM_SLOTS; i++)
    drop(shared[i]);
}

/* ------------------------------------------------------------------ threads that end */

static void *leave_blocks(void *argument) {
  void **left = argument;
  for (size_t i = 0; i < 100; i++) {
    CHECK((left[i] = malloc(i * 40)) != NULL);
    free(malloc(i * 70));
  }
  return NULL;
}

CASE(blocks_of_ended_threads_are_freed) {
  void *left[100];
  for (int round = 0; round < 4000; round++) {
    pthread_t thread;
    start(&thread, leave_blocks, left);
    join(thread);
    for (int i = 0; i < 100; i++)
      free(left[i]);
  }
  CHECK(resident_bytes() < 100 * MIB);
}

static void *keep_some(void *argument) {
  (void)argument;
  void *held[3000];
  for (size_t i = 0; i < 3000; i++)
    CHECK((held[i] = malloc(300)) != NULL);
  for (size_t i = 0; i < 3000; i++)
    free(held[i]);
  return NULL;
}

/* What a thread has cached when it ends is used by others. */
CASE(caches_of_ended_threads_are_used_again) {
  for (int round = 0; round < 150; round++) {
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
      start(&threads[i], keep_some, NULL);
    for (int i = 0; i < 8; i++)
      join(threads[i]);
  }
  CHECK(resident_bytes() < 100 * MIB);
}

enum { KEYS = 20 };
static pthread_key_t keys[KEYS];
static int destructor_calls;

/* Runs after the allocator has heard that the thread ends, and again: up to 4 times for each key. */
static void end_slowly(void *value) {
  uintptr_t *rounds = value;
  __atomic_add_fetch(&destructor_calls, 1, __ATOMIC_RELAXED);
  void *held[50];
  for (size_t i = 0; i < 50; i++) {
    CHECK((held[i] = malloc(1 + i * 29)) != NULL);
    fill(held[i], 1 + i * 29, 3);
  }
  for (size_t i = 0; i < 50; i++) {
    CHECK(is_filled(held[i], 1 + i * 29, 3));
    free(held[i]);
  }
  uintptr_t *next = calloc(2, sizeof *next);
  next[0] = rounds[0] + 1;
  next[1] = rounds[1];
  free(rounds);
  if (next[0] < 4)
    CHECK(pthread_setspecific(keys[next[1]], next) == 0);
  else
    free(next);
}

static void *use_keys(void *argument) {
  (void)argument;
  for (uintptr_t i = 0; i < KEYS; i++) {
    uintptr_t *rounds = calloc(2, sizeof *rounds);
    rounds[1] = i;
    CHECK(pthread_setspecific(keys[i], rounds) == 0);
  }
  return NULL;
}

CASE(destructors_of_ending_threads_allocate) {
  for (int i = 0; i < KEYS; i++)
    CHECK(pthread_key_create(&keys[i], end_slowly) == 0);
  for (int round = 0; round < 200; round++) {
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
      start(&threads[i], use_keys, NULL);
    for (int i = 0; i < 2; i++)
      join(threads[i]);
  }
  CHECK(destructor_calls == 200 * 2 * KEYS * 4);
  CHECK(resident_bytes() < 100 * MIB);
}

static pthread_key_t only_key;

static void first_allocation_of_all(void *value) {
  char *memory = malloc(100);
  CHECK(memory != NULL);
  fill(memory, 100, 1);
  free(memory);
  free(malloc(MIB));
  *(int *)value += 1;
}

static void *allocate_nothing(void *argument) {
  CHECK(pthread_setspecific(only_key, argument) == 0);
  return NULL;
}

CASE(a_thread_allocates_first_while_it_ends) {
  int count = 0;
  CHECK(pthread_key_create(&only_key, first_allocation_of_all) == 0);
  for (int round = 0; round < 1000; round++) {
    pthread_t thread;
    start(&thread, allocate_nothing, &count);
    join(thread);
  }
  CHECK(count == 1000 && resident_bytes() < 100 * MIB);
}

static int reached;

static void *allocate_while_cancelled(void *argument) {
  (void)argument;
  while (!__atomic_load_n(&reached, __ATOMIC_ACQUIRE))
    ;
  for (size_t i = 0; i < 20000; i++)
    free(malloc(i * 3));
  for (size_t i = 0; i < 50; i++) {
    char *memory = malloc(i * MIB);
    memory = realloc(memory, (i + 1) * MIB);
    CHECK(memory != NULL);
    memory[MIB / 2] = 1;
    free(memory);
  }
  __atomic_store_n(&reached, 2, __ATOMIC_RELEASE);
  for (;;)
    pthread_testcancel();
}

/* Of all functions of malloc's family none is where a thread may be cancelled. */
CASE(malloc_is_no_place_to_be_cancelled) {
  pthread_t thread;
  void *result = NULL;
  start(&thread, allocate_while_cancelled, NULL);
  CHECK(pthread_cancel(thread) == 0);
  __atomic_store_n(&reached, 1, __ATOMIC_RELEASE);
  CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED && reached == 2);
}

static void *detached(void *argument) {
  free(argument);
  __atomic_add_fetch(&reached, 1, __ATOMIC_RELEASE);
  return NULL;
}

CASE(detached_threads_and_small_stacks) {
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
  CHECK(pthread_attr_setstacksize(&attributes, 16384) == 0);
  for (int i = 0; i < 1000; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, &attributes, detached, malloc(100)) == 0);
    while (__atomic_load_n(&reached, __ATOMIC_ACQUIRE) < i - 20)
      sched_yield();
  }
  while (__atomic_load_n(&reached, __ATOMIC_ACQUIRE) < 1000)
    sched_yield();
}

int main(int count, char **arguments) { return run_cases(count, arguments); }
