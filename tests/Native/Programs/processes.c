/* fork and exec, signals, and the ends of programs. */
#include "cases.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/time.h>
#include <sys/wait.h>

extern char **environ;

static int stop;

static void churn(uint64_t *random, int steps) {
  enum { HELD = 64 };
  char *held[HELD] = {0};
  for (int step = 0; step < steps; step++) {
    uint64_t r = next_random(random);
    free(held[r % HELD]);
    size_t size = r % 50 == 0 ? (r >> 10) % 300000 : (r >> 10) % 3000;
    held[r % HELD] = malloc(size + 1);
    CHECK(held[r % HELD] != NULL);
    held[r % HELD][size] = 1;
  }
  for (int i = 0; i < HELD; i++)
    free(held[i]);
}

static void *churn_until_stopped(void *argument) {
  uint64_t random = 99 + (uintptr_t)argument;
  while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
    churn(&random, 50);
  return NULL;
}

static void *churn_once(void *argument) {
  uint64_t random = 7 + (uintptr_t)argument;
  churn(&random, 300);
  return NULL;
}

static void expect_good_end(pid_t child) {
  int status = -1;
  CHECK(child > 0 && waitpid(child, &status, 0) == child);
  if (WIFSIGNALED(status))
    dprintf(STDERR_FILENO, "the child was ended by signal %d\n", WTERMSIG(status));
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ------------------------------------------------------------------ fork */

enum { TABLE = 500 };
static char *table[TABLE];

static void *fill_table(void *argument) {
  for (uintptr_t i = (uintptr_t)argument; i < TABLE; i += 3) {
    table[i] = malloc(100 + i * 20);
    fill(table[i], 100 + i * 20, (unsigned)i);
  }
  return NULL;
}

static void live_as_child(int round) {
  alarm(limit_seconds());
  uint64_t random = 1 + (uint64_t)round;
  churn(&random, 200);
  for (unsigned i = 0; i < TABLE; i += 1 + (unsigned)round % 3) {
    CHECK(is_filled(table[i], 100 + i * 20, i));
    free(table[i]);
    table[i] = NULL;
  }
  pid_t grandchild = fork();
  if (grandchild == 0) {
    alarm(limit_seconds());
    churn(&random, 100);
    _exit(0);
  }
  expect_good_end(grandchild);
  pthread_t threads[2];
  for (uintptr_t i = 0; i < 2; i++)
    CHECK(pthread_create(&threads[i], NULL, churn_once, (void *)i) == 0);
  churn(&random, 100);
  for (int i = 0; i < 2; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
  if (round % 2 == 0)
    exit(0);
  _exit(0);
}

CASE(fork_while_other_threads_allocate) {
  pthread_t threads[3];
  for (uintptr_t i = 0; i < 3; i++)
    CHECK(pthread_create(&threads[i], NULL, fill_table, (void *)i) == 0);
  for (int i = 0; i < 3; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
  for (uintptr_t i = 0; i < 3; i++)
    CHECK(pthread_create(&threads[i], NULL, churn_until_stopped, (void *)i) == 0);
  uint64_t random = 5;
  for (int round = 0; round < 200; round++) {
    pid_t child = fork();
    if (child == 0)
      live_as_child(round);
    churn(&random, 50);
    expect_good_end(child);
  }
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < 3; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
}

static void *fork_often(void *argument) {
  uint64_t random = 1 + (uintptr_t)argument;
  for (int round = 0; round < 40; round++) {
    churn(&random, 20);
    pid_t child = fork();
    if (child == 0) {
      alarm(limit_seconds());
      churn(&random, 50);
      _exit(0);
    }
    expect_good_end(child);
  }
  return NULL;
}

CASE(threads_fork_at_once) {
  pthread_t threads[4];
  for (uintptr_t i = 0; i < 4; i++)
    CHECK(pthread_create(&threads[i], NULL, fork_often, (void *)i) == 0);
  for (int i = 0; i < 4; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
}

CASE(a_chain_of_forks) {
  uint64_t random = 3;
  for (int depth = 0; depth < 25; depth++) {
    churn(&random, 100);
    char *memory = malloc(5000);
    fill(memory, 5000, (unsigned)depth);
    pid_t child = fork();
    if (child != 0) {
      expect_good_end(child);
      CHECK(is_filled(memory, 5000, (unsigned)depth));
      free(memory);
      exit(0);
    }
    CHECK(is_filled(memory, 5000, (unsigned)depth));
    free(memory);
  }
  exit(0);
}

static void allocate_around_fork(void) {
  for (size_t i = 1; i < 20000; i *= 3) {
    char *memory = malloc(i);
    CHECK(memory != NULL);
    memory[i - 1] = 1;
    free(memory);
  }
  free(malloc(3 * MIB));
}

CASE(handlers_of_fork_allocate) {
  CHECK(pthread_atfork(allocate_around_fork, allocate_around_fork, allocate_around_fork) == 0);
  pthread_t threads[2];
  for (uintptr_t i = 0; i < 2; i++)
    CHECK(pthread_create(&threads[i], NULL, churn_until_stopped, (void *)i) == 0);
  for (int round = 0; round < 40; round++) {
    pid_t child = fork();
    if (child == 0) {
      alarm(limit_seconds());
      allocate_around_fork();
      _exit(0);
    }
    expect_good_end(child);
  }
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  for (int i = 0; i < 2; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
}

CASE(memory_is_private_to_the_child) {
  enum { HELD = 2000 };
  static char *held[HELD];
  for (unsigned i = 0; i < HELD; i++) {
    held[i] = malloc(i * 9);
    fill(held[i], i * 9, i);
  }
  pid_t child = fork();
  if (child == 0) {
    for (unsigned i = 0; i < HELD; i++) {
      memset(held[i], 0xFF, i * 9);
      free(held[i]);
    }
    uint64_t random = 8;
    churn(&random, 20000);
    exit(0);
  }
  expect_good_end(child);
  for (unsigned i = 0; i < HELD; i++) {
    CHECK(is_filled(held[i], i * 9, i));
    free(held[i]);
  }
}

/* ------------------------------------------------------------------ exec */

CASE(programs_are_started_in_every_way) {
  char *const arguments[] = {"true", NULL};
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, churn_until_stopped, NULL) == 0);
  for (int round = 0; round < 15; round++) {
    pid_t child = vfork();
    if (child == 0) {
      execvp("true", arguments);
      _exit(5);
    }
    expect_good_end(child);
    CHECK(posix_spawnp(&child, "true", NULL, NULL, arguments, environ) == 0);
    expect_good_end(child);
    child = fork();
    if (child == 0) {
      free(malloc(100));
      execvp("true", arguments);
      _exit(5);
    }
    expect_good_end(child);
  }
  CHECK(system("exit 3") == 3 * 256);
  FILE *pipe = popen("echo here; grep -c . /proc/self/maps", "r");
  char line[100];
  CHECK(pipe != NULL && fgets(line, sizeof line, pipe) != NULL && strcmp(line, "here\n") == 0);
  CHECK(fgets(line, sizeof line, pipe) != NULL && atoi(line) > 10 && pclose(pipe) == 0);
  __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
  CHECK(pthread_join(thread, NULL) == 0);
}

/* ------------------------------------------------------------------ signals */

static int signals;

static void count_signal(int number) {
  (void)number;
  __atomic_add_fetch(&signals, 1, __ATOMIC_RELAXED);
}

static void handle(int number) {
  struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
  CHECK(sigaction(number, &action, NULL) == 0);
}

static void check_blocks_under_signals(int wanted) {
  enum { HELD = 300 };
  static __thread struct { char *memory; size_t size; } held[HELD];
  uint64_t random = 77;
  while (__atomic_load_n(&signals, __ATOMIC_RELAXED) < wanted) {
    for (int step = 0; step < 200; step++) {
      uint64_t r = next_random(&random);
      unsigned slot = (unsigned)(r % HELD);
      CHECK(is_filled(held[slot].memory, held[slot].size, slot));
      free(held[slot].memory);
      held[slot].size = (r >> 20) % ((r >> 8) % 20 == 0 ? 5000 : 200);
      held[slot].memory = malloc(held[slot].size);
      fill(held[slot].memory, held[slot].size, slot);
    }
  }
  for (unsigned slot = 0; slot < HELD; slot++) {
    CHECK(is_filled(held[slot].memory, held[slot].size, slot));
    free(held[slot].memory);
  }
}

CASE(a_timer_interrupts_allocation) {
  handle(SIGVTALRM);
  timer_t timer;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGVTALRM};
  struct itimerspec often = {.it_interval = {0, 60000}, .it_value = {0, 60000}};
  CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &often, NULL) == 0);
  check_blocks_under_signals(8000);
  timer_delete(timer);
}

static void *under_signals(void *argument) {
  (void)argument;
  check_blocks_under_signals(6000);
  return NULL;
}

CASE(threads_are_interrupted_while_they_allocate) {
  handle(SIGUSR1);
  pthread_t threads[2];
  for (int i = 0; i < 2; i++)
    CHECK(pthread_create(&threads[i], NULL, under_signals, NULL) == 0);
  while (__atomic_load_n(&signals, __ATOMIC_RELAXED) < 6000) {
    for (int i = 0; i < 2; i++)
      (void)pthread_kill(threads[i], SIGUSR1);
    struct timespec moment = {0, 50000};
    nanosleep(&moment, NULL);
  }
  for (int i = 0; i < 2; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
}

/* ------------------------------------------------------------------ the end */

static void *kept[1000];

CASE(a_program_ends_with_blocks_live) {
  for (size_t i = 0; i < 1000; i++)
    CHECK((kept[i] = malloc(i * 100)) != NULL);
  exit(0);
}

static void free_at_exit(void) {
  for (size_t i = 0; i < 1000; i += 3) {
    free(kept[i]);
    kept[i] = NULL;
  }
  kept[1] = realloc(kept[1], 50000);
}

static int destructor_is_wanted;

__attribute__((destructor)) static void free_in_destructor(void) {
  if (!destructor_is_wanted)
    return;
  for (size_t i = 0; i < 1000; i++)
    free(kept[i]);
  for (size_t i = 0; i < 1000; i++) {
    kept[i] = calloc(1, i);
    if (kept[i] == NULL || !is_zero(kept[i], i))
      _exit(9);
    free(kept[i]);
  }
}

CASE(handlers_and_destructors_free_at_the_end) {
  destructor_is_wanted = 1;
  for (size_t i = 0; i < 1000; i++)
    CHECK((kept[i] = malloc(i * 100)) != NULL);
  CHECK(atexit(free_at_exit) == 0 && atexit(free_at_exit) == 0);
}

CASE(a_program_ends_while_threads_allocate) {
  for (int round = 0; round < 60; round++) {
    pid_t child = fork();
    if (child == 0) {
      alarm(limit_seconds());
      pthread_t thread;
      for (uintptr_t i = 0; i < 3; i++)
        CHECK(pthread_create(&thread, NULL, churn_until_stopped, (void *)i) == 0);
      uint64_t random = 6;
      churn(&random, 100 + round * 10);
      CHECK(atexit(free_at_exit) == 0);
      exit(0);
    }
    expect_good_end(child);
  }
}

CASE(the_first_thread_ends_before_the_others) {
  pid_t child = fork();
  if (child == 0) {
    alarm(limit_seconds());
    pthread_t threads[2];
    for (uintptr_t i = 0; i < 2; i++)
      CHECK(pthread_create(&threads[i], NULL, churn_once, (void *)i) == 0);
    pthread_exit(NULL);
  }
  expect_good_end(child);
}

int main(int count, char **arguments) { return run_cases(count, arguments); }
