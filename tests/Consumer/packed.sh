#!/usr/bin/env bash
# A user's programs on the packages: tests/Consumer/Aot (Kmem alone) and tests/Consumer/Web (all three, with Kestrel) in fresh projects outside of the repository, which restore the packed
# packages from a folder. Each is published for the JIT, trimmed, and ahead of time, and run; all must print the same. A warning of compiler, trimmer or linker is a failure.
#
# packed.sh [--quick] [FEED [KEEP]]: with --quick under the JIT only; FEED has the packages, packed here where it is left out or empty; what was published is copied into KEEP.
# The last line is "passed", "skipped: …" where the SDK's packages or a linker cannot be had, or "failed: …"; the exit codes are 0, 77 and 1.
set -uo pipefail
cd "$(dirname "$0")/../.."

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_UI_LANGUAGE=en MSBUILDDISABLENODEREUSE=1 DOTNET_CLI_USE_MSBUILD_SERVER=0
unset "${!KMEM_@}"
readonly REPOSITORY=$PWD
readonly PACKAGES="Kmem Kmem.Extensions Kmem.AspNetCore"
quick=""
[ "${1:-}" != --quick ] || { quick=yes; shift; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

skip() { echo "skipped: $1"; exit 77; }
fail() { echo "failed: $1"; exit 1; }

rid=$(dotnet --info | sed -n 's/^ *RID: *//p' | head -n 1)
case $rid in *-arm64) rid=linux-arm64 ;; *) rid=linux-x64 ;; esac

linker=clang
command -v clang >/dev/null || linker=gcc
if [ -z "$quick" ]; then
    command -v "$linker" >/dev/null || skip "no linker for NativeAOT: neither clang nor gcc is here (Debian: apt-get install gcc libc6-dev)"
    echo 'int main(void) { return 0; }' | "$linker" -x c - -o "$work/linked" 2>"$work/link.log" || { cat "$work/link.log"; skip "$linker cannot link a program (Debian: apt-get install libc6-dev)"; }
fi

# ------------------------------------------------------------------ the packages, and who may have which

feed=${1:-}
if [ -z "$feed" ]; then
    feed=$work/feed
    for package in $PACKAGES; do
        dotnet pack "src/$package" -c Release -o "$feed" --nologo >"$work/pack.log" 2>&1 || { cat "$work/pack.log"; fail "pack $package"; }
    done
fi
version=$(basename "$feed"/Kmem.[0-9]*.nupkg .nupkg)
version=${version#Kmem.}

# Packages of Kmem come from the feed only, in this very version; all others from where this machine has them from. What it has already is used, unless it has a Kmem too.
other=$(dotnet nuget locals global-packages --list | sed -n 's/^global-packages: //p')
known=""
[ -e "$other/kmem/$version" ] || known="<add key=\"known\" value=\"$other\" />"
mapped=$(dotnet nuget list source | sed -n 's/^ *[0-9][0-9]*\.  *\(.*\) \[Enabled\]$/<packageSource key="\1"><package pattern="*" \/><\/packageSource>/p')
cat >"$work/nuget.config" <<END
<configuration>
  <config><add key="globalPackagesFolder" value="$work/cache" /></config>
  <fallbackPackageFolders>$known</fallbackPackageFolders>
  <packageSources><add key="packed" value="$feed" /></packageSources>
  <packageSourceMapping>
    <packageSource key="packed"><package pattern="Kmem" /><package pattern="Kmem.*" /></packageSource>
    $mapped
  </packageSourceMapping>
</configuration>
END

# project NAME SDK PACKAGE...: a user's project with the program of tests/Consumer/NAME.
project() {
    local name=$1 sdk=$2 references="" package
    shift 2
    for package in "$@"; do
        references+="<PackageReference Include=\"$package\" Version=\"[$version]\" />"
    done
    mkdir "$work/$name"
    cp "$REPOSITORY/tests/Consumer/$name/Program.cs" "$work/$name/"
    cat >"$work/$name/User.csproj" <<END
<Project Sdk="$sdk">
  <PropertyGroup>
    <OutputType>Exe</OutputType>
    <TargetFramework>net10.0</TargetFramework>
    <Nullable>enable</Nullable>
    <AllowUnsafeBlocks>true</AllowUnsafeBlocks>
    <InvariantGlobalization>true</InvariantGlobalization>
    <TreatWarningsAsErrors>true</TreatWarningsAsErrors>
    <TrimmerSingleWarn>false</TrimmerSingleWarn>
    <CppCompilerAndLinker>$linker</CppCompilerAndLinker>
  </PropertyGroup>
  <ItemGroup>$references</ItemGroup>
</Project>
END
}

# publish NAME KIND PROPERTY...: into $work/NAME-KIND, and what it prints into $work/NAME-KIND.out.
publish() {
    local name=$1 run=$1-$2 start=$SECONDS
    shift 2
    echo "== $run: $*"
    if ! timeout 300 dotnet publish "$work/$name/User.csproj" -c Release -r "$rid" --artifacts-path "$work/build-$run" -o "$work/$run" "$@" >"$work/$run.log" 2>&1; then
        cat "$work/$run.log"
        grep -qE 'NU1101|NU1102|NU1301|NU1302' "$work/$run.log" && ! grep -qE "NU110[12].*Kmem" "$work/$run.log" && skip "the SDK's packages for $rid cannot be had"
        # An SDK that a distribution built links the system's libraries; Microsoft's brings them along.
        missing=$(grep -oE '(cannot find|unable to find library) -l[a-z]+' "$work/$run.log" | head -n 1)
        [ -z "$missing" ] || skip "the linker: $missing (-lz is in Debian's zlib1g-dev)"
        fail "$run: publish"
    fi
    ! grep -qE 'warning|IL[23][0-9]{3}' "$work/$run.log" || { cat "$work/$run.log"; fail "$run: warnings"; }
    (cd "$work/$run" && timeout 60 ./User) >"$work/$run.out" 2>&1 || { cat "$work/$run.out"; fail "$run: run"; }
    echo "== $run: $((SECONDS - start)) s, $(du -sm "$work/$run" | cut -f 1) MB"
}

# same NAME KIND [LINE]: as under the JIT; LINE is the beginning of lines that may differ.
same() {
    diff <(grep -v "^${3:-no such line}" "$work/$1-jit.out") <(grep -v "^${3:-no such line}" "$work/$1-$2.out") >"$work/diff" || { cat "$work/diff"; fail "$1-$2: prints something else than under the JIT"; }
}

# expect NAME LINE: the program printed the line.
expect() { grep -qxF "$2" "$work/$1.out" || { cat "$work/$1.out"; fail "$1: no line '$2'"; }; }

project Aot Microsoft.NET.Sdk Kmem
project Web Microsoft.NET.Sdk.Web $PACKAGES
readonly ASKED="-p:EventSourceSupport=true -p:MetricsSupport=true"
for name in Aot Web; do
    publish $name jit --self-contained false
    cat "$work/$name-jit.out"
    [ -z "$quick" ] || continue
    publish $name trimmed -p:PublishTrimmed=true --self-contained true $ASKED
    publish $name aot -p:PublishAot=true $ASKED
    same $name trimmed
    same $name aot
done
if [ -z "$quick" ]; then
    publish Aot plain -p:PublishAot=true
    same Aot plain "event source"
fi

expect Aot-jit "cache: 1 live, True"
expect Aot-jit "safe: 4096 bytes, 42"
expect Aot-jit "object cache: used again, 0 characters"
expect Aot-jit "report: InteriorPointer"
expect Aot-jit "meter: 26 instruments, 2 live"
expect Aot-jit "spans: kmem.trim, kmem.validate"
expect Aot-jit "event source: there"
expect Web-jit "health: Healthy"
expect Web-jit "answer: 1000000 characters, -1"
expect Web-jit "heap: server, Quarantine, 00:00:05, within its limit"
expect Web-jit "kestrel: rents from kestrel"
expect Web-jit "returned: all"
if [ $# -ge 2 ]; then
    for folder in "$work"/{Aot,Web}-{jit,trimmed,aot,plain}; do
        [ ! -d "$folder" ] || cp -r "$folder" "$2"/
    done
fi
echo passed
