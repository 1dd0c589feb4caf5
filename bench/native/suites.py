#!/usr/bin/env python3
"""Runs the field's test programs on malloc libraries: each program with the library preloaded, with a time limit.

    bench/native/suites.py --programs DIR --library PATH [--library NAME=PATH ...] [--suite NAME ...] [--only WORD] [--json FILE] [--markdown]

DIR holds one folder of programs for each suite; README.md tells how they get there. The library `glibc` is no library at all: the program
as it is. Standard output has one line for each program and library: pass, fail or skip, and why. The exit status is 0 when everything ran,
whatever the results were: they are compared, not demanded.

A suite's *judge* looks at how a program ended and says pass, fail or skip. The judges differ, since the suites do: glibc's programs say all with
their exit status, and those of `security` and `hardened` misuse memory on purpose and should be stopped.
"""

import argparse
import collections
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PASS, FAIL, SKIP = "pass", "fail", "skip"
SKIP_STATUS = 77  # what automake, glibc and the stand-ins of this folder mean by skipped

# How a program ended: its status as subprocess has it (negative: a signal), None after the time limit. `missing` names the functions that a
# stand-in was called for, by the program or a child of it.
Ended = collections.namedtuple("Ended", "status output errors missing")

# What is run: the program, its arguments, variables for its environment, seconds, and the judge. `internal` is a symbol of a library's inside that the
# program looks into: without it the program would read something else's memory, and is skipped.
Case = collections.namedtuple("Case", "name arguments environment limit judge internal", defaults=(None,))


def signal_name(status):
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def how(ended):
    """One short phrase for the way a program ended, with the last words that it said."""
    if ended.status is None:
        return "ran into the time limit"
    phrase = f"exit {ended.status}" if ended.status >= 0 else signal_name(ended.status)
    said = [line.strip() for line in (ended.errors or ended.output).splitlines() if line.strip()]
    return f"{phrase}: {said[-1][:120]}" if said else phrase


def missing(ended):
    """The reason to skip, if the program needs a function that the library lacks."""
    match = re.search(r"undefined symbol: (\w+)", ended.errors)
    if ended.status == 127 and match:
        return f"needs {match[1]}"
    if ended.status != 0 and ended.missing:
        return "needs " + " ".join(ended.missing)
    if ended.status == SKIP_STATUS:
        said = ended.errors.strip().splitlines() or ended.output.strip().splitlines()
        return said[-1][:120] if said else "the program says that it does not apply"
    return None


def judge_exit(ended):
    """Exit status 0 passes."""
    reason = missing(ended)
    if reason:
        return SKIP, reason
    return (PASS, "") if ended.status == 0 else (FAIL, how(ended))


def judge_jemalloc(ended):
    """0 passes, 1 means that cases were skipped, 2 that one failed; the last line has the counts."""
    reason = missing(ended)
    if reason:
        return SKIP, reason
    counts = re.search(r"--- pass: (\d+)/\d+, skip: (\d+)/\d+, fail: (\d+)/\d+ ---", ended.output + ended.errors)
    if counts is None or ended.status not in (0, 1, 2):
        return FAIL, how(ended)
    passed, skipped, failed = (int(count) for count in counts.groups())
    if failed:
        return FAIL, f"{failed} of {passed + skipped + failed} cases"
    if passed == 0:
        return SKIP, "all cases skipped"
    return PASS, f"{skipped} cases skipped" if skipped else ""


def judge_umem(ended):
    """Exit status 0 passes. Those on the munit framework also say how many of their cases passed."""
    verdict, reason = judge_exit(ended)
    counts = re.search(r"(\d+) of (\d+) \(\d+%\) tests successful", ended.output)
    partly = f"{counts[1]} of {counts[2]} cases pass" if counts else ""
    if partly and verdict == SKIP:
        return SKIP, f"{reason}; {partly}"
    return verdict, partly or reason if verdict == FAIL else reason


def judge_security(ended):
    """A program that gets as far as printing NOT_CAUGHT and ends well got through. One that dies after it counts for neither side."""
    if "NOT_CAUGHT" not in ended.output:
        return PASS, "timeout" if ended.status is None else how(ended._replace(output=""))
    if ended.status is None:
        return FAIL, "late timeout"
    return FAIL, "gets through" if ended.status == 0 else f"late crash, {how(ended._replace(output=''))}"


def judge_stopped(ended):
    """The program misuses memory: a signal must end it."""
    reason = missing(ended)
    if reason:
        return SKIP, reason
    if ended.status is None:
        return FAIL, how(ended)
    if ended.status < 0:
        return PASS, how(ended)
    return FAIL, "not stopped" if ended.status in (0, 1) else how(ended)


def programs_in(folder):
    return sorted(name for name in os.listdir(folder)
                  if os.path.isfile(os.path.join(folder, name)) and os.access(os.path.join(folder, name), os.X_OK) and not name.endswith(".so"))


def glibc_cases(folder):
    environment = {"tst-mxfast": {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0"}}
    return [Case(name, [], environment.get(name, {}), 120, judge_exit) for name in programs_in(folder)]


def jemalloc_cases(folder):
    # From the .sh files beside the tests; other libraries ignore the variable.
    settings = {"slab_sizes": "slab_sizes:1-4096:17|100-200:1|128-128:2", "infallible_new_true": "experimental_infallible_new:true",
                "infallible_new_false": "experimental_infallible_new:false", "xallocx": "junk:false", "extent": "junk:false"}
    return [Case(name, [], {"MALLOC_CONF": settings[name]} if name in settings else {}, 120, judge_jemalloc) for name in programs_in(folder)]


# hardened_malloc's programs that do nothing wrong, or whose misuse should do no harm: they must end with 0. The others must be stopped.
HARDENED_HARMLESS = {
    "aligned_sized_delete_large", "aligned_sized_delete_small", "aligned_sized_delete_small_min_align", "calloc_overflow", "calloc_zeroed",
    "free_sized_large", "free_sized_small", "impossibly_large_malloc", "large_array_growth", "mallinfo", "mallinfo2", "malloc_info",
    "malloc_noreuse", "malloc_object_size", "malloc_object_size_offset", "malloc_object_size_zero", "malloc_zero_different", "offset",
    "read_after_free_small", "realloc_init", "uninitialized_read_large", "uninitialized_read_small"}


def judge_string_overflow(ended):
    """The string of 16 bytes has no end of its own: a zero must follow it."""
    if ended.status == 0 and ended.output == "overflow by 0 bytes\n":
        return PASS, ""
    return FAIL, how(ended)


def hardened_cases(folder):
    def judge(name):
        if name == "string_overflow":
            return judge_string_overflow
        return judge_exit if name in HARDENED_HARMLESS else judge_stopped

    return [Case(name, [], {}, 30, judge(name)) for name in programs_in(folder)]


def umem_cases(folder):
    arguments = {
        "stress_concurrency_oracle": ["--threads=8", "--iters=50000", "--size-class=mixed", "--pattern=all"],
        "stress_main": ["-d", "5"],
        "introspect_churn": ["5"],
    }
    # The first two read fields of libumem's caches, the third its settings.
    internal = {"test_depot_consistency": "umem_magazine_tuning", "test_umem_stats": "umem_magazine_tuning", "test_envvar": "umem_content_maxsave"}
    return [Case(name, arguments.get(name, []), {}, 120, judge_umem, internal.get(name)) for name in programs_in(folder) if name != "umem_env_helper"]


def security_cases(folder):
    # Upstream allows a second; a busy machine needs more, and no program changes its result by it.
    return [Case(name, [], {}, 10, judge_security) for name in programs_in(folder)]


SUITES = {"glibc": glibc_cases, "jemalloc": jemalloc_cases, "hardened": hardened_cases, "umem": umem_cases, "security": security_cases}


def has_symbol(library, symbol):
    """Whether the library has the symbol, by the name in its string table."""
    for path in library.split(":") if library else []:
        with open(path, "rb") as file:
            if b"\0" + symbol.encode() + b"\0" in file.read():
                return True
    return False


def prepare_child():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(folder, case, library):
    environment = dict(os.environ, **case.environment)
    environment.pop("LD_PRELOAD", None)
    if library is not None:
        environment["LD_PRELOAD"] = library

    # A folder of its own for what a program writes, and a session of its own, so that its children end with it.
    place = tempfile.mkdtemp(prefix="suites-")
    environment["SUITES_MISSING"] = os.path.join(place, ".missing")
    try:
        with open(os.path.join(place, ".output"), "w+b") as output, open(os.path.join(place, ".errors"), "w+b") as errors:
            child = subprocess.Popen([os.path.join(folder, case.name)] + case.arguments, cwd=place, env=environment, stdin=subprocess.DEVNULL,
                                     stdout=output, stderr=errors, start_new_session=True, preexec_fn=prepare_child)
            try:
                status = child.wait(case.limit)
            except subprocess.TimeoutExpired:
                status = None
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()

            def text(file):
                file.seek(0)
                return file.read().decode(errors="replace")

            missing_names = []
            if os.path.exists(environment["SUITES_MISSING"]):
                with open(environment["SUITES_MISSING"]) as file:
                    missing_names = sorted(set(file.read().split()))
            return Ended(status, text(output), text(errors), missing_names)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def parse_library(argument):
    """`PATH`, `NAME=PATH` or `glibc`. A library that ld.so cannot load is an error here: ld.so only warns, and glibc would be tested."""
    name, separator, path = argument.rpartition("=")
    if path == "glibc":
        return name or "glibc", None
    paths = [os.path.abspath(part) for part in path.split(":")]
    for part in paths:
        if not os.path.isfile(part):
            raise SystemExit(f"suites: there is no {part}")
    path = ":".join(paths)
    tried = subprocess.run(["/bin/true"], env=dict(os.environ, LD_PRELOAD=path), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if tried.returncode != 0 or "cannot be preloaded" in tried.stderr:
        raise SystemExit(f"suites: {path} does not load: {tried.stderr.strip() or tried.returncode}")
    return name or os.path.basename(path), path


def summary_table(results, libraries, suites, markdown):
    """A row for each suite: passed of those that were not skipped, and for `security` what got through."""
    def cell(suite, library):
        verdicts = collections.Counter(result["verdict"] for result in results if result["suite"] == suite and result["library"] == library)
        if suite == "security":
            through = sum(1 for r in results if r["suite"] == suite and r["library"] == library and r["reason"] == "gets through")
            return f"{through} of {sum(verdicts.values())} get through"
        return f"{verdicts[PASS]} of {verdicts[PASS] + verdicts[FAIL]}" + (f", {verdicts[SKIP]} skipped" if verdicts[SKIP] else "")

    names = [name for name, _ in libraries]
    rows = [["suite"] + names] + [[suite] + [cell(suite, name) for name in names] for suite in suites]
    if markdown:
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        lines.insert(1, "|" + "---|" * len(rows[0]))
        return "\n".join(lines)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows)


def differences_table(results, libraries, suites):
    """Markdown: each program of which not all libraries think alike, or that fails with all."""
    names = [name for name, _ in libraries]
    lines = ["| suite | program | " + " | ".join(names) + " |", "|" + "---|" * (len(names) + 2)]
    by_program = collections.OrderedDict()
    for result in results:
        by_program.setdefault((result["suite"], result["program"]), {})[result["library"]] = result
    for (suite, program), found in by_program.items():
        if suite in suites and any(found[name]["verdict"] != PASS for name in names):
            cells = [found[name]["verdict"] + (f" ({found[name]['reason']})" if found[name]["reason"] and found[name]["verdict"] != PASS else "")
                     for name in names]
            lines.append(f"| {suite} | {program} | " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="Runs test programs of other projects on malloc libraries.")
    parser.add_argument("--programs", required=True, metavar="DIR", help="the folder with a folder of programs for each suite")
    parser.add_argument("--library", action="append", required=True, metavar="[NAME=]PATH", help="a library to preload, or glibc; may be repeated")
    parser.add_argument("--suite", action="append", choices=list(SUITES), help="only this suite; may be repeated")
    parser.add_argument("--only", metavar="WORD", help="only the programs whose name contains the word")
    parser.add_argument("--json", metavar="FILE", help="write all results there")
    parser.add_argument("--markdown", action="store_true", help="end with tables in Markdown")
    options = parser.parse_args()

    libraries = [parse_library(argument) for argument in options.library]
    suites = [suite for suite in (options.suite or SUITES) if os.path.isdir(os.path.join(options.programs, suite))]
    for suite in options.suite or SUITES:
        if suite not in suites:
            print(f"suites: {suite} left out, there is no {os.path.join(options.programs, suite)}", file=sys.stderr)

    results = []
    for suite in suites:
        folder = os.path.abspath(os.path.join(options.programs, suite))
        for case in SUITES[suite](folder):
            if options.only and options.only not in case.name:
                continue
            for name, path in libraries:
                begun = time.monotonic()
                if case.internal is not None and not has_symbol(path, case.internal):
                    ended, verdict, reason = Ended(None, "", "", []), SKIP, f"looks into a library with {case.internal}"
                else:
                    ended = run(folder, case, path)
                    verdict, reason = case.judge(ended)
                seconds = time.monotonic() - begun
                results.append({"suite": suite, "program": case.name, "library": name, "verdict": verdict, "reason": reason,
                                "status": ended.status, "seconds": round(seconds, 2)})
                print(f"{verdict:4}  {suite:8}  {case.name:40}  {name:12}  {reason}".rstrip(), flush=True)

    print()
    print(summary_table(results, libraries, suites, options.markdown))
    if options.markdown:
        print()
        print(differences_table(results, libraries, suites))
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"libraries": dict(libraries), "results": results}, file, indent=1)


if __name__ == "__main__":
    main()
