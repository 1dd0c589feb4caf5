/* Mistakes. Each case prints the pointer that it passes and then passes it; the library must end the process there. Only where the case's name
   ends in "_sometime" may it notice later, while the program goes on to allocate and to free. */
#include "cases.h"

#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>

static void *announce(void *pointer) {
  printf("%p\n", pointer);
  fflush(stdout);
  return pointer;
}

static void not_stopped(void) { _exit(3); }

#define MISTAKE(title, statement)          \
  CASE(title) {                            \
    use_some_memory();                     \
    statement;                             \
    not_stopped();                         \
  }

static void use_some_memory(void) {
  static void *held[300];
  for (size_t i = 0; i < 300; i++)
    held[i] = malloc(i * 7);
  for (size_t i = 0; i < 300; i += 2)
    free(held[i]);
}

static void *freed(size_t size) {
  void *memory = malloc(size);
  free(memory);
  return memory;
}

static char global_bytes[256] __attribute__((aligned(64)));
static const char constant_bytes[256] __attribute__((aligned(64))) = "constant";

static char *mapping(void) { return mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }

/* ------------------------------------------------------------------ memory of others */

MISTAKE(free_of_a_stack_address, char bytes[64] __attribute__((aligned(64))); free(announce(bytes)))
MISTAKE(free_of_a_global_variable, free(announce(global_bytes)))
MISTAKE(free_of_a_constant, free(announce((void *)constant_bytes)))
MISTAKE(free_of_a_function, free(announce((void *)(uintptr_t)not_stopped)))
MISTAKE(free_of_a_mapping, free(announce(mapping())))
MISTAKE(free_inside_a_mapping, free(announce(mapping() + 4096 + 32)))
MISTAKE(free_of_a_small_number, free(announce((void *)opaque(16))))
MISTAKE(free_of_the_number_8, free(announce((void *)opaque(8))))
MISTAKE(free_of_the_last_address, free(announce((void *)opaque(SIZE_MAX - 15))))
MISTAKE(free_of_no_canonical_address, free(announce((void *)opaque(0x8000123456789000u))))
MISTAKE(realloc_of_a_stack_address, char bytes[64] __attribute__((aligned(64))); bytes[0] = 0; (void)!realloc(announce(bytes), 100))
MISTAKE(realloc_of_a_mapping, (void)!realloc(announce(mapping()), 100))
MISTAKE(realloc_to_nothing_of_a_global_variable, (void)!realloc(announce(global_bytes), 0))
MISTAKE(usable_size_of_a_global_variable, printf("%zu", malloc_usable_size(announce(global_bytes))))
MISTAKE(usable_size_of_a_mapping, printf("%zu", malloc_usable_size(announce(mapping()))))

/* ------------------------------------------------------------------ not the start */

MISTAKE(free_8_bytes_in, free(announce((char *)malloc(100) + 8)))
MISTAKE(free_16_bytes_in, free(announce((char *)malloc(100) + 16)))
MISTAKE(free_1_byte_in, free(announce((char *)malloc(1000) + 1)))
MISTAKE(free_8_bytes_before, free(announce((char *)malloc(100) - 8)))
MISTAKE(free_in_the_middle, free(announce((char *)malloc(4000) + 2048)))
MISTAKE(free_of_a_page_of_a_large_block, free(announce((char *)malloc(8 * MIB) + 4096 * 5)))
MISTAKE(free_inside_a_large_block, free(announce((char *)malloc(8 * MIB) + 5 * MIB + 48)))
MISTAKE(free_inside_a_huge_block, free(announce((char *)malloc(1024 * MIB) + 512 * MIB)))
MISTAKE(free_inside_an_aligned_block, free(announce((char *)memalign(4096, 9000) + 4096)))
MISTAKE(realloc_8_bytes_in, (void)!realloc(announce((char *)malloc(100) + 8), 300))
MISTAKE(realloc_inside_a_large_block, (void)!realloc(announce((char *)malloc(8 * MIB) + MIB), 16 * MIB))
MISTAKE(usable_size_16_bytes_in, printf("%zu", malloc_usable_size(announce((char *)malloc(100) + 16))))

/* ------------------------------------------------------------------ twice */

MISTAKE(free_twice, free(announce(freed(100))))
MISTAKE(free_twice_of_16_bytes, free(announce(freed(16))))
MISTAKE(free_twice_of_3000_bytes, free(announce(freed(3000))))
MISTAKE(free_twice_of_a_large_block, free(announce(freed(8 * MIB))))
MISTAKE(free_twice_of_a_huge_block, free(announce(freed(1024 * MIB))))
MISTAKE(realloc_of_freed_memory, (void)!realloc(announce(freed(100)), 200))
MISTAKE(realloc_of_a_freed_large_block, (void)!realloc(announce(freed(8 * MIB)), 200))

static void free_others(size_t size, int count) {
  void *others[count];
  for (int i = 0; i < count; i++)
    others[i] = malloc(size);
  void *memory = announce(malloc(size));
  free(memory);
  for (int i = 0; i < count; i++)
    free(others[i]);
  free(memory);
}

static void go_on(size_t size) {
  enum { HELD = 4000 };
  static void *held[HELD];
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < HELD; i++)
      held[i] = malloc(size);
    for (int i = 0; i < HELD; i++)
      free(held[i]);
  }
  malloc_trim(0);
  for (size_t i = 1; i < 40; i++)
    free(malloc(i * 100000));
}

MISTAKE(free_twice_with_one_other_between_sometime, free_others(100, 1); go_on(100))
MISTAKE(free_twice_with_others_between_sometime, free_others(100, 1000); go_on(100))
MISTAKE(free_twice_with_larger_others_between_sometime, free_others(2000, 500); go_on(2000))

static void *free_it(void *memory) {
  free(memory);
  return NULL;
}

static void free_here_and_there(size_t size) {
  void *memory = announce(malloc(size));
  pthread_t thread;
  free(memory);
  CHECK(pthread_create(&thread, NULL, free_it, memory) == 0 && pthread_join(thread, NULL) == 0);
}

MISTAKE(free_twice_by_two_threads_sometime, free_here_and_there(100); go_on(100))
MISTAKE(free_twice_of_a_large_block_by_two_threads, free_here_and_there(8 * MIB))

int main(int count, char **arguments) { return run_cases(count, arguments); }
