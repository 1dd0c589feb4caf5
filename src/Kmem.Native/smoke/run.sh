#!/usr/bin/env bash
# Builds libkmem.so and runs the C program on it, once with each front end.
set -euo pipefail
cd "$(dirname "$0")/.."

dotnet build -c Release -p:NativeLibrary=true
out=bin/Release/net10.0
cc -O2 -Wall -pthread -o "$out/smoke" smoke/smoke.c -L"$out" -lkmem -Wl,-rpath,'$ORIGIN'
"$out/smoke" 1
"$out/smoke" 0
