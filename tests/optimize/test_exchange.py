"""Local search: neighbours differ in one parameter that exists; searches end at the top."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.optimize.exchange import exchanged, local_search

SPACE = bojax.Space(
    {
        "cell": bojax.Categorical(["conv", "pool", "skip"]),
        "kernel": bojax.Ordinal([1, 3, 5, 7], when={"cell": "conv"}),
        "width": bojax.Int(1, 200),
        "rate": bojax.Float(1e-3, 1.0, log=True),
    }
)
CONFIG = {"cell": "conv", "kernel": 3, "width": 100, "rate": 0.03}
FREE = np.full(4, np.nan)


@pytest.fixture(scope="module")
def neighbours():
    @jax.jit
    def program(row, spread, free):
        key = jax.random.key(0)
        given = jnp.full(4, jnp.nan)
        return exchanged(SPACE.table, key, row[None], free, spread[None], 2000, given)[0]

    def made(config, spread=0.05, free=(True,) * 4):
        with jax.enable_x64(True):
            rows = program(SPACE.encode(config), np.float64(spread), np.array(free))
        return SPACE.decode(np.asarray(rows))

    return made


def differs(config, name):
    if name not in config or isinstance(CONFIG[name], str):
        return config.get(name, CONFIG[name]) != CONFIG[name]
    return abs(config[name] / CONFIG[name] - 1) > 1e-9


def changed(configs, name):
    return [config[name] for config in configs if differs(config, name)]


def test_a_neighbour_differs_in_one_parameter(neighbours):
    configs = neighbours(CONFIG)
    differing = [[name for name in CONFIG if differs(config, name)] for config in configs]
    assert all(len(names) == 1 for names in differing)
    counts = {n: sum(names == [n] for names in differing) for n in CONFIG}
    assert set(counts.values()) == {500}  # each parameter has its share
    others = changed(configs, "cell")
    assert abs(others.count("pool") / len(others) - 0.5) < 0.08
    assert set(changed(configs, "kernel")) == {1, 5}  # one place
    assert 100 not in changed(configs, "width")


def test_numbers_are_normal_around_the_row_and_cut_to_the_range(neighbours):
    for spread in (0.05, 0.1):
        widths = (np.array(changed(neighbours(CONFIG, spread), "width")) - 100) / 200
        assert widths.std() == pytest.approx(spread, rel=0.1)
    rates = np.log10(changed(neighbours(CONFIG | {"rate": 1.0}), "rate")) / 3
    rates = rates[rates < -1e-6]
    assert rates.min() > -0.25
    assert np.sqrt(np.mean(rates**2)) == pytest.approx(0.05, rel=0.1)  # half a normal


def test_what_does_not_exist_or_is_not_free_stays(neighbours):
    pool = {"cell": "pool", "width": 100, "rate": 0.03}
    configs = neighbours(pool)
    assert sum(c["cell"] == "conv" for c in configs) > 200  # a third of them, half of that
    assert all("kernel" not in c for c in configs if c["cell"] != "conv")
    for config in neighbours(CONFIG, free=(False, False, True, False)):
        assert {n: config[n] for n in ("cell", "kernel")} == {"cell": "conv", "kernel": 3}
        assert config["width"] != 100
    for config in neighbours(CONFIG, free=(False,) * 4):
        assert not any(differs(config, name) for name in CONFIG)


@pytest.fixture(scope="module")
def search():
    """Of two starts, on a score with a plateau: steps of 1/32 in what a rate and a width miss."""

    @jax.jit
    def program(starts, given, closed, plateau):
        def score(rows):
            kind = jnp.where(rows[:, 0] == 0.0, 0.0, -1.0)
            shape = jnp.where(rows[:, 0] == 0.0, -jnp.abs(rows[:, 1] - 0.875), 0.0)
            away = jnp.abs(rows[:, 2] - 0.8) + jnp.abs(rows[:, 3] - 0.2)
            return kind + shape - jnp.ceil(32 * away) / 32

        ends = local_search(
            score, SPACE.table, jax.random.key(1), starts, given,
            lambda rows: jnp.abs(rows[:, 1] - closed) > 1e-6, plateau=plateau,
        )  # fmt: skip
        return ends

    def run(given=FREE, closed=-1.0, plateau=10):
        starts = [{"cell": "skip", "width": 1, "rate": 1.0}, CONFIG]
        with jax.enable_x64(True):
            ends = program(SPACE.encode(starts), given, closed, np.int32(plateau))
        return np.asarray(ends.scores), SPACE.decode(np.asarray(ends.rows))

    return run


def test_searches_reach_the_top_over_plateaus(search):
    scores, configs = search()
    assert scores.min() >= -0.1
    assert [(c["cell"], c["kernel"]) for c in configs] == [("conv", 7)] * 2


def test_they_pass_what_is_closed_and_return_what_is_open(search):
    scores, configs = search(closed=0.875)  # a kernel of 7 is known already
    assert [c["kernel"] for c in configs] == [5, 5]
    assert -0.35 <= scores.min() <= scores.max() <= -0.25


def test_what_is_given_is_kept_and_patience_matters(search):
    given = FREE.copy()
    given[0] = 1.0
    _, configs = search(given=given)
    assert [c["cell"] for c in configs[:1]] == ["pool"]
    assert search(plateau=0)[0].max() < -0.5  # where they began
