#!/usr/bin/env bash
# Builds the allocators that `kmem bench` is compared with. PEERS.md tells what they are and where their sources come from.
#
#   bench/peers.sh SOURCES OUT
#
# SOURCES holds clones named mimalloc, snmalloc, rpmalloc, flowtide and terrafx.interop.mimalloc; whichever is missing is skipped.
# The sources are only read: everything that is built lies in OUT. Standard output is the arguments for `kmem bench`, one peer a line.
# JOBS is the number of parallel compilations, by default that of the CPUs.
set -euo pipefail

framework=net10.0
jobs=${JOBS:-$(nproc)}
status=0
arguments=()

if [[ $# -ne 2 || ! -d $1 ]]; then
    echo "usage: bench/peers.sh SOURCES OUT" >&2
    exit 2
fi

sources=$(cd "$1" && pwd)
mkdir -p "$2/build" "$2/lib" "$2/managed"
out=$(cd "$2" && pwd)

say() {
    echo "peers: $*" >&2
}

# peer NAME SOURCE FUNCTION: runs the function in the folder of the source, unless that is missing; the output goes to a log.
peer() {
    local name=$1 source=$sources/$2 log=$out/build/$1.log commit
    if [[ ! -d $source ]]; then
        say "$name: skipped, there is no $source"
        return
    fi

    commit=$(git -C "$source" describe --tags --always 2>/dev/null) || commit="no commit known"
    say "$name ($commit): building"
    if ! (cd "$source" && "$3" "$source" "$out/build/$name") >"$log" 2>&1; then
        say "$name: failed, see $log:"
        tail -n 5 "$log" >&2
        status=1
        return
    fi

    say "$name: built"
    arguments+=("$(<"$out/build/$name.argument")")
}

# The functions below are called in a condition, where `set -e` has no effect: hence the chains.

build_mimalloc() {
    local library major
    cmake -S "$1" -B "$2" -DCMAKE_BUILD_TYPE=Release -DMI_BUILD_STATIC=OFF -DMI_BUILD_OBJECT=OFF -DMI_BUILD_TESTS=OFF &&
        cmake --build "$2" --parallel "$jobs" &&
        library=$(readlink -f "$2/libmimalloc.so") &&
        major=$(basename "$library" | sed 's/.*\.so\.\([0-9]*\).*/\1/') &&
        cp "$library" "$out/lib/libmimalloc.so.$major" &&
        echo "--peer mimalloc$major=$out/lib/libmimalloc.so.$major" >"$2.argument"
}

build_snmalloc() {
    cmake -S "$1" -B "$2" -DCMAKE_BUILD_TYPE=Release -DSNMALLOC_BUILD_TESTING=OFF &&
        cmake --build "$2" --parallel "$jobs" --target snmallocshim &&
        cp "$2/libsnmallocshim.so" "$out/lib/" &&
        echo "--peer snmalloc=$out/lib/libsnmallocshim.so" >"$2.argument"
}

# The flags are those of rpmalloc's own release build, without its relaxed floating point.
build_rpmalloc() {
    local library=$out/lib/librpmallocwrap.so
    "${CC:-cc}" -std=c11 -O3 -funroll-loops -fstrict-aliasing -fPIC -fvisibility=hidden -pthread -shared \
        -D_GNU_SOURCE=1 -DNDEBUG -DENABLE_OVERRIDE=1 -o "$library" "$1/rpmalloc/rpmalloc.c" -ldl &&
        echo "--peer rpmalloc=$library" >"$2.argument"
}

build_flowtide() {
    local assembly=FlowtideDotNet.MiMalloc
    dotnet build "$1/src/$assembly" -c Release -p:TargetFrameworks=$framework --artifacts-path "$2" -m:1 -nodeReuse:false --nologo &&
        mkdir -p "$out/managed/$assembly" &&
        cp "$2/bin/$assembly/release_$framework/$assembly.dll" "$out/managed/$assembly/" &&
        echo "--managed-peer flowtide=$out/managed/$assembly/$assembly.dll:$assembly.MiMalloc" >"$2.argument"
}

# Its second package source is not always reached, which the audit of packages takes for an error; the library uses no package.
build_terrafx() {
    local assembly=TerraFX.Interop.Mimalloc
    dotnet build "$1/sources/Interop/Mimalloc" -c Release -p:TargetFrameworks=$framework -p:BaseArtifactsPath="$2/" -p:NuGetAudit=false \
        -p:TreatWarningsAsErrors=false -m:1 -nodeReuse:false --nologo &&
        mkdir -p "$out/managed/$assembly" &&
        cp "$2/bin/sources/$assembly/Release/$framework/$assembly.dll" "$out/managed/$assembly/" &&
        echo "--managed-peer terrafx=$out/managed/$assembly/$assembly.dll:$assembly.Mimalloc" >"$2.argument"
}

# installed NAME SONAME PACKAGE: a library that the system has.
installed() {
    local path
    path=$(PATH=$PATH:/usr/sbin:/sbin ldconfig -p | awk -v name="$2" '$1 == name { print $NF; exit }')
    if [[ -z $path ]]; then
        say "$1: skipped, there is no $2 (Debian's package is $3)"
    elif [[ " ${arguments[*]} " == *" $1="* ]]; then
        say "$1: the one built is taken, not $path"
    else
        say "$1: found $path"
        arguments+=("--peer $1=$path")
    fi
}

peer mimalloc mimalloc build_mimalloc
peer snmalloc snmalloc build_snmalloc
peer rpmalloc rpmalloc build_rpmalloc
peer flowtide flowtide build_flowtide
peer terrafx terrafx.interop.mimalloc build_terrafx
installed mimalloc2 libmimalloc.so.2 libmimalloc2.0
installed jemalloc libjemalloc.so.2 libjemalloc2
installed tcmalloc libtcmalloc_minimal.so.4 libtcmalloc-minimal4

if [[ ${#arguments[@]} -gt 0 ]]; then
    printf '%s\n' "${arguments[@]}"
fi

exit $status
