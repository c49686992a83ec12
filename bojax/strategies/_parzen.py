"""Parzen estimators over rows of a space: mixtures of truncated normals and categories.

A kernel stands at each observation, and one more, the prior, over the whole range. With `x` in
the unit interval (in logs where the parameter is) the kernel of a number is a normal about the
observation cut to [0, 1]; of a number on a grid it is that normal's mass in the cell; of a
category a part of the mass lies on the observed choice and the rest evenly on all. Columns of one
group share the observation a kernel stands at (their densities multiply); a column that does not
always exist is a mixture of its own, over the lines in which it exists.

J. Bergstra, R. Bardenet, Y. Bengio, B. Kegl, "Algorithms for Hyper-Parameter Optimization",
NeurIPS 2011; J. Bergstra, D. Yamins, D. Cox, "Making a Science of Model Search", ICML 2013
(weights by age); S. Falkner, A. Klein, F. Hutter, "BOHB", ICML 2018 (products over columns).
The numbers are Optuna's, of the version that a recipe names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf, erfc, logsumexp, ndtr, ndtri

from bojax.optimize import uniforms
from bojax.space import table as tables
from bojax.space.table import SpaceTable

# Optuna 4.5 and 5.0, samplers/_tpe: `default_weights`, the magic clip, and 4.x's multivariate rule.
RECENT = 25  # observations of full weight; older ones count less, down to 1/n
FINEST = 100  # no kernel is narrower than the range over this
SCOTT = 0.2  # share of the range of one observation's kernel, by the multivariate rule of 4.x

GAPS, GAPS_AND_CENTRE, SCOTT_RULE = "gaps", "gaps and centre", "scott"  # how wide kernels are
HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


class Groups(NamedTuple):
    """How columns are modelled, each `[D]` bool.

    Attributes:
        joint: together, as products.
        own: each by itself.
        cells: by the mass of a cell, not by a density.
    """

    joint: Any
    own: Any
    cells: Any


class Parzen(NamedTuple):
    """M kernels, the prior's last.

    Attributes:
        mean: `[D, M]` in row units; of a category its code.
        sigma: `[D, M]` in row units.
        log_weight: `[D, M]` of each column by itself; -inf for what is no kernel of it.
        joint_weight: `[M]` logarithms, of the columns that are modelled together.
        count: `[D]` observations behind a column.
    """

    mean: Any
    sigma: Any
    log_weight: Any
    joint_weight: Any
    count: Any


def parzen(table: SpaceTable, groups: Groups, rows, lines, present, rule: str) -> Parzen:
    """The estimator of some lines.

    Args:
        table: the space.
        groups: of its columns.
        rows: `[N, D]` canonical, oldest first.
        lines: `[N]` bool, which of them take part.
        present: `[N, D]` bool, which columns exist in them.
        rule: static, one of `GAPS`, `GAPS_AND_CENTRE`, `SCOTT_RULE`.
    """
    d, dtype = rows.shape[1], rows.dtype
    x, here = rows.T, (present & lines[:, None]).T
    count = jnp.sum(here, axis=1, dtype=jnp.int32)
    number = count.astype(dtype)[:, None]
    if rule == SCOTT_RULE:
        together = jnp.sum(groups.joint, dtype=jnp.int32).astype(dtype)
        dimensions = jnp.where(groups.joint, together, 1.0)[:, None]
        sigma = SCOTT * jnp.maximum(number, 1.0) ** (-1.0 / (dimensions + 4.0))
        sigma = jnp.broadcast_to(sigma, x.shape)
    else:
        sigma = _gaps(x, here, centre=rule == GAPS_AND_CENTRE)
    sigma = jnp.clip(sigma, 1.0 / jnp.minimum(float(FINEST), number + 2.0), 1.0)
    middle, one = jnp.full((d, 1), 0.5, dtype), jnp.ones((d, 1), dtype)
    # The prior of a category has no observed choice.
    middle = jnp.where(table.kind[:, None] == tables.CATEGORY, -1.0, middle)
    return Parzen(
        jnp.concatenate([x, middle], axis=1),
        jnp.concatenate([sigma, one], axis=1),
        _log_weights(here, dtype),
        _log_weights(lines[None], dtype)[0],
        count,
    )


def _log_weights(here, dtype):
    """Logarithms of the normalised weights of lines by age, and of the prior, `[D, M]`."""
    rank = jnp.cumsum(here, axis=1, dtype=jnp.int32).astype(dtype)
    number = jnp.sum(here, axis=1, dtype=jnp.int32).astype(dtype)[:, None]
    older = number - RECENT
    least = 1.0 / jnp.maximum(number, 1.0)
    ramp = least + (1.0 - least) * (rank - 1.0) / jnp.maximum(older - 1.0, 1.0)
    weight = jnp.where(here, jnp.where(rank > older, 1.0, ramp), 0.0)
    weight = jnp.concatenate([weight, jnp.ones((len(here), 1), dtype)], axis=1)
    return jnp.log(weight / jnp.sum(weight, axis=1, keepdims=True))


def _gaps(x, here, *, centre: bool):
    """The larger distance to the two sorted neighbours, `[D, N]`; of an end the inner one."""
    (d, n), dtype = x.shape, x.dtype
    if centre:
        x = jnp.concatenate([x, jnp.full((d, 1), 0.5, dtype)], axis=1)
        here = jnp.concatenate([here, jnp.ones((d, 1), bool)], axis=1)
    order = _order(x, here)
    ordered = jnp.take_along_axis(x, order, axis=1)
    total = jnp.sum(here, axis=1, dtype=jnp.int32)[:, None]
    number = jnp.arange(x.shape[1], dtype=jnp.int32)
    edge = jnp.zeros((d, 1), dtype)
    below = ordered - jnp.concatenate([edge, ordered[:, :-1]], axis=1)
    after = jnp.concatenate([ordered[:, 1:], edge + 1.0], axis=1)
    above = jnp.where(number == total - 1, 1.0, after) - ordered
    gap = jnp.maximum(below, above)
    several = total > 1
    gap = jnp.where(several & (number == 0), above, gap)
    gap = jnp.where(several & (number == total - 1), below, gap)
    column = jnp.arange(d, dtype=jnp.int32)[:, None]
    back = jnp.zeros_like(gap).at[column, order].set(gap, unique_indices=True)
    return jnp.where(here, back, 1.0)[:, :n]


def _order(x, here):
    """Where the sorted values of each row of `x [D, N]` stand, those not `here` last; stable.

    One integer holds value and place: a sort of plain integers is several times as fast as any
    other. Values are told apart to 2**-48 of the range in float64 and 2**-17 in float32, with
    8,192 lines; a kernel's width is never below 2**-7.
    """
    n = x.shape[1]
    whole, bits = (jnp.int64, 62) if x.dtype == jnp.float64 else (jnp.int32, 30)
    places = max(n - 1, 1).bit_length()
    steps = 2 ** (bits - places)
    value = jnp.where(here, jnp.clip(x, 0.0, 1.0) * (steps - 1), float(steps)).astype(whole)
    packed = (value << places) | jnp.arange(n, dtype=whole)
    return (jnp.sort(packed, axis=1, stable=False) & (2**places - 1)).astype(jnp.int32)


# ------------------------------------------------------------------ densities


def log_densities(table: SpaceTable, groups: Groups, models: Sequence[Parzen], rows):
    """Of each model, log density of the joint columns `[S]` and of each other column `[S, D]`.

    Args:
        table, groups: as for :func:`parzen`.
        models: of the same columns; they are gone through at once, so that programs hold the
            formulas once.
        rows: `[S, D]` snapped.
    """
    sizes = [model.joint_weight.shape[0] for model in models]
    counts = [jnp.broadcast_to(m.count[:, None], m.mean.shape) for m in models]
    filled = [m._replace(count=c) for m, c in zip(models, counts, strict=True)]
    model = jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=-1), *filled)
    product, own = _over_columns(table, groups, model, rows, sizes)
    joint = _mixtures(product + model.joint_weight, sizes)
    return list(zip(joint, own, strict=True))


def _mixtures(kernels, sizes: Sequence[int]):
    """Log densities of mixtures that lie side by side in the last axis."""
    ends = np.cumsum(sizes).tolist()
    return [logsumexp(kernels[..., e - s : e], axis=-1) for s, e in zip(sizes, ends, strict=True)]


def _over_columns(table: SpaceTable, groups: Groups, model: Parzen, rows, sizes: Sequence[int]):
    """Log products of the joint columns' kernels `[S, M]`, log densities of the own `[S, D]`.

    The latter of each of the mixtures of `sizes` kernels; `model.count` is `[D, M]`.

    Column by column, so that each computes what its kind asks for and no more, and `[S, D, M]`
    numbers are never there at once.
    """
    dtype = rows.dtype
    low, high = tables.cell_edges(table, rows)
    choices = jnp.maximum(table.cardinality, 1).astype(dtype)
    kind = jnp.where(groups.cells, 1, jnp.where(table.kind == tables.CATEGORY, 2, 0))
    kind = jnp.where(groups.joint | groups.own, kind, 3).astype(jnp.int32)

    def column(product, of):
        x, low, high, mean, sigma, log_weight, count, choices, kind, joint, own = of
        x, low, high, narrow = x[:, None], low[:, None], high[:, None], 1.0 / sigma

        def log_inside():
            """Of the mass that truncation leaves, `[M]`."""
            root = narrow * math.sqrt(0.5)
            return jnp.log(0.5 * (erf((1.0 - mean) * root) + erf(mean * root)))

        def density():
            z = (x - mean) * narrow
            return (jnp.log(narrow) - HALF_LOG_2PI - log_inside()) - 0.5 * z * z

        def cells():
            return log_mass((low - mean) * narrow, (high - mean) * narrow) - log_inside()

        def category():
            spread = 1.0 / (count.astype(dtype) + 1.0)
            total = 1.0 + choices * spread
            other = jnp.where(mean < 0.0, -jnp.log(choices), jnp.log(spread / total))
            return jnp.where(x == mean, jnp.log((1.0 + spread) / total), other)

        kernels = jax.lax.switch(kind, (density, cells, category, lambda: jnp.zeros_like(product)))
        product = jnp.where(joint, product + kernels, product)
        alone = jax.lax.cond(
            own,
            lambda: _mixtures(kernels + log_weight, sizes),
            lambda: [jnp.zeros_like(x[:, 0]) for _ in sizes],
        )
        return product, alone

    each = (rows.T, low.T, high.T, *model[:3], model.count, choices, kind, *groups[:2])
    start = jnp.zeros((len(rows), model.mean.shape[1]), dtype)
    product, own = jax.lax.scan(column, start, each)
    return product, [each.T for each in own]


def log_mass(low, high):
    """Log of a standard normal's mass between `low` and `high`, also of narrow cells far out."""
    flipped = low + high > 0.0
    a, b = jnp.where(flipped, -high, low), jnp.where(flipped, -low, high)
    wide = 0.5 * (erfc(-b / math.sqrt(2.0)) - erfc(-a / math.sqrt(2.0)))
    width, middle = b - a, 0.5 * (a + b)
    # The difference cancels in narrow cells; there the density hardly changes.
    narrow = width < float(jnp.finfo(width.dtype).eps) ** (1.0 / 3.0)
    curved = jnp.log1p((middle * width) ** 2 / 24.0)
    product = jnp.log(jnp.where(width > 0, width, 1.0)) - 0.5 * middle**2 - HALF_LOG_2PI + curved
    return jnp.where(narrow, product, jnp.log(jnp.where(narrow, 1.0, wide)))


# ------------------------------------------------------------------ draws


def draws(table: SpaceTable, groups: Groups, model: Parzen, key, count: int, given):
    """Rows drawn from the estimator, `[count, D]`, not yet snapped.

    Args:
        table, groups, model: as for :func:`parzen`.
        key: for the draws.
        count: static.
        given: `[D]`, NaN where nothing is: joint columns are drawn from what the model says of
            them beside a given one.
    """
    d, dtype = model.mean.shape[0], model.mean.dtype
    uniform = uniforms(key, (4, count, d), dtype)
    known = groups.joint & ~jnp.isnan(given)
    only = groups._replace(joint=known, own=jnp.zeros_like(known))
    wide = model._replace(count=jnp.broadcast_to(model.count[:, None], model.mean.shape))
    beside = _over_columns(table, only, wide, jnp.where(known, given, 0.5)[None], ())[0][0]
    weight = jnp.where(groups.joint[:, None], model.joint_weight + beside, model.log_weight)
    mass = jnp.cumsum(jnp.exp(weight - jnp.max(weight, axis=1, keepdims=True)), axis=1)
    # One kernel for all joint columns of a row.
    u = jnp.where(groups.joint, uniform[0, :, :1], uniform[0])
    chosen = jnp.sum(u[:, :, None] * mass[:, -1:] >= mass, axis=-1, dtype=jnp.int32)
    chosen = jnp.minimum(chosen, mass.shape[1] - 1)
    column = jnp.arange(d, dtype=jnp.int32)
    mean, sigma = model.mean[column, chosen], model.sigma[column, chosen]
    low, high = ndtr(-mean / sigma), ndtr((1.0 - mean) / sigma)
    number = jnp.clip(mean + sigma * ndtri(low + uniform[1] * (high - low)), 0.0, 1.0)
    choices = jnp.maximum(table.cardinality, 1).astype(dtype)
    anywhere = jnp.minimum(jnp.floor(uniform[2] * choices), choices - 1.0)
    # Of the prior, whose mean is no choice, and of the part that lies on all choices alike.
    stays = (mean >= 0.0) & (uniform[3] * (1.0 + choices / (model.count.astype(dtype) + 1.0)) < 1.0)
    code = jnp.where(stays, mean, anywhere)
    return jnp.where(table.kind == tables.CATEGORY, code, number)
