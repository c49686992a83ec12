"""Programs compiled by a run of ask and tell, and by a second one over another space.

    python benchmarks/programs.py

A compiled program costs seconds, so they are counted: one `backend_compile` event of
`jax.monitoring` each. First a run from 1 to 100 observations over six reals, one suggestion
at a time; then as long a run over an integer, an ordinal, a category and three conditional
parameters, of the same size class: it must compile nothing. Counts depend on no clock, only
on versions. Rows go to benchmarks/rows/programs.csv. Half a minute.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import jax
import record

import bojax

FILE = record.ROWS / "programs.csv"
COMPILED = "/jax/core/compile/backend_compile_duration"

REALS = {f"x{i}": bojax.Float(0.0, 1.0) for i in range(6)}
MIXED = {
    "kernel": bojax.Categorical(["linear", "rbf", "poly"]),
    "C": bojax.Float(1e-3, 1e3, log=True),
    "gamma": bojax.Float(1e-4, 1e1, log=True, when={"kernel": ["rbf", "poly"]}),
    "degree": bojax.Int(2, 5, when={"kernel": "poly"}),
    "size": bojax.Ordinal([64, 128, 256]),
    "shift": bojax.Float(0.0, 1.0, when={"kernel": "poly"}),
}


def loss(config):
    """Some smooth function of whatever is in the configuration."""
    numbers = [float(v) if isinstance(v, (int, float)) else len(v) for v in config.values()]
    return sum((number / (1 + abs(number)) - 0.3) ** 2 for number in numbers)


def run(space, observations, seed):
    """Ask and tell, one at a time."""
    optimizer = bojax.Optimizer(space, seed=seed)
    for _ in range(observations):
        trial = optimizer.ask()
        optimizer.tell(trial, loss(trial.config))


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--observations", type=int, default=100)
    parser.add_argument("--rows", type=Path, default=FILE)
    settings = parser.parse_args(arguments)
    compiled: list[tuple[str, float]] = []

    def listen(event, seconds, **details):
        if event == COMPILED:
            compiled.append((details.get("fun_name", "?"), seconds))

    jax.monitoring.register_event_duration_secs_listener(listen)
    began, rows = record.started(), []
    # One more than asked for at the end, so that the last observation is used as well.
    for phase, space in (("six reals", REALS), ("mixed, conditional", MIXED)):
        compiled.clear()
        run(space, settings.observations + 1, seed=len(rows))
        counts = Counter(name for name, _ in compiled)
        for name in counts or [""]:  # a phase without a program is a row too
            rows.append(
                {"run": began, "phase": phase, "program": name, "programs": counts[name],
                 "seconds": round(sum(s for n, s in compiled if n == name), 3),
                 "observations": settings.observations, **record.machine("jaxlib")}
            )  # fmt: skip
        total = sum(counts.values())
        print(f"{phase}: {total} programs, {sum(s for _, s in compiled):.1f} s to compile")
        for name, count in counts.items():
            print(f"    {count} {name}")
    record.append(settings.rows, rows)
    return sum(row["programs"] for row in rows if row["phase"] == "mixed, conditional")


if __name__ == "__main__":
    sys.exit("the second space compiled programs of its own" if main() else 0)
