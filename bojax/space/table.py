"""A space as data: padded arrays, and what can be computed from them under `jit`.

A `SpaceTable` is a pytree of arrays padded to a *size class*, so one compiled program
serves every space of the class and problems with different spaces are batched together.

A *row* is `float[D]`: a position in the unit interval for a real, integer or ordinal
column, the code itself for a category. Discrete columns hold the centre of their cell.
Which columns are active is computed from the row, never stored; an inactive column of a
*canonical* row is parked at its default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.errors import SpaceError
from bojax.pytrees import pytree
from bojax.space import rules as _rules
from bojax.space.rules import Pool, Prior, Rules, Sticks

# Size classes: few enough that programs are shared, fine enough that padding is cheap.
COLUMNS = (4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
CHOICES = (8, 32, 128)
CLAUSES = (1, 4, 8)
CONSTRAINTS = (1, 4, 8, 32, 128)  # of one sort
MEMBERS = (16, 64, 256, 1024, 4096, 16384)  # of a pool

# kind of a column
UNUSED, REAL, INTEGER, ORDINAL, CATEGORY = range(5)
# role of a column: what `ask` may choose, and what it is given
PARAMETER, FIDELITY, CONTEXT = range(3)


def size_class(wanted: int, classes: tuple[int, ...], what: str) -> int:
    """The smallest class that holds `wanted`.

    Raises:
        SpaceError: there is none; names what is too large.
    """
    for size in classes:
        if wanted <= size:
            return size
    raise SpaceError(f"Space: at most {classes[-1]} {what} are supported, got {wanted}.")


@pytree
@dataclass(frozen=True)
class Clauses:
    """When a column exists: any of A clauses, each all of L literals.

    A literal holds when the earlier `column` is itself active and its row value lies in
    `[low, high]`, or, for a column of choices, when `choices` has its code.

    Attributes:
        used: `[D, A, L]` bool; a column without a used literal is always active.
        column: `[D, A, L]` int32, the parent.
        low, high: `[D, A, L]`, in row units.
        choices: `[D, A, L, K]` bool; all False where the literal is an interval.
    """

    used: Any
    column: Any
    low: Any
    high: Any
    choices: Any


@pytree
@dataclass(frozen=True)
class SpaceTable:
    """The arrays a space compiles to, D columns of its size class.

    Attributes:
        kind: `[D]` int32: unused, real, integer, ordinal, category.
        role: `[D]` int32: parameter, fidelity, context.
        low, high: `[D]` bounds in the scale searched in (logarithms where `log`); an
            integer's are its first and last value.
        step: `[D]` grid of an integer column (a quantised float is one), 0 otherwise.
        log: `[D]` bool.
        cardinality: `[D]` int32, number of values of a discrete column, 0 for a real one.
        default: `[D]` row value at which an inactive column is parked.
        clauses: see :class:`Clauses`.
        depth: int32 scalar, the longest chain of conditions; 0 without any.
        rules, sticks, prior, pool: see :mod:`bojax.space.rules`; None where the space has
            none, so that programs of plain spaces hold nothing of them.

    Example:
        >>> import bojax
        >>> bojax.Space({"x": bojax.Float(0, 1), "b": bojax.Boolean()}).table.kind.tolist()
        [1, 4, 0, 0]
    """

    kind: Any
    role: Any
    low: Any
    high: Any
    step: Any
    log: Any
    cardinality: Any
    default: Any
    clauses: Clauses
    depth: Any
    rules: Rules | None = None
    sticks: Sticks | None = None
    prior: Prior | None = None
    pool: Pool | None = None

    @property
    def columns(self) -> int:
        """D, the padded number of columns."""
        return self.kind.shape[-1]

    @property
    def used(self) -> Any:
        """`[D]` bool: which columns belong to a parameter."""
        return self.kind != UNUSED

    @property
    def discrete(self) -> Any:
        """`[D]` bool: which columns take finitely many values."""
        return self.kind >= INTEGER


@pytree
@dataclass(frozen=True)
class Features:
    """What a kernel sees of rows.

    Attributes:
        coordinate: `[..., D]` canonical row values (a category holds its code).
        active: `[..., D]` 1.0 where the column exists for the row.
        kind: `[D]` column kinds: data, so that they are never static.

    Example:
        >>> import numpy as np
        >>> import bojax
        >>> space = bojax.Space({"x": bojax.Float(0, 1)})
        >>> row = space.encode({"x": 0.5})
        >>> bojax.space.table.features(space.table, row, np).active.tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    coordinate: Any
    active: Any
    kind: Any

    def __len__(self) -> int:
        return self.coordinate.shape[0]


# --------------------------------------------------------------- traceable, one row or many


def _cells(table: SpaceTable, xp):
    """First and last edge of the integer cells, in the scale searched in."""
    # Both sides of a `where` are computed: the exponential only ever sees logarithms.
    first = xp.where(table.log, xp.exp(xp.where(table.log, table.low, 0.0)), table.low)
    last = xp.where(table.log, xp.exp(xp.where(table.log, table.high, 0.0)), table.high)
    half = table.step / 2
    # Half a cell below the first value may pass zero in a log scale: stay at half of it.
    bottom = xp.where(table.log, xp.maximum(first - half, first / 2), first - half)
    top = last + half
    safe = xp.where(table.log, bottom, xp.ones_like(bottom))
    safe_top = xp.where(table.log, top, xp.ones_like(top))
    low = xp.where(table.log, xp.log(safe), bottom)
    high = xp.where(table.log, xp.log(safe_top), top)
    return first, last, low, high


def snap(table: SpaceTable, rows, xp=jnp):
    """Clip to the box and put discrete columns at the centre of their cell.

    Args:
        table: the space.
        rows: `[..., D]`.
        xp: array namespace, so that host and device share one definition.

    Returns:
        Rows of the same shape.
    """
    unit = xp.clip(rows, 0.0, 1.0)
    count = xp.maximum(table.cardinality, 1).astype(rows.dtype)
    ordinal = (xp.clip(xp.floor(unit * count), 0.0, count - 1.0) + 0.5) / count
    code = xp.clip(xp.round(rows), 0.0, count - 1.0)
    first, last, low, high = _cells(table, xp)
    width = xp.where(high > low, high - low, 1.0)
    natural = low + unit * width
    natural = xp.where(table.log, xp.exp(xp.where(table.log, natural, 0.0)), natural)
    step = xp.where(table.step > 0, table.step, 1.0)
    # The index is clipped, not the value: first + k step and exp(high) differ in the last bit.
    index = xp.clip(xp.round((natural - first) / step), 0.0, xp.round((last - first) / step))
    value = first + index * step
    scaled = xp.where(table.log, xp.log(xp.where(table.log, value, 1.0)), value)
    integer = xp.clip((scaled - low) / width, 0.0, 1.0)
    out = xp.where(table.kind == REAL, unit, 0.0)
    out = xp.where(table.kind == INTEGER, integer, out)
    out = xp.where(table.kind == ORDINAL, ordinal, out)
    return xp.where(table.kind == CATEGORY, code, out)


def choice_code(table: SpaceTable, rows, xp=jnp):
    """Code of every column of choices, `[..., D]` int32 (meaningless elsewhere)."""
    count = xp.maximum(table.cardinality, 1).astype(rows.dtype)
    code = xp.where(table.kind == ORDINAL, xp.floor(rows * count), xp.round(rows))
    return xp.clip(code, 0.0, count - 1.0).astype(xp.int32)


def active(table: SpaceTable, rows, xp=jnp):
    """Which columns exist for a row, `[..., D]` bool.

    A literal needs its parent active, so activity is the least fixpoint of the clauses,
    reached after `depth` sweeps; a space without conditions takes none.
    """
    literals = table.clauses
    if xp is np and not table.depth:
        return np.ones(rows.shape, bool)
    holds = _rules.matches(literals, rows, choice_code(table, rows, xp), None, xp)
    conditional = xp.any(literals.used, axis=(-1, -2))
    clause_used = xp.any(literals.used, axis=-1)

    def sweep(present):
        parent = xp.take(present, literals.column, axis=-1)
        clause = xp.all((holds & parent) | ~literals.used, axis=-1) & clause_used
        return xp.any(clause, axis=-1) | ~conditional

    present = xp.ones(rows.shape, bool)
    if xp is np:
        for _ in range(int(table.depth)):
            present = sweep(present)
        return present
    return jax.lax.fori_loop(0, table.depth, lambda _, present: sweep(present), present)


def canonical(table: SpaceTable, rows, xp=jnp):
    """The row that stands for its configuration: snapped, inactive columns parked.

    In a space that is a pool it is the member next to the row.
    """
    if table.pool is not None:
        return member(table, rows, xp=xp)
    snapped = snap(table, rows, xp)
    if table.sticks is not None:
        snapped = _rules.parked(table.sticks, snapped, xp)
    return xp.where(active(table, snapped, xp) & table.used, snapped, table.default)


def features(table: SpaceTable, rows, xp=jnp) -> Features:
    """What a kernel sees of rows that are snapped already, `[..., D]`.

    Snapping has no slope, so it is left to the caller: a gradient passes through here.
    """
    present = active(table, rows, xp)
    coordinate = xp.where(present & table.used, rows, table.default)
    shown = (present | ~table.used).astype(rows.dtype)
    return Features(coordinate, shown, table.kind)


def from_unit(table: SpaceTable, unit, xp=jnp):
    """Points of the unit cube as rows, not yet canonical: a category takes equal shares.

    So do the members of a pool, of which the first coordinate picks one.
    """
    if table.pool is not None:
        total = table.pool.count.astype(unit.dtype)
        index = xp.clip(xp.floor(unit[..., 0] * total), 0.0, total - 1.0).astype(xp.int32)
        budget = table.role == FIDELITY
        return xp.where(budget, unit, xp.take(table.pool.rows, index, axis=0).astype(unit.dtype))
    count = xp.maximum(table.cardinality, 1).astype(unit.dtype)
    code = xp.clip(xp.floor(unit * count), 0.0, count - 1.0)
    return xp.where(table.kind == CATEGORY, code, unit)


def unit_to_row(table: SpaceTable, unit, xp=jnp):
    """Points of the unit cube as canonical rows."""
    return canonical(table, from_unit(table, unit, xp), xp)


def same_configuration(table: SpaceTable, a, b):
    """Whether canonical rows agree in every column but the fidelity, `[...]` bool.

    Real columns count as equal within 1e-9 of their range (1e-6 in float32): closer points
    are no experiment of their own.
    """
    tolerance = 1e-9 if jnp.result_type(a) == jnp.float64 else 1e-6
    differs = (jnp.abs(a - b) > tolerance) & (table.role != FIDELITY)
    return ~jnp.any(differs, axis=-1)


def cells(table: SpaceTable, xp=jnp):
    """How many configurations a finite space has, conditions ignored; inf if a column is real.

    The product over the parameter columns, as a float; of a pool, its members.
    """
    if table.pool is not None:
        return xp.asarray(table.pool.count).astype(table.low.dtype)
    chosen = table.used & (table.role == PARAMETER)
    choices = xp.maximum(table.cardinality, 1).astype(table.low.dtype)
    counts = xp.where(table.kind == REAL, xp.inf, choices)
    return xp.prod(xp.where(chosen, counts, 1.0))


def enumerate_rows(table: SpaceTable, indices, xp=jnp):
    """Rows number `indices` of a finite space's grid, `[..., D]`, not yet canonical.

    The last column turns fastest, as in `itertools.product`. Conditional columns make
    several indices the same configuration.

    Args:
        indices: `[...]` integers (as floats or ints); taken modulo the number of cells.
    """
    if table.pool is not None:
        at = xp.mod(xp.asarray(indices).astype(xp.int32), table.pool.count)
        return xp.take(table.pool.rows, at, axis=0)
    chosen = table.used & (table.role == PARAMETER) & (table.kind != REAL)
    radix = xp.where(chosen, xp.maximum(table.cardinality, 1), 1).astype(xp.int32)
    # How many cells the columns to the right have; beyond int32 there is nothing to list.
    stride = xp.flip(xp.cumprod(xp.flip(radix), dtype=xp.int32)) // radix
    cells_before = xp.asarray(indices).astype(xp.int32)[..., None] // xp.maximum(stride, 1)
    digit = (cells_before % radix).astype(table.low.dtype)
    row = from_code(table, digit, xp)
    return xp.where(chosen, row, table.default)


def cell_edges(table: SpaceTable, rows, xp=jnp):
    """Where the cells of snapped rows begin and end, in row units, `[..., D]` each.

    Of columns of integers and ordinals; meaningless elsewhere.

    Example:
        >>> import numpy as np
        >>> import bojax
        >>> space = bojax.Space({"n": bojax.Int(1, 4)})
        >>> row = space.encode({"n": 2})
        >>> [float(edge[0]) for edge in bojax.space.table.cell_edges(space.table, row, np)]
        [0.25, 0.5]
    """
    count = xp.maximum(table.cardinality, 1).astype(rows.dtype)
    code = choice_code(table, rows, xp).astype(rows.dtype)
    first, last, low, high = _cells(table, xp)
    width = xp.where(high > low, high - low, 1.0)
    value = low + rows * width
    value = xp.where(table.log, xp.exp(xp.where(table.log, value, 0.0)), value)
    step = xp.where(table.step > 0, table.step, 1.0)
    index = xp.clip(xp.round((value - first) / step), 0.0, xp.round((last - first) / step))

    def edge(shift):
        place = first + (index + shift) * step
        positive = xp.where(table.log, xp.maximum(place, 0.5 * first), 1.0)
        scaled = xp.where(table.log, xp.log(positive), place)
        unit = xp.clip((scaled - low) / width, 0.0, 1.0)
        return xp.where(table.kind == ORDINAL, (code + 0.5 + shift) / count, unit)

    return edge(-0.5), edge(0.5)


def from_code(table: SpaceTable, code, xp=jnp):
    """Row coordinates of the discrete columns' values by number, `[..., D]`.

    Args:
        code: `[..., D]` numbers of values, counted from 0.

    Example:
        >>> import numpy as np
        >>> import bojax
        >>> space = bojax.Space({"n": bojax.Int(1, 4), "b": bojax.Boolean()})
        >>> bojax.space.table.from_code(space.table, np.array([1, 1, 0, 0]), np)[:2].tolist()
        [0.375, 1.0]
    """
    digit = xp.asarray(code).astype(table.low.dtype)
    count = xp.maximum(table.cardinality, 1).astype(digit.dtype)
    first, _, low, high = _cells(table, xp)
    value = first + digit * table.step
    scaled = xp.where(table.log, xp.log(xp.where(table.log, value, 1.0)), value)
    integer = (scaled - low) / xp.where(high > low, high - low, 1.0)
    row = xp.where(table.kind == INTEGER, integer, (digit + 0.5) / count)
    return xp.where(table.kind == CATEGORY, digit, row)


def empty_table(columns: int, clauses: int, literals: int, choices: int) -> dict[str, np.ndarray]:
    """NumPy arrays of a table without a parameter, for the compiler to fill."""
    d, a, n, k = columns, clauses, literals, choices
    return {
        "kind": np.zeros(d, np.int32),
        "role": np.zeros(d, np.int32),
        "low": np.zeros(d),
        "high": np.ones(d),
        "step": np.zeros(d),
        "log": np.zeros(d, bool),
        "cardinality": np.zeros(d, np.int32),
        "default": np.zeros(d),
        "used": np.zeros((d, a, n), bool),
        "column": np.zeros((d, a, n), np.int32),
        "clause_low": np.full((d, a, n), np.inf),
        "clause_high": np.full((d, a, n), -np.inf),
        "choices": np.zeros((d, a, n, k), bool),
    }


def move(table: SpaceTable, rows, steps, xp=jnp):
    """Discrete columns moved by whole cells, clipped at the ends; categories go round.

    Args:
        rows: `[..., D]` canonical.
        steps: `[..., D]` whole numbers as floats; ignored for real columns.

    Returns:
        `[..., D]`, not yet canonical.
    """
    count = xp.maximum(table.cardinality, 1).astype(rows.dtype)
    code = xp.mod(rows + steps, count)
    first, last, low, high = _cells(table, xp)
    width = xp.where(high > low, high - low, 1.0)
    natural = low + rows * width
    natural = xp.where(table.log, xp.exp(xp.where(table.log, natural, 0.0)), natural)
    value = xp.clip(natural + steps * table.step, first, last)
    scaled = xp.where(table.log, xp.log(xp.where(table.log, value, 1.0)), value)
    moved = xp.where(table.kind == INTEGER, (scaled - low) / width, rows)
    moved = xp.where(table.kind == ORDINAL, rows + steps / count, moved)
    moved = xp.where(table.kind == CATEGORY, code, moved)
    return moved


def with_given(table: SpaceTable, rows, given, xp=jnp):
    """Rows with what the caller fixes put in, canonical.

    Args:
        rows: `[..., D]`.
        given: `[..., D]`, NaN where nothing is fixed.

    A fidelity that is not given is the largest. In a pool, members that have what is given
    come before nearer ones.
    """
    filled = xp.where(table.role == FIDELITY, 1.0, rows)
    filled = xp.where(xp.isnan(given), filled, given)
    if table.pool is not None:
        return member(table, filled, xp.where(xp.isnan(given), 1.0, 1e6), xp)
    return canonical(table, filled, xp)


# --------------------------------------------------------------- what restricts and weighs


def member(table: SpaceTable, rows, weight=None, xp=jnp):
    """The pool's member next to each row, with the row's own budget, `[..., D]`.

    Args:
        weight: `[..., D]` of the columns' squared differences, 1 by default.
    """
    assert table.pool is not None
    chosen = (table.used & (table.role != FIDELITY)).astype(rows.dtype)
    weight = xp.broadcast_to(chosen if weight is None else weight * chosen, rows.shape)
    at = _rules.nearest(table.pool, rows, table.kind == CATEGORY, weight, xp)
    found = xp.take(table.pool.rows, at, axis=0).astype(rows.dtype)
    return xp.where(table.role == FIDELITY, snap(table, rows, xp), found)


def natural(table: SpaceTable, rows, xp=jnp):
    """Values of the columns in natural units, `[..., D]`; the code of a choice.

    Args:
        rows: `[..., D]` canonical. Reals carry a slope; the grids of the others do not.

    Example:
        >>> import numpy as np
        >>> import bojax
        >>> space = bojax.Space({"x": bojax.Float(1e-2, 1, log=True), "n": bojax.Int(1, 8)})
        >>> row = space.encode({"x": 0.1, "n": 3})
        >>> bojax.space.table.natural(space.table, row, np)[:2].round(9).tolist()
        [0.1, 3.0]
    """
    first, last, low, high = _cells(table, xp)
    value = low + rows * xp.where(high > low, high - low, 1.0)
    value = xp.where(table.log, xp.exp(xp.where(table.log, value, 0.0)), value)
    step = xp.where(table.step > 0, table.step, 1.0)
    index = xp.clip(xp.round((value - first) / step), 0.0, xp.round((last - first) / step))
    value = xp.where(table.kind == INTEGER, first + index * step, value)
    code = choice_code(table, rows, xp)
    if table.rules is None:
        listed = code.astype(value.dtype)
    else:
        k = table.rules.number.shape[-1]
        hit = code[..., None] == xp.arange(k, dtype=xp.int32)
        listed = xp.sum(xp.where(hit, table.rules.number, 0.0), axis=-1)
    value = xp.where(table.kind >= ORDINAL, listed, value)
    if table.sticks is not None:
        value = xp.where(table.sticks.member, _rules.pieces(table.sticks, rows, xp), value)
    return value


def excess(table: SpaceTable, rows, xp=jnp, *, inside: bool = False):
    """By how much canonical rows break each rule, `[..., rules]`; at most 0 where one holds.

    Only for tables with rules.
    """
    assert table.rules is not None
    present = active(table, rows, xp) & table.used
    if table.sticks is not None:
        present = present | table.sticks.last
    value, code = natural(table, rows, xp), choice_code(table, rows, xp)
    return _rules.excess(table.rules, rows, value, code, present, inside=inside, xp=xp)


def feasible(table: SpaceTable, rows, xp=jnp, *, inside: bool = False):
    """Which canonical rows break no constraint, `[...]` bool.

    Args:
        inside: by a hair stricter at the boundaries of real columns, so that rounding a
            row to its grid does not put it outside: for rows that will be suggested.

    Example:
        >>> import numpy as np
        >>> import bojax
        >>> space = bojax.Space(
        ...     {"a": bojax.Float(0, 1), "b": bojax.Float(0, 1)},
        ...     constraints=[bojax.Linear({"a": 1, "b": 1}, at_most=1)])
        >>> rows = space.encode([{"a": 0.2, "b": 0.7}, {"a": 0.4, "b": 0.7}])
        >>> bojax.space.table.feasible(space.table, rows, np).tolist()
        [True, False]
    """
    if table.rules is None:
        return xp.ones(rows.shape[:-1], bool)
    return xp.all(excess(table, rows, xp, inside=inside) <= 0.0, axis=-1)


def log_prior(table: SpaceTable, rows, xp=jnp):
    """Log of the user's belief that the optimum is at canonical rows, `[...]`.

    Relative to the uniform belief, so 0 in a space without priors and where they are flat.
    Columns that do not exist for a row say nothing.
    """
    if table.prior is None:
        return xp.zeros(rows.shape[:-1], rows.dtype)
    density = _rules.log_density(table.prior, rows, choice_code(table, rows, xp), xp)
    return xp.sum(xp.where(active(table, rows, xp) & table.used, density, 0.0), axis=-1)


def from_prior(table: SpaceTable, unit, xp=jnp):
    """As :func:`from_unit`, with the columns distributed as the user's beliefs."""
    if table.prior is None:
        return from_unit(table, unit, xp)
    return from_unit(table, _rules.believed(table.prior, unit, table.cardinality, xp), xp)
