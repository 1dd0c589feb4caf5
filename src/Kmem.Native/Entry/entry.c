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

int entry_is_single_threaded(void) { return &__libc_single_threaded != NULL && __libc_single_threaded; }

struct thread *entry_thread(void) { return &self; }

long entry_rseq_offset(void) { return &__rseq_offset == NULL || &__rseq_size == NULL || __rseq_size == 0 ? 0 : __rseq_offset; }

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

static int is_ours(void *function) {
  Dl_info theirs, ours;
  return dladdr(function, &theirs) != 0 && dladdr(&end_of_thread, &ours) != 0 && theirs.dli_fbase == ours.dli_fbase;
}

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

static void *next_or_abort(void *caller, const char *name) {
  void *next = next_for(caller, name);
  if (next == NULL) {
    static const char message[] = "kmem: operator new: out of memory\n";
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0)
      abort();
    abort();
  }

  return next;
}

#define NEXT(type, name) ((type)next_or_abort(__builtin_return_address(0), name))

#define NEXT_NOTHROW(type, name, ...)                                        \
  __typeof__(type) next = (type)next_for(__builtin_return_address(0), name); \
  return next == NULL ? NULL : next(__VA_ARGS__)

#define DEFINE_NEW(name)                                              \
  void *name(size_t size) {                                           \
    void *memory = face_malloc(size, self.front);                     \
    return LIKELY(memory) ? memory : NEXT(void *(*)(size_t), #name)(size); \
  }

#define DEFINE_NEW_NOTHROW(name)                                                                     \
  void *name(size_t size, const void *nothrow) {                                                     \
    void *memory = face_malloc(size, self.front);                                                    \
    if (LIKELY(memory))                                                                              \
      return memory;                                                                                 \
    NEXT_NOTHROW(void *(*)(size_t, const void *), #name, size, nothrow);                             \
  }

/* The C++ library rounds the size up to the alignment, and what is near the largest number up to 0: that is for its other operators to refuse. */
#define DEFINE_NEW_ALIGNED(name)                                                                     \
  void *name(size_t size, size_t alignment) {                                                        \
    void *memory = face_aligned(alignment, size, self.front);                                        \
    if (LIKELY(memory))                                                                              \
      return memory;                                                                                 \
    return size > PTRDIFF_MAX ? _Znwm(size) : NEXT(void *(*)(size_t, size_t), #name)(size, alignment); \
  }

#define DEFINE_NEW_ALIGNED_NOTHROW(name)                                                             \
  void *name(size_t size, size_t alignment, const void *nothrow) {                                   \
    void *memory = face_aligned(alignment, size, self.front);                                        \
    if (LIKELY(memory))                                                                              \
      return memory;                                                                                 \
    if (size > PTRDIFF_MAX)                                                                          \
      return _ZnwmRKSt9nothrow_t(size, nothrow);                                                     \
    NEXT_NOTHROW(void *(*)(size_t, size_t, const void *), #name, size, alignment, nothrow);          \
  }

DEFINE_NEW(_Znwm)
DEFINE_NEW(_Znam)
DEFINE_NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
DEFINE_NEW_NOTHROW(_ZnamRKSt9nothrow_t)
DEFINE_NEW_ALIGNED(_ZnwmSt11align_val_t)
DEFINE_NEW_ALIGNED(_ZnamSt11align_val_t)
DEFINE_NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
DEFINE_NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)

/* All forms of delete. A size is checked; an alignment says nothing that the page does not know. */
#define DEFINE_DELETE(name, ...) \
  void name(void *pointer, ##__VA_ARGS__) { face_free(pointer, self.front); }

#define DEFINE_DELETE_SIZED(name) \
  void name(void *pointer, size_t size) { face_free_sized(pointer, size, self.front); }

#define DEFINE_DELETE_SIZED_ALIGNED(name) \
  void name(void *pointer, size_t size, size_t alignment) { face_free_sized_aligned(pointer, size, self.front); }

#pragma GCC diagnostic ignored "-Wunused-parameter"
DEFINE_DELETE(_ZdlPv)
DEFINE_DELETE(_ZdaPv)
DEFINE_DELETE_SIZED(_ZdlPvm)
DEFINE_DELETE_SIZED(_ZdaPvm)
DEFINE_DELETE(_ZdlPvRKSt9nothrow_t, const void *nothrow)
DEFINE_DELETE(_ZdaPvRKSt9nothrow_t, const void *nothrow)
DEFINE_DELETE(_ZdlPvSt11align_val_t, size_t alignment)
DEFINE_DELETE(_ZdaPvSt11align_val_t, size_t alignment)
DEFINE_DELETE_SIZED_ALIGNED(_ZdlPvmSt11align_val_t)
DEFINE_DELETE_SIZED_ALIGNED(_ZdaPvmSt11align_val_t)
DEFINE_DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, size_t alignment, const void *nothrow)
DEFINE_DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, size_t alignment, const void *nothrow)
