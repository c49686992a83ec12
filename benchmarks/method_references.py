"""Each method against its reference implementation: the same problems, budget, settings, seeds.

    make bench-env                              # environments of Ray and of both Optunas
    python benchmarks/method_references.py      # all parts, 10 seeds
    python benchmarks/method_references.py --parts cmaes de --seeds 4

TPE against Optuna's, CMA-ES against the package cmaes, differential evolution against SciPy's,
ASHA against Ray's scheduler and the paper's algorithm, PBT against the paper's algorithm; the
modules of `reference_parts` say how. A pair is one problem, instance and seed. Printed is the
mean of log10(ours / theirs), below 0 where ours is better, with a paired 95 % bootstrap interval
over problems, then seeds. Rows go to benchmarks/rows/references.csv; a part that is run again
counts from then on. What is compared by other scripts is read from their rows when the page is
made. A few minutes.
"""

from __future__ import annotations

import argparse
import time

import record
from reference_parts import continuous, populations, rungs
from sections import references

import bojax

FILE = record.ROWS / "references.csv"
PARTS = {
    "tpe": continuous.tpe, "cmaes": continuous.cmaes, "de": continuous.de, "asha": rungs.asha,
    "pbt": populations.pbt,
}  # fmt: skip


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--few", action="store_true", help="fewer problems: to try it")
    parser.add_argument("--rows", default=FILE, help="none to write nothing")
    settings = parser.parse_args(arguments)
    bojax.configure(cpu_devices="cores")
    every = []
    for part in settings.parts:
        run, began, machine = record.started(), time.perf_counter(), record.machine()
        rows = [
            {"run": run, **pair._asdict(), **machine}
            for pair in PARTS[part](settings.seeds, settings.few)
        ]
        if settings.rows != "none" and rows:
            record.append(settings.rows, rows)
        every += rows
        print(f"\r{part}: {time.perf_counter() - began:.0f} s{'':30}")
        for line in references.lines(references.pairs_of(rows)):
            print(f"  {line.method} - {line.reference}: {line.gap} ({line.runs})", flush=True)
    return every


if __name__ == "__main__":
    main()
