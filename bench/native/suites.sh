#!/usr/bin/env bash
# Builds test programs of glibc and of jemalloc so that they run on any malloc library. README.md tells where the sources come from.
#
#   bench/native/suites.sh SOURCES OUT
#
# SOURCES holds source trees named glibc and jemalloc; whichever is missing is skipped. The sources are only read: everything that is
# built lies in OUT, the programs in OUT/glibc and OUT/jemalloc. Each build has a log, OUT/NAME.log; a program that does not
# compile is named there and left out. JOBS is the number of parallel compilations, by default that of the CPUs.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
jobs=${JOBS:-$(nproc)}
cc=${CC:-gcc}
cxx=${CXX:-g++}

if [[ $# -ne 2 || ! -d $1 ]]; then
    echo "usage: bench/native/suites.sh SOURCES OUT" >&2
    exit 2
fi

sources=$(cd "$1" && pwd)
mkdir -p "$2"
out=$(cd "$2" && pwd)

say() {
    echo "suites: $*" >&2
}

# The tests of malloc in glibc's folder `malloc` that can run outside its build and on another malloc. tst-interpose-* define a malloc of their own,
# tst-dynarray*, tst-scratch_buffer, tst-alloc_buffer, tst-safe-linking and tst-mallocstate test parts of glibc that no other library
# replaces, and tst-mtrace, tst-compathooks-* and tst-malloc-usable-tunables need libc_malloc_debug.
glibc_tests=(
    mallocbug tst-calloc tst-free-errno tst-mallinfo2 tst-malloc tst-malloc-backtrace tst-malloc-check tst-malloc-fork-deadlock
    tst-malloc-stats-cancellation tst-malloc-tcache-leak tst-malloc-thread-exit tst-malloc-thread-fail tst-malloc-too-large tst-malloc-usable
    tst-malloc_info tst-mallocalign1 tst-mallocfork tst-mallocfork2 tst-mallocfork3 tst-mallopt tst-memalign tst-mxfast tst-obstack
    tst-posix_memalign tst-pvalloc tst-pvalloc-fortify tst-realloc tst-reallocarray tst-tcfree1 tst-tcfree2 tst-tcfree3
    tst-trim1 tst-valloc)

# The functions below are called in a condition, where `set -e` has no effect: what fails is named in the log, and the rest goes on.

# The tests use helpers of glibc's folder `support`. Those that compile outside glibc's build become a static library; the others
# need parts of glibc that are not installed, and no test of malloc uses them.
build_glibc() {
    local source=$1 into=$2 work=$2.work file name
    rm -rf "$into" "$work"
    mkdir -p "$into" "$work/include" "$work/support"

    # Headers that the tests expect from glibc's own include path. They must not bring its other internal headers along.
    ln -s "$source/include/libc-diag.h" "$source/include/array_length.h" "$source/support" "$source/malloc" "$source/test-skeleton.c" "$work/include/"
    cat >"$work/include/malloc-size.h" <<'END'
#pragma once
#include <stddef.h>
#define INTERNAL_SIZE_T size_t
#define SIZE_SZ (sizeof (INTERNAL_SIZE_T))
#define MALLOC_ALIGNMENT (2 * SIZE_SZ < __alignof__ (long double) ? __alignof__ (long double) : 2 * SIZE_SZ)
#define MALLOC_ALIGN_MASK (MALLOC_ALIGNMENT - 1)
END
    local flags=(-std=gnu11 -O2 -g -w -D_GNU_SOURCE -DTEST_NO_MALLOPT -DTIMEOUTFACTOR=1 -include limits.h -fno-builtin "-I$work/include"
        "-idirafter$source/support")

    printf '%s\0' "$source"/support/{support_,x,check,temp_file,write_message,delayed_exit,ignore_stderr,oom_error}*.c |
        xargs -0 -P "$jobs" -I '{}' sh -c '"$0" "$@" -c "{}" -o "$(basename "{}" .c).o" || true' "$cc" "${flags[@]}"
    echo 'const char support_objdir_root[] = "";' >paths.c && "$cc" -c paths.c
    mv ./*.o "$work/support/"
    ar rcs "$work/libsupport.a" "$work"/support/*.o

    for name in "${glibc_tests[@]}"; do
        file=$source/malloc/$name.c
        [[ -f $file ]] || { echo "missing: $name"; continue; }
        "$cc" "${flags[@]}" -I"$source/malloc" "$file" -o "$into/$name" "$work/libsupport.a" -pthread -ldl -lm || echo "not built: $name"
    done
    rm -rf "$work"
}

# Programs on the standard interface, and those on jemalloc's own (mallocx, mallctl), which only jemalloc runs: jemalloc-standin.c ends them
# elsewhere. smallocx is left out: it needs a build of jemalloc that exports it.
jemalloc_tests=(
    aligned_alloc allocated extent malloc mallocx overflow posix_memalign rallocx sdallocx slab_sizes thread_arena
    thread_tcache_enabled xallocx MALLOCX_ARENA)
jemalloc_cxx_tests=(basic infallible_new_false infallible_new_true)

build_jemalloc() {
    local source=$1 into=$2 work=$2.work name
    rm -rf "$into" "$work"
    mkdir -p "$into" "$work"
    cp -r "$source" "$work/tree"
    (
        cd "$work/tree"
        [[ -x configure ]] || autoconf
        ./configure
        # jemalloc's build makes this list of renamed internal functions from its objects; the helpers here keep their plain names.
        : >include/jemalloc/internal/private_namespace.h
        printf 'void (*test_hooks_arena_new_hook)(void); void (*test_hooks_libc_hook)(void);\n' >test/src/hooks.c
        local flags=(-w -O3 -fPIC -D_GNU_SOURCE -D_REENTRANT -DJEMALLOC_INTEGRATION_TEST -Iinclude -Itest/include -fno-builtin)
        local helpers=() file
        for file in hooks btalloc btalloc_0 btalloc_1 math mtx sleep SFMT test thd timer; do
            "$cc" -std=gnu11 "${flags[@]}" -c "test/src/$file.c" -o "$work/$file.o" && helpers+=("$work/$file.o")
        done
        for file in nstime malloc_io ticker; do
            [[ -f src/$file.c ]] || continue
            "$cc" -std=gnu11 "${flags[@]}" -c "src/$file.c" -o "$work/$file.o" && helpers+=("$work/$file.o")
        done

        # What jemalloc's own functions are for other libraries. The programs find it beside themselves, after any preloaded library.
        "$cc" -O2 -shared -fPIC "$here/jemalloc-standin.c" -Wl,-soname,jemalloc-standin.so -o "$into/jemalloc-standin.so"
        local link=(-Wl,-rpath,'$ORIGIN' "$into/jemalloc-standin.so" -pthread -ldl -lm)

        for name in "${jemalloc_tests[@]}"; do
            "$cc" -std=gnu11 "${flags[@]}" "test/integration/$name.c" -o "$into/$name" "${helpers[@]}" "${link[@]}" || echo "not built: $name"
        done
        for name in "${jemalloc_cxx_tests[@]}"; do
            "$cxx" -std=c++17 "${flags[@]}" "test/integration/cpp/$name.cpp" -o "$into/$name" "${helpers[@]}" "${link[@]}" || echo "not built: $name"
        done
    )
    rm -rf "$work"
}

for name in glibc jemalloc; do
    if [[ ! -d $sources/$name ]]; then
        say "$name: skipped, there is no $sources/$name"
        continue
    fi

    say "$name: building"
    folder=$(mktemp -d)
    (cd "$folder" && "build_$name" "$sources/$name" "$out/$name") >"$out/$name.log" 2>&1 || say "$name: failed, see $out/$name.log"
    rm -rf "$folder"
    say "$name: $(find "$out/$name" -type f ! -name "*.so" | wc -l) programs"
    { grep -E '^(not built|missing):' "$out/$name.log" || true; } | sed 's/^/suites: /' >&2
done
