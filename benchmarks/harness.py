"""The training harness beside what it replaces, part by part, each with its target.

    python benchmarks/harness.py                        all parts
    python benchmarks/harness.py --parts cnn folds      some
    python benchmarks/harness.py --tiny --rounds 1      whether they run; measures nothing

cnn      small convolutional networks: a population beside one-by-one loops
folds    10-fold cross-validation beside as many plain members
halving  successive halving beside training everything to the end
host     what the host does in a rung of 256 trials
rate     arithmetic of training beside a large product; how busy the devices are
growth   seconds and memory by the number of members, measured and predicted
mixed    a sweep over shapes: programs, and seconds beside a program a shape and a jit a trial

What is compared runs in turn in one process (of `growth`: each size in a fresh one), `--rounds`
times, compiling apart. What each part times, and its floor, is at the top of its `measure` in
harness_parts/. Rows are appended to benchmarks/rows/harness.csv; figures and targets are in
sections/harness.py, which also prints them here.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

import record
from sections import harness as section

import bojax

FILE = record.ROWS / "harness.csv"
PARTS = ("cnn", "folds", "halving", "host", "rate", "growth", "mixed")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true", help="sizes that only show that it runs")
    parser.add_argument("--folder", type=Path, help="of the disk that `host` writes to")
    parser.add_argument("--rows", type=Path, default=FILE)
    parser.add_argument("--alone", type=int, help="`growth` of one size, in JSON")
    settings = parser.parse_args(arguments)
    if settings.tiny and settings.rows == FILE:
        settings.rows = None  # not a measurement
    bojax.configure(cpu_devices="cores")  # before JAX starts
    if settings.alone:
        from harness_parts import growth

        print(json.dumps(growth.alone(settings.alone)))
        return
    for name in settings.parts:
        run, part = record.started(), importlib.import_module(f"harness_parts.{name}")
        if not settings.tiny:
            part.measure(1, True, settings.folder)  # what a first time costs is nobody's
        found = part.measure(settings.rounds, settings.tiny, settings.folder)
        rows = [{"run": run, **row} for row in found]
        if settings.rows is not None:
            record.append(settings.rows, rows)
        for figure in section.figures(rows):
            print(figure.line(), flush=True)


if __name__ == "__main__":
    main()
