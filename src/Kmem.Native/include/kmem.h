/* Kmem, the kernel's slab allocator, for C programs: link with -lkmem.

   The whole process then runs on it, malloc included: an object of a cache, kmalloc's and malloc's memory come from one heap, and free() takes any of
   them. All functions may be called from any thread. Null, with errno ENOMEM, means that memory is out. A pointer that is not what it should be ends the
   process with one line on standard error that names it and says what it is. */
#ifndef KMEM_H
#define KMEM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kmem_cache;

typedef unsigned int gfp_t;

#define GFP_KERNEL 0u
#define GFP_NOWAIT 0u
#define GFP_ATOMIC 0u
#define __GFP_ZERO 0x100u /* The memory reads as zero. */

/* Objects start at a multiple of a cache line, or of a part of one that holds them. */
#define SLAB_HWCACHE_ALIGN 0x2000ul

/* The objects live short, or can be had back by asking. */
#define SLAB_RECLAIM_ACCOUNT 0x20000ul

/* A cache that cannot be made ends the process. */
#define SLAB_PANIC 0x40000ul

/* A cache of objects of one size, 1 byte to 4 MiB. The alignment is 0 for 8 bytes, or a power of two up to 4096. The constructor, which may be null, runs when an
   object comes from its slab, not at every allocation: a freed object must be in the state that the constructor made. The name is copied; its first
   63 bytes count. errno is EINVAL where a number is out of range. */
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align, unsigned long flags, void (*ctor)(void *object));

/* The same with a destructor, which runs when an object goes back to its slab, and a context for both. A constructor that returns another value than 0
   refuses: then the allocation fails. Neither may destroy, shrink or create caches. A destructor may free, and must neither allocate nor fork; since it may run in any call
   of any thread, it waits for no lock that is held around such calls. */
struct kmem_cache_args {
  size_t align;
  int (*ctor)(void *object, void *context, int flags);
  void (*dtor)(void *object, void *context);
  void *context;
};

struct kmem_cache *kmem_cache_create_args(const char *name, size_t size, const struct kmem_cache_args *args, unsigned long flags);

/* Null is allowed. While objects are live the cache stays, and a line on standard error lists them. */
void kmem_cache_destroy(struct kmem_cache *cache);

/* __GFP_ZERO is for caches without a constructor. */
void *kmem_cache_alloc(struct kmem_cache *cache, gfp_t flags);
void *kmem_cache_zalloc(struct kmem_cache *cache, gfp_t flags);

/* Null is allowed. */
void kmem_cache_free(struct kmem_cache *cache, void *object);

/* All of them and their number, or none and 0. */
int kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t flags, size_t count, void **objects);
void kmem_cache_free_bulk(struct kmem_cache *cache, size_t count, void **objects);

/* Empties all magazines of the cache and gives its free slabs back; returns how many slabs that were. */
int kmem_cache_shrink(struct kmem_cache *cache);

unsigned int kmem_cache_size(struct kmem_cache *cache);

/* Memory of any size, aligned to 16 bytes; free() and kfree() are the same. */
void *kmalloc(size_t size, gfp_t flags);
void *kzalloc(size_t size, gfp_t flags);
void *krealloc(void *memory, size_t size, gfp_t flags);
void kfree(const void *memory);

/* Bytes that may be used. */
size_t ksize(const void *memory);

/* Writes all caches to a file descriptor in the format of Linux's /proc/slabinfo. */
void kmem_slabinfo(int descriptor);

#ifdef __cplusplus
}
#endif

#endif
