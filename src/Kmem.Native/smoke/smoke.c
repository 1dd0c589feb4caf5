/* A C program on the engine: threads allocate, mark, hand over, check and free. Prints one line; exits 0 when all is well.
   Usage: smoke [0|1]   1, the default, asks for restartable sequences. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int kmem_start(int restartable);
int kmem_is_restartable(void);
void *kmem_alloc(size_t size);
int kmem_free(void *memory);

enum { THREADS = 4, SLOTS = 2000, STEPS = 400000 };

struct slot {
  unsigned char *memory;
  size_t size;
};

/* One exchange per step: what one thread allocated another may free. */
static struct slot *shared[SLOTS];
static int failures;

static uint64_t next(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static struct slot *make(uint64_t random) {
  struct slot *slot = kmem_alloc(sizeof *slot);
  if (slot == NULL)
    return NULL;
  slot->size = random % 100 == 0 ? 1 + random % 200000 : 1 + random % 2000;
  slot->memory = kmem_alloc(slot->size);
  if (slot->memory == NULL || (uintptr_t)slot->memory % 8 != 0)
    __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
  else
    memset(slot->memory, (unsigned char)slot->size, slot->size);
  return slot;
}

static void drop(struct slot *slot) {
  if (slot == NULL)
    return;
  for (size_t i = 0; i < slot->size; i++)
    if (slot->memory[i] != (unsigned char)slot->size) {
      __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
      break;
    }
  if (kmem_free(slot->memory) != 0 || kmem_free(slot) != 0)
    __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
}

static void *work(void *seed) {
  uint64_t state = (uintptr_t)seed * 0x9E3779B97F4A7C15u;
  for (int step = 0; step < STEPS; step++) {
    uint64_t random = next(&state);
    struct slot *fresh = make(random >> 20);
    drop(__atomic_exchange_n(&shared[random % SLOTS], fresh, __ATOMIC_ACQ_REL));
  }
  return NULL;
}

static double pair_nanoseconds(void) {
  enum { PAIRS = 20000000 };
  struct timespec start, end;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (int i = 0; i < PAIRS; i++) {
    uint64_t *memory = kmem_alloc(64);
    *memory = (uint64_t)i;
    kmem_free(memory);
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  return ((end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec)) / PAIRS;
}

int main(int argc, char **argv) {
  if (kmem_start(argc < 2 || atoi(argv[1])) != 0) {
    fprintf(stderr, "kmem_start failed\n");
    return 1;
  }

  pthread_t threads[THREADS];
  for (intptr_t i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, work, (void *)(i + 1));
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  for (int i = 0; i < SLOTS; i++)
    drop(shared[i]);

  char *object = kmem_alloc(100);
  if (kmem_free(object + 1) == 0 || kmem_free(object) != 0 || kmem_free(object) == 0 || kmem_free(&argc) == 0)
    failures++;

  printf("%s: %d failures, %.2f ns a pair of 64 bytes\n", kmem_is_restartable() ? "rseq" : "try-lock", failures, pair_nanoseconds());
  return failures != 0;
}
