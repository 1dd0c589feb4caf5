#!/usr/bin/env bash
# The real programs under the library with the sizes for a thorough look: a million rows, 20,000 commits, whole test modules, a million requests.
# Takes some minutes. Arguments go to the test program: long.sh --filter-class '*SqliteTests'
set -euo pipefail
cd "$(dirname "$0")/../.."

dotnet build -c Release src/Kmem.Native
if [ $# -eq 0 ]; then
    set -- --filter-namespace Kmem.Tests.Native.Real
fi
KMEM_LONG=1 dotnet test -c Release --project tests/Native -- "$@"
