/* Code of the program that runs before the constructors of all libraries, the allocator's included. */
#include "cases.h"

static char *before_everything;

static void allocate_before_constructors(int count, char **arguments, char **environment) {
  (void)count, (void)arguments, (void)environment;
  before_everything = malloc(123);
  if (before_everything != NULL)
    fill(before_everything, 123, 1);
  free(calloc(7, 1000));
}

__attribute__((section(".preinit_array"), used)) static void (*const first)(int, char **, char **) = allocate_before_constructors;

CASE(malloc_works_before_any_constructor) {
  CHECK(before_everything != NULL && is_filled(before_everything, 123, 1));
  free(before_everything);
}

int main(int count, char **arguments) { return run_cases(count, arguments); }
