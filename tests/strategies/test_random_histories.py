"""Suggestions after random histories over random spaces, thousands of them in a few programs.

Whatever was told, in either precision, every suggestion is finite, a configuration of the space,
and none that was suggested before, until a finite space is used up.
"""

import itertools
from functools import partial

import jax
import numpy as np
import pytest

import bojax
from bojax.history import Status, empty_history
from bojax.strategies import Sizes, gp, grid, tpe

STRATEGIES = {
    "gp": gp(candidates=48, local=16, lanes=4, fantasies=2),
    "tpe": tpe(initial=3, candidates=8),
    "grid": grid(points=7),
}
CAPACITY, Q, TOGETHER = 16, 3, 50
CHOICES = ["a", "b", 1, True, 1.0, None, "1", (2, 3)]


def parameter(rng, name, earlier):
    """One of any kind; a third of them exist for one choice of an earlier category only."""
    when = {}
    if earlier and rng.random() < 0.3:
        parent, choices = earlier[rng.integers(len(earlier))]
        when = {"when": {parent: choices[rng.integers(len(choices))]}}
    kind = rng.integers(6)
    low = float(rng.choice([-1e6, -1.0, 0.0, 3.0]))
    if kind == 0:
        return bojax.Float(low, low + float(rng.choice([1e-3, 1.0, 1e9])), **when), None
    if kind == 1:
        return bojax.Float(10.0 ** -rng.integers(1, 9), 1.0, log=True, **when), None
    if kind == 2:
        return bojax.Float(0.0, 1.0, step=float(rng.choice([0.1, 0.25, 0.5])), **when), None
    if kind == 3:
        return bojax.Int(int(low), int(low) + int(rng.integers(1, 200)), **when), None
    if kind == 4:
        return bojax.Int(1, int(rng.integers(2, 2000)), log=True, **when), None
    size = int(rng.integers(2, 4))
    choices = [CHOICES[i] for i in rng.choice(len(CHOICES), size, replace=False)]
    return bojax.Categorical(choices, **when), choices


def random_space(rng):
    """Five to eight parameters: one size class."""
    parameters, categories = {}, []
    for i in range(rng.integers(5, 9)):
        name = f"p{i}"
        parameters[name], choices = parameter(rng, name, categories)
        if choices is not None:
            categories.append((name, choices))
    return bojax.Space(parameters)


def random_values(rng, n, dtype):
    huge, steep = (1e300, 20.0) if dtype == np.float64 else (1e30, 10.0)  # within the type
    normal = rng.normal(size=n)
    return [
        normal, huge * normal, 1e-12 * normal, np.full(n, 3.0), np.round(normal),
        np.exp(steep * normal), np.where(normal > 0, huge, normal),
    ][rng.integers(7)]  # fmt: skip


def random_histories(rng, space, count, dtype):
    """A stack of `count` histories: told, failed and pending lines in any order, some repeated."""
    stacked = [empty_history(CAPACITY, space.table.columns) for _ in range(count)]
    drawn = space.encode(space.sample(CAPACITY * count, seed=int(rng.integers(2**31))))
    for history, rows in zip(stacked, drawn.reshape(count, CAPACITY, -1), strict=True):
        n = int(rng.integers(0, CAPACITY + 1))
        near = rng.random() < 0.2  # all but equal rows
        rows = np.where(near, space.canonical(rows[:1] + 1e-7 * rng.normal(size=rows.shape)), rows)
        history.rows[:n] = rows[:n]
        history.trial[:n] = np.arange(n)
        history.status[:n] = rng.choice(
            [Status.DONE, Status.FAILED, Status.PENDING, Status.STOPPED],
            n,
            p=[0.7, 0.1, 0.15, 0.05],
        )
        told = (history.status[:n] == Status.DONE) | (history.status[:n] == Status.STOPPED)
        history.values[:n, 0] = np.where(told, random_values(rng, n, dtype), np.nan)

    def together(*leaves):
        joined = np.stack(leaves)
        return joined.astype(dtype) if joined.dtype == np.float64 else joined

    return jax.tree.map(together, *stacked)


@partial(jax.jit, static_argnames="name")
def suggestions(name, table, histories, keys):
    def one(pair):
        history, key = pair
        asked = (history.status != Status.EMPTY).sum(dtype=np.int32)
        state = STRATEGIES[name].init(table, Sizes())._replace(asked=asked)
        _, rows, info = STRATEGIES[name].ask(state, history, key, Q)
        return rows, info.valid

    return jax.lax.map(one, (histories, keys))


def configurations(space, rows):
    return [repr(sorted(config.items())) for config in space.decode(np.asarray(rows, float))]


def all_configurations(space):
    """Of a finite space; None if a parameter is real."""
    if not np.isfinite(bojax.space.table.cells(space.table, np)):
        return None
    used = np.flatnonzero(space.table.used)
    levels = [np.linspace(0, 1, 4 * max(int(space.table.cardinality[k]), 1) + 1) for k in used]
    rows = np.zeros((int(np.prod([len(level) for level in levels])), space.table.columns))
    rows[:, used] = list(itertools.product(*levels))
    return set(configurations(space, rows))


def check(space, histories, rows, valid):
    for number in range(rows.shape[0]):
        known = histories.status[number] != Status.EMPTY
        past = configurations(space, histories.rows[number][known]) if known.any() else []
        assert np.isfinite(rows[number]).all(), f"history {number}: a row that is not finite"
        if not valid[number].all():
            everything = all_configurations(space)
            assert everything is not None and everything <= set(past) | set(
                configurations(space, rows[number][valid[number]])
            )
        new = rows[number][valid[number]]
        if not len(new):
            continue
        decoded = space.decode(np.asarray(new, float))
        np.testing.assert_allclose(space.encode(decoded), new, atol=2e-6)
        asked = configurations(space, new)
        assert len(set(asked)) == len(asked) and not set(asked) & set(past)


@pytest.mark.parametrize(
    ("name", "precision", "spaces", "histories"),
    [
        ("gp", "float64", 2, 50),
        pytest.param("gp", "float32", 2, 50, marks=pytest.mark.slow),
        pytest.param("gp", "float64", 500, 200, marks=pytest.mark.slow),
        pytest.param("gp", "float32", 500, 200, marks=pytest.mark.slow),
        ("tpe", "float64", 3, 50),
        ("tpe", "float32", 3, 50),
        pytest.param("tpe", "float64", 300, 200, marks=pytest.mark.slow),
        pytest.param("tpe", "float32", 300, 200, marks=pytest.mark.slow),
        ("grid", "float64", 3, 50),
        ("grid", "float32", 3, 50),
        pytest.param("grid", "float64", 300, 200, marks=pytest.mark.slow),
        pytest.param("grid", "float32", 300, 200, marks=pytest.mark.slow),
    ],
)
def test_every_suggestion_is_valid_unique_and_finite(name, precision, spaces, histories):
    dtype = np.dtype(precision).type
    rng = np.random.default_rng(11)
    for _ in range(spaces):
        space = random_space(rng)
        for _ in range(histories // TOGETHER):
            stack = random_histories(rng, space, TOGETHER, dtype)
            with jax.enable_x64(precision == "float64"):
                table = jax.tree.map(
                    lambda leaf: np.asarray(leaf, dtype) if leaf.dtype == np.float64 else leaf,
                    space.table,
                )
                keys = jax.random.split(jax.random.key(int(rng.integers(2**31))), TOGETHER)
                rows, valid = map(np.asarray, suggestions(name, table, stack, keys))
            check(space, stack, rows, valid)
