/* Does known operations on memory, says what they were, and ends as it is told to. Nothing else in it allocates between the markers.
   Usage: operations END [THREADS], where END is exit, _exit, abort, kill, fork, exec or limit. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MARKER = 123457, LIVE = 128, LOG_BYTES = 1 << 23, ERRNO = 4321 };

struct log {
  size_t used;
  char text[LOG_BYTES];
};

static struct log logs[8];

static void say(struct log *log, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(log->text + log->used, LOG_BYTES - log->used, format, arguments);
  va_end(arguments);
  if (length < 0 || log->used + (size_t)length >= LOG_BYTES)
    _exit(90);
  log->used += (size_t)length;
}

static void print(struct log *log) {
  for (size_t done = 0; done < log->used;) {
    ssize_t written = write(STDOUT_FILENO, log->text + done, log->used - done);
    if (written <= 0)
      _exit(91);
    done += (size_t)written;
  }
}

static uint64_t next(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static int threads = 1;
static pthread_barrier_t together;

/* Recording must not show in errno. Where threads wait for each other, the heap itself may. */
static void check_errno(void) {
  if (threads == 1 && errno != ERRNO)
    _exit(92);
}

static void *make(struct log *log, int thread, uint64_t random) {
  size_t size = random >> 20 & 0xFFF;
  size = size % 50 == 0 ? size * 100 : size;
  void *memory;
  switch (random % 6) {
  case 0:
    memory = calloc(size, 1);
    check_errno();
    say(log, "%d alloc %lx %zu zeroed\n", thread, (unsigned long)memory, size);
    return memory;
  case 1: {
    size_t alignment = (size_t)1 << (5 + (random >> 8 & 15));
    memory = aligned_alloc(alignment, size + 1);
    check_errno();
    say(log, "%d alloc %lx %zu aligned %zu\n", thread, (unsigned long)memory, size + 1, alignment);
    return memory;
  }
  default:
    memory = malloc(size);
    check_errno();
    say(log, "%d alloc %lx %zu\n", thread, (unsigned long)memory, size);
    return memory;
  }
}

static void fail(struct log *log, int thread) {
  if (malloc(SIZE_MAX / 2) != NULL || calloc(SIZE_MAX / 2, 1) != NULL)
    _exit(93);
  errno = ERRNO;
  say(log, "%d fail 2147483647 too large\n%d fail 2147483647 zeroed too large\n", thread, thread);
}

/* Threads get what others have just freed: pages, which no CPU keeps for itself. */
static void crowd(void) {
  pthread_barrier_wait(&together);
  for (int round = 0; round < 10000; round++) {
    void *first = malloc(200000);
    void *second = malloc(200000);
    free(first);
    free(second);
  }
}

static void *work(void *argument) {
  int thread = (int)(intptr_t)argument;
  struct log *log = &logs[thread];
  void *live[LIVE] = {0};
  uint64_t state = 0x9E3779B97F4A7C15u * (uint64_t)(thread + 1);
  errno = ERRNO;
  free(malloc(MARKER));
  for (int step = 0; step < 20000; step++) {
    uint64_t random = next(&state);
    void **slot = &live[random >> 40 & 127];
    if (*slot == NULL) {
      *slot = make(log, thread, random);
    } else if (random % 4 == 0) {
      size_t size = 1 + (random >> 20 & 0x3FFF);
      void *old = *slot;
      *slot = realloc(old, size);
      check_errno();
      say(log, "%d from %lx\n%d to %lx %zu\n", thread, (unsigned long)old, thread, (unsigned long)*slot, size);
    } else {
      say(log, "%d free %lx\n", thread, (unsigned long)*slot);
      free(*slot);
      check_errno();
      *slot = NULL;
    }
  }

  fail(log, thread);
  for (int index = 0; index < LIVE; index++)
    if (live[index] != NULL) {
      void *old = live[index];
      if (realloc(old, SIZE_MAX / 2) != NULL)
        _exit(94);
      errno = ERRNO;
      say(log, "%d fail 2147483647 too large\n%d free %lx\n", thread, thread, (unsigned long)old);
      free(old);
    }

  free(malloc(MARKER));
  if (threads > 1)
    crowd();
  return NULL;
}

static void finish(const char *end, char *self) {
  if (strcmp(end, "_exit") == 0)
    _exit(5);
  if (strcmp(end, "abort") == 0)
    abort();
  if (strcmp(end, "kill") == 0)
    kill(getpid(), SIGKILL);
  if (strcmp(end, "exec") == 0)
    execl(self, self, "exit", (char *)NULL);
  if (strcmp(end, "fork") == 0) {
    void *ours = malloc(7654321);
    pid_t child = fork();
    if (child == 0) {
      free(ours);
      free(malloc(7654322));
      exit(0);
    }

    int status;
    if (waitpid(child, &status, 0) != child || status != 0)
      _exit(95);
    free(malloc(7654323));
  }
}

int main(int count, char **arguments) {
  if (strcmp(arguments[1], "limit") == 0) {
    struct rlimit limit = {100 << 10, 100 << 10};
    setrlimit(RLIMIT_FSIZE, &limit);
  }

  threads = count > 2 ? atoi(arguments[2]) : 1;
  pthread_barrier_init(&together, NULL, (unsigned)threads);
  pthread_t handles[8];
  for (intptr_t thread = 1; thread < threads; thread++)
    if (pthread_create(&handles[thread], NULL, work, (void *)thread) != 0)
      _exit(96);
  work(NULL);
  for (int thread = 1; thread < threads; thread++)
    pthread_join(handles[thread], NULL);
  if (strcmp(arguments[1], "limit") != 0)
    for (int thread = 0; thread < threads; thread++)
      print(&logs[thread]);
  finish(arguments[1], arguments[0]);
  return 0;
}
