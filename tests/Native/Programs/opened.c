/* A program that opens the library instead of being linked with it, and uses its caches beside the C library's malloc. KMEM_CASE_OPEN is the path. */
#include "cases.h"

#include <dlfcn.h>
#include <pthread.h>

#define FIND(name, type) ((type)find(name))

static void *library;

static void *find(const char *name) {
  void *symbol = dlsym(library, name);
  if (symbol == NULL)
    dprintf(STDERR_FILENO, "no %s\n", name);
  CHECK(symbol != NULL);
  return symbol;
}

struct point {
  double x, y, z;
  int constructed;
};

static void construct(void *object) { ((struct point *)object)->constructed = 4711; }

static void *(*cache_alloc)(void *, unsigned);
static void (*cache_free)(void *, void *);

static void *use_cache(void *cache) {
  enum { HELD = 3000 };
  struct point *held[HELD];
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < HELD; i++) {
      CHECK((held[i] = cache_alloc(cache, 0)) != NULL && held[i]->constructed == 4711);
      held[i]->x = i;
    }
    for (int i = 0; i < HELD; i++) {
      CHECK(held[i]->x == i);
      cache_free(cache, held[i]);
    }
    free(malloc(1000));
  }
  return NULL;
}

CASE(caches_of_a_library_that_was_opened) {
  void *ours = malloc(100);
  const char *path = getenv("KMEM_CASE_OPEN");
  CHECK(path != NULL);
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL)
    dprintf(STDERR_FILENO, "%s\n", dlerror());
  CHECK(library != NULL);
  void *(*create)(const char *, size_t, size_t, unsigned long, void (*)(void *)) =
      FIND("kmem_cache_create", void *(*)(const char *, size_t, size_t, unsigned long, void (*)(void *)));
  void (*destroy)(void *) = FIND("kmem_cache_destroy", void (*)(void *));
  cache_alloc = FIND("kmem_cache_alloc", void *(*)(void *, unsigned));
  cache_free = FIND("kmem_cache_free", void (*)(void *, void *));
  void *(*allocate)(size_t, unsigned) = FIND("kmalloc", void *(*)(size_t, unsigned));
  void (*release)(const void *) = FIND("kfree", void (*)(const void *));

  void *cache = create("points", sizeof(struct point), 0, 0, construct);
  CHECK(cache != NULL);
  pthread_t threads[4];
  for (int i = 0; i < 4; i++)
    CHECK(pthread_create(&threads[i], NULL, use_cache, cache) == 0);
  use_cache(cache);
  for (int i = 0; i < 4; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
  destroy(cache);

  for (size_t size = 1; size < 10 * MIB; size *= 3) {
    char *memory = allocate(size, 0);
    CHECK(memory != NULL);
    fill(memory, size, 2);
    release(memory);
  }
  free(ours);
}

int main(int count, char **arguments) { return run_cases(count, arguments); }
