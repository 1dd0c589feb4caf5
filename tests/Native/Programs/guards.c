/* Objects on guarded pages: each case touches what it must not, after it printed where. The library must say whose it was, and the process die of SIGSEGV. With
   KMEM_DEBUG=G each object is guarded; the cases whose names begin with "sampled" need KMEM_GUARD. */
#include "cases.h"

#include <pthread.h>

static volatile char *announce(volatile char *address) {
  printf("%p\n", (void *)address);
  fflush(stdout);
  return address;
}

static volatile char *freed(size_t size) {
  volatile char *memory = malloc(size);
  free((void *)memory);
  return memory;
}

static volatile char *at_one_end(int is_right) {
  for (;;) {
    volatile char *memory = malloc(64);
    if (((uintptr_t)memory % 4096 != 0) == is_right)
      return memory;
  }
}

CASE(read_after_free) { (void)*announce(freed(64) + 3); }
CASE(written_after_free) { *announce(freed(1000) + 999) = 1; }
CASE(read_past_end) { (void)*announce(at_one_end(1) + 64); }
CASE(written_past_end) { *announce(at_one_end(1) + 64) = 1; }
CASE(read_before_start) { (void)*announce(at_one_end(0) - 1); }
CASE(written_before_start) { *announce(at_one_end(0) - 1) = 1; }

static void *read_in_a_thread(void *address) {
  (void)*(volatile char *)address;
  return NULL;
}

CASE(read_after_free_in_a_thread) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, read_in_a_thread, (void *)announce(freed(64))) == 0);
  pthread_join(thread, NULL);
}

CASE(sampled_read_after_free) {
  /* Many at a time, so that magazines run empty; those that are not guarded are read in peace. */
  for (;;) {
    volatile char *all[400];
    for (size_t i = 0; i < 400; i++)
      all[i] = malloc(64);
    for (size_t i = 0; i < 400; i++) {
      free((void *)all[i]);
      (void)*all[i];
    }
  }
}

int main(int count, char **arguments) { return run_cases(count, arguments); }
