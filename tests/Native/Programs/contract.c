/* What C and POSIX promise of malloc and its relatives, and what glibc's manual adds. One thread. */
#include "cases.h"

#include <malloc.h>


#include <wchar.h>

static size_t alignment_of(const void *memory) { return (size_t)1 << __builtin_ctzll((uintptr_t)memory); }

/* Sizes around everything that may be a border: powers of two, their quarters, pages. */
static size_t borders(size_t *sizes, size_t largest) {
  size_t count = 0;
  for (size_t power = 8; power <= largest; power *= 2)
    for (size_t quarter = 4; quarter < 8; quarter++)
      for (int around = -1; around <= 1; around++) {
        size_t size = power / 4 * quarter + (size_t)around;
        if (size <= largest && (count == 0 || sizes[count - 1] < size))
          sizes[count++] = size;
      }
  return count;
}

enum { BORDERS_MAX = 1000 };

/* ------------------------------------------------------------------ malloc */

CASE(every_size_is_aligned_for_what_fits_into_it) {
  enum { HELD = 16 };
  CHECK(_Alignof(max_align_t) == 16);
  for (size_t size = 1; size < 3 * MIB; size += size < 9000 ? 1 : size / 7) {
    void *held[HELD];
    size_t wanted = size >= 16 ? 16 : (size_t)1 << (63 - __builtin_clzll(size));
    for (int i = 0; i < HELD; i++) {
      held[i] = i % 3 == 0 ? calloc(1, size) : i % 3 == 1 ? malloc(size) : realloc(NULL, size);
      CHECK(held[i] != NULL && alignment_of(held[i]) >= wanted);
    }
    for (int i = 0; i < HELD; i++)
      free(held[i]);
  }
}

CASE(no_bytes_are_a_block_of_their_own) {
  enum { HELD = 5000 };
  void *held[HELD];
  for (int i = 0; i < HELD; i++) {
    held[i] = i % 2 == 0 ? malloc(0) : calloc(0, 8);
    CHECK(held[i] != NULL);
    for (int j = i - 1; j >= 0 && j > i - 300; j--)
      CHECK(held[i] != held[j]);
  }
  for (int i = 0; i < HELD; i++)
    free(held[i]);
}

CASE(blocks_do_not_overlap) {
  enum { SLOTS = 4000, STEPS = 300000 };
  static struct { unsigned char *memory; size_t size; } slots[SLOTS];
  uint64_t random = 88172645463325252u;
  for (int step = 0; step < STEPS; step++) {
    uint64_t r = next_random(&random);
    unsigned slot = (unsigned)(r % SLOTS);
    if (slots[slot].memory != NULL) {
      CHECK(is_filled(slots[slot].memory, slots[slot].size, slot));
      free(slots[slot].memory);
    }
    size_t most = (size_t)16 << ((r >> 16) % 8 + ((r >> 24) % 64 == 0 ? 8 : 0));
    slots[slot].size = (r >> 32) % most;
    slots[slot].memory = malloc(slots[slot].size);
    CHECK(slots[slot].memory != NULL);
    fill(slots[slot].memory, slots[slot].size, slot);
  }
  for (unsigned slot = 0; slot < SLOTS; slot++) {
    CHECK(is_filled(slots[slot].memory, slots[slot].size, slot));
    free(slots[slot].memory);
  }
}

CASE(a_million_blocks_live) {
  enum { HELD = 1000000 };
  uint32_t **held = malloc(HELD * sizeof *held);
  CHECK(held != NULL);
  for (uint32_t i = 0; i < HELD; i++) {
    held[i] = malloc(4 + i % 61);
    CHECK(held[i] != NULL);
    *held[i] = i;
  }
  for (uint32_t i = 0; i < HELD; i += 2) {
    CHECK(*held[i] == i);
    free(held[i]);
  }
  for (uint32_t i = 1; i < HELD; i += 2) {
    CHECK(*held[i] == i);
    free(held[i]);
  }
  free(held);
}

static void check_refused(size_t size) {
  errno = 0;
  CHECK(malloc(size) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(calloc(size, 1) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(calloc(1, size) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(realloc(NULL, size) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(aligned_alloc(64, size) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(memalign(8192, size) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(valloc(size) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(pvalloc(size) == NULL && errno == ENOMEM);
}

CASE(impossible_sizes_are_null_and_ENOMEM) {
  for (size_t less = 0; less < 70; less++)
    check_refused(opaque(SIZE_MAX - less));
  for (size_t power = 4096; power < ((size_t)1 << 40); power *= 2) {
    check_refused(opaque(SIZE_MAX - power));
    check_refused(opaque(SIZE_MAX - power + 1));
    check_refused(opaque((size_t)PTRDIFF_MAX - power));
  }
  check_refused(opaque((size_t)PTRDIFF_MAX));
  check_refused(opaque((size_t)PTRDIFF_MAX + 1));
  check_refused(opaque((size_t)1 << 56));
  free(malloc(100));
}

/* ------------------------------------------------------------------ calloc */

CASE(calloc_zeroes_memory_that_was_used_before) {
  static size_t sizes[BORDERS_MAX];
  size_t count = borders(sizes, 20 * MIB);
  for (size_t s = 0; s < count; s++) {
    enum { HELD = 8 };
    void *held[HELD];
    int used = sizes[s] < MIB ? HELD : 2;
    for (int round = 0; round < 2; round++) {
      for (int i = 0; i < used; i++) {
        CHECK((held[i] = malloc(sizes[s])) != NULL);
        memset(held[i], 0xA5, sizes[s]);
      }
      for (int i = 0; i < used; i++)
        free(held[i]);
      for (int i = 0; i < used; i++)
        CHECK((held[i] = calloc(1, sizes[s])) != NULL && is_zero(held[i], sizes[s]));
      for (int i = 0; i < used; i++) {
        memset(held[i], 0x5A, sizes[s]);
        free(held[i]);
      }
    }
  }
}

CASE(calloc_zeroes_parts_of_large_blocks_that_were_used) {
  for (int round = 0; round < 8; round++) {
    char *large = malloc(64 * MIB);
    CHECK(large != NULL);
    memset(large, 0xEE, 64 * MIB);
    free(large);
    char *parts[40];
    for (size_t i = 0; i < 40; i++) {
      size_t size = (i + 1) * 33 * KIB;
      CHECK((parts[i] = calloc(size, 1)) != NULL && is_zero(parts[i], size));
      memset(parts[i], 0xDD, size);
    }
    for (size_t i = 0; i < 40; i++)
      free(parts[i]);
  }
}

CASE(a_product_beyond_the_address_space_is_refused) {
  static const size_t pairs[][2] = {
      {SIZE_MAX, 2}, {2, SIZE_MAX}, {SIZE_MAX, SIZE_MAX}, {SIZE_MAX / 2, 3}, {3, SIZE_MAX / 2}, {SIZE_MAX / 16 + 1, 16},
      {16, SIZE_MAX / 16 + 1}, {(size_t)1 << 32, (size_t)1 << 32}, {((size_t)1 << 32) + 1, ((size_t)1 << 32) - 1},
      {(size_t)1 << 63, 2}, {((size_t)1 << 33), ((size_t)1 << 31)}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    errno = 0;
    CHECK(calloc(opaque(pairs[i][0]), opaque(pairs[i][1])) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(reallocarray(NULL, opaque(pairs[i][0]), opaque(pairs[i][1])) == NULL && errno == ENOMEM);
    char *block = malloc(100);
    fill(block, 100, 5);
    errno = 0;
    CHECK(reallocarray(block, opaque(pairs[i][0]), opaque(pairs[i][1])) == NULL && errno == ENOMEM && is_filled(block, 100, 5));
    free(block);
  }
  void *none = calloc(0, opaque(SIZE_MAX)), *other = calloc(opaque(SIZE_MAX), 0);
  CHECK(none != NULL && other != NULL && none != other);
  free(none);
  free(other);
}

/* ------------------------------------------------------------------ realloc */

CASE(realloc_of_null_is_malloc) {
  static size_t sizes[BORDERS_MAX];
  size_t count = borders(sizes, 4 * MIB);
  for (size_t s = 0; s < count; s++) {
    char *memory = realloc(NULL, sizes[s]);
    CHECK(memory != NULL && malloc_usable_size(memory) >= sizes[s]);
    fill(memory, sizes[s], 1);
    free(memory);
  }
  free(realloc(NULL, 0));
}

CASE(realloc_to_no_bytes_frees) {
  for (int i = 0; i < 3000; i++) {
    char *memory = malloc(MIB);
    CHECK(memory != NULL);
    memset(memory, 1, MIB);
    /* Null, or a new block of no bytes. */
    free(realloc(memory, 0));
    free(realloc(malloc(40), 0));
  }
  CHECK(resident_bytes() < 300 * MIB);
}

CASE(realloc_keeps_what_fits) {
  static size_t sizes[BORDERS_MAX];
  size_t count = borders(sizes, 24 * MIB);
  char *memory = malloc(1);
  size_t size = 1;
  fill(memory, 1, 9);
  for (size_t s = 0; s < count; s++) {
    memory = realloc(memory, sizes[s]);
    CHECK(memory != NULL && is_filled(memory, size < sizes[s] ? size : sizes[s], 9));
    size = sizes[s];
    CHECK(malloc_usable_size(memory) >= size);
    fill(memory, size, 9);
  }
  for (size_t s = count; s-- > 0;) {
    memory = realloc(memory, sizes[s]);
    CHECK(memory != NULL && is_filled(memory, sizes[s], 9));
  }
  free(memory);

  /* From every border to every fourth. */
  count = borders(sizes, 600 * KIB);
  for (size_t from = 0; from < count; from += 2)
    for (size_t to = from % 4; to < count; to += 7) {
      memory = malloc(sizes[from]);
      fill(memory, sizes[from], (unsigned)from);
      memory = realloc(memory, sizes[to]);
      CHECK(memory != NULL && is_filled(memory, sizes[from] < sizes[to] ? sizes[from] : sizes[to], (unsigned)from));
      free(memory);
    }
}

CASE(realloc_among_many_blocks) {
  enum { SLOTS = 500, STEPS = 60000 };
  static struct { char *memory; size_t size; } slots[SLOTS];
  uint64_t random = 4101842887655102017u;
  for (int step = 0; step < STEPS; step++) {
    uint64_t r = next_random(&random);
    unsigned slot = (unsigned)(r % SLOTS);
    size_t size = 1 + (r >> 32) % ((size_t)32 << ((r >> 16) % ((r >> 20) % 32 == 0 ? 17 : 8)));
    size_t kept = slots[slot].size < size ? slots[slot].size : size;
    slots[slot].memory = realloc(slots[slot].memory, size);
    CHECK(slots[slot].memory != NULL && is_filled(slots[slot].memory, kept, slot));
    slots[slot].size = size;
    fill(slots[slot].memory, size, slot);
  }
  for (unsigned slot = 0; slot < SLOTS; slot++)
    free(slots[slot].memory);
}

CASE(a_refused_realloc_leaves_the_block) {
  static size_t sizes[BORDERS_MAX];
  size_t count = borders(sizes, 4 * MIB);
  for (size_t s = 0; s < count; s += 3) {
    char *memory = malloc(sizes[s]);
    fill(memory, sizes[s], 3);
    errno = 0;
    CHECK(realloc(memory, opaque(SIZE_MAX)) == NULL && errno == ENOMEM && is_filled(memory, sizes[s], 3));
    errno = 0;
    CHECK(realloc(memory, opaque(PTRDIFF_MAX)) == NULL && errno == ENOMEM && is_filled(memory, sizes[s], 3));
    errno = 0;
    CHECK(realloc(memory, opaque((size_t)1 << 50)) == NULL && errno == ENOMEM && is_filled(memory, sizes[s], 3));
    CHECK((memory = realloc(memory, sizes[s] + 100)) != NULL && is_filled(memory, sizes[s], 3));
    free(memory);
  }
}

CASE(reallocarray_multiplies) {
  int *numbers = reallocarray(NULL, 10, sizeof *numbers);
  CHECK(numbers != NULL && malloc_usable_size(numbers) >= 40);
  for (int i = 0; i < 10; i++)
    numbers[i] = i;
  CHECK((numbers = reallocarray(numbers, 100000, sizeof *numbers)) != NULL && malloc_usable_size(numbers) >= 400000);
  for (int i = 0; i < 10; i++)
    CHECK(numbers[i] == i);
  numbers[99999] = 1;
  free(numbers);
}

/* ------------------------------------------------------------------ alignment */

CASE(posix_memalign_says_what_is_wrong) {
  static const size_t wrong[] = {0, 1, 2, 3, 4, 5, 7, 9, 12, 24, 40, 48, 100, 4095, 4097, 12288, SIZE_MAX, SIZE_MAX / 2};
  void *untouched = &errno;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    void *memory = untouched;
    errno = 4711;
    CHECK(posix_memalign(&memory, opaque(wrong[i]), 100) == EINVAL);
    CHECK(errno == 4711 && memory == untouched);
  }
  static const size_t huge[] = {SIZE_MAX, SIZE_MAX - 4096, PTRDIFF_MAX, (size_t)1 << 55};
  for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
    void *memory = untouched;
    errno = 4711;
    CHECK(posix_memalign(&memory, 64, opaque(huge[i])) == ENOMEM);
    CHECK(errno == ENOMEM && memory == untouched); /* As in glibc; POSIX leaves it open. */
  }
  errno = 4711;
  void *memory = NULL;
  CHECK(posix_memalign(&memory, 8, 100) == 0 && errno == 4711 && memory != NULL);
  free(memory);
}

static void *aligned_by(int function, size_t alignment, size_t size) {
  void *memory = NULL;
  switch (function) {
  case 0: return memalign(alignment, size);
  case 1: return aligned_alloc(alignment, size);
  default: return alignment >= sizeof(void *) && posix_memalign(&memory, alignment, size) == 0 ? memory : memalign(alignment, size);
  }
}

CASE(every_power_of_two_is_an_alignment) {
  enum { HELD = 5 };
  for (size_t alignment = 1; alignment <= 1024 * MIB; alignment *= 2) {
    size_t sizes[] = {0, 1, 8, 24, 100, 1000, 5000, 70000, alignment - 1, alignment, alignment + 1, alignment / 2 * 3};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
      if (sizes[s] > 1500 * MIB)
        continue;
      char *held[HELD] = {0};
      int used = alignment > 16 * MIB ? 1 : HELD;
      for (int i = 0; i < used; i++) {
        held[i] = aligned_by(i % 3, alignment, sizes[s]);
        CHECK(held[i] != NULL && alignment_of(held[i]) >= alignment);
        CHECK(malloc_usable_size(held[i]) >= sizes[s]);
        if (sizes[s] > 0) {
          held[i][0] = (char)i;
          held[i][sizes[s] - 1] = (char)i;
        }
      }
      for (int i = 0; i < used; i++) {
        CHECK(sizes[s] == 0 || (held[i][sizes[s] - 1] == (char)i && (held[i][0] == (char)i)));
        free(held[i]);
      }
    }
  }
}

CASE(an_aligned_block_can_be_resized) {
  for (size_t alignment = 16; alignment <= 4 * MIB; alignment *= 2)
    for (size_t size = 10; size < 2 * MIB; size = size * 5 + 3) {
      char *memory = memalign(alignment, size);
      CHECK(memory != NULL);
      fill(memory, size, 8);
      CHECK((memory = realloc(memory, size * 3)) != NULL && is_filled(memory, size, 8));
      CHECK((memory = realloc(memory, size / 3 + 1)) != NULL && is_filled(memory, size / 3 + 1, 8));
      free(memory);
    }
}

CASE(memalign_takes_any_number_for_the_next_power) {
  static const size_t odd[] = {0, 3, 17, 24, 48, 100, 5000};
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    errno = 0;
    void *memory = memalign(opaque(odd[i]), 100);
    CHECK(memory == NULL ? errno == EINVAL : alignment_of(memory) >= odd[i]);
    free(memory);
  }
  errno = 0;
  CHECK(memalign(opaque(SIZE_MAX), 100) == NULL && (errno == EINVAL || errno == ENOMEM));
}

CASE(valloc_and_pvalloc_give_pages) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  for (size_t size = 0; size < 5 * page; size += 97) {
    char *memory = valloc(size), *whole = pvalloc(size);
    CHECK(memory != NULL && whole != NULL && alignment_of(memory) >= page && alignment_of(whole) >= page);
    CHECK(malloc_usable_size(memory) >= size && malloc_usable_size(whole) >= (size + page - 1) / page * page);
    memset(whole, 1, (size + page - 1) / page * page);
    free(memory);
    free(whole);
  }
}

/* ------------------------------------------------------------------ usable size */

CASE(all_of_the_usable_size_can_be_written) {
  CHECK(malloc_usable_size(NULL) == 0);
  static size_t sizes[BORDERS_MAX];
  size_t count = borders(sizes, 3 * MIB);
  for (size_t s = 0; s < count; s++) {
    enum { HELD = 40 };
    void *held[HELD];
    size_t usable[HELD];
    int used = sizes[s] < 64 * KIB ? HELD : 3;
    for (int i = 0; i < used; i++) {
      held[i] = i % 5 == 4 ? memalign(64, sizes[s]) : malloc(sizes[s]);
      CHECK(held[i] != NULL && (usable[i] = malloc_usable_size(held[i])) >= sizes[s]);
      CHECK(usable[i] < 2 * sizes[s] + 8192);
      fill(held[i], usable[i], (unsigned)i);
    }
    for (int i = 0; i < used; i++) {
      CHECK(is_filled(held[i], usable[i], (unsigned)i));
      free(held[i]);
    }
  }
}

/* ------------------------------------------------------------------ free */

CASE(free_of_null_does_nothing) {
  for (int i = 0; i < 1000; i++) {
    errno = 4711;
    free(NULL);
    CHECK(errno == 4711);
  }
}

static void free_with_errno(void *memory) {
  CHECK(memory != NULL);
  errno = 4711;
  free(memory);
  CHECK(errno == 4711);
}

CASE(free_leaves_errno_alone) {
  enum { HELD = 3000 };
  static void *held[HELD];
  for (size_t size = 1; size < 20000; size = size * 3 / 2 + 1) {
    for (int i = 0; i < HELD; i++)
      held[i] = malloc(size);
    for (int i = 0; i < HELD; i++)
      free_with_errno(held[i]);
  }
  for (size_t size = 32 * KIB; size <= 512 * MIB; size *= 2) {
    char *memory = malloc(size);
    CHECK(memory != NULL);
    for (size_t i = 0; i < size; i += 4096)
      memory[i] = 1;
    free_with_errno(memory);
  }
}

CASE(blocks_that_libc_allocates_can_be_freed) {
  char *text = strdup("text"), *line = NULL, *all = NULL, *stream_text = NULL;
  size_t capacity = 0, length = 0;
  CHECK(asprintf(&all, "%s and %d", text, 7) == 10 && strcmp(all, "text and 7") == 0);
  FILE *file = fopen("/proc/self/status", "r");
  while (getline(&line, &capacity, file) > 0)
    CHECK(capacity > 0);
  fclose(file);
  FILE *stream = open_memstream(&stream_text, &length);
  for (int i = 0; i < 20000; i++)
    fprintf(stream, "%d ", i);
  fclose(stream);
  CHECK(length > 100000 && strlen(stream_text) == length);
  wchar_t *wide = wcsdup(L"wide");
  char *path = realpath("/proc/../tmp", NULL), *folder = getcwd(NULL, 0);
  CHECK(wide != NULL && path != NULL && folder != NULL && wcslen(wide) == 4);
  void *blocks[] = {text, line, all, stream_text, wide, path, folder};
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
    free(blocks[i]);
}

/* ------------------------------------------------------------------ glibc's questions */

CASE(mallinfo2_follows_what_is_allocated) {
  enum { SMALL = 200000 };
  free(malloc(1));
  struct mallinfo2 before = mallinfo2();
  void **held = malloc(SMALL * sizeof *held);
  for (int i = 0; i < SMALL; i++)
    held[i] = malloc(160);
  char *large = malloc(50 * MIB);
  memset(large, 1, 50 * MIB);
  struct mallinfo2 live = mallinfo2();
  size_t grown = live.uordblks + live.hblkhd - before.uordblks - before.hblkhd, used = SMALL * 168 + 50 * MIB;
  size_t grown_without_maps = live.uordblks - before.uordblks;
  CHECK((grown >= used && grown < used * 2) || (grown_without_maps >= used && grown_without_maps < used * 2));
  CHECK(live.arena + live.hblkhd >= used);
  for (int i = 0; i < SMALL; i++)
    free(held[i]);
  free(held);
  free(large);
  struct mallinfo2 after = mallinfo2();
  CHECK(after.uordblks < before.uordblks + 5 * MIB && after.hblkhd < before.hblkhd + 5 * MIB);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  struct mallinfo old = mallinfo();
#pragma GCC diagnostic pop
  CHECK((size_t)old.uordblks < before.uordblks + 10 * MIB);
}

static size_t text_on_stderr(void (*write_it)(void), char *text, size_t capacity) {
  char name[] = "/tmp/kmem-stats-XXXXXX";
  int file = mkstemp(name), saved = dup(STDERR_FILENO);
  CHECK(file >= 0 && saved >= 0 && dup2(file, STDERR_FILENO) >= 0);
  write_it();
  fflush(stderr);
  dup2(saved, STDERR_FILENO);
  ssize_t length = pread(file, text, capacity - 1, 0);
  unlink(name);
  CHECK(length >= 0);
  text[length] = 0;
  return (size_t)length;
}

CASE(malloc_stats_writes_to_stderr) {
  static char text[65536];
  free(malloc(100));
  CHECK(text_on_stderr(malloc_stats, text, sizeof text) > 20);
  CHECK(strpbrk(text, "0123456789") != NULL && strchr(text, '\n') != NULL);
}

CASE(malloc_info_writes_xml) {
  char *text = NULL;
  size_t length = 0;
  FILE *stream = open_memstream(&text, &length);
  CHECK(malloc_info(0, stream) == 0);
  fclose(stream);
  CHECK(strncmp(text, "<malloc version=", 16) == 0 && strstr(text, "</malloc>") != NULL);
  free(text);
  CHECK(malloc_info(1, stdout) == EINVAL);
}

CASE(mallopt_is_no_harm) {
  (void)mallopt(M_MMAP_THRESHOLD, 1 << 20);
  (void)mallopt(M_ARENA_MAX, 1);
  (void)mallopt(M_TRIM_THRESHOLD, 1 << 20);
  free(malloc(100));
}

static void use_and_free(size_t block, size_t bytes) {
  size_t count = bytes / block;
  char **held = malloc(count * sizeof *held);
  CHECK(held != NULL);
  for (size_t i = 0; i < count; i++) {
    CHECK((held[i] = malloc(block)) != NULL);
    memset(held[i], 1, block);
  }
  CHECK(resident_bytes() > bytes);
  for (size_t i = 0; i < count; i++)
    free(held[i]);
  free(held);
}

CASE(malloc_trim_gives_memory_back_and_says_so) {
  size_t before = resident_bytes();
  use_and_free(200, 100 * MIB);
  use_and_free(40000, 100 * MIB);
  /* What is still there must go, and the answer be 1; when nothing is left the answer is 0. */
  int had_much = resident_bytes() > before + 20 * MIB, answer = malloc_trim(0), calls = 1;
  CHECK(answer == 1 || !had_much);
  CHECK(resident_bytes() < before + 20 * MIB);
  while (malloc_trim(0) == 1)
    CHECK(++calls < 5);
  use_and_free(200, 10 * MIB);
}

/* ------------------------------------------------------------------ much memory */

CASE(a_block_of_4_GiB_is_only_what_is_touched) {
  static const int zeroed[] = {0, 1};
  for (int round = 0; round < 2; round++) {
    size_t size = opaque(4096 * MIB);
    char *memory = zeroed[round] ? calloc(4, size / 4) : malloc(size);
    CHECK(memory != NULL && malloc_usable_size(memory) >= size);
    for (size_t i = 0; i < size; i += MIB) {
      CHECK(!zeroed[round] || memory[i + 99] == 0);
      memory[i] = (char)(i / MIB + 1);
    }
    memory[size - 1] = 1;
    CHECK(resident_bytes() < 200 * MIB);
    for (size_t i = 0; i < size; i += MIB)
      CHECK(memory[i] == (char)(i / MIB + 1));
    free(memory);
  }
}

CASE(a_heap_of_4_GiB_is_only_what_is_touched) {
  enum { HELD = 4096 };
  static char *held[HELD];
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < HELD; i++) {
      CHECK((held[i] = malloc(MIB)) != NULL);
      held[i][i * 64] = (char)i;
    }
    CHECK(resident_bytes() < 300 * MIB);
    for (int i = 0; i < HELD; i++) {
      CHECK(held[i][i * 64] == (char)i);
      free(held[i]);
    }
  }
}

static void check_given_back(size_t block) {
  size_t before = resident_bytes();
  use_and_free(block, 500 * MIB);
  /* A little work of many sizes, as a program does that idles along. */
  char *held[2000] = {0};
  uint64_t random = 42;
  double end = now_seconds() + 8;
  while (resident_bytes() > before + 60 * MIB && now_seconds() < end) {
    for (int i = 0; i < 2000; i++) {
      uint64_t r = next_random(&random);
      free(held[r % 2000]);
      held[r % 2000] = malloc((r >> 20) % 2000);
    }
    wait_milliseconds(10);
  }
  CHECK(resident_bytes() < before + 60 * MIB);
}

CASE(small_memory_goes_back_by_itself) { check_given_back(200); }

CASE(large_memory_goes_back_by_itself) { check_given_back(100000); }

int main(int count, char **arguments) { return run_cases(count, arguments); }
