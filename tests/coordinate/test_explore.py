"""Copies of population based training: valid neighbours, in range, by their parameter's kind."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bojax
from bojax.coordinate.explore import explored, names_to_explore

SPACE = bojax.Space(
    {
        "lr": bojax.Float(1e-4, 1e-1, log=True),
        "share": bojax.Float(0.0, 1.0, step=0.25),
        "n": bojax.Int(2, 11, step=3),
        "size": bojax.Ordinal([16, 32, 64, 128]),
        "kind": bojax.Categorical(["sgd", "adam", 1, True]),
        "momentum": bojax.Float(0.5, 0.9, when={"kind": "sgd"}),
        "on": bojax.Boolean(),
    }
).with_fidelity("epochs", 1, 9)
ALL = tuple(name for name in SPACE.names if name != "epochs")


@given(st.integers(0, 10**6), st.floats(0.0, 1.0), st.floats(0.1, 10.0))
def test_a_copy_is_a_configuration_whatever_is_perturbed(seed, resample, factor):
    config = SPACE.sample(1, seed=seed)[0]
    rng = np.random.default_rng(seed)
    found = explored(SPACE, config, ALL, rng, factors=(factor, 1 / factor), resample=resample)
    assert SPACE.decode(SPACE.encode(found)) == found  # encode names what is out of range


def test_numbers_are_multiplied_and_kept_in_range():
    config = {"lr": 0.01, "share": 0.5, "n": 5, "size": 32, "kind": "adam", "on": True}
    seen = {name: set() for name in ALL}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = explored(SPACE, config, ALL, rng, factors=(1.2, 0.8), resample=0.0)
        for name, value in found.items():
            seen[name].add((type(value), value) if name == "kind" else value)
    assert sorted(seen["lr"]) == pytest.approx([0.008, 0.012], rel=1e-9)
    assert seen["share"] == {0.25, 0.75}  # 0.5 * 1.2 is no step: one step at least
    assert seen["n"] == {2, 8}
    assert seen["size"] == {16, 64}  # sideways
    assert seen["kind"] == {(str, "sgd"), (int, 1), (bool, True)}
    assert seen["momentum"] and all(0.5 <= m <= 0.9 for m in seen["momentum"])
    ends = {"lr": 0.1, "share": 1.0, "n": 11, "size": 128, "kind": "adam", "on": True}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = explored(SPACE, ends, ALL, rng, factors=(1.2, 1.2), resample=0.0)
        assert found["lr"] == 0.1 and found["n"] == 11 and found["size"] in (64, 128)


def test_names_factors_and_resampling_matter():
    config = SPACE.sample(1, seed=1)[0]

    def found(names=ALL, factors=(1.2, 0.8), resample=0.25, seed=0):
        rng = np.random.default_rng(seed)
        return explored(SPACE, config, names, rng, factors=factors, resample=resample)

    only = found(["lr"])
    assert {n for n in config if only[n] != config[n]} == {"lr"}
    assert found(factors=(3.0, 2.0)) != found()
    assert found(resample=1.0) != found(resample=0.0)
    assert found(seed=3) != found(seed=4)


def test_constraints_hold_and_derived_values_follow():
    space = bojax.Space(
        {"a": bojax.Float(0.0, 1.0), "b": bojax.Float(0.0, 1.0)},
        constraints=[bojax.Linear({"a": 1.0, "b": 1.0}, at_most=1.0)],
    )
    for seed in range(30):
        rng = np.random.default_rng(seed)
        copy = explored(
            space, {"a": 0.5, "b": 0.49}, ["a", "b"], rng, factors=(1.2, 0.8), resample=0.2
        )
        assert space.feasible(copy)


def test_what_cannot_be_perturbed_is_named():
    assert names_to_explore(SPACE, None, ["share"]) == ("lr", "momentum")
    assert names_to_explore(SPACE, ["n"], []) == ("n",)
    with pytest.raises(bojax.SpaceError, match="perturb='width': no such parameter"):
        names_to_explore(SPACE, ["width"], [])
    with pytest.raises(bojax.SpaceError, match="perturb='size': it chooses the program"):
        names_to_explore(SPACE, ["size"], ["size"])
    with pytest.raises(bojax.SpaceError, match="nothing to perturb"):
        names_to_explore(bojax.Space({"n": bojax.Int(1, 3)}), None, [])
