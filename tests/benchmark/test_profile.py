"""Profiles: parts that sum up to the whole, of a run that is the same as without one."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.benchmark import _profile
from bojax.benchmark._profile import compiling, flame, profile
from bojax.errors import ConfigError

SPACE = bojax.Space({f"x{i}": bojax.Float(0.0, 1.0) for i in range(3)})
SMALL = bojax.strategies.gp(candidates=24, local=8, initial=3)


def problem():
    return bojax.loop.Problem(
        SPACE.table, lambda data, key, rows: jnp.sum((rows[:, :3] - 0.3) ** 2, axis=-1), space=SPACE
    )


def leaves(node):
    return [node] if not node["children"] else [x for c in node["children"] for x in leaves(c)]


@pytest.fixture(scope="module")
def found():
    return profile(SMALL, problem(), 6, seed=1)


def test_parts_sum_up_at_every_level(found):
    def check(node):
        if node["children"]:
            total = sum(child["seconds"] for child in node["children"])
            np.testing.assert_allclose(node["seconds"], total, rtol=1e-12)
            for child in node["children"]:
                check(child)

    check(found["tree"])
    flat = {node["name"]: node["seconds"] for node in leaves(found["tree"])}
    assert flat == {k: v for k, v in found["seconds"].items() if k != "total"}
    assert all(seconds >= 0 for seconds in flat.values())
    assert set(flat) == {
        "design", "fit", "pool scoring", "climb", "tracing", "lowering", "compiling", "host",
        "evaluation",
    }  # fmt: skip


def test_the_whole_is_the_suggestions_and_what_follows_them(found):
    rest = found["seconds"]["total"] - found["seconds"]["evaluation"]
    assert len(found["asks"]) == 6
    assert rest >= 0.99 * sum(found["asks"])
    assert found["programs"] == 3  # design, fit, suggest; that of scoring is not the run's


def test_it_is_json(found):
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.slow
def test_the_profiled_run_is_the_run(found):
    optimizer, values = bojax.Optimizer(SPACE, strategy=SMALL, seed=1), []
    for _ in range(6):
        trial = optimizer.ask()
        values.append(float(np.sum((np.float32(trial.row[:3]) - np.float32(0.3)) ** 2)))
        optimizer.tell(trial, found["values"][len(values) - 1])
    # Other programs may add in another order.
    np.testing.assert_allclose(values, found["values"], atol=1e-5)


def test_a_strategy_without_stages_has_one():
    found = profile(bojax.strategies.random(), problem(), 3)
    assert "ask" in found["seconds"] and "fit" not in found["seconds"]


def test_programs_are_counted_and_nested_intervals_once():
    @jax.jit
    def inner(x):
        return x * 3.0

    with compiling() as outside:
        with compiling() as inside:
            jax.jit(lambda x: inner(x) + 1.0)(jnp.float32(2.0))
        jax.jit(lambda x: x - 5.0)(2.0)
    assert inside.programs >= 1 and outside.programs == inside.programs + 1
    assert outside.seconds > inside.seconds > 0
    assert inside.seconds <= inside.tracing + inside.lowering + inside.compiling
    assert _profile._union([(0.0, 4.0), (1.0, 2.0), (3.0, 5.0), (7.0, 8.0)]) == 6.0
    assert _profile._union([]) == 0.0
    with compiling() as nothing:
        pass
    assert nothing.programs == 0 and nothing.seconds == 0.0


def test_rectangles_lie_on_their_parents():
    leaf = [_profile._node(name, s) for name, s in (("fit", 1.0), ("climb", 3.0))]
    tree = _profile._node("run", children=[_profile._node("suggesting", children=leaf)])
    placed = {node["name"]: (left, level) for node, left, level in _profile._placed(tree, 0.0, 0)}
    assert placed == {"run": (0, 0), "suggesting": (0, 1), "climb": (0, 2), "fit": (3, 2)}


def test_a_picture(found, tmp_path):
    flame(found, tmp_path / "flame.png")
    assert (tmp_path / "flame.png").read_bytes().startswith(b"\x89PNG")


def test_what_cannot_be_profiled():
    with pytest.raises(ConfigError, match=r"problem 'problem' has no space.*space=\.\.\."):
        profile(SMALL, bojax.loop.Problem(SPACE.table, lambda data, key, rows: rows[:, 0]), 2)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        profile(SMALL, problem(), 0)
