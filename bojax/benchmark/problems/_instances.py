"""Instances of the test functions: shift, rotation, kinds of columns and branches as data.

An instance looks at the function through

    z = origin + R (u - optimum_at),

u the position in the unit cube: the minimiser lies at `optimum_at`, anywhere in the box, and
the axes are turned by R, so nothing gains from the centre of the box or from separable
coordinates. Instance 0 is the function as it is printed. All functions, instances and
variants share one `evaluate`, so those of a size class run in one compiled program.
"""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.benchmark.problems._functions import FUNCTIONS, INDEX, Function
from bojax.errors import ConfigError
from bojax.loop import Problem
from bojax.optimize import sobol
from bojax.space import Space
from bojax.space import table as tables

BRANCHES = 3  # branches a conditional problem has; others use the first
MARGIN = 0.15  # minimisers of instances keep this distance from the sides of the unit cube
REFERENCE_POINTS = 1024  # Sobol points behind `reference`
WIDEST = max(f.dimensions or f.least for f in FUNCTIONS)
VERSION = 1  # of the definitions: a change of any value makes it another problem


class Branch(NamedTuple):
    """One function seen through a shift and a rotation.

    Attributes:
        function: its index.
        columns: `[D]` int32, the table's columns it reads, in its own order.
        used: `[D]` 1.0 for the first d of them.
        low, width: `[D]` the function's box.
        origin: `[D]` where its minimiser is in that box, as a share of the width.
        optimum_at: `[D]` where the minimiser is in the unit cube of this instance.
        rotation: `[D, D]`.
        offset: added to the value.
    """

    function: Any
    columns: Any
    used: Any
    low: Any
    width: Any
    origin: Any
    optimum_at: Any
    rotation: Any
    offset: Any


class Instance(NamedTuple):
    """What `evaluate` needs.

    Attributes:
        number: of the instance; 0 is the function as printed.
        branches: :class:`Branch`, each leaf with a leading axis of 3.
        chooser: int32, the column whose choice picks the branch; -1 for none.
        position: `[D, K]` unit position of each choice of a categorical column.
        category: `[D]` bool, which columns are looked up there.
        noise: standard deviation of the noise, in the unit of the values.
    """

    number: Any
    branches: Branch
    chooser: Any
    position: Any
    category: Any
    noise: Any


def evaluate(data: Instance, key, rows):
    """Noisy values of rows `[q, D]`, `[q]`."""
    noise = jax.random.normal(key, rows.shape[:1], rows.dtype)
    return truth(data, rows) + jnp.asarray(data.noise, rows.dtype) * noise


def truth(data: Instance, rows):
    """Noise-free values of rows `[q, D]`, `[q]`."""
    unit = _unit(data, rows, jnp)

    def of_branch(branch):
        z, used, offset = _natural(branch, unit, jnp)
        # Every formula is traced for every size, a function of six columns too for tables of
        # four: the further columns are never looked at.
        z, used = _widened(z), _widened(used)
        inside = _widened(_folded(z[..., :columns], branch, jnp))
        formulas = [
            lambda z, inside, used, f=f: f.formula(inside if f.folds else z, used, jnp)
            for f in FUNCTIONS
        ]
        return jax.lax.switch(branch.function, formulas, z, inside, used) + offset

    columns = rows.shape[-1]
    # One branch after the other: three copies of every formula would only take compiling.
    values = jax.lax.map(of_branch, data.branches)
    return values[_chosen(data, rows, jnp), jnp.arange(rows.shape[0], dtype=jnp.int32)]


def truth_on_host(data: Instance, rows) -> np.ndarray:
    """The same in NumPy and float64, nothing compiled: for building instances."""
    rows = np.asarray(rows, float)
    unit = _unit(data, rows, np)
    values = []
    for b in range(BRANCHES):
        branch = jax.tree.map(lambda leaf, b=b: leaf[b], data.branches)
        function = FUNCTIONS[int(branch.function)]
        z, used, offset = _natural(branch, unit, np)
        z = _folded(z, branch, np) if function.folds else z
        values.append(function.formula(z, used, np) + offset)
    return np.stack(values)[_chosen(data, rows, np), np.arange(len(rows))]


def _unit(data: Instance, rows, xp):
    """Rows with categories replaced by their positions."""
    codes = xp.clip(xp.round(rows), 0, data.position.shape[-1] - 1).astype(xp.int32)
    looked_up = xp.take_along_axis(
        xp.broadcast_to(data.position, (*rows.shape, data.position.shape[-1])),
        codes[..., None],
        axis=-1,
    )[..., 0]
    return xp.where(data.category, looked_up.astype(rows.dtype), rows)


def _natural(branch: Branch, unit, xp):
    """Natural coordinates of a branch's function, its mask, and its offset."""
    u = xp.take(unit, branch.columns, axis=-1)
    dtype = unit.dtype
    gap = xp.where(branch.used > 0, u - branch.optimum_at.astype(dtype), xp.zeros_like(u))
    # Written out: a matmul would run in lower precision on some accelerators.
    turned = xp.sum(branch.rotation.astype(dtype) * gap[..., None, :], axis=-1)
    z = branch.low.astype(dtype) + branch.width.astype(dtype) * (
        branch.origin.astype(dtype) + turned
    )
    return z, branch.used.astype(dtype) + xp.zeros_like(u), branch.offset.astype(dtype)


def _widened(x):
    """Zero columns added up to the widest function of fixed dimensions."""
    room = max(0, WIDEST - x.shape[-1])
    return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, room)])


def _folded(z, branch: Branch, xp):
    """Coordinates reflected into the function's box."""
    low, width = branch.low.astype(z.dtype), branch.width.astype(z.dtype)
    share = xp.mod((z - low) / width, 2.0)
    return low + width * (1.0 - xp.abs(1.0 - share))


def _chosen(data: Instance, rows, xp):
    """Number of the branch each row is in, `[q]`."""
    column = xp.take(rows, xp.maximum(data.chooser, 0), axis=-1)
    code = xp.clip(xp.round(column), 0, BRANCHES - 1).astype(xp.int32)
    return xp.where(data.chooser < 0, xp.zeros_like(code), code)


# ------------------------------------------------------------------ making them, on the host


class Part(NamedTuple):
    """A branch to be made: a function over some columns of the space, lifted by an offset."""

    function: str
    columns: tuple[int, ...]
    offset: float = 0.0


def function_of(name: str, dimensions: int | None) -> tuple[Function, int]:
    """The function and its number of dimensions.

    Raises:
        ConfigError: unknown name, or a number of dimensions it does not have.
    """
    if name not in INDEX:
        raise ConfigError(f"problems: unknown function {name!r}; one of {', '.join(INDEX)}.")
    function = FUNCTIONS[INDEX[name]]
    if function.dimensions is not None:
        if dimensions not in (None, function.dimensions):
            raise ConfigError(
                f"{name}: has {function.dimensions} dimensions, got {dimensions}; leave it out."
            )
        return function, function.dimensions
    if dimensions is None or dimensions < function.least:
        raise ConfigError(
            f"{name}: dimensions must be at least {function.least}, got {dimensions}."
        )
    return function, dimensions


def make(
    name: str,
    space: Space,
    parts: tuple[Part, ...],
    *,
    instance: int,
    chooser: int = -1,
    noise: float = 0.0,
) -> Problem:
    """A problem from its parts; the instance number alone decides every draw.

    Args:
        name: of the problem; it seeds the draws together with `instance`.
        space: whose columns the parts read.
        parts: one, or a branch each.
        instance: 0 leaves the axes alone and the minimiser where it is; others draw.
        chooser: column of the choice among several parts, -1 for one part.
        noise: standard deviation as a share of `reference - optimum`.

    Raises:
        ConfigError: a negative instance or noise.
    """
    if instance < 0 or noise < 0:
        raise ConfigError(f"{name}: instance and noise must not be negative.")
    table = space.table
    draw = np.random.default_rng([zlib.crc32(name.encode()), instance])
    position = _positions(table, draw if instance else None)
    branches = [_branch(part, table, position, draw if instance else None) for part in parts]
    branches += [branches[0]] * (BRANCHES - len(parts))
    data = Instance(
        number=np.int32(instance),
        branches=Branch(*(np.stack(leaves) for leaves in zip(*branches, strict=True))),
        chooser=np.int32(chooser),
        position=position,
        category=np.asarray(table.kind == tables.CATEGORY),
        noise=np.float64(0.0),
    )
    minima = [FUNCTIONS[INDEX[p.function]].minimum(len(p.columns)) + p.offset for p in parts]
    optimum = min(minima)
    points = sobol(1, REFERENCE_POINTS, table.columns, xp=np)
    values = truth_on_host(data, tables.unit_to_row(table, np.asarray(points, float), np))
    reference = float(np.median(values))
    data = data._replace(noise=np.float64(noise * (reference - optimum)))
    return Problem(
        table, evaluate, data, np.float64(optimum), name, space, truth, np.float64(reference)
    )


def _positions(table, draw) -> np.ndarray:
    """Where each choice lies on its axis: in order, or shuffled where instances are drawn."""
    d, k = table.columns, table.clauses.choices.shape[-1]
    position = np.zeros((d, k))
    for column in np.flatnonzero(table.kind == tables.CATEGORY):
        count = int(table.cardinality[column])
        order = np.arange(count) if draw is None else draw.permutation(count)
        position[column, :count] = (order + 0.5) / count
    return position


def _branch(part: Part, table, position, draw) -> Branch:
    function, d = function_of(part.function, len(part.columns))
    size = table.columns
    low, high = function.bounds(d)
    origin = (np.asarray(function.minimiser(d), float) - low) / (high - low)
    at = origin if draw is None else draw.uniform(MARGIN, 1 - MARGIN, d)
    at = _reachable(table, position, part.columns, at)
    turn = np.eye(size)
    if draw is not None:
        turn[:d, :d] = _rotation(draw, d)

    def pad(x, fill):
        return np.concatenate([x, np.full(size - d, fill)])

    return Branch(
        function=np.int32(INDEX[function.name]),
        columns=pad(np.array(part.columns), 0).astype(np.int32),
        used=pad(np.ones(d), 0.0),
        low=pad(low, 0.0),
        width=pad(high - low, 1.0),
        origin=pad(origin, 0.0),
        optimum_at=pad(at, 0.0),
        rotation=turn,
        offset=np.float64(part.offset),
    )


def _reachable(table, position, columns, at) -> np.ndarray:
    """The nearest point that the discrete columns can take, so that the minimum is attained."""
    wanted = np.array(table.default, float)
    wanted[list(columns)] = at
    snapped = tables.snap(table, wanted, np)
    out = []
    for column, x in zip(columns, at, strict=True):
        if table.kind[column] == tables.CATEGORY:
            places = position[column, : int(table.cardinality[column])]
            out.append(places[np.argmin(np.abs(places - x))])
        else:
            out.append(snapped[column])
    return np.array(out)


def _rotation(draw, d: int) -> np.ndarray:
    """A rotation drawn evenly: QR of a Gaussian matrix, signs fixed (Mezzadri 2007)."""
    q, r = np.linalg.qr(draw.standard_normal((d, d)))
    return q * np.sign(np.diag(r))
