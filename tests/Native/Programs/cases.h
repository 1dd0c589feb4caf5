/* What every program here is made of: named cases, one of which runs in a process.

     program NAME     runs the case NAME; exits 0 when all of it is as it should be, SKIPPED where the machine cannot say
     program          lists the cases

   A case that is late is killed by SIGALRM. A program does nothing unless the library under test is mapped into it: it must not pass by
   testing the C library's own malloc. */
#ifndef CASES_H
#define CASES_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { CASES_MAX = 100, FAILED = 1, SKIPPED = 77, NOT_LOADED = 99 };

struct named_case {
  const char *name;
  void (*run)(void);
};

static struct named_case all_cases[CASES_MAX];
static int case_count;

#define CASE(title)                                                   \
  static void title(void);                                            \
  __attribute__((constructor)) static void register_##title(void) {   \
    all_cases[case_count].name = #title;                              \
    all_cases[case_count++].run = title;                              \
  }                                                                   \
  static void title(void)

#define CHECK(condition)                                                                               \
  do {                                                                                                 \
    if (!(condition)) {                                                                                \
      int error = errno;                                                                               \
      dprintf(STDERR_FILENO, "%s:%d: not true: %s (errno %d)\n", __FILE__, __LINE__, #condition, error); \
      _exit(FAILED);                                                                                   \
    }                                                                                                  \
  } while (0)

#define SKIP(reason)                                  \
  do {                                                \
    dprintf(STDERR_FILENO, "skipped: %s\n", reason);  \
    _exit(SKIPPED);                                   \
  } while (0)

static const size_t KIB = 1024;
static const size_t MIB = 1024 * 1024;

/* Numbers that the compiler knows nothing about. */
static inline size_t opaque(size_t value) {
  volatile size_t copy = value;
  return copy;
}

static inline uint64_t next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

/* A pattern that differs from block to block and from byte to byte. */
static inline void fill(void *memory, size_t size, unsigned seed) {
  for (size_t i = 0; i < size; i++)
    ((unsigned char *)memory)[i] = (unsigned char)(seed * 31 + i * 7 + (i >> 8));
}

static inline int is_filled(const void *memory, size_t size, unsigned seed) {
  for (size_t i = 0; i < size; i++)
    if (((const unsigned char *)memory)[i] != (unsigned char)(seed * 31 + i * 7 + (i >> 8)))
      return 0;
  return 1;
}

static inline int is_zero(const void *memory, size_t size) {
  const unsigned char *bytes = (const unsigned char *)memory;
  return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Bytes of this process in physical memory. */
static inline size_t resident_bytes(void) {
  unsigned long pages = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "re");
  CHECK(file != NULL && fscanf(file, "%lu %lu", &pages, &resident) == 2);
  fclose(file);
  return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static inline double now_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static inline void wait_milliseconds(long milliseconds) {
  struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};
  nanosleep(&time, NULL);
}

static inline unsigned limit_seconds(void) {
  const char *text = getenv("KMEM_CASE_SECONDS");
  return text == NULL ? 60 : (unsigned)atoi(text);
}

/* KMEM_CASE_LIBRARY is the file name of the library under test. Asked without allocating: it may be that nothing can be had. */
static inline int is_loaded(void) {
  static char maps[1 << 20];
  const char *wanted = getenv("KMEM_CASE_LIBRARY");
  size_t length = 0;
  ssize_t count;
  int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  while (file >= 0 && length < sizeof maps - 1 && (count = read(file, maps + length, sizeof maps - 1 - length)) > 0)
    length += (size_t)count;
  if (file >= 0)
    close(file);
  return wanted == NULL || strstr(maps, wanted) != NULL;
}

static inline int run_cases(int count, char **arguments) {
  alarm(limit_seconds());
  /* Where the kernel backs everything with pages of 2 MiB, one byte touched makes 2 MiB resident. */
  prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
  for (int i = 0; i < case_count; i++) {
    if (count < 2)
      puts(all_cases[i].name);
    else if (strcmp(all_cases[i].name, arguments[1]) == 0) {
      if (!is_loaded()) {
        dprintf(STDERR_FILENO, "the library is not in this process\n");
        return NOT_LOADED;
      }
      all_cases[i].run();
      return 0;
    }
  }
  return count < 2 ? 0 : 2;
}

#endif
