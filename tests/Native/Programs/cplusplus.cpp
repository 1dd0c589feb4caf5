// operator new and delete in all forms, what happens when there is no memory, and the parts of the C++ library that allocate.
#include "cases.h"

#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

static bool is_aligned(const void *memory, size_t alignment) { return reinterpret_cast<uintptr_t>(memory) % alignment == 0; }

CASE(new_and_delete_in_every_form) {
  for (size_t size = 0; size < 300000; size = size * 5 / 4 + 1) {
    void *all[] = {operator new(size), operator new[](size), operator new(size, std::nothrow), operator new[](size, std::nothrow)};
    for (void *memory : all) {
      CHECK(memory != nullptr && (size < 16 || is_aligned(memory, 16)));
      fill(memory, size, 1);
    }
    operator delete(all[0], size);
    operator delete[](all[1], size);
    operator delete(all[2], std::nothrow);
    operator delete[](all[3], std::nothrow);
    void *one = operator new(size), *many = operator new[](size);
    operator delete(one);
    operator delete[](many);
  }
}

CASE(aligned_new_and_delete_in_every_form) {
  for (size_t alignment = 8; alignment <= 65536; alignment *= 2)
    for (size_t size = 0; size < 200000; size = size * 3 + 1) {
      std::align_val_t wanted{alignment};
      void *all[] = {operator new(size, wanted), operator new[](size, wanted), operator new(size, wanted, std::nothrow),
                     operator new[](size, wanted, std::nothrow)};
      for (void *memory : all) {
        CHECK(memory != nullptr && is_aligned(memory, alignment));
        fill(memory, size, 2);
      }
      operator delete(all[0], size, wanted);
      operator delete[](all[1], size, wanted);
      operator delete(all[2], wanted, std::nothrow);
      operator delete[](all[3], wanted, std::nothrow);
      operator delete(operator new(size, wanted), wanted);
      operator delete[](operator new[](size, wanted), wanted);
    }
}

CASE(delete_of_null_does_nothing) {
  operator delete(nullptr);
  operator delete[](nullptr);
  operator delete(nullptr, size_t{8});
  operator delete[](nullptr, std::align_val_t{64});
  delete static_cast<std::string *>(nullptr);
}

// What C allocated C++ may not delete, but the C++ library does so with malloc's blocks in reverse: both are the same heap.
CASE(c_and_cplusplus_share_the_heap) {
  void *memory = operator new(100);
  free(memory);
  memory = malloc(100);
  operator delete(memory);
}

struct alignas(128) Wide {
  char bytes[200];
};

CASE(types_of_large_alignment) {
  for (int i = 0; i < 1000; i++) {
    std::unique_ptr<Wide> one{new Wide};
    std::vector<Wide> many(static_cast<size_t>(i % 10) + 1);
    CHECK(is_aligned(one.get(), 128) && is_aligned(many.data(), 128));
  }
}

template <typename Exception> static bool throws(const std::function<void()> &act) {
  try {
    act();
  } catch (const Exception &) {
    return true;
  }
  return false;
}

// The compiler may take a new away whose result nobody sees.
static void *volatile kept;

CASE(new_of_the_impossible_throws_bad_alloc) {
  for (size_t size : {SIZE_MAX, SIZE_MAX / 2, size_t{1} << 60, size_t{1} << 50}) {
    size = opaque(size);
    CHECK(throws<std::bad_alloc>([=] { operator delete(operator new(size)); }));
    CHECK(throws<std::bad_alloc>([=] { operator delete[](operator new[](size)); }));
    CHECK(throws<std::bad_alloc>([=] { kept = new char[size]; }));
    CHECK(operator new(size, std::nothrow) == nullptr);
    CHECK(operator new[](size, std::nothrow) == nullptr);
  }
  CHECK(throws<std::bad_array_new_length>([] { kept = new double[opaque(SIZE_MAX / 4)]; }));
  CHECK(throws<std::length_error>([] { std::vector<double> numbers(opaque(SIZE_MAX / 8)); }));
  delete new int{3};
}

// Some versions of the C++ library round the last sizes up to 0 and ask malloc for that.
CASE(aligned_new_of_the_impossible_throws_bad_alloc) {
  std::align_val_t wanted{64};
  for (size_t size : {SIZE_MAX, SIZE_MAX - 63, SIZE_MAX / 2, size_t{1} << 50}) {
    size = opaque(size);
    CHECK(throws<std::bad_alloc>([=] { operator delete(operator new(size, wanted), wanted); }));
    CHECK(throws<std::bad_alloc>([=] { operator delete[](operator new[](size, wanted), wanted); }));
    CHECK(operator new(size, wanted, std::nothrow) == nullptr);
    CHECK(operator new[](size, wanted, std::nothrow) == nullptr);
  }
}

static int handler_calls;

static void give_up_after_three() {
  if (++handler_calls == 3)
    std::set_new_handler(nullptr);
}

static void throw_own() { throw std::runtime_error("from the handler"); }

static char *reserve;

static void release_reserve() {
  handler_calls++;
  free(reserve);
  reserve = nullptr;
  std::set_new_handler(nullptr);
}

CASE(the_new_handler_is_called_until_it_gives_up) {
  size_t huge = opaque(SIZE_MAX / 2);
  std::set_new_handler(give_up_after_three);
  CHECK(throws<std::bad_alloc>([=] { operator delete(operator new(huge)); }) && handler_calls == 3);
  handler_calls = 0;
  std::set_new_handler(give_up_after_three);
  CHECK(operator new(huge, std::nothrow) == nullptr && handler_calls == 3);
  handler_calls = 0;
  std::set_new_handler(give_up_after_three);
  CHECK(throws<std::bad_alloc>([=] { operator delete(operator new(huge, std::align_val_t{256}), std::align_val_t{256}); }) && handler_calls == 3);
  std::set_new_handler(throw_own);
  CHECK(throws<std::runtime_error>([=] { operator delete(operator new(huge)); }));
  CHECK(operator new(huge, std::nothrow) == nullptr);
  handler_calls = 0;
  reserve = static_cast<char *>(malloc(1000));
  std::set_new_handler(release_reserve);
  CHECK(throws<std::bad_alloc>([=] { operator delete(operator new(huge)); }) && handler_calls == 1 && reserve == nullptr);
}

struct Fragile {
  static int live;
  std::string text;

  explicit Fragile(int number) : text(200, 'x') {
    if (number == 7)
      throw std::runtime_error(text);
    live++;
  }

  Fragile() : Fragile(live) {}

  ~Fragile() { live--; }
};

int Fragile::live;

CASE(exceptions_pass_through_constructors) {
  for (int round = 0; round < 2000; round++) {
    CHECK(throws<std::runtime_error>([] { delete[] new Fragile[20]; }));
    CHECK(Fragile::live == 0);
    CHECK(throws<std::runtime_error>([] { delete new Fragile{7}; }));
  }
}

static std::exception_ptr thrown_elsewhere() {
  std::exception_ptr caught;
  std::thread thread([&] {
    try {
      throw std::runtime_error(std::string(1000, 'e'));
    } catch (...) {
      caught = std::current_exception();
    }
  });
  thread.join();
  return caught;
}

CASE(exceptions_travel_between_threads) {
  for (int round = 0; round < 200; round++) {
    std::exception_ptr caught = thrown_elsewhere();
    CHECK(throws<std::runtime_error>([&] { std::rethrow_exception(caught); }));
  }
}

struct PerThread {
  std::map<int, std::string> texts;

  ~PerThread() {
    texts[1000] = std::string(500, 'd');
    texts.clear();
  }
};

static thread_local PerThread per_thread;

CASE(thread_local_objects_are_destroyed) {
  for (int round = 0; round < 300; round++) {
    std::thread threads[4];
    for (std::thread &thread : threads)
      thread = std::thread([] {
        for (int i = 0; i < 50; i++)
          per_thread.texts[i] = std::string(static_cast<size_t>(i * 10), 't');
      });
    for (std::thread &thread : threads)
      thread.join();
  }
  CHECK(resident_bytes() < 100 * MIB);
}

CASE(containers_grow_and_shrink) {
  std::vector<uint32_t> numbers;
  std::unordered_map<std::string, std::shared_ptr<std::vector<int>>> names;
  for (uint32_t i = 0; i < 3000000; i++)
    numbers.push_back(i);
  for (uint32_t i = 0; i < 3000000; i += 1000)
    CHECK(numbers[i] == i);
  for (int i = 0; i < 100000; i++)
    names["name " + std::to_string(i % 20000)] = std::make_shared<std::vector<int>>(i % 100, i);
  for (int i = 80000; i < 100000; i++) {
    const std::vector<int> &found = *names.at("name " + std::to_string(i % 20000));
    CHECK(found.size() == static_cast<size_t>(i % 100) && (found.empty() || found.back() == i));
  }
}

// Destroyed when the program has ended, in the order opposite to that of its making.
struct Late {
  std::vector<std::string> texts;

  ~Late() {
    for (std::string &text : texts)
      if (text.size() != 300)
        _exit(9);
    texts.emplace_back(5000, 'z');
  }
};

static Late late;

CASE(static_objects_are_destroyed_at_the_end) {
  static Late later;
  for (int i = 0; i < 1000; i++) {
    late.texts.emplace_back(300, 'a');
    later.texts.emplace_back(300, 'b');
  }
}

int main(int count, char **arguments) { return run_cases(count, arguments); }
