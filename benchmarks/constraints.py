"""What a small feasible part costs a suggestion: latency beside the same space without rules.

    python benchmarks/constraints.py        9 rounds, one core

Six columns in [0, 1]. Constrained, they must lie in a ball around (0.3, ...) that is a
ten-thousandth of the cube, by a function of the user's. Both optimizers are told the same
60 feasible results; a suggestion of 1 and of 8 rows, fit included, warm, in turn. Rows go to
benchmarks/rows/constraints.csv.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time

if __name__ == "__main__" and hasattr(os, "sched_setaffinity"):  # before anything counts the cores
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import numpy as np
import record

import bojax

FILE = record.ROWS / "constraints.csv"
D, TOLD, CENTRE = 6, 60, 0.3
RADIUS = 0.164  # pi^3 r^6 / 6 is the ball's volume: 1.0e-4


def inside(config):
    """Whether a configuration lies in the ball."""
    return sum((config[f"x{i}"] - CENTRE) ** 2 for i in range(D)) <= RADIUS**2


def space(constrained):
    parameters = {f"x{i}": bojax.Float(0, 1) for i in range(D)}
    return bojax.Space(parameters, constraints=[inside] if constrained else [])


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    settings = parser.parse_args(arguments)
    spaces = {"constrained": space(True), "free": space(False)}
    share = math.pi**3 / 6 * RADIUS**6
    rows, run = [], record.started()
    for q in (1, 8):
        for round_ in range(-1, settings.rounds):
            told = spaces["constrained"].sample(TOLD, seed=round_ + 1)
            values = [float(np.sin(9 * c["x0"]) + c["x1"] ** 2 - c["x2"]) for c in told]
            for name, chosen in spaces.items():
                optimizer = bojax.Optimizer(chosen, seed=round_ + 1)
                optimizer.tell(told, values)
                began = time.perf_counter()
                optimizer.ask(q)
                seconds = time.perf_counter() - began
                if round_ >= 0:
                    rows.append(
                        {"run": run, "what": name, "q": q, "round": round_, "value": share,
                         "seconds": seconds, **record.machine()}
                    )  # fmt: skip
        middle = {
            name: statistics.median(r["seconds"] for r in rows if (r["what"], r["q"]) == (name, q))
            for name in spaces
        }
        ratio = middle["constrained"] / middle["free"]
        print(f"q={q}: {middle}, {ratio:.2f} x", flush=True)
    record.append(FILE, rows)
    return rows


if __name__ == "__main__":
    main()
