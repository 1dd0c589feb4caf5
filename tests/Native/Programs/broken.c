/* Malloc with a mistake in it, for the tests of the tests: KMEM_BROKEN names the mistake. Without one it does well all but what only our library promises. In
   front of each block of the C library's own malloc is a head that says where it begins. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void __libc_free(void *memory);

struct head {
  void *base;
  size_t size;
};

enum { HEAD = sizeof(struct head) };

static int is_broken(const char *mistake) {
  const char *broken = getenv("KMEM_BROKEN");
  return broken != NULL && strcmp(broken, mistake) == 0;
}

static struct head *head_of(void *memory) { return (struct head *)memory - 1; }

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int is_ready, was_early, is_watching;
static __thread int has_ended;
static pthread_key_t end_key;
static char shared[16];

static void thread_ends(void *value) {
  (void)value;
  has_ended = 1;
}

static void enter(void) { pthread_mutex_lock(&lock); }

static void leave(void) { pthread_mutex_unlock(&lock); }

__attribute__((constructor)) static void begin(void) {
  /* Asked here: before constructors run there is no environment. */
  if (was_early && is_broken("needs-constructor"))
    abort();
  is_ready = 1;
  pthread_key_create(&end_key, thread_ends);
}

static void *out_of_memory(void) {
  if (is_broken("abort-when-out"))
    abort();
  if (!is_broken("errno-forgotten"))
    errno = ENOMEM;
  return NULL;
}

static void *take(size_t alignment, size_t size) {
  was_early |= !is_ready;
  if (has_ended && is_broken("needs-thread"))
    abort();
  if (is_ready && is_broken("needs-thread"))
    pthread_setspecific(end_key, shared);
  if (size > PTRDIFF_MAX - 2 * alignment - HEAD)
    return out_of_memory();
  if (size == 0 && is_broken("shared-zero"))
    return shared;
  if (is_broken("lock-over-fork")) {
    enter();
    for (volatile int i = 0; i < 2000; i++)
      ;
    leave();
  }
  if (is_broken("locks-in-fork")) {
    if (!is_watching) {
      is_watching = 1;
      pthread_atfork(enter, leave, leave);
    }
    enter();
    leave();
  }
  if (is_broken("cancellation-point"))
    pthread_testcancel();

  size_t whole = size + alignment + HEAD;
  char *base = __libc_malloc(whole);
  if (base == NULL)
    return out_of_memory();
  char *memory = is_broken("misaligned") ? base + HEAD + 8 : (char *)(((uintptr_t)base + HEAD + alignment - 1) & ~(alignment - 1));
  head_of(memory)->base = base;
  head_of(memory)->size = is_broken("boastful") ? size + 40 : size;
  if (is_broken("touches"))
    memset(memory, 1, size);
  return memory;
}

static size_t aligned(size_t alignment) {
  size_t power = 16;
  while (power < alignment && !is_broken("alignment-ignored"))
    power *= 2;
  return power;
}

void *malloc(size_t size) { return take(16, size); }

void free(void *memory) {
  if (is_broken("errno-spoilt"))
    errno = EAGAIN;
  if (memory == NULL || memory == shared || is_broken("leaks"))
    return;
  int before = errno;
  void *base = head_of(memory)->base;
  __libc_free(base);
  errno = is_broken("errno-spoilt") ? EAGAIN : before;
}

void *calloc(size_t count, size_t size) {
  size_t bytes = count * size;
  if (__builtin_mul_overflow(count, size, &bytes) && !is_broken("overflow"))
    return out_of_memory();
  void *memory = take(16, bytes);
  if (memory != NULL && memory != shared && !is_broken("dirty"))
    memset(memory, 0, bytes);
  return memory;
}

void *realloc(void *memory, size_t size) {
  if (memory == NULL)
    return malloc(size);
  if (size == 0) {
    free(memory);
    return NULL;
  }
  void *moved = malloc(size);
  if (moved == NULL) {
    if (is_broken("freed-by-refusal"))
      memset(memory, 0xDD, head_of(memory)->size), free(memory);
    return NULL;
  }
  if (memory != shared) {
    size_t old = head_of(memory)->size, kept = old < size ? old : size;
    memcpy(moved, memory, is_broken("forgets") ? kept / 2 : kept);
  }
  free(memory);
  return moved;
}

void *reallocarray(void *memory, size_t count, size_t size) {
  size_t bytes = count * size;
  if (__builtin_mul_overflow(count, size, &bytes))
    return out_of_memory();
  return realloc(memory, bytes);
}

void *memalign(size_t alignment, size_t size) {
  if (alignment > PTRDIFF_MAX)
    return errno = EINVAL, NULL;
  return take(aligned(alignment), size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

void *valloc(size_t size) { return memalign(4096, size); }

void *pvalloc(size_t size) { return size > PTRDIFF_MAX ? out_of_memory() : memalign(4096, (size + 4095) & ~(size_t)4095); }

int posix_memalign(void **result, size_t alignment, size_t size) {
  if (!is_broken("any-alignment") && (alignment % 8 != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0))
    return EINVAL;
  int before = errno;
  void *memory = memalign(alignment, size);
  if (memory == NULL)
    return ENOMEM;
  errno = before;
  *result = memory;
  return 0;
}

size_t malloc_usable_size(void *memory) { return memory == NULL || memory == shared ? 0 : head_of(memory)->size; }

int malloc_trim(size_t pad) {
  if (is_broken("lazy"))
    return 0;
  return ((int (*)(size_t))dlsym(RTLD_NEXT, "malloc_trim"))(pad);
}

struct mallinfo2 mallinfo2(void) {
  if (!is_broken("lazy"))
    return ((struct mallinfo2(*)(void))dlsym(RTLD_NEXT, "mallinfo2"))();
  struct mallinfo2 none = {0};
  return none;
}

void malloc_stats(void) {
  if (!is_broken("lazy"))
    ((void (*)(void))dlsym(RTLD_NEXT, "malloc_stats"))();
}

/* operator new(size_t): null instead of an exception. */
void *_Znwm(size_t size) {
  return is_broken("null-new") ? malloc(size) : ((void *(*)(size_t))dlsym(RTLD_NEXT, "_Znwm"))(size);
}
