"""Seconds and counted work of the engine beside a floor and beside other libraries.

    python benchmarks/speed.py                      parts a to e
    python benchmarks/speed.py --parts b --rounds 3
    python benchmarks/speed.py --parts b --threads 2
    python benchmarks/speed.py --parts scaling      growth with n, d, q and runs; bojax alone

a        value and gradient of the objective beside LAPACK's factor and inverse (floor.py)
b        a fit of the surrogate beside BoTorch, scikit-learn and GPJax, on the same data sets
c        a suggestion with its fit, of 1, 8 and 64 points, beside Optuna and BoTorch
d        whole runs: 64 in one program, a jitted run at a time, and ask and tell
e        1,024 small fits in one program; a fit of 2,000 lines with 1,000 predictions
scaling  exponents of log seconds over log size

Everything runs on one and the same core (or, with --threads, on so many, each contender with
as many threads as it takes of them), contenders in turn, round by round, each warmed up;
compiling stands apart. Other libraries run in processes and environments of their own
(`make bench-env`), on the same core, and time themselves; one that is missing is left out.
Slow ones run fewer rounds: every row says which round of which data set it was. Rows are
appended to benchmarks/rows/speed.csv after each round, so an interrupted run keeps them.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

if __name__ == "__main__":  # before anything counts the cores
    asked = argparse.ArgumentParser(add_help=False)
    asked.add_argument("--threads", type=int, default=1)
    threads = asked.parse_known_args()[0].threads
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))
    if threads == 1:  # one thread for XLA, which the foreign processes are given, too
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()

import record
from speed_parts import evaluations, fits, many, runs, scaling, suggestions
from speed_parts.rounds import Peers, Recorder, groups, interleave

from bojax.analysis._growth import exponent
from bojax.configuration import set_compiler_flags, set_lapack_threads

FILE = record.ROWS / "speed.csv"
PARTS = {"a": evaluations, "b": fits, "c": suggestions, "d": runs, "e": many, "scaling": scaling}
DEFAULT = "a,b,c,d,e"
PEERS = ("botorch", "gpjax", "optuna", "sklearn")


def summary(rows) -> str:
    """A line a contender: median seconds, spread, and how many times those of the first."""
    lines, first = [], {}
    for (part, case, contender), mine in groups(rows):
        seconds = [row["seconds"] for row in mine if row["seconds"] != ""]
        if not seconds:
            continue
        middle = statistics.median(seconds)
        if (part, case) not in first:
            first[part, case] = middle
            lines.append(f"\n{part} | {case}")
        spread = f"{min(seconds):.4g} to {max(seconds):.4g}, {len(seconds)}"
        told = [
            f"{contender:28} {middle:.4g} s ({spread})",
            f"{middle / first[part, case]:.3g} x",
        ]
        for name in ("processor", "evaluations", "flops", "objective", "score"):
            known = [row[name] for row in mine if row[name] != ""]
            if known:
                told.append(f"{name} {statistics.median(known):.6g}")
        if mine[0]["programs"] != "":
            told.append(
                f"{mine[0]['programs']} programs in {mine[0]['compile_seconds']:.3g} s before"
            )
        lines.append("  " + ", ".join(told))
    return "\n".join([*lines, *exponents(rows)])


def exponents(rows) -> list[str]:
    """A line a kind of growth, over all sizes and over the three largest."""
    found: dict[str, dict[float, list[float]]] = {}
    for (part, case, _), mine in groups(rows):
        if part.startswith("scaling") and mine[0]["seconds"] != "":
            size = float(case.partition("=")[2])
            found.setdefault(part, {})[size] = [row["seconds"] for row in mine]
    lines = []
    for part, by_size in found.items():
        sizes = sorted(by_size)
        middle = [statistics.median(by_size[size]) for size in sizes]
        if len(sizes) > 2:
            over_all = exponent(sizes, middle)
            largest = exponent(sizes[-3:], middle[-3:])
            lines.append(
                f"{part}: seconds grow as size ^ {over_all:.2f} from {sizes[0]:g} to "
                f"{sizes[-1]:g}, ^ {largest:.2f} from {sizes[-3]:g}"
            )
    return ["", *lines] if lines else []


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="cores, and threads of everybody")
    parser.add_argument("--parts", default=DEFAULT, help=f"of {', '.join(PARTS)}; {DEFAULT}")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--peers", default=",".join(PEERS), help="which of these; '' for none")
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    parser.add_argument("--rows", type=Path, default=FILE)
    settings = parser.parse_args(arguments)
    wanted = settings.parts.split(",")
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"--parts: {', '.join(sorted(unknown))}; expected some of {', '.join(PARTS)}")
    set_compiler_flags()
    if settings.threads == 1:  # else as bojax itself decides
        set_lapack_threads(1)
    began, recorder = time.perf_counter(), Recorder(settings.rows)

    def say(text: str) -> None:
        print(f"{time.perf_counter() - began:6.1f} s | {text}", file=sys.stderr, flush=True)

    try:
        with Peers(say, settings.peers.split(","), settings.threads) as peers:
            for part in wanted:
                for case in PARTS[part].cases(peers, settings.only):
                    if settings.threads > 1:
                        case = replace(case, part=f"{case.part}, {settings.threads} threads")
                    interleave(case, settings.rounds, recorder, say)
    except KeyboardInterrupt:
        say("interrupted; the rounds so far are in the rows")
    print(summary(recorder.rows))
    return recorder.rows


if __name__ == "__main__":
    main()
