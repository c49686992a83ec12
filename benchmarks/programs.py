"""Programs compiled by a run of ask and tell, and by a second one over another space.

    python benchmarks/programs.py

A compiled program costs seconds, so they are counted: one `backend_compile` event of
`jax.monitoring` each. First from nothing to 1,000 observations over six reals, with one suggestion
and then eight together at every size where a program may be new; then the same over an integer, an
ordinal, a category and three conditional parameters, and over counts and switches, all of one size
class: they must compile nothing. Last, what 1,000 suggestions leave in memory. Counts depend on no
clock, only on versions. Rows go to benchmarks/rows/programs.csv. Ten minutes.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import resource
import sys
from collections import Counter
from pathlib import Path

import jax
import record

import bojax
from bojax.history import CAPACITIES

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
COUNTS = {
    "depth": bojax.Int(1, 300),
    "width": bojax.Int(8, 4096, log=True),
    "share": bojax.Float(0.0, 1.0, step=0.05),
    "bias": bojax.Boolean(),
    "norm": bojax.Categorical([None, "batch", "layer"]),
}


def loss(config):
    """Some smooth function of whatever is in the configuration."""
    numbers = [float(v) if isinstance(v, (int, float)) else len(str(v)) for v in config.values()]
    return sum((number / (1 + abs(number)) - 0.3) ** 2 for number in numbers)


def sizes_of(observations):
    """Numbers of observations at which a history's class is about to change, or just has."""
    edges = {0, 2, 4, 8, observations}
    for capacity in CAPACITIES:
        edges |= {capacity - 10, capacity}
    return sorted(edge for edge in edges if edge <= observations)


def run(parameters, observations, seed):
    """From nothing to `observations`: at every size one suggestion, then eight together."""
    space = bojax.Space(parameters)
    optimizer = bojax.Optimizer(space, seed=seed)
    spare = iter(space.sample(2 * observations + 64, seed=seed))
    for size in sizes_of(observations):
        while len(optimizer.trials) < size:
            with contextlib.suppress(bojax.BojaxError):  # drawn before, in a finite part
                config = next(spare)
                optimizer.tell(config, loss(config))
        for trial in [optimizer.ask(), *optimizer.ask(8)]:
            optimizer.tell(trial, loss(trial.config))


def resident() -> float:
    """MiB of this process in memory; 0 where the system does not say."""
    status = Path("/proc/self/statm")
    if not status.exists():
        return 0.0
    return int(status.read_text().split()[1]) * resource.getpagesize() / 2**20


def growth(asks):
    """MiB after each fifth of `asks` suggestions, all of one size of history."""
    found = []
    while len(found) < 5:
        done = 0
        while done < asks // 5:
            optimizer = bojax.Optimizer(REALS, seed=done)
            for config in optimizer.space.sample(70, seed=done):
                optimizer.tell(config, loss(config))
            for _ in range(min(50, asks // 5 - done)):
                trial = optimizer.ask()
                optimizer.tell(trial, loss(trial.config))
                done += 1
        gc.collect()
        found.append(round(resident(), 1))
    return found


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--observations", type=int, default=1000)
    parser.add_argument("--asks", type=int, default=1000, help="for the growth of memory")
    parser.add_argument("--rows", type=Path, default=FILE)
    settings = parser.parse_args(arguments)
    compiled: list[tuple[str, float]] = []

    def listen(event, seconds, **details):
        if event == COMPILED:
            compiled.append((details.get("fun_name", "?"), seconds))

    jax.monitoring.register_event_duration_secs_listener(listen)
    began, rows = record.started(), []
    for phase, space in (("six reals", REALS), ("mixed, conditional", MIXED), ("counts", COUNTS)):
        compiled.clear()
        run(space, settings.observations, seed=len(rows))
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
    if settings.asks:
        print(f"MiB after each fifth of {settings.asks} suggestions: {growth(settings.asks)}")
    return sum(row["programs"] for row in rows if row["phase"] != "six reals")


if __name__ == "__main__":
    sys.exit("the second space compiled programs of its own" if main() else 0)
