/* Libraries that come and go, and libraries that allocate before the program does. */
#include "cases.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>

/* early.so must be preloaded as well. */
CASE(constructors_of_other_libraries_allocate) {
  int (*is_well)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "early_is_well");
  CHECK(is_well != NULL && is_well());
}

CASE(handlers_of_fork_from_early_constructors_allocate) {
  CHECK(dlsym(RTLD_DEFAULT, "early_is_well") != NULL);
  for (int round = 0; round < 20; round++) {
    pid_t child = fork();
    int status;
    if (child == 0) {
      alarm(limit_seconds());
      free(malloc(1000));
      exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
  }
}

static void *open_and_close(void *path) {
  for (size_t round = 0; round < 100; round++) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    CHECK(library != NULL);
    char *(*make)(size_t) = (char *(*)(size_t))dlsym(library, "plugin_make");
    void (*forget)(void) = (void (*)(void))dlsym(library, "plugin_forget");
    CHECK(make != NULL && forget != NULL);
    char *memory = make(round * 500);
    CHECK(memory != NULL && strcmp(memory, "plugin") == 0);
    forget();
    CHECK(dlclose(library) == 0);
    free(memory);
  }
  return NULL;
}

static char *plugin_path(void) {
  char *path = getenv("KMEM_CASE_PLUGIN");
  CHECK(path != NULL);
  return path;
}

CASE(libraries_that_allocate_are_opened_and_closed) { (void)open_and_close(plugin_path()); }

CASE(threads_open_and_close_libraries) {
  pthread_t threads[3];
  for (int i = 0; i < 3; i++)
    CHECK(pthread_create(&threads[i], NULL, open_and_close, plugin_path()) == 0);
  for (int i = 0; i < 3; i++)
    CHECK(pthread_join(threads[i], NULL) == 0);
}

int main(int count, char **arguments) { return run_cases(count, arguments); }
