/* Memory that runs out, and calls of the system that fail. */
#include "cases.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Starts this program again with a limit in force from its first instruction on. Returns in the new process. */
static void live_with(int resource, size_t bytes, const char *name) {
  if (getenv("KMEM_CASE_AGAIN") == NULL) {
    struct rlimit limit = {bytes, bytes};
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    CHECK(length > 0);
    program[length] = 0;
    CHECK(setenv("KMEM_CASE_AGAIN", "1", 1) == 0 && setrlimit(resource, &limit) == 0);
    execl(program, program, name, NULL);
    CHECK(!"exec");
  }
}

struct chain {
  struct chain *next;
};

/* Allocates until null; returns the bytes. */
static size_t exhaust(struct chain **chain, size_t size) {
  size_t bytes = 0;
  for (;;) {
    errno = 0;
    struct chain *link = malloc(size);
    if (link == NULL) {
      CHECK(errno == ENOMEM);
      return bytes;
    }
    memset(link, 1, size < 4096 ? size : 4096);
    link->next = *chain;
    *chain = link;
    bytes += size;
    CHECK(bytes < 2048 * MIB);
  }
}

static void release(struct chain **chain) {
  while (*chain != NULL) {
    struct chain *next = (*chain)->next;
    free(*chain);
    *chain = next;
  }
}

static void check_everything_fails(size_t size) {
  void *memory = &memory, *untouched = &memory;
  errno = 0;
  CHECK(calloc(2, size) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(aligned_alloc(4096, size) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(posix_memalign(&memory, 64, size) == ENOMEM && memory == untouched);
  errno = 0;
  CHECK(realloc(NULL, size) == NULL && errno == ENOMEM);
}

static void check_limit(size_t least) {
  static const size_t sizes[] = {48, 1000, 9000, 300000, 20000000, 64};
  char *witness = malloc(5000);
  fill(witness, 5000, 4);
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
    struct chain *chain = NULL;
    size_t bytes = exhaust(&chain, sizes[s]);
    if (bytes < least)
      dprintf(STDERR_FILENO, "%zu MiB in blocks of %zu bytes\n", bytes / MIB, sizes[s]);
    CHECK(bytes >= least);
    check_everything_fails(100 * MIB);
    errno = 0;
    CHECK(realloc(witness, 100 * MIB) == NULL && errno == ENOMEM && is_filled(witness, 5000, 4));
    release(&chain);
    char *memory = malloc(50 * MIB);
    CHECK(memory != NULL);
    memset(memory, 1, 50 * MIB);
    free(memory);
  }
  CHECK(is_filled(witness, 5000, 4));
  free(witness);
}

static void *allocate_at_limit(void *argument) {
  struct chain *chain = NULL;
  (void)argument;
  for (int i = 0; i < 4; i++) {
    (void)exhaust(&chain, 200 + (size_t)i * 7000);
    release(&chain);
  }
  return NULL;
}

CASE(null_at_500_MB_of_address_space) {
  live_with(RLIMIT_AS, 500000 * KIB, __func__);
  check_limit(200 * MIB);
}

CASE(null_at_500_MB_of_data) {
  live_with(RLIMIT_DATA, 500000 * KIB, __func__);
  check_limit(200 * MIB);
}

CASE(a_limit_set_while_the_program_runs) {
  struct chain *chain = NULL;
  for (int i = 0; i < 1000; i++) {
    struct chain *link = malloc(4000);
    CHECK(link != NULL);
    link->next = chain;
    chain = link;
  }
  struct rlimit limit = {300 * MIB, 300 * MIB};
  CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
  (void)exhaust(&chain, 3000);
  check_everything_fails(100 * MIB);
  release(&chain);
  char *memory = malloc(100 * MIB);
  CHECK(memory != NULL);
  free(memory);
}

CASE(threads_at_the_limit) {
  live_with(RLIMIT_DATA, 300000 * KIB, __func__);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    CHECK(pthread_create(&threads[i], NULL, allocate_at_limit, NULL) == 0);
  for (int i = 0; i < 4; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
  char *memory = malloc(50 * MIB);
  CHECK(memory != NULL);
  free(memory);
}

CASE(a_program_starts_in_100_MB) {
  live_with(RLIMIT_AS, 100000 * KIB, __func__);
  struct chain *chain = NULL;
  size_t bytes = exhaust(&chain, 500);
  CHECK(bytes > 30 * MIB);
  release(&chain);
}

/* From here on the kernel answers these calls with an error. */
static void forbid(const long *calls, int count, int error) {
  struct sock_filter code[20];
  int length = 0;
  code[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (int i = 0; i < count; i++) {
    code[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, 1);
    code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error);
  }
  code[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  struct sock_fprog program = {(unsigned short)length, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    SKIP("no seccomp here");
}

static const long giving_back[] = {SYS_madvise, SYS_munmap};
static const long getting[] = {SYS_mmap, SYS_mprotect, SYS_brk, SYS_mremap};

CASE(free_where_memory_cannot_be_given_back) {
  enum { HELD = 20000 };
  static char *held[HELD];
  for (int round = 0; round < 3; round++) {
    for (size_t i = 0; i < HELD; i++) {
      size_t size = i % 1000 == 0 ? MIB : i % 3000;
      CHECK((held[i] = malloc(size)) != NULL);
      memset(held[i], 1, size);
    }
    char *huge = malloc(300 * MIB);
    CHECK(huge != NULL);
    huge[200 * MIB] = 1;
    if (round == 0)
      forbid(giving_back, 2, EAGAIN);
    for (size_t i = 0; i < HELD; i++) {
      errno = 4711;
      free(held[i]);
      CHECK(errno == 4711);
    }
    errno = 4711;
    free(huge);
    CHECK(errno == 4711);
    (void)malloc_trim(0);
    /* Zeroes that the system no longer makes. */
    for (size_t size = 100; size < 30 * MIB; size *= 7) {
      char *zeroed = calloc(size, 1);
      CHECK(zeroed != NULL && is_zero(zeroed, size));
      memset(zeroed, 1, size);
      free(zeroed);
    }
  }
}

CASE(null_where_the_system_gives_nothing) {
  char *witness = malloc(1000);
  fill(witness, 1000, 6);
  forbid(getting, 4, ENOMEM);
  struct chain *chain = NULL;
  static const size_t sizes[] = {300, 9000, 500000};
  for (size_t s = 0; s < 3; s++) {
    (void)exhaust(&chain, sizes[s]);
    check_everything_fails(64 * MIB);
    release(&chain);
  }
  CHECK(is_filled(witness, 1000, 6));
  free(witness);
}

int main(int count, char **arguments) { return run_cases(count, arguments); }
