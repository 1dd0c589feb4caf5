#!/usr/bin/env bash
# Publishes tests/Consumer/Aot ahead of time and trimmed, with and without EventSourceSupport, and runs each. A warning of compiler, trimmer or linker is a failure.
# The last line is "passed", "skipped: …" where the packages or a linker cannot be had, or "failed: …"; the exit codes are 0, 77 and 1.
set -uo pipefail
cd "$(dirname "$0")/../.."

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_UI_LANGUAGE=en
readonly PROJECT=tests/Consumer/Aot/Aot.csproj
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

skip() { echo "skipped: $1"; exit 77; }
fail() { echo "failed: $1"; exit 1; }

rid=$(dotnet --info | sed -n 's/^ *RID: *//p' | head -n 1)
case $rid in *-arm64) rid=linux-arm64 ;; *) rid=linux-x64 ;; esac

linker=clang
command -v clang >/dev/null || linker=gcc
command -v "$linker" >/dev/null || skip "no linker: neither clang nor gcc"

# publish NAME PROPERTY...: into $work/NAME.
publish() {
    local name=$1
    shift
    echo "== $name: $*"
    if ! timeout 300 dotnet restore "$PROJECT" -r "$rid" --artifacts-path "$work/build-$name" "$@" >"$work/$name.log" 2>&1; then
        grep -qE 'NU1101|NU1102|NU1301|NU1302' "$work/$name.log" && { tail -n 3 "$work/$name.log"; skip "the packages for $rid cannot be had"; }
        cat "$work/$name.log"
        fail "$name: restore"
    fi
    timeout 600 dotnet publish "$PROJECT" -c Release -r "$rid" --no-restore --artifacts-path "$work/build-$name" -o "$work/$name" "$@" >"$work/$name.log" 2>&1 || { cat "$work/$name.log"; fail "$name: publish"; }
    ! grep -qE 'warning|IL[23][0-9]{3}' "$work/$name.log" || { cat "$work/$name.log"; fail "$name: warnings"; }
    timeout 60 "$work/$name/Kmem.Tests.Aot" >"$work/$name.out" 2>&1 || { cat "$work/$name.out"; fail "$name: run"; }
    cat "$work/$name.out"
}

# expect NAME LINE: the program printed the line.
expect() { grep -qxF "$2" "$work/$1.out" || fail "$1: no line '$2'"; }

aot="-p:PublishAot=true -p:CppCompilerAndLinker=$linker"
publish aot $aot
publish aot-events $aot -p:EventSourceSupport=true -p:MetricsSupport=true
publish trimmed -p:PublishTrimmed=true -p:SelfContained=true -p:EventSourceSupport=true -p:MetricsSupport=true

for name in aot aot-events trimmed; do
    expect "$name" "cache: 1 live, True"
    expect "$name" "report: InteriorPointer"
    expect "$name" "spans: kmem.trim, kmem.validate"
done
for name in aot-events trimmed; do
    expect "$name" "meter: 21 instruments, 2 live"
    expect "$name" "event source: there"
done
# Kept for who wants to attach: aot.sh DIR
[ $# -eq 0 ] || cp -r "$work"/aot "$work"/aot-events "$work"/trimmed "$1"/
echo passed
