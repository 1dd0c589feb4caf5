/* The symbols of the library that need what C# without a runtime cannot say: thread-local memory, and results that are structures. Each entry point
   adds the thread's front to its arguments and jumps to the method of the same name in Malloc.cs, which is all of the allocator. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmem.h"
#include "umem.h"

/* ------------------------------------------------------------------ data that compiled code refers to by name */

/* Never set: no collector waits for a thread to stop. */
unsigned int RhpTrapThreads = 0;

/* Stands between local buffers and the return address; any value that is hard to write by accident. */
unsigned long __security_cookie = 0x6b6d656d00ff0a0dul;

/* ------------------------------------------------------------------ threads and processes */

/* NativeThread.cs has the twin of this. */
struct thread {
  void *front;
  unsigned int state;
  unsigned int unused;
  unsigned long trace[8];
};

static __thread struct thread self __attribute__((tls_model("initial-exec")));

static pthread_key_t end_of_thread;
static int can_watch;

extern void face_thread_ends(void);
extern void face_before_fork(void);
extern void face_after_fork_in_parent(void);
extern void face_after_fork_in_child(void);
extern void face_program_starts(void);
extern void face_program_ends(void);

/* What pthread_atfork is made of. The handlers stay for ever, as the library does. */
extern int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *library);

/* In glibc from 2.35 on. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

/* In glibc from 2.32 on. */
extern char __libc_single_threaded __attribute__((weak));

struct thread *entry_thread(void) { return &self; }

long entry_rseq_offset(void) { return &__rseq_offset == NULL || &__rseq_size == NULL || __rseq_size == 0 ? 0 : __rseq_offset; }

int entry_is_single_threaded(void) { return &__libc_single_threaded != NULL && __libc_single_threaded; }

char **entry_program_name(void) { return &program_invocation_short_name; }

static void thread_ends(void *front) {
  (void)front;
  face_thread_ends();
}

int entry_watch_thread(void *front) { return can_watch ? pthread_setspecific(end_of_thread, front) : -1; }

void entry_watch_threads(void) { can_watch = can_watch || pthread_key_create(&end_of_thread, thread_ends) == 0; }

void entry_watch_forks(void) {
  __register_atfork(face_before_fork, face_after_fork_in_parent, face_after_fork_in_child, NULL);
}

__attribute__((constructor)) static void program_starts(void) { face_program_starts(); }

__attribute__((destructor)) static void program_ends(void) { face_program_ends(); }

/* ------------------------------------------------------------------ malloc */

#define LIKELY(condition) __builtin_expect(!!(condition), 1)

extern void *face_malloc(size_t size, void *front);
extern void face_free(void *pointer, void *front);
extern void face_free_sized(void *pointer, size_t size, void *front);
extern void face_free_sized_aligned(void *pointer, size_t size, void *front);
extern void *face_calloc(size_t count, size_t size, void *front);
extern void *face_realloc(void *pointer, size_t size, void *front);
extern void *face_reallocarray(void *pointer, size_t count, size_t size, void *front);
extern void *face_aligned(size_t alignment, size_t size, void *front);
extern size_t face_usable_size(void *pointer);
extern int face_trim(void);
extern void face_mallinfo(size_t *fields);
extern void face_malloc_stats(int descriptor);

void *malloc(size_t size) { return face_malloc(size, self.front); }

void free(void *pointer) { face_free(pointer, self.front); }

void cfree(void *pointer) { face_free(pointer, self.front); }

void *calloc(size_t count, size_t size) { return face_calloc(count, size, self.front); }

void *realloc(void *pointer, size_t size) { return face_realloc(pointer, size, self.front); }

void *reallocarray(void *pointer, size_t count, size_t size) { return face_reallocarray(pointer, count, size, self.front); }

size_t malloc_usable_size(void *pointer) { return face_usable_size(pointer); }

static int is_power_of_two(size_t value) { return value != 0 && (value & (value - 1)) == 0; }

static void *aligned(size_t alignment, size_t size) {
  void *memory = face_aligned(alignment, size, self.front);
  if (memory == NULL)
    errno = ENOMEM;
  return memory;
}

void *memalign(size_t alignment, size_t size) {
  /* As in glibc, any number is taken for the next power of two. */
  if (alignment > SIZE_MAX / 2 + 1) {
    errno = EINVAL;
    return NULL;
  }

  size_t power = 16;
  while (power < alignment)
    power *= 2;
  return aligned(power, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  if (!is_power_of_two(alignment)) {
    errno = EINVAL;
    return NULL;
  }

  return aligned(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
  if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0)
    return EINVAL;

  int before = errno;
  void *memory = aligned(alignment, size);
  if (memory == NULL)
    return ENOMEM;

  errno = before;
  *result = memory;
  return 0;
}

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

void *valloc(size_t size) { return aligned(page_size(), size); }

void *pvalloc(size_t size) {
  size_t page = page_size();
  if (size > SIZE_MAX - page) {
    errno = ENOMEM;
    return NULL;
  }

  return aligned(page, (size + page - 1) / page * page);
}

int malloc_trim(size_t pad) {
  (void)pad;
  return face_trim();
}

/* There is nothing to tune through it; programs that try go on. */
int mallopt(int parameter, int value) {
  (void)parameter;
  (void)value;
  return 1;
}

struct mallinfo2 mallinfo2(void) {
  size_t fields[5];
  face_mallinfo(fields);
  struct mallinfo2 info = {
      .arena = fields[0],
      .hblks = fields[1],
      .hblkhd = fields[2],
      .uordblks = fields[3],
      .fordblks = fields[4],
      .keepcost = 0,
  };
  return info;
}

struct mallinfo mallinfo(void) {
  struct mallinfo2 wide = mallinfo2();
  struct mallinfo info = {
      .arena = (int)wide.arena,
      .hblks = (int)wide.hblks,
      .hblkhd = (int)wide.hblkhd,
      .uordblks = (int)wide.uordblks,
      .fordblks = (int)wide.fordblks,
  };
  return info;
}

void malloc_stats(void) { face_malloc_stats(STDERR_FILENO); }

int malloc_info(int options, FILE *stream) {
  if (options != 0)
    return EINVAL;

  struct mallinfo2 info = mallinfo2();
  fprintf(stream,
          "<malloc version=\"1\">\n"
          "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n"
          "<system type=\"current\" size=\"%zu\"/>\n"
          "<aspace type=\"total\" size=\"%zu\"/>\n"
          "</malloc>\n",
          info.hblks, info.hblkhd, info.arena, info.arena);
  return 0;
}

/* ------------------------------------------------------------------ names under which glibc's own are reached */

#pragma GCC diagnostic ignored "-Wmissing-attributes"
void *__libc_malloc(size_t size) __attribute__((alias("malloc")));
void __libc_free(void *pointer) __attribute__((alias("free")));
void *__libc_calloc(size_t count, size_t size) __attribute__((alias("calloc")));
void *__libc_realloc(void *pointer, size_t size) __attribute__((alias("realloc")));
void *__libc_memalign(size_t alignment, size_t size) __attribute__((alias("memalign")));
void *__libc_valloc(size_t size) __attribute__((alias("valloc")));
void *__libc_pvalloc(size_t size) __attribute__((alias("pvalloc")));
int __posix_memalign(void **result, size_t alignment, size_t size) __attribute__((alias("posix_memalign")));

/* ------------------------------------------------------------------ kmem.h and umem.h: those calls that take a front, and the flags of memory */

extern void *face_cache_alloc(void *cache, void *front);
extern void face_cache_free(void *cache, void *object, void *front);
extern void *face_umem_alloc(size_t size, int flags, void *front);
extern void *face_umem_zalloc(size_t size, int flags, void *front);
extern void face_umem_free(void *memory, size_t size, void *front);
extern void *face_umem_alloc_align(size_t size, size_t align, int flags, void *front);
extern void face_umem_free_align(void *memory, size_t size, void *front);
extern void *face_umem_cache_alloc(void *cache, int flags, void *front);
extern void face_slabinfo(int descriptor);

void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t flags) {
  void *object = face_cache_alloc(cache, self.front);
  if (object == NULL)
    errno = ENOMEM;
  return flags & __GFP_ZERO && object != NULL ? memset(object, 0, kmem_cache_size(cache)) : object;
}

void *kmem_cache_zalloc(struct kmem_cache *cache, gfp_t flags) { return kmem_cache_alloc(cache, flags | __GFP_ZERO); }

void kmem_cache_free(struct kmem_cache *cache, void *object) {
  if (object != NULL)
    face_cache_free(cache, object, self.front);
}

/* With __GFP_ZERO all bytes that may be used are zero from the end of what was asked for on, so that krealloc finds them so: it does not know what was
   asked for before. */
static void *zeroed_from(void *memory, size_t start) {
  size_t usable = face_usable_size(memory);
  if (start < usable)
    memset((char *)memory + start, 0, usable - start);
  return memory;
}

void *kzalloc(size_t size, gfp_t flags) {
  (void)flags;
  return zeroed_from(face_calloc(1, size, self.front), size);
}

void *kmalloc(size_t size, gfp_t flags) { return flags & __GFP_ZERO ? kzalloc(size, flags) : face_malloc(size, self.front); }

void *krealloc(void *memory, size_t size, gfp_t flags) {
  if (!(flags & __GFP_ZERO))
    return face_realloc(memory, size, self.front);

  size_t before = face_usable_size(memory);
  void *moved = face_realloc(memory, size, self.front);
  return moved == NULL ? NULL : zeroed_from(moved, size < before ? size : before);
}

void kfree(const void *memory) { face_free((void *)memory, self.front); }

void kmem_slabinfo(int descriptor) { face_slabinfo(descriptor); }

void *umem_alloc(size_t size, int flags) { return face_umem_alloc(size, flags, self.front); }

void *umem_zalloc(size_t size, int flags) { return face_umem_zalloc(size, flags, self.front); }

void *umem_alloc_align(size_t size, size_t align, int flags) { return face_umem_alloc_align(size, align, flags, self.front); }

void umem_free(void *memory, size_t size) { face_umem_free(memory, size, self.front); }

void umem_free_align(void *memory, size_t size) { face_umem_free_align(memory, size, self.front); }

void *umem_cache_alloc(umem_cache_t *cache, int flags) { return face_umem_cache_alloc(cache, flags, self.front); }

void umem_cache_free(umem_cache_t *cache, void *object) { face_cache_free(cache, object, self.front); }

/* ------------------------------------------------------------------ C++

   Where memory is out, the C++ library's own operator takes over: it asks malloc again, calls the new handler, and throws. */

/* Where this library lies; the linker knows. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

static int is_ours(void *function) { return (uintptr_t)function - (uintptr_t)__ehdr_start < (uintptr_t)_end - (uintptr_t)__ehdr_start; }

/* Null where the caller has no C++ library. One that came with a library that a C program opened for itself alone (RTLD_LOCAL) is found only from there. */
static void *next_for(void *caller, const char *name) {
  void *next = dlsym(RTLD_NEXT, name);
  Dl_info info;
  void *library = next == NULL && dladdr(caller, &info) != 0 ? dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD) : NULL;
  if (library != NULL) {
    next = dlsym(library, name);
    dlclose(library);
  }

  return next == NULL || is_ours(next) ? NULL : next;
}

/* A program may replace some of the operators: then the others must come down to these, which may put a header before what they hand out. The C++ library's
   do. So what such a program has not replaced goes there. A program's names come before ours, a library's do not. */
enum { REPLACEMENTS_UNKNOWN, REPLACEMENTS_NONE, REPLACEMENTS_SOME };

static int replacements = REPLACEMENTS_UNKNOWN;

static int find_replacements(void);

static inline int known_replacements(void) { return __atomic_load_n(&replacements, __ATOMIC_RELAXED); }

static inline int have_replacements(void) {
  int known = known_replacements();
  return (known == REPLACEMENTS_UNKNOWN ? find_replacements() : known) == REPLACEMENTS_SOME;
}

static void *out_of_memory(void) {
  static const char message[] = "kmem: operator new: out of memory\n";
  if (write(STDERR_FILENO, message, sizeof message - 1) < 0)
    abort();
  abort();
}

/* Who calls an operator says where to look for the next one. */
#define CALLER __builtin_return_address(0)
#define LIST(...) __VA_ARGS__

#define DEFINE_NEW(name, parameters, arguments, allocate, without_next)                     \
  static __attribute__((noinline)) void *name##_slow(parameters, void *caller) {            \
    int is_first = known_replacements() == REPLACEMENTS_UNKNOWN && !have_replacements();    \
    void *memory = is_first ? allocate : NULL;                                              \
    if (memory != NULL)                                                                     \
      return memory;                                                                        \
    void *(*next)(parameters) = next_for(caller, #name);                                    \
    if (next != NULL)                                                                       \
      return next(arguments);                                                               \
    memory = allocate;                                                                      \
    return memory != NULL ? memory : without_next;                                          \
  }                                                                                         \
  void *name(parameters) {                                                                  \
    void *memory = LIKELY(known_replacements() == REPLACEMENTS_NONE) ? allocate : NULL;     \
    return LIKELY(memory) ? memory : name##_slow(arguments, CALLER);                        \
  }

/* The C++ library rounds a size up to the alignment, and what is near the largest number up to 0: it gets one that stays impossible. */
#define IMPOSSIBLE ((size_t)PTRDIFF_MAX + 1)
#define POSSIBLE (size < IMPOSSIBLE ? size : IMPOSSIBLE)

#define ALLOCATE face_malloc(size, self.front)
#define ALLOCATE_ALIGNED face_aligned(alignment, size, self.front)
#define NOTHROW const void *nothrow
DEFINE_NEW(_Znwm, LIST(size_t size), LIST(size), ALLOCATE, out_of_memory())
DEFINE_NEW(_Znam, LIST(size_t size), LIST(size), ALLOCATE, out_of_memory())
DEFINE_NEW(_ZnwmRKSt9nothrow_t, LIST(size_t size, NOTHROW), LIST(size, nothrow), ALLOCATE, NULL)
DEFINE_NEW(_ZnamRKSt9nothrow_t, LIST(size_t size, NOTHROW), LIST(size, nothrow), ALLOCATE, NULL)
DEFINE_NEW(_ZnwmSt11align_val_t, LIST(size_t size, size_t alignment), LIST(POSSIBLE, alignment), ALLOCATE_ALIGNED, out_of_memory())
DEFINE_NEW(_ZnamSt11align_val_t, LIST(size_t size, size_t alignment), LIST(POSSIBLE, alignment), ALLOCATE_ALIGNED, out_of_memory())
DEFINE_NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, LIST(size_t size, size_t alignment, NOTHROW), LIST(POSSIBLE, alignment, nothrow), ALLOCATE_ALIGNED, NULL)
DEFINE_NEW(_ZnamSt11align_val_tRKSt9nothrow_t, LIST(size_t size, size_t alignment, NOTHROW), LIST(POSSIBLE, alignment, nothrow), ALLOCATE_ALIGNED, NULL)

/* All forms of delete. A size is checked; an alignment says nothing that the page does not know. */
#define DEFINE_DELETE(name, parameters, arguments, release)                                 \
  static __attribute__((noinline)) void name##_slow(parameters, void *caller) {             \
    void (*next)(parameters) = have_replacements() ? next_for(caller, #name) : NULL;        \
    if (next != NULL)                                                                       \
      next(arguments);                                                                      \
    else                                                                                    \
      release;                                                                              \
  }                                                                                         \
  void name(parameters) {                                                                   \
    if (LIKELY(known_replacements() == REPLACEMENTS_NONE))                                  \
      release;                                                                              \
    else                                                                                    \
      name##_slow(arguments, CALLER);                                                       \
  }

#pragma GCC diagnostic ignored "-Wunused-parameter"
#define FREE face_free(pointer, self.front)
#define FREE_SIZED face_free_sized(pointer, size, self.front)
#define FREE_SIZED_ALIGNED face_free_sized_aligned(pointer, size, self.front)
DEFINE_DELETE(_ZdlPv, LIST(void *pointer), LIST(pointer), FREE)
DEFINE_DELETE(_ZdaPv, LIST(void *pointer), LIST(pointer), FREE)
DEFINE_DELETE(_ZdlPvm, LIST(void *pointer, size_t size), LIST(pointer, size), FREE_SIZED)
DEFINE_DELETE(_ZdaPvm, LIST(void *pointer, size_t size), LIST(pointer, size), FREE_SIZED)
DEFINE_DELETE(_ZdlPvRKSt9nothrow_t, LIST(void *pointer, NOTHROW), LIST(pointer, nothrow), FREE)
DEFINE_DELETE(_ZdaPvRKSt9nothrow_t, LIST(void *pointer, NOTHROW), LIST(pointer, nothrow), FREE)
DEFINE_DELETE(_ZdlPvSt11align_val_t, LIST(void *pointer, size_t alignment), LIST(pointer, alignment), FREE)
DEFINE_DELETE(_ZdaPvSt11align_val_t, LIST(void *pointer, size_t alignment), LIST(pointer, alignment), FREE)
DEFINE_DELETE(_ZdlPvmSt11align_val_t, LIST(void *pointer, size_t size, size_t alignment), LIST(pointer, size, alignment), FREE_SIZED_ALIGNED)
DEFINE_DELETE(_ZdaPvmSt11align_val_t, LIST(void *pointer, size_t size, size_t alignment), LIST(pointer, size, alignment), FREE_SIZED_ALIGNED)
DEFINE_DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, LIST(void *pointer, size_t alignment, NOTHROW), LIST(pointer, alignment, nothrow), FREE)
DEFINE_DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, LIST(void *pointer, size_t alignment, NOTHROW), LIST(pointer, alignment, nothrow), FREE)

static __attribute__((noinline)) int find_replacements(void) {
  /* Addresses as the dynamic linker has found them. All other forms are made of these. */
  void *const volatile found[] = {_Znwm, _Znam, _ZnwmSt11align_val_t, _ZnamSt11align_val_t, _ZdlPv, _ZdaPv, _ZdlPvSt11align_val_t, _ZdaPvSt11align_val_t};
  int known = REPLACEMENTS_NONE;
  for (size_t index = 0; index < sizeof found / sizeof found[0]; index++) {
    if (!is_ours(found[index]))
      known = REPLACEMENTS_SOME;
  }

  __atomic_store_n(&replacements, known, __ATOMIC_RELAXED);
  return known;
}
