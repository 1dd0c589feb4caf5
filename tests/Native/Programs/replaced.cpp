// A program with an operator new of its own: the allocator's must not come in between.
#include "cases.h"

#include <new>
#include <string>
#include <vector>

static size_t news, deletes;

void *operator new(size_t size) {
  news++;
  void *memory = malloc(size + 64);
  if (memory == nullptr)
    throw std::bad_alloc();
  return static_cast<char *>(memory) + 64;
}

void operator delete(void *memory) noexcept {
  if (memory == nullptr)
    return;
  deletes++;
  free(static_cast<char *>(memory) - 64);
}

void operator delete(void *memory, size_t) noexcept { operator delete(memory); }

CASE(a_program_with_an_operator_new_of_its_own) {
  {
    std::vector<std::string> texts;
    for (size_t i = 0; i < 10000; i++)
      texts.emplace_back(i % 400, 'x');
    delete[] new int[1000];
    operator delete(operator new(77, std::nothrow), std::nothrow);
  }
  CHECK(news > 9000 && news == deletes);
}

int main(int count, char **arguments) { return run_cases(count, arguments); }
