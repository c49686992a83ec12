"""Makes dehb.json: brackets, targets and children of DEHB 0.1.2.

    python -m venv env && env/bin/pip install -r benchmarks/environments/dehb.txt
    env/bin/python tests/strategies/data/make_dehb.py

`order` is (bracket, budget, slot of the target) of every evaluation of three rounds, told one by
one. `children` are 40,000 draws each from populations that stay as they are: how many lie below
0.05, 0.15, ..., 0.95 in each coordinate, equal the target's, and lie below 0.5 in two at once.
"""

import json
import tempfile
from pathlib import Path

import numpy as np

SIZES, RUNGS = (27, 9, 6, 4), ((27, 9, 3, 1), (9, 3, 1), (6, 2), (4,))
ROUNDS, DRAWS = 3, 40_000
EDGES = np.round(np.arange(0.05, 1.0, 0.1), 2)
# (budget, bracket of the round, slot of the target): every way of choosing parents there is.
CASES = ((0, 0, 5), (1, 0, 4), (2, 0, 3), (3, 0, 2), (2, 2, 1), (3, 2, 0), (3, 3, 1))


def optimizer(seed):
    from dehb import DEHB

    return DEHB(
        dimensions=3, min_fidelity=1, max_fidelity=27, eta=3, n_workers=1, seed=seed,
        output_path=tempfile.mkdtemp(), log_level="ERROR",
    )  # fmt: skip


def order():
    dehb, found = optimizer(0), []
    for _ in range(ROUNDS * sum(map(sum, RUNGS))):
        job = dehb.ask()
        found.append([job["bracket_id"], round(float(job["fidelity"])), int(job["parent_id"])])
        dehb.tell(job, {"fitness": float(np.sum((job["config"] - 0.3) ** 2)), "cost": 1.0})
    return found


def populations():
    number = np.arange(1, sum(SIZES) + 1)
    points = np.mod(number[:, None] * np.array([0.618034, 0.414214, 0.732051]), 1.0)
    points[39] = points[31]  # a target that is among the three best of the budget below
    return points, (number * 37 % 47) / 47


def children():
    from dehb.utils import SHBracketManager

    points, values = populations()
    starts = np.cumsum((0, *SIZES))
    dehb = optimizer(1)
    dehb.iteration_counter = 20  # long after the first round
    for j, budget in enumerate(dehb.fidelities):
        part = slice(starts[j], starts[j + 1])
        dehb.de[budget].population = points[part].copy()
        dehb.de[budget].fitness = values[part].copy()
    for j, k, slot in CASES:
        bracket = SHBracketManager(np.array(RUNGS[k]), dehb.fidelities[k:], 20)
        budget, found = dehb.fidelities[j], np.empty((DRAWS, 3))
        for i in range(DRAWS):
            dehb.de[budget].parent_counter = slot
            found[i] = dehb._acquire_config(bracket, budget)[0]
            if i % 1000 == 0:
                dehb.config_repository.reset()
        pairs = [(found[:, a] < 0.5) & (found[:, b] < 0.5) for a, b in ((0, 1), (0, 2), (1, 2))]
        yield {
            "case": [j, k, slot],
            "below": np.mean(found[:, :, None] < EDGES, axis=0).round(5).tolist(),
            "kept": np.mean(found == points[starts[j] + slot], axis=0).round(5).tolist(),
            "both": np.mean(pairs, axis=1).round(5).tolist(),
        }


if __name__ == "__main__":
    data = {"order": order(), "children": list(children()), "draws": DRAWS}
    Path(__file__).with_name("dehb.json").write_text(json.dumps(data) + "\n")
