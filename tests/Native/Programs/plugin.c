/* A library that programs open and close, which allocates in its constructor, its functions and its destructor. */
#include <stdlib.h>
#include <string.h>

static char *own;
static __thread char *last;

__attribute__((constructor)) static void begin(void) { own = strdup("plugin"); }

__attribute__((destructor)) static void end(void) { free(own); }

char *plugin_make(size_t size) {
  free(last);
  last = malloc(64);
  char *memory = malloc(size + 10);
  if (memory != NULL)
    strcpy(memory, own);
  return memory;
}

void plugin_forget(void) {
  free(last);
  last = NULL;
}
