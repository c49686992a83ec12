"""Write bbob.json: values of the BBOB functions by two reference implementations.

The values are those of cocoex. ioh must agree within 1e-11 relative, or nothing is written;
only on the plateau around the minimiser of f7 does it not: there it leaves out the slight
slope of the definition, and returns f_opt. Points lie on a grid of the unit
cube whose places in [-5, 5] are exact in binary: three for each number of dimensions, and for
each instance the one nearest to its minimiser.

    pip install ioh==0.3.22 coco-experiment==2.8.2
    python tests/benchmark/data/make_bbob.py
"""

import importlib.metadata
import json
from pathlib import Path

import numpy as np

FUNCTIONS, INSTANCES, DIMENSIONS = range(1, 25), (1, 2, 3), (2, 3, 5, 10)
GRID = 1024
SHARED = 3
STEPS = 7  # the step ellipsoid


def main():
    import cocoex  # neither is needed to run the tests
    import ioh

    draw = np.random.default_rng(20090)
    points = {d: draw.integers(0, GRID + 1, (SHARED, d)) for d in DIMENSIONS}
    suite = cocoex.Suite("bbob", "instances:1-3", "dimensions:2,3,5,10")
    problems = {}
    for coco in suite:
        f, d, i = coco.id_function, coco.dimension, coco.id_instance
        other = ioh.get_problem(f, i, d, ioh.ProblemClass.BBOB)
        near = np.rint((np.array(other.optimum.x) / 10 + 0.5) * GRID).astype(int)
        values = []
        for point in [*points[d], near]:
            x = 10 * (point / GRID) - 5
            values.append(float(coco(x)))
            if f != STEPS or point is not near:
                np.testing.assert_allclose(other(x), values[-1], rtol=1e-11)
        problems[f"{f} {d} {i}"] = {
            "optimum": other.optimum.y,
            "near": near.tolist(),
            "values": values,
        }
    wanted = [f"{f} {d} {i}" for f in FUNCTIONS for d in DIMENSIONS for i in INSTANCES]
    content = {
        "versions": {name: importlib.metadata.version(name) for name in ("coco-experiment", "ioh")},
        "grid": GRID,
        "points": {d: p.tolist() for d, p in points.items()},
        "problems": {key: problems[key] for key in wanted},
    }
    lines = json.dumps(content).replace('}, "', '},\n"')
    Path(__file__).with_name("bbob.json").write_text(lines + "\n")


if __name__ == "__main__":
    main()
