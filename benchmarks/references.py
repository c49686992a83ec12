"""DEHB 0.1.2 on recorded curves, in an environment of its own: `make bench-env` makes it.

`benchmarks/multi_fidelity.py` calls :func:`dehb`, which runs this file in `.bench/dehb`; there it
knows numbers alone. Ordinals and categories are ConfigSpace's; every other setting is DEHB's own.
A configuration that DEHB promotes goes on with its training, as in bojax, although DEHB itself
would train it from the start.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".bench" / "dehb" / "bin" / "python"


def dehb(curves, seed: int, epochs: int) -> tuple[list[tuple[int, int, float]], int]:
    """Reports (trial, budget, loss) of a run that trains for so many epochs, and its trials.

    Raises:
        FileNotFoundError: no environment.
    """
    if not PYTHON.exists():
        raise FileNotFoundError(f"{PYTHON}: no such environment; run `make bench-env` first.")
    parameters = curves.space.parameters.values()
    question = {
        "ordered": [type(parameter).__name__ == "Ordinal" for parameter in parameters],
        "choices": [int(n) for n in curves.space.table.cardinality[: len(parameters)]],
        "seed": seed, "epochs": epochs, "most": curves.epochs,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/loss.npy", curves.values[:, :, seed % curves.seeds])
        done = subprocess.run(
            [PYTHON, __file__, folder, json.dumps(question)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"DEHB ended with {done.returncode}: {done.stderr[-500:]}")
    reports = [tuple(report) for report in json.loads(done.stdout.splitlines()[-1])]
    return reports, len({trial for trial, _, _ in reports})


def _answer(folder: str, question: str) -> None:
    """What runs beside DEHB."""
    import ConfigSpace
    from dehb import DEHB

    settings = json.loads(question)
    loss, sizes = np.load(f"{folder}/loss.npy"), settings["choices"]
    space = ConfigSpace.ConfigurationSpace(seed=settings["seed"])
    for c, (size, ordered) in enumerate(zip(sizes, settings["ordered"], strict=True)):
        kind = (
            ConfigSpace.OrdinalHyperparameter if ordered else ConfigSpace.CategoricalHyperparameter
        )
        space.add(kind(f"x{c:02d}", list(range(size))))
    tuner = DEHB(
        cs=space, min_fidelity=1, max_fidelity=settings["most"], n_workers=1, save_freq=None,
        seed=settings["seed"], output_path=folder, log_level="ERROR",
    )  # fmt: skip
    reports, done, spent = [], {}, 0
    while spent < settings["epochs"]:
        job = tuner.ask()
        trial, budget = int(job["config_id"]), round(float(job["fidelity"]))
        code = [job["config"][f"x{c:02d}"] for c in range(len(sizes))]
        value = float(loss[np.ravel_multi_index(code, sizes), budget - 1])
        value = value if np.isfinite(value) else 1e9
        tuner.tell(job, {"fitness": value, "cost": float(budget)})
        spent += budget - done.get(trial, 0)
        done[trial] = budget
        reports.append((trial, budget, value))
    print(json.dumps(reports))


if __name__ == "__main__":
    _answer(*sys.argv[1:])
