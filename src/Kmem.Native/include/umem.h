/* The calls of libumem on Kmem, so that its programs compile and run unchanged: link with -lkmem. See kmem.h for what holds for all calls. */
#ifndef UMEM_H
#define UMEM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* May fail. */
#define UMEM_DEFAULT 0x0000

/* Never returns null: umem_nofail_callback. */
#define UMEM_NOFAIL 0x0100

/* For umem_cache_create. Only UMC_NOMAGAZINE makes a difference. */
#define UMC_NOTOUCH 0x00010000
#define UMC_NODEBUG 0x00020000
#define UMC_NOMAGAZINE 0x00040000
#define UMC_NOHASH 0x00080000

typedef struct umem_cache umem_cache_t;
typedef struct vmem vmem_t;
typedef int umem_constructor_t(void *object, void *context, int flags);
typedef void umem_destructor_t(void *object, void *context);
typedef void umem_reclaim_t(void *context);
typedef int umem_nofail_callback_t(void);

/* What a nofail callback returns. */
#define UMEM_CALLBACK_RETRY 0
#define UMEM_CALLBACK_EXIT(status) (0x100 | ((status) & 0xFF))

/* Called when memory is out and UMEM_NOFAIL was asked for. Without one the program exits with 255. */
void umem_nofail_callback(umem_nofail_callback_t *callback);

/* 0 bytes give null. The memory is aligned to 16 bytes. */
void *umem_alloc(size_t size, int flags);
void *umem_zalloc(size_t size, int flags);

/* The alignment is a power of two. */
void *umem_alloc_align(size_t size, size_t align, int flags);

/* The size must be the one that was asked for: one that cannot be ends the process with a message. */
void umem_free(void *memory, size_t size);
void umem_free_align(void *memory, size_t size);

/* A cache of objects of one size, 1 byte to 4 MiB, aligned to a power of two up to 4096, or 0 for 8 bytes. A constructor that returns another value than 0
   refuses. The source must be null. umem_reap calls reclaim. Null with errno EINVAL or ENOMEM. */
umem_cache_t *umem_cache_create(char *name, size_t size, size_t align, umem_constructor_t *constructor, umem_destructor_t *destructor,
                                umem_reclaim_t *reclaim, void *context, vmem_t *source, int flags);

/* While objects are live the cache stays, and a line on standard error lists them. */
void umem_cache_destroy(umem_cache_t *cache);

void *umem_cache_alloc(umem_cache_t *cache, int flags);
void umem_cache_free(umem_cache_t *cache, void *object);

/* Gives back what nobody holds. */
void umem_reap(void);

#ifdef __cplusplus
}
#endif

#endif
