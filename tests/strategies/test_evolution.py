"""Regularised evolution: who lives, who wins, what changes, and a toy of architectures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.history import Status, empty_history
from bojax.strategies import Sizes, evolution
from bojax.strategies._evolution import living, mutated

SPACE = bojax.Space(
    {
        "cell": bojax.Categorical(["conv", "pool", "skip"]),
        "kernel": bojax.Ordinal([1, 3, 5, 7], when={"cell": "conv"}),
        "norm": bojax.Boolean(when={"cell": "conv"}),
        "scale": bojax.Float(0, 1, when={"norm": True}),
        "width": bojax.Int(1, 20),
        "rate": bojax.Float(1e-3, 1.0, log=True),
    }
)
USED = np.asarray(SPACE.table.used)
CONFIG = {"cell": "conv", "kernel": 3, "norm": True, "scale": 0.4, "width": 12, "rate": 0.1}
BARE = {"cell": "pool", "width": 1, "rate": 0.1}


@pytest.fixture(scope="module")
def mutants():
    """512 mutants of a configuration, as configurations."""

    @jax.jit
    def program(row, bits):
        key = jax.random.wrap_key_data(bits)

        def one(key):
            keys = jax.random.split(key)
            fresh = jax.random.uniform(keys[1], row.shape, row.dtype)
            table = jax.tree.map(jnp.asarray, SPACE.table)
            unit, column = mutated(keys[0], table, row, table.used, fresh)
            return bojax.space.table.unit_to_row(table, unit), column

        return jax.vmap(one)(jax.random.split(key, 512))

    def made(config):
        with jax.enable_x64(True):
            rows, columns = program(SPACE.encode(config), np.array([0, 3], np.uint32))
        return SPACE.decode(np.asarray(rows)), np.asarray(columns)

    return made


def test_one_active_parameter_takes_another_value(mutants):
    configs, columns = mutants(CONFIG)
    for config, column in zip(configs, columns, strict=True):
        name = SPACE.names[column]
        kept = {other for other in config if other != name and other in CONFIG}
        assert config[name] != CONFIG[name]
        assert all(config[other] == pytest.approx(CONFIG[other]) if other in ("rate", "scale")
                   else config[other] == CONFIG[other] for other in kept)  # fmt: skip
    counts = np.bincount(columns, minlength=6)[:6]
    assert counts.min() > 0.7 * 512 / 6 and counts.sum() == 512  # all alike often
    cells = [c["cell"] for c, k in zip(configs, columns, strict=True) if k == 0]
    assert abs(cells.count("pool") / len(cells) - 0.5) < 0.2  # any other choice


def test_what_is_inactive_does_not_mutate_and_what_is_switched_on_is_drawn(mutants):
    configs, columns = mutants(BARE)
    assert set(columns) == {0, 4, 5}
    shown = [config for config in configs if config["cell"] == "conv"]
    assert len(shown) > 40
    assert {config["kernel"] for config in shown} == {1, 3, 5, 7}
    scales = [config["scale"] for config in shown if config["norm"]]
    assert 0.25 < len(scales) / len(shown) < 0.75 and np.ptp(scales) > 0.6


def test_numbers_step_or_are_redrawn(mutants):
    configs, columns = mutants(BARE)
    widths = np.array([c["width"] for c, k in zip(configs, columns, strict=True) if k == 4])
    assert widths.min() == 2  # at the end of its range the next value is the other way
    near = np.mean(widths <= 5)
    assert 0.6 < near < 0.95 and widths.max() > 12
    rates = np.array([c["rate"] for c, k in zip(configs, columns, strict=True) if k == 5])
    apart = np.abs(np.log10(rates) + 1.0) / 3.0
    assert 0.03 < np.median(apart) < 0.15 and apart.max() > 0.3


def history_of(values, capacity=64):
    """A trial each: None pending, NaN failed, "lost" stale."""
    history = empty_history(capacity, SPACE.table.columns)
    rows = SPACE.encode(SPACE.sample(len(values), seed=1))
    for i, value in enumerate(values):
        history.trial[i], history.rows[i] = i, rows[i]
        status = {None: Status.PENDING, "lost": Status.STALE}.get(value, Status.DONE)
        history.status[i] = Status.FAILED if value != value else status
        history.values[i, 0] = value if isinstance(value, float) else np.nan
    return history


def test_the_newest_finished_live():
    values = [1.0, 2.0, None, np.nan, 4.0, "lost", 5.0]
    with jax.enable_x64(True):
        alive, count = jax.jit(living)(history_of(values), np.int32(3))
    assert np.flatnonzero(alive).tolist() == [3, 4, 6] and count == 3


def test_winners_are_as_likely_as_in_a_tournament():
    """Of ten, sample 4 with replacement: P(rank >= r) is (1 - r / 10)^4."""
    strategy = evolution(population=10, sample=4)
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), 20_000)
        rank = jax.jit(
            jax.vmap(lambda key: strategy._rank(key, jnp.int32(10), jnp.dtype("float64")))
        )
        found = np.bincount(np.asarray(rank(keys)), minlength=10) / 20_000
    rng = np.random.default_rng(0)
    drawn = np.bincount(rng.integers(10, size=(20_000, 4)).min(axis=1), minlength=10) / 20_000
    np.testing.assert_allclose(found, drawn, atol=0.015)
    tail = (1 - np.arange(11) / 10) ** 4
    np.testing.assert_allclose(found, tail[:-1] - tail[1:], atol=0.012)


def score(config):
    """An architecture's: conv with a kernel of 5, norm with a scale near 0.3, wide."""
    value = {"conv": 0.0, "pool": 2.0, "skip": 3.0}[config["cell"]]
    value += abs(config.get("kernel", 9) - 5) / 4
    value += abs(config["scale"] - 0.3) if config.get("norm") else 1.0
    return value + (20 - config["width"]) / 10 + abs(np.log10(config["rate"]) + 2)


def optimised(strategy, evaluations=32, q=4, seed=2, space=SPACE, function=score):
    optimizer = bojax.Optimizer(space, strategy=strategy, seed=seed)
    while len(optimizer.trials) < evaluations:
        for trial in optimizer.ask(q):
            optimizer.tell(trial, function(trial.config))
    return optimizer


SMALL = {"population": 12, "sample": 4}


@pytest.fixture(scope="module")
def run():
    return optimised(evolution(**SMALL))


def test_rows_are_new_and_of_the_space(run):
    configs = [trial.config for trial in run.trials]
    assert len({str(config) for config in configs}) == 32
    for config in configs:
        again = SPACE.decode(SPACE.encode(config)[None])[0]
        assert again == config
    assert run.history.tag[:, 0].tolist() == [1] * 12 + [2] * 20  # random ones, then mutants


def test_a_mutant_is_near_one_that_lived(run):
    configs = [trial.config for trial in run.trials]
    for i in range(12, 32):
        batch = 4 * (i // 4)
        lived = configs[max(0, batch - 12) : batch]

        def changed(parent, child=configs[i]):
            kept = [name for name in parent if name in child]
            return sum(abs(parent[n] - child[n]) > 1e-9 if isinstance(child[n], float)
                       else parent[n] != child[n] for n in kept)  # fmt: skip

        assert min(map(changed, lived)) == 1


def test_saved_at_every_step_it_goes_on_alike(run, tmp_path):
    optimizer = bojax.Optimizer(SPACE, strategy=evolution(**SMALL), seed=2)
    for number in range(0, 32, 4):
        optimizer.save(tmp_path / "run.json")
        optimizer = bojax.Optimizer.load(tmp_path / "run.json")
        assert optimizer.strategy == run.strategy
        trials = optimizer.ask(4)
        for trial in reversed(trials):
            optimizer.tell(trial.id, score(trial.config))
        rows = np.array([trial.row for trial in trials])
        np.testing.assert_array_equal(rows, run.history.rows[number : number + 4])


def test_failed_late_and_foreign_results_are_taken():
    """Twelve that the user brought are a population; a lost one is made up for at random."""
    optimizer = bojax.Optimizer(SPACE, strategy=evolution(**SMALL), seed=3)
    for config in SPACE.sample(12, seed=5):
        optimizer.tell(config, score(config))
    trials = optimizer.ask(4)
    assert (optimizer.history.tag[12:, 0] == 2).all()
    optimizer.tell(trials[0], None)
    optimizer.tell(trials[1], status="stale")
    optimizer.tell(trials[3], 1.0)
    optimizer.ask(4)
    optimizer.tell(trials[2], 2.0)

    fresh = bojax.Optimizer(SPACE, strategy=evolution(**SMALL), seed=3)
    first = fresh.ask(12)
    fresh.tell(first[0], status="stale")
    for trial in first[1:]:
        fresh.tell(trial, score(trial.config))
    fresh.ask(4)
    assert fresh.history.tag[12:, 0].tolist() == [1, 2, 2, 2]


def test_what_is_given_is_kept(run):
    optimizer = optimised(evolution(**SMALL), 16)
    for trial in optimizer.ask(4, fixed={"cell": "conv", "width": 7}):
        assert (trial.config["cell"], trial.config["width"]) == ("conv", 7)


def test_a_finite_space_is_searched_to_its_end():
    space = bojax.Space({
        "a": bojax.Categorical(["u", "v"]), "n": bojax.Int(0, 3, when={"a": "u"}),
        "o": bojax.Ordinal([1, 2]),
    })  # fmt: skip
    optimizer = optimised(evolution(population=4, sample=2), 10, 5, space=space,
                          function=lambda c: c.get("n", 5) + c["o"])  # fmt: skip
    assert len({str(trial.config) for trial in optimizer.trials}) == 10
    with pytest.raises(bojax.errors.SpaceExhausted):
        optimizer.ask()


def architecture(data, key, rows):
    """As `score`, for canonical rows."""
    cell, kernel, norm, scale, width, rate = (rows[:, i] for i in range(6))
    conv = cell == 0.0
    value = jnp.where(conv, 0.0, 1.0 + cell)
    value = value + jnp.where(conv, jnp.abs(4.0 * kernel - 2.5) / 2.0, 1.0)
    value = value + jnp.where(conv & (norm == 1.0), jnp.abs(scale - 0.3), 1.0)
    return value + 2.0 * (1.0 - width) + 3.0 * jnp.abs(rate - 1.0 / 3.0)


def test_whole_runs_of_architectures_beat_random_search_in_single_precision():
    """Paired by seed: 16 runs of 192 evaluations."""
    problem = bojax.loop.Problem(SPACE.table, architecture)
    keys = jax.random.split(jax.random.key(1), 16)
    best = []
    for strategy in (evolution(population=24, sample=8), bojax.strategies.random()):

        def one(key, strategy=strategy):
            return bojax.loop.run(strategy, problem, key, evaluations=192, batch=8)

        history = jax.jit(jax.vmap(one))(keys)
        assert history.rows.dtype == np.float32
        best.append(np.nanmin(np.asarray(history.values)[:, :192, 0], axis=1))
    assert (best[0] < best[1]).sum() >= 14 and np.median(best[0]) < 0.5 * np.median(best[1])


def test_every_option_changes_what_is_asked(run):
    usual = run.history.rows
    for change in ({"population": 16}, {"sample": 1}):
        rows = optimised(evolution(**(SMALL | change))).history.rows
        assert not np.array_equal(rows, usual), change


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population": 1}, "population must be at least 2, got 1"),
        ({"sample": 0}, "sample must be at least 1, got 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        evolution(**settings)


def test_several_objectives_are_refused():
    with pytest.raises(ValueError, match="'evolution' takes one objective, got 2"):
        evolution().init(SPACE.table, Sizes(objectives=2))
