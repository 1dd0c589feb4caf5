/* What KMEM_DEBUG checks. A case whose name begins with "bad" prints the address of the byte that it writes and must be ended by the library, when it frees or allocates again; the
   others must go as they should under any letters. */
#include "cases.h"

#include <malloc.h>
#include <pthread.h>

static char *write_at(char *memory, ptrdiff_t offset) {
  printf("%p\n", (void *)(memory + offset));
  fflush(stdout);
  memory[offset] ^= 0x41;
  return memory;
}

static void allocate_again(size_t size) {
  for (int i = 0; i < 100000; i++)
    free(malloc(size));
}

CASE(bad_write_past_the_end) { free(write_at(malloc(50), 50)); }
CASE(bad_write_before_the_start) { free(write_at(malloc(50), -1)); }
CASE(bad_write_past_the_end_then_realloc) { free(realloc(write_at(malloc(100), 100), 98)); }
CASE(bad_write_past_calloc) { free(write_at(calloc(5, 10), 50)); }
CASE(bad_write_past_aligned) { free(write_at(aligned_alloc(256, 500), 500)); }

CASE(bad_write_after_free) {
  char *memory = malloc(300);
  free(memory);
  write_at(memory, 17);
  allocate_again(300);
}

static void *free_it(void *memory) {
  free(memory);
  return NULL;
}

CASE(bad_write_past_the_end_in_a_thread) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, free_it, write_at(malloc(50), 50)) == 0);
  pthread_join(thread, NULL);
}

/* ------------------------------------------------------------------ good programs */

struct held {
  unsigned char *memory;
  size_t size;
};

static void *work(void *argument) {
  enum { HELD = 300, OPERATIONS = 60000 };
  struct held held[HELD] = {0};
  uint64_t random = 88172645463325252u + (uintptr_t)argument;
  for (int operation = 0; operation < OPERATIONS; operation++) {
    next_random(&random);
    size_t slot = random % HELD;
    size_t size = (random >> 20) % ((random >> 50) % 8 == 0 ? 40000 : 400) + 1;
    unsigned char seed = (unsigned char)slot;
    struct held *each = &held[slot];
    if (each->memory == NULL) {
      int kind = (int)(random >> 40) % 4;
      each->memory = kind == 0 ? calloc(1, size) : kind == 1 ? aligned_alloc(64, size) : malloc(size);
      each->size = size;
      CHECK(each->memory != NULL && malloc_usable_size(each->memory) >= size);
      fill(each->memory, each->size, seed);
    } else if ((random >> 41) % 3 == 0) {
      size_t before = each->size;
      CHECK(is_filled(each->memory, before, seed));
      each->memory = realloc(each->memory, size);
      each->size = size;
      CHECK(each->memory != NULL);
      CHECK(is_filled(each->memory, before < size ? before : size, seed));
      fill(each->memory, each->size, seed);
    } else {
      CHECK(is_filled(each->memory, each->size, seed));
      free(each->memory);
      each->memory = NULL;
    }
  }

  for (size_t slot = 0; slot < HELD; slot++)
    free(held[slot].memory);
  return NULL;
}

CASE(two_threads_that_do_nothing_wrong) {
  pthread_t threads[2];
  for (uintptr_t i = 0; i < 2; i++)
    CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
  for (size_t i = 0; i < 2; i++)
    pthread_join(threads[i], NULL);
  malloc_trim(0);
}

/* Of the preloaded library, as a program that was linked with libumem calls them. */
extern void *umem_alloc(size_t size, int flags) __attribute__((weak));
extern void umem_free(void *memory, size_t size) __attribute__((weak));

CASE(frees_with_the_size_that_was_asked_for) {
  static const size_t sizes[] = {1, 16, 50, 100, 1000, 5000, 33000, 100000};
  CHECK(umem_alloc != NULL && umem_free != NULL);
  for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
    unsigned char *memory = umem_alloc(sizes[i], 0);
    CHECK(memory != NULL);
    fill(memory, sizes[i], 1);
    umem_free(memory, sizes[i]);
  }
}

CASE(unchecked_class_is_written_past) {
  char *memory = malloc(50);
  memory[51] ^= 1;
  free(memory);
}

int main(int count, char **arguments) { return run_cases(count, arguments); }
