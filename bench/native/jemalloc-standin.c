// Stands in for the functions of jemalloc's own interface when its test programs run on another library.
//
// The programs are linked with it as a shared library. A library that is preloaded comes before it, so jemalloc itself is never replaced.
// Where a test of the standard interface needs an answer of jemalloc's, this gives a neutral one. Everything else ends the program with
// status 77, which the runner counts as skipped, and leaves the name of what is missing in the file that SUITES_MISSING names.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int missing(const char *name)
{
    const char *list = getenv("SUITES_MISSING");
    int file = list != NULL ? open(list, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (file >= 0)
        dprintf(file, "%s\n", name);

    dprintf(STDERR_FILENO, "needs %s\n", name);
    _exit(77);
}

// The tests begin with nallocx(1, 0) to have the library initialise itself, and only look whether it is 0.
size_t nallocx(size_t size, int flags)
{
    (void)flags;
    return size;
}

// The largest size that a program may ask for, as jemalloc rounds it; overflow.c checks that more than that is refused.
static const size_t LargestSize = (size_t)7 << 60;

int mallctl(const char *name, void *old, size_t *old_size, void *value, size_t value_size)
{
    (void)value;
    (void)value_size;
    if (strcmp(name, "arena.0.purge") == 0)
        return 0;

    if (strcmp(name, "arenas.nlextents") == 0 && old != NULL && *old_size == sizeof(unsigned)) {
        *(unsigned *)old = 1;
        return 0;
    }

    return missing(name);
}

int mallctlnametomib(const char *name, size_t *mib, size_t *length)
{
    (void)mib;
    if (strcmp(name, "arenas.lextent.0.size") == 0 && *length >= 4)
        return 0;

    return missing(name);
}

int mallctlbymib(const size_t *mib, size_t length, void *old, size_t *old_size, void *value, size_t value_size)
{
    (void)mib;
    (void)length;
    (void)value;
    (void)value_size;
    if (old == NULL || *old_size != sizeof(size_t))
        return missing("mallctlbymib");

    *(size_t *)old = LargestSize;
    return 0;
}

#define MISSING(name) int name(void) { return missing(#name); }
MISSING(mallocx)
MISSING(rallocx)
MISSING(xallocx)
MISSING(sallocx)
MISSING(dallocx)
MISSING(sdallocx)
MISSING(malloc_stats_print)
