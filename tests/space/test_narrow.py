"""A part of a space: the same configurations, in coordinates of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.space import table as tables
from bojax.space.narrow import narrowed

SPACE = bojax.Space(
    {
        "lr": bojax.Float(1e-4, 1.0, log=True),
        "n": bojax.Int(1, 100, log=True),
        "size": bojax.Ordinal([1, 2, 4, 8, 16]),
        "kind": bojax.Categorical(["a", "b"]),
        "y": bojax.Float(-1, 1, when={"size": [4, 8]}),
        "z": bojax.Float(0, 1, when={"lr": bojax.Range(1e-3, 1e-2)}),
    },
    constraints=[bojax.Linear({"lr": 1.0, "size": 0.1}, at_most=1.0)],
    forbidden=[{"size": 8, "kind": "b"}],
)
LOW = np.array([0.2, 0.3, 0.3, 0.0, 0.25, 0.0])
HIGH = np.array([0.7, 0.6, 0.9, 1.0, 0.75, 1.0])
HOME = {"lr": 5e-3, "n": 10, "size": 4, "kind": "a", "y": 0.0, "z": 0.5}


@pytest.fixture(scope="module")
def part():
    """Random points of the part as rows of the part and of the whole, and what each table says."""

    @jax.jit
    def program(table, unit, low, high, home, others):
        made = narrowed(table, low, high, home)
        rows = tables.unit_to_row(made.table, unit)
        whole = tables.canonical(table, made.out(rows))
        back, inside = made.of(whole)
        return {
            "rows": rows, "whole": whole, "back": back, "inside": inside,
            "others": made.of(others)[1],
            "table": made.table, "anchors": made.out(made.table.rules.anchors),
            "feasible": (tables.feasible(made.table, rows), tables.feasible(table, whole)),
            "active": (tables.active(made.table, rows), tables.active(table, whole)),
            "natural": (tables.natural(made.table, rows), tables.natural(table, whole)),
        }  # fmt: skip

    unit = np.random.default_rng(0).random((400, 6))
    with jax.enable_x64(True):
        table = jax.tree.map(jnp.asarray, SPACE.table)
        others = SPACE.encode(SPACE.sample(200, seed=1))
        found = program(table, unit, LOW, HIGH, SPACE.encode(HOME), others)
        return jax.tree.map(np.asarray, found) | {"sampled": SPACE.sample(200, seed=1)}


def ranges(configs, name):
    values = [c[name] for c in configs if name in c]
    return min(values), max(values)


def test_rows_are_within_the_ranges(part):
    configs = SPACE.decode(part["whole"])
    low, high = ranges(configs, "lr")
    assert 10**-3.2 <= low < 10**-3.1 and 10**-1.3 < high <= 10**-1.2
    assert {c["size"] for c in configs} == {2, 4, 8, 16}  # cells 1 to 4 of 5
    assert {c["kind"] for c in configs} == {"a", "b"}
    cells = SPACE.encode([HOME | {"n": n} for n in range(1, 101)])[:, 1]
    first, last = ranges(configs, "n")
    # All the cells that the range touches, and no others.
    with jax.enable_x64(True):
        begin, end = (e[:, 1] for e in tables.cell_edges(
            SPACE.table, SPACE.encode([HOME | {"n": n} for n in range(1, 101)]), np))  # fmt: skip
    touched = np.flatnonzero((end > 0.3) & (begin < 0.6)) + 1
    assert (first, last) == (touched[0], touched[-1]) and len(cells) == 100
    assert ranges(configs, "y")[0] >= -0.5 and ranges(configs, "y")[1] <= 0.5


def test_both_tables_say_the_same_of_a_configuration(part):
    for name in ("feasible", "active"):
        of_part, of_whole = part[name]
        np.testing.assert_array_equal(of_part, of_whole, err_msg=name)
    assert part["active"][0][:, 4].any() and not part["active"][0][:, 4].all()
    assert part["active"][0][:, 5].any() and not part["active"][0][:, 5].all()
    assert part["feasible"][0].any() and not part["feasible"][0].all()
    there = part["active"][0]
    numbers = np.array([0, 1, 4, 5])
    of_part, of_whole = (np.where(there, x, 0.0)[:, numbers] for x in part["natural"])
    np.testing.assert_allclose(of_part, of_whole, rtol=1e-9)


def test_there_and_back(part):
    assert part["inside"].all()
    np.testing.assert_allclose(part["back"], part["rows"], atol=1e-9)


def test_which_lie_within(part):
    """By the configurations' own values; what does not exist lies nowhere else."""

    def within(c):
        good = 10**-3.2 <= c["lr"] <= 10**-1.2 and c["size"] >= 2
        good = good and abs(c.get("y", 0.0)) <= 0.5
        return good and n_low <= c["n"] <= n_high

    n_low, n_high = ranges(SPACE.decode(part["whole"]), "n")
    expected = [within(c) for c in part["sampled"]]
    np.testing.assert_array_equal(part["others"], expected)
    assert 0 < sum(expected) < 200


def test_walks_start_within(part):
    table = part["table"]
    assert table.prior is None and (table.rules.anchors >= -1e-6).all()
    assert (table.rules.anchors[:, [0, 1, 2, 4]] <= 1 + 1e-6).all()
    home = SPACE.encode(HOME)
    assert (np.abs(part["anchors"] - home).max(axis=1) < 1e-9).any()  # in the place of those beyond
