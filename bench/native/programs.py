#!/usr/bin/env python3
"""Times the benchmark programs of mimalloc-bench with malloc libraries that take turns, and compares them.

    bench/native/programs.py --programs DIR --library NAME=PATH [--library ...] --turns N [--only WORD] [--against NAME] [--json FILE]
    bench/native/programs.py --load FILE

DIR holds the programs; README.md tells how they get there. The library `glibc` is no library at all. In each turn each library runs a program once,
in an order that rotates from turn to turn, before the next program begins: a busy minute of the machine hits all libraries.

A figure is the median of the turns, with the lowest and the highest. Peak memory and page faults are those of the process as the
kernel counted them (wait4, by GNU time). Most programs do a fixed amount of work, and their time is the wall time of the process. larson, xmalloc-test and
glibc-thread run for a fixed time instead, and rptest measures itself; their time is that for a fixed amount of work, from what they print, as
mimalloc-bench computes it. So less is better everywhere, and all ratios read alike.
"""

import argparse
import json
import math
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from suites import parse_library

LIMIT = 300  # seconds for one run

# GNU time starts the program and tells its usage. It must be a small process that does so: the kernel counts the memory of a process from before
# it became the program, so the peak of a child of Python would be at least Python's own.
TIME = shutil.which("time")

# The programs with the arguments that bench.sh of mimalloc-bench gives them on a machine with two CPUs, and how to get a time from what a
# program prints, where its wall time says nothing: a pattern and what one has to compute from its number. `{data}` is the folder with the inputs.
TWO = "2"
PROGRAMS = [
    # name, program, arguments, standard input, (pattern, seconds from its number, what the number is)
    ("cfrac", "cfrac", ["17545186520507317056371138836327483792789528"], None, None),
    ("espresso", "espresso", ["{data}/largest.espresso"], None, None),
    ("barnes", "barnes", [], "{data}/barnes.input", None),
    ("alloc-test1", "alloc-test", ["1"], None, None),
    ("alloc-testN", "alloc-test", [TWO], None, None),
    ("larsonN", "larson", ["5", "8", "1000", "5000", "100", "4141", TWO], None, (r" time: ([0-9.]+)", lambda number: number, "relative time")),
    ("larsonN-sized", "larson-sized", ["5", "8", "1000", "5000", "100", "4141", TWO], None,
     (r" time: ([0-9.]+)", lambda number: number, "relative time")),
    ("sh6benchN", "sh6bench", ["4"], None, None),
    ("sh8benchN", "sh8bench", ["4"], None, None),
    ("xmalloc-testN", "xmalloc-test", ["-w", TWO, "-t", "5", "-s", "64"], None, (r"rtime: ([0-9.]+)", lambda number: number, "relative time")),
    ("cache-scratch1", "cache-scratch", ["1", "1000", "1", "2000000", TWO], None, None),
    ("cache-scratchN", "cache-scratch", [TWO, "1000", "1", "2000000", TWO], None, None),
    ("cache-thrash1", "cache-thrash", ["1", "1000", "1", "2000000", TWO], None, None),
    ("cache-thrashN", "cache-thrash", [TWO, "1000", "1", "2000000", TWO], None, None),
    ("glibc-simple", "glibc-simple", [], None, None),
    ("glibc-thread", "glibc-thread", [TWO], None, (r"([0-9.]+) iterations", lambda number: 1e9 / number, "seconds for 10^9 iterations")),
    ("rptestN", "rptest", [TWO, "0", "1", "2", "500", "1000", "100", "8", "16000"], None,
     (r"\.\.\.([0-9]+) memory ops", lambda number: 2e6 / number, "CPU seconds for 2,000,000 operations")),
    ("mstressN", "mstress", [TWO, "50", "25"], None, None),
    ("mleak10", "mleak", ["5"], None, None),
    ("mleak100", "mleak", ["50"], None, None),
    ("malloc-large", "malloc-large", [], None, None),
]


def input_path(standard_input, data):
    return standard_input.format(data=data) if standard_input else os.devnull


def run(folder, data, program, library):
    """Runs the program once; returns its figures, or why there are none."""
    _, name, arguments, standard_input, printed = program
    environment = dict(os.environ)
    environment.pop("LD_PRELOAD", None)
    place = tempfile.mkdtemp(prefix="programs-")
    try:
        output_path, usage_path = os.path.join(place, ".output"), os.path.join(place, ".usage")
        command = [TIME, "-q", "-o", usage_path, "-f", "%M %F %R %U %S", "env"] + ([f"LD_PRELOAD={library}"] if library else [])
        command += [os.path.join(folder, name)] + [argument.format(data=data) for argument in arguments]
        with open(input_path(standard_input, data), "rb") as program_input, open(output_path, "wb") as output_file:
            begun = time.perf_counter()
            child = subprocess.Popen(command, cwd=place, env=environment, stdin=program_input, stdout=output_file, stderr=output_file,
                                     start_new_session=True)
            try:
                status = child.wait(LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                return {"failed": f"ran into the limit of {LIMIT} seconds"}
            wall = time.perf_counter() - begun

        with open(output_path, errors="replace") as file:
            output = file.read()
        if status != 0:
            said = output.strip().splitlines()
            how = f"signal {status - 128}" if status > 128 else f"exit {status}"
            return {"failed": how + (f": {said[-1][:100]}" if said else "")}
        with open(usage_path) as file:
            peak, major, minor, user, system = file.read().split()
    finally:
        shutil.rmtree(place, ignore_errors=True)

    figures = {"wall": wall, "time": wall, "rss": int(peak), "user": float(user), "system": float(system), "faults": int(major) + int(minor)}
    if printed is not None:
        pattern, seconds, _ = printed
        match = re.search(pattern, output)
        if match is None or float(match[1]) == 0:
            return {"failed": "printed no result"}
        figures["time"] = seconds(float(match[1]))
    return figures


def figure(runs, what):
    values = [one[what] for one in runs if "failed" not in one]
    return (statistics.median(values), min(values), max(values)) if values else None


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else float("nan")


def table(rows):
    rows = [[str(cell) for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---" + "|--:" * (len(rows[0]) - 1) + "|")
    return "\n".join(lines)


def report(found, against, memory_peers):
    """All tables, in Markdown. `found` has a list of runs for each program and library."""
    names = found["libraries"]
    programs = [name for name in found["runs"] if any(figure(found["runs"][name][library], "time") for library in names)]
    parts = []

    def cells(what, form):
        for program in programs:
            row = [program]
            for library in names:
                runs = found["runs"][program][library]
                middle = figure(runs, what)
                failures = [one["failed"] for one in runs if "failed" in one]
                row.append(form(middle) if middle and not failures else f"failed: {failures[0]}" if failures else "")
            yield row

    def spread(digits, scale=1.0):
        return lambda three: "{0:.{3}f} ({1:.{3}f}–{2:.{3}f})".format(*(value * scale for value in three), digits)

    parts.append("Time in seconds: median (lowest–highest)\n\n" + table([["program"] + names] + list(cells("time", spread(3)))))
    parts.append("Peak resident memory in MiB\n\n" + table([["program"] + names] + list(cells("rss", spread(1, 1 / 1024)))))
    parts.append("Page faults in thousands\n\n" + table([["program"] + names] + list(cells("faults", spread(1, 1 / 1000)))))

    def value(program, library, what):
        runs = found["runs"][program][library]
        three = figure(runs, what)
        return None if three is None or any("failed" in one for one in runs) else three[0]

    def ratios(what, base):
        """Rows of ratios over `base`, a function of the program, and their geometric mean over the programs that all libraries ran."""
        rows, columns = [], {library: [] for library in names}
        for program in programs:
            below = base(program)
            over = {library: value(program, library, what) for library in names}
            rows.append([program] + [f"{over[library] / below:.2f}" if over[library] is not None and below else "" for library in names])
            if below and all(over[library] is not None for library in names):
                for library in names:
                    columns[library].append(over[library] / below)
        count = len(columns[names[0]])
        rows.append([f"geometric mean of {count}"] + [f"{geometric_mean(columns[library]):.3f}" for library in names])
        return rows

    if against in names:
        parts.append(f"Time over that of {against}\n\n" + table([["program"] + names] + ratios("time", lambda program: value(program, against, "time"))))

    peers = [name for name in memory_peers if name in names]
    if peers:
        whole = [program for program in programs if all(value(program, library, "rss") is not None for library in names)]
        means = {peer: geometric_mean([value(program, peer, "rss") for program in whole]) for peer in peers}
        smallest = min(means, key=means.get)
        parts.append(f"Peak resident memory over that of {smallest}, whose geometric mean is the smallest of {', '.join(peers)}\n\n" +
                     table([["program"] + names] + ratios("rss", lambda program: value(program, smallest, "rss"))))

        def best(program):
            values = [value(program, peer, "rss") for peer in peers]
            return min((one for one in values if one is not None), default=None)

        parts.append(f"Peak resident memory over the smallest of {', '.join(peers)} in each program\n\n" +
                     table([["program"] + names] + ratios("rss", best)))

    printed = [f"{name} ({of[2]})" for name, _, _, _, of in PROGRAMS if of is not None and name in programs]
    if printed:
        parts.append("The time of these is made from what they print: " + ", ".join(printed) + ".")
    return "\n\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description="Times the programs of mimalloc-bench with malloc libraries that take turns.")
    parser.add_argument("--programs", metavar="DIR", help="the folder with the programs")
    parser.add_argument("--data", metavar="DIR", help="the folder with largest.espresso and barnes.input, by default that of the programs")
    parser.add_argument("--library", action="append", metavar="NAME=PATH", help="a library to preload, or glibc; may be repeated")
    parser.add_argument("--turns", type=int, default=3, help="how often each library runs each program, by default 3")
    parser.add_argument("--only", action="append", metavar="WORD", help="only the programs whose name contains the word; may be repeated")
    parser.add_argument("--against", default="mimalloc3", metavar="NAME", help="the library whose time the ratios are over, by default mimalloc3")
    parser.add_argument("--memory-peers", default="mimalloc3,jemalloc,tcmalloc,snmalloc", metavar="NAMES",
                        help="the libraries of which the smallest peak memory is taken")
    parser.add_argument("--json", metavar="FILE", help="write every run there")
    parser.add_argument("--load", metavar="FILE", help="show such a file again and run nothing")
    options = parser.parse_args()

    if options.load:
        with open(options.load) as file:
            print(report(json.load(file), options.against, options.memory_peers.split(",")))
        return
    if not options.programs or not options.library or options.turns < 1:
        parser.error("--programs, at least one --library and --turns of at least 1, or --load")

    if TIME is None:
        raise SystemExit("programs: there is no GNU time (Debian's package is time)")

    libraries = [parse_library(argument) for argument in options.library]
    folder = os.path.abspath(options.programs)
    data = os.path.abspath(options.data) if options.data else folder
    found = {"libraries": [name for name, _ in libraries], "paths": dict(libraries), "turns": options.turns, "runs": {}}
    for program in PROGRAMS:
        if options.only and not any(word in program[0] for word in options.only):
            continue
        if not os.access(os.path.join(folder, program[1]), os.X_OK):
            print(f"programs: {program[0]} left out, there is no {os.path.join(folder, program[1])}", file=sys.stderr)
            continue
        runs = found["runs"][program[0]] = {name: [] for name, _ in libraries}
        for turn in range(options.turns):
            for index in range(len(libraries)):
                name, path = libraries[(index + turn) % len(libraries)]
                one = run(folder, data, program, path)
                runs[name].append(one)
                said = one.get("failed") or f"{one['time']:.3f} s, {one['rss'] / 1024:.1f} MiB"
                print(f"{program[0]:15} turn {turn + 1}  {name:12} {said}", file=sys.stderr, flush=True)
        if options.json:
            with open(options.json, "w") as file:
                json.dump(found, file, indent=1)

    print(report(found, options.against, options.memory_peers.split(",")))


if __name__ == "__main__":
    main()
