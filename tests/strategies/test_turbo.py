"""Trust regions: what the history says of them, and where their rows lie."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.history import Status, empty_history
from bojax.strategies import turbo
from bojax.strategies._turbo import box, progress
from bojax.surrogates import Data

SPACE = bojax.Space({f"x{i}": bojax.Float(0, 1) for i in range(4)})


def history_of(lines, capacity=32):
    """`(value or None if pending, region, generation, batch, design)` a trial, in order."""
    history = empty_history(capacity, SPACE.table.columns)
    for i, (value, region, generation, batch, design) in enumerate(lines):
        history.trial[i] = i
        history.status[i] = Status.PENDING if value is None else Status.DONE
        history.values[i, 0] = np.nan if value is None else value
        history.tag[i] = (region + 1, generation, batch, design)
    return history


def after(lines, regions=1, patience=4):
    return read(history_of(lines), regions, patience)


def read(history, regions=1, patience=4):
    with jax.enable_x64(True):
        found = jax.jit(progress, static_argnums=1)(history, regions, patience)
        return jax.tree.map(np.asarray, found)


DESIGN = [(5.0, 0, 0, 0, 1), (4.0, 0, 0, 0, 1)]


def better(count, start=1):
    return [(4.0 - i, 0, 0, i, 0) for i in range(start, start + count)]


def test_a_design_counts_as_neither():
    found = after(DESIGN)
    assert (found.length, found.best, found.asked) == (0.8, 4.0, 2)
    assert (found.successes, found.failures, found.generation) == (0, 0, 0)


def test_three_better_batches_double_and_one_worse_begins_again():
    assert after(DESIGN + better(2)).length == 0.8
    assert after(DESIGN + better(3)).length == 1.6
    assert after(DESIGN + better(6)).length == 1.6  # and no more
    broken = [*DESIGN, *better(2), (9.0, 0, 0, 8, 0), (0.5, 0, 0, 9, 0)]
    assert (after(broken).length, after(broken).successes) == (0.8, 1)


def test_a_batch_is_one_success_and_its_rows_are_failures():
    rows = [*DESIGN, (3.0, 0, 0, 1, 0), (2.0, 0, 0, 1, 0), (1.0, 0, 0, 1, 0)]
    assert (after(rows).successes, after(rows).best) == (1, 1.0)
    worse = [*DESIGN, *[(9.0, 0, 0, 1, 0)] * 3]
    assert after(worse).failures == 3
    halved = after([*worse, (9.0, 0, 0, 2, 0)])
    assert (halved.length, halved.failures) == (0.4, 0)


def test_a_gain_below_a_thousandth_is_none():
    assert after([*DESIGN, (4.0 - 0.003, 0, 0, 1, 0)]).failures == 1
    assert after([*DESIGN, (4.0 - 0.005, 0, 0, 1, 0)]).successes == 1


def test_what_is_pending_waits_and_comes_in_its_own_place():
    assert after([*DESIGN, (None, 0, 0, 1, 0), (9.0, 0, 0, 1, 0)]).failures == 0
    late = [*DESIGN, (9.0, 0, 0, 1, 0), (1.0, 0, 0, 2, 0)]
    told = after(late)
    history = history_of(late)
    turned = [3, 1, 2, 0]  # lines lie in the order of telling
    for leaf in (history.trial, history.status, history.values, history.tag):
        leaf[:4] = leaf[turned]
    jax.tree.map(np.testing.assert_array_equal, read(history), told)


def test_a_region_too_small_starts_again_and_forgets():
    lines = [*DESIGN, *[(9.0, 0, 0, b, 0) for b in range(1, 8)]]
    assert after(lines[:-1], patience=1).length == 0.8 * 2.0**-6
    found = after(lines, patience=1)
    assert (found.generation, found.length, found.best, found.asked) == (1, 0.8, np.inf, 0)
    went_on = after([*lines, (7.0, 0, 1, 9, 1)], patience=1)
    assert (went_on.generation, went_on.best, went_on.asked) == (1, 7.0, 1)


def test_regions_do_not_hear_of_each_other():
    lines = [*DESIGN, (3.0, 1, 0, 1, 1), *[(9.0, 1, 0, b, 0) for b in range(2, 6)]]
    found = after(lines, regions=2)
    assert found.length.tolist() == [0.8, 0.4] and found.best.tolist() == [4.0, 3.0]
    assert found.asked.tolist() == [2, 5]


def test_a_box_has_the_sides_of_the_length_scales():
    rng = np.random.default_rng(0)
    rows = np.zeros((40, SPACE.table.columns))
    rows[:, :4] = rng.random((40, 4))
    values = np.sin(8 * rows[:, 0]) + 0.3 * rows[:, 1]
    posterior, _ = bojax.surrogates.gp().fit(
        jax.random.key(0), Data(rows, values, table=SPACE.table)
    )
    centre = np.where(SPACE.table.used, 0.5, 0.0)
    with jax.enable_x64(True):
        found = np.asarray(
            box(
                jax.random.key(1), SPACE.table, posterior, jnp.asarray(centre), 0.2,
                jnp.full(centre.size, jnp.nan), 4096,
            )
        )[:, :4]  # fmt: skip
    scales = np.asarray(posterior.kernel.length_scale.value)[:4]
    side = 0.2 * scales / np.exp(np.mean(np.log(scales)))
    expected = np.clip(0.5 + side / 2, 0, 1) - np.clip(0.5 - side / 2, 0, 1)
    np.testing.assert_allclose(np.ptp(found, axis=0), expected, rtol=0.01)
    assert side[0] < 0.5 * side[2:].min()


def run(strategy, evaluations=36, q=4, **settings):
    optimizer = bojax.Optimizer(SPACE, strategy=strategy, seed=1, **settings)
    while len(optimizer.trials) < evaluations:
        for trial in optimizer.ask(q):
            optimizer.tell(trial, sum((x - 0.3) ** 2 for x in trial.config.values()))
    return optimizer


SMALL = {"initial": 4, "candidates": 128}


def test_rows_lie_in_the_region_and_approach_the_optimum():
    optimizer = run(turbo(**SMALL))
    assert optimizer.best().value < 0.02  # of 36 random rows the best is about 0.1
    assert len({str(trial.config) for trial in optimizer.trials}) == 36
    tags = optimizer.history.tag
    assert (tags[:4, 3] == 1).all() and (tags[4:, 3] == 0).all() and (tags[:, 0] == 1).all()


def test_a_saved_run_goes_on_alike(tmp_path):
    optimizer = run(turbo(regions=2, **SMALL), 16)
    optimizer.save(tmp_path / "run.json")
    again = bojax.Optimizer.load(tmp_path / "run.json")
    assert again.strategy == optimizer.strategy
    for one, other in zip(optimizer.ask(4), again.ask(4), strict=True):
        np.testing.assert_array_equal(one.row, other.row)


@pytest.mark.slow
def test_every_option_changes_what_is_asked():
    settings = [
        {}, {"regions": 2}, {"initial": 6}, {"kernel": "rbf"}, {"recipe": "optuna"},
        {"warp": "half_rank"}, {"candidates": 64},
    ]  # fmt: skip
    found = [run(turbo(**(SMALL | one)), 12).trials[-1].row for one in settings]
    for i, row in enumerate(found[1:], 1):
        assert not np.array_equal(row, found[0]), settings[i]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regions": 0}, "regions must be at least 1, got 0"),
        ({"initial": 1}, "initial must be at least 2, got 1"),
        ({"candidates": 0}, "candidates must be at least 1, got 0"),
        ({"kernel": "linear"}, "kernel must be one of rbf, .* got 'linear'"),
        ({"warp": "log"}, "warp must be one of .* got 'log'"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        turbo(**settings)
