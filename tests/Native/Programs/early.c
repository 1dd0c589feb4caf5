/* A library to preload beside the allocator's, whose constructor and destructor allocate: they run before and after almost everything else. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *kept[200];
static int wrong;

/* Of the constructor's blocks, what the program asks for. */
int early_is_well(void) { return !wrong; }

static void allocate_around_fork(void) {
  char *memory = malloc(700);
  if (memory == NULL)
    _exit(8);
  memset(memory, 1, 700);
  free(memory);
}

__attribute__((constructor(101))) static void begin(void) {
  /* Registered before the allocator can have registered its own handlers, unless it was called before. */
  pthread_atfork(allocate_around_fork, allocate_around_fork, allocate_around_fork);
  for (size_t i = 0; i < 200; i++) {
    kept[i] = i % 2 ? malloc(i * 50 + 1) : calloc(i + 1, 40);
    wrong |= kept[i] == NULL || (i % 2 == 0 && (kept[i][0] != 0 || kept[i][(i + 1) * 40 - 1] != 0));
    kept[i][0] = (char)i;
  }
  for (size_t i = 0; i < 200; i += 3) {
    kept[i] = realloc(kept[i], 10000);
    wrong |= kept[i] == NULL || kept[i][0] != (char)i;
  }
  for (size_t i = 0; i < 200; i += 5) {
    free(kept[i]);
    kept[i] = NULL;
  }
}

__attribute__((destructor(101))) static void end(void) {
  for (size_t i = 0; i < 200; i++)
    if (kept[i] != NULL && kept[i][0] != (char)i)
      _exit(7);
  for (size_t i = 0; i < 200; i++)
    free(kept[i]);
  char *last = malloc(100000);
  if (last == NULL)
    _exit(6);
  free(last);
}
