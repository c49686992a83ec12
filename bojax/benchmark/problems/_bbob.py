"""The 24 noiseless functions of the BBOB test bed, as problems.

All functions, instances and numbers of dimensions of a size class share one `evaluate`, so
they run in one compiled program, with `jax.lax.map` at the cost of the function at hand, with
`jax.vmap` at the cost of all formulas for every row.

References:
    N. Hansen, S. Finck, R. Ros and A. Auger, Real-parameter black-box optimization
    benchmarking 2009: noiseless functions definitions, INRIA RR-6829, 2009.
    N. Hansen, A. Auger, R. Ros, O. Mersmann, T. Tusar and D. Brockhoff, COCO: a platform for
    comparing continuous optimizers in a black-box setting, Optimization Methods and Software
    36(1), 2021.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.benchmark.problems._bbob_formulas import FORMULAS, HALF_WIDTH, Instance, coordinates
from bojax.benchmark.problems._bbob_instances import DEFINITIONS, draw
from bojax.errors import ConfigError
from bojax.loop import Problem
from bojax.optimize import sobol
from bojax.space import Float, Space

LEAST, MOST = 2, 40  # dimensions of the test bed
MOST_INSTANCES = 200_000  # beyond, the seeds leave the range of the generator
REFERENCE_POINTS = 1024  # Sobol points behind `reference`


def bbob(function: int, dimensions: int, instance: int = 1) -> Problem:
    """One of the 24 noiseless BBOB functions on [-5, 5]^d.

    1-5 are separable, 6-9 of low or moderate conditioning, 10-14 ill-conditioned, 15-19
    multimodal with a global structure, 20-24 multimodal with a weak one. Shifts, rotations
    and f_opt are drawn as the original programs draw them, so values are those of the COCO
    platform to rounding.

    Args:
        function: 1 to 24.
        dimensions: 2 to 40.
        instance: 1 to 200,000; the test bed itself runs 1 to 5 and ten that change yearly.

    Returns:
        :class:`bojax.loop.Problem` with parameters `x0`, `x1`, ...; noise-free, `optimum` is
        f_opt and `data.x_opt` the minimiser. Problems of one number of dimensions share their
        space.

    Raises:
        ConfigError: an argument out of range.

    Example:
        >>> from bojax.benchmark import problems
        >>> problem = problems.bbob(8, 5)
        >>> problem.name, list(problem.space.parameters), round(float(problem.optimum), 2)
        ('bbob_f8_rosenbrock_5', ['x0', 'x1', 'x2', 'x3', 'x4'], 149.15)

    References:
        N. Hansen, S. Finck, R. Ros and A. Auger, Real-parameter black-box optimization
        benchmarking 2009: noiseless functions definitions, INRIA RR-6829, 2009.
    """
    data = bbob_instance(function, dimensions, instance)
    space = _space(dimensions)
    points = sobol(1, REFERENCE_POINTS, space.table.columns, xp=np)
    return Problem(
        space.table,
        evaluate,
        data,
        data.f_opt,
        f"bbob_f{function}_{DEFINITIONS[function].name}_{dimensions}",
        space,
        reference=np.float64(np.median(evaluate_on_host(data, points))),
    )


def bbob_instance(
    function: int, dimensions: int, instance: int = 1, *, columns: int | None = None
) -> Instance:
    """What `evaluate` needs to know of one function and instance, as NumPy arrays.

    Instances of a size class have the same shapes: stacked with `jax.tree.map`, they are one
    batch of problems.

    Args:
        function, dimensions, instance: as in :func:`bbob`.
        columns: D, the number of columns of the rows; None for the space's size class.

    Raises:
        ConfigError: an argument out of range.

    Example:
        >>> from bojax.benchmark import problems
        >>> data = problems.bbob_instance(1, 3)
        >>> data.x_opt.round(4).tolist(), round(float(data.f_opt), 2)
        ([0.2528, -1.1568, -0.724, 0.0], 79.48)
    """
    ranges: tuple[tuple[str, Any, int, int], ...] = (
        ("function", function, 1, len(DEFINITIONS)),
        ("dimensions", dimensions, LEAST, MOST),
        ("instance", instance, 1, MOST_INSTANCES),
    )
    for name, value, low, high in ranges:
        if not isinstance(value, int | np.integer) or not low <= value <= high:
            raise ConfigError(
                f"bbob: {name} must be an integer from {low} to {high}, got {value!r}."
            )
    if columns is None:
        columns = _space(dimensions).table.columns
    if columns < dimensions:
        raise ConfigError(f"bbob: {dimensions} dimensions need as many columns, got {columns}.")
    return draw(function, dimensions, instance, columns)


def evaluate(data: Instance, key, rows):
    """Values of rows `[q, D]` of the unit cube, `[q]`; there is no noise, `key` is not used."""
    rows = jnp.asarray(rows)
    leaves = {name: jnp.asarray(leaf, rows.dtype) for name, leaf in data._asdict().items()}
    data = Instance(**{**leaves, "formula": jnp.asarray(data.formula)})
    chosen = [functools.partial(formula, xp=jnp) for formula in FORMULAS]
    y, z = coordinates(data, rows, jnp)
    return jax.lax.switch(data.formula, chosen, data, y, z) + data.f_opt


def evaluate_on_host(data: Instance, rows) -> np.ndarray:
    """The same in NumPy and float64, nothing compiled: for building instances."""
    formula = FORMULAS[int(data.formula)]
    y, z = coordinates(data, np.asarray(rows, np.float64), np)
    return formula(data, y, z, np) + data.f_opt


@functools.cache
def _space(dimensions: int) -> Space:
    return Space({f"x{i}": Float(-HALF_WIDTH, HALF_WIDTH) for i in range(dimensions)})
