"""Section of training until a target: methods beside random search at full budget."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import record

from bojax.stats import Interval, paired_bootstrap

from . import Section, digits, losses, table

BASE = "random"
PICTURE = "bench_to_target.png"
AXIS = "log10(epochs / those of random search): left of the line is less training"
# File -> what stands in the table's head, and the script.
KINDS = {"multi_fidelity": "recorded curves", "live_sweep": "live sweep"}
OTHERS = ("DEHB 0.1.2",)  # packages of others: who they beat is no loss


def gaps(file: Path) -> dict[str, tuple[Interval, int, float]]:
    """Method -> interval of the log10 ratio to random search, runs, median seconds of a run."""
    found: dict[tuple[str, str, str], dict] = {}
    for row in record.read(file):  # the last run of each counts
        found[row["method"], row.get("curves", ""), row["seed"]] = row
    told = {}
    for method in dict.fromkeys(name for name, *_ in found):
        pairs = [
            (row, found[BASE, *own])
            for (name, *own), row in found.items()
            if name == method and (BASE, *own) in found
        ]
        if method.startswith(BASE) or len(pairs) < 2:  # "random x2" reaches it no sooner
            continue
        mine, base = (
            [math.log10(float(pair[side]["epochs_to_target"])) for pair in pairs] for side in (0, 1)
        )
        seconds = sorted(float(row["seconds"]) for row, _ in pairs)[len(pairs) // 2]
        told[method] = paired_bootstrap(mine, base), len(pairs), seconds
    return told


def found(rows: Path) -> dict[str, dict]:
    """Kind -> :func:`gaps`, of the kinds that have rows."""
    files = {kind: rows / f"{name}.csv" for name, kind in KINDS.items()}
    return {kind: gaps(file) for kind, file in files.items() if file.exists()}


def intervals(told: Mapping[str, dict]) -> dict[str, Interval]:
    """What the picture shows."""
    return {
        f"{method} | {kind}": gap for kind, of in told.items() for method, (gap, *_) in of.items()
    }


def section(rows: Path) -> Section | None:
    """How many times less training than random search every method needed."""
    told = found(rows)
    if not any(told.values()):
        return None
    lines, lost = [], []
    for kind, of in told.items():
        for method, (gap, runs, seconds) in sorted(of.items(), key=lambda one: one[1][0].mean):
            less = [10**-value for value in (gap.mean, gap.high, gap.low)]
            middle, low, high = map(digits, less)
            lines.append([f"`{method}`", kind, runs, f"{middle} [{low}, {high}]", digits(seconds)])
            if less[0] < 1 and method not in OTHERS:
                lost.append(f"{method} on {kind}s ({middle} [{low}, {high}] times less)")
    text = "\n".join(
        [
            "`python benchmarks/multi_fidelity.py`, `python benchmarks/live_sweep.py`; of every "
            "method and seed the last run counts.\n",
            losses(lost),
            "Epochs of all trials together until a report reaches the loss of one configuration "
            "in a hundred, beside random search at full budget (geometric means over paired runs, "
            "bootstrap intervals). Recorded curves are trainings of every configuration of two "
            "grids, 27 epochs each; the live sweep is a Flax perceptron on digits. Seconds are of "
            "a run, on a machine that did other things too.\n",
            f"![training to a target](../docs/{PICTURE})\n",
            table(["method", "of", "runs", "times less training", "seconds"], lines),
        ]
    )
    return Section("Training until a target", lost, text)
