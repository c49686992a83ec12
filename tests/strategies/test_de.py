"""Differential evolution: the population that a history is, its children, and whole runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.history import Status, empty_history
from bojax.strategies import Sizes, de
from bojax.strategies._de import VARIANTS, population_of

D, POPSIZE = 3, 8
REALS = bojax.Space({f"x{i}": bojax.Float(0.0, 1.0) for i in range(D)})
MIXED = bojax.Space(
    {
        "x": bojax.Float(1e-3, 1.0, log=True),
        "n": bojax.Int(1, 9),
        "c": bojax.Categorical(["a", "b", "d"]),
        "m": bojax.Float(0, 1, when={"c": "a"}),
    }
)
Q = 8
PROGRAMS = {}


def ask(strategy, history, asked, seed=0, wanted=Q):
    """Rows and information, of a program compiled once a strategy."""
    static = (strategy.variant, strategy.popsize)
    if static not in PROGRAMS:

        @jax.jit
        def program(strategy, state, history, bits, wanted):
            key = jax.random.wrap_key_data(bits)
            return strategy.ask(state, history, key, Q, None, wanted)

        PROGRAMS[static] = program
    with jax.enable_x64(True):
        state = strategy.init(REALS.table, Sizes())._replace(asked=np.int32(asked))
        bits = np.array([0, seed], np.uint32)
        _, rows, info = PROGRAMS[static](strategy, state, history, bits, np.int32(wanted))
        return np.asarray(rows)[:, :D], jax.tree.map(np.asarray, info)


def history_of(lines, capacity=64):
    """`(slot or None if foreign, x, value; None if pending, NaN if failed)` a trial, in order."""
    history = empty_history(capacity, REALS.table.columns)
    for i, (slot, x, value) in enumerate(lines):
        history.trial[i] = i
        history.rows[i, :D] = history.raw[i, :D] = x
        history.tag[i] = (0, 0, 0, 0) if slot is None else (1 + i // POPSIZE, slot, 0, 0)
        pending, failed = value is None, value is not None and np.isnan(value)
        history.status[i] = Status.PENDING if pending else Status.FAILED if failed else Status.DONE
        history.values[i, 0] = np.nan if pending else value
    return history


def members(lines):
    with jax.enable_x64(True):
        found = jax.jit(population_of, static_argnums=2)(history_of(lines), REALS.table, POPSIZE)
        return jax.tree.map(np.asarray, found)


def test_a_slot_holds_the_best_that_was_final():
    found = members([
        (0, 0.1, 5.0), (1, 0.2, 4.0), (2, 0.3, np.nan), (3, 0.4, None),
        (0, 0.5, 6.0),  # worse: the parent stays
        (1, 0.6, 4.0),  # no worse: the child goes on
        (2, 0.7, 9.0),  # anything is better than failed
        (0, 0.8, None), (None, 0.9, -5.0),  # pending and foreign
    ])  # fmt: skip
    assert found.known.tolist() == [True, True, True] + [False] * 5
    np.testing.assert_array_equal(found.points[:3, 0], [0.1, 0.6, 0.7])
    np.testing.assert_array_equal(found.values[:3], [5.0, 4.0, 9.0])
    assert found.slots[:3].tolist() == [0, 1, 2]


def test_the_order_of_results_does_not_matter_and_a_lost_row_leaves_its_slot():
    lines = [(i % POPSIZE, 0.01 * i, float((i * 7) % 13)) for i in range(24)]
    found = members(lines)
    history = history_of(lines)
    history.status[9] = Status.STALE
    history.values[9] = np.nan
    with jax.enable_x64(True):
        lost = jax.jit(population_of, static_argnums=2)(history, REALS.table, POPSIZE)
    for slot in range(POPSIZE):
        own = [(v, -i) for i, (s, _, v) in enumerate(lines) if s == slot]
        assert found.points[slot, 0] == pytest.approx(0.01 * -min(own)[1])
    assert not np.array_equal(found.points[1], lost.points[1]) or lines[9][2] > 1
    np.testing.assert_array_equal(np.delete(found.points, 1, 0), np.delete(lost.points, 1, 0))


POINTS = np.array([
    [0.10, 0.52, 0.33], [0.41, 0.23, 0.61], [0.55, 0.67, 0.48], [0.36, 0.38, 0.29],
    [0.62, 0.44, 0.57], [0.27, 0.59, 0.42], [0.48, 0.31, 0.65], [0.53, 0.46, 0.39],
])  # fmt: skip
WORTH = np.array([5.0, 4.0, 3.0, 8.0, 7.0, 6.0, 1.0, 2.0])  # slot 6 is best
FULL = history_of([(i, POINTS[i], WORTH[i]) for i in range(POPSIZE)])


def combinations(variant, parent, f):
    """Every mutant that a rule can make: by the paper, without its random numbers."""
    others = [i for i in range(POPSIZE) if i != parent]
    best, x = POINTS[np.argmin(WORTH)], POINTS
    for a in others:
        for b in (i for i in others if i != a):
            for c in (i for i in others if i not in (a, b)):
                if variant == "rand1":
                    yield x[a] + f * (x[b] - x[c])
                elif variant == "best1":
                    yield best + f * (x[b] - x[c])
                else:
                    yield x[parent] + f * (best - x[parent]) + f * (x[b] - x[c])


@pytest.mark.parametrize("variant", ["rand1", "best1", "currenttobest1"])
def test_children_are_of_the_rule(variant):
    """With cr=1 a child is its mutant, but where that lay outside."""
    f = 0.15
    rows, info = ask(de(popsize=POPSIZE, f=f, cr=1.0, variant=f"{variant}bin"), FULL, 8)
    assert info.valid.all()
    np.testing.assert_array_equal(info.tag, [[2, i, 1, 0] for i in range(8)])
    for slot, row in enumerate(rows):
        made = np.array(list(combinations(variant, slot, f)))
        assert ((made > 0) & (made < 1)).all()  # so none was drawn anew
        assert np.abs(made - row).max(axis=1).min() < 1e-12


def test_donors_differ_from_each_other_and_from_the_parent():
    """Over many keys each combination comes about as often as any other."""
    strategy, counts = de(popsize=POPSIZE, f=0.4, cr=1.0), {}
    made = np.array(list(combinations("rand1", 2, 0.4)))
    for seed in range(300):
        row = ask(strategy, FULL, 8, seed)[0][2]
        which = int(np.abs(made - row).max(axis=1).argmin())
        counts[which] = counts.get(which, 0) + 1
    assert len(made) == 7 * 6 * 5 and max(counts.values()) < 10
    assert len(counts) > 0.9 * 210 * (1 - np.exp(-300 / 210))


@pytest.mark.parametrize(("crossing", "runs"), [("bin", False), ("exp", True)])
def test_crossing_takes_at_least_one_column(crossing, runs):
    """With cr=0 exactly one, and with 0.5 as many as the distribution says."""
    sizes = []
    for cr in (0.0, 0.5):
        moved = []
        for seed in range(60):
            rows, _ = ask(de(popsize=POPSIZE, cr=cr, variant=f"rand1{crossing}"), FULL, 8, seed)
            moved.append(rows != POINTS)
        moved = np.concatenate(moved)
        sizes.append(moved.sum(axis=1))
        assert np.ptp(moved.mean(axis=0)) < 0.15  # no column more than others
    assert (sizes[0] == 1).all() and sizes[1].min() == 1
    # One of three for sure and half of the others; or a run that goes on with probability 1/2.
    expected = 1 + 0.5 + 0.25 if runs else 2.0
    assert sizes[1].mean() == pytest.approx(expected, abs=0.12)


def test_what_lies_outside_is_drawn_anew():
    edge = history_of([(i, np.round(POINTS[i]), WORTH[i] + i) for i in range(POPSIZE)])
    edge.rows[:8, :D] += np.arange(8)[:, None] * np.where(edge.rows[:8, :D] > 0.5, -1e-4, 1e-4)
    edge.raw[:] = edge.rows
    rows = np.concatenate(
        [ask(de(popsize=POPSIZE, f=1.5, cr=1.0), edge, 8, seed)[0] for seed in range(20)]
    )
    assert rows.min() >= 0 and rows.max() <= 1
    assert np.mean((rows < 1e-9) | (rows == 1.0)) < 0.2  # of members, that have them
    inner = rows[(rows > 0.01) & (rows < 0.99)]
    assert inner.size > 50 and abs(inner.mean() - 0.5) < 0.1


def test_an_empty_slot_gets_a_point_of_the_design():
    lines = [(i, POINTS[i], WORTH[i]) for i in range(6)] + [(6, POINTS[6], None)]
    _, info = ask(de(popsize=POPSIZE), history_of(lines), 8)
    assert info.tag[:, 2].tolist() == [1] * 6 + [0] * 2
    few = history_of(lines[:3])
    assert (ask(de(popsize=POPSIZE), few, 8)[1].tag[:, 2] == 0).all()


def score(config):
    return (np.log10(config["x"]) + 1.5) ** 2 + abs(config["n"] - 6) / 2 + config.get("m", 0.7)


def optimised(strategy, space=MIXED, evaluations=40, q=4, function=score, **settings):
    optimizer = bojax.Optimizer(space, strategy=strategy, seed=2, **settings)
    while len(optimizer.trials) < evaluations:
        for trial in optimizer.ask(q):
            optimizer.tell(trial, function(trial.config))
    return optimizer


@pytest.fixture(scope="module")
def mixed():
    return optimised(de(popsize=POPSIZE))


def test_mixed_and_conditional_rows_are_new_and_of_the_space(mixed):
    configs = [trial.config for trial in mixed.trials]
    assert len({str(config) for config in configs}) == 40
    for config in configs:
        assert MIXED.decode(MIXED.encode(config)[None])[0] == config
        assert ("m" in config) == (config["c"] == "a")
    values = [trial.value for trial in mixed.trials]
    assert np.mean(values[-8:]) < np.mean(values[:8])


def test_saved_at_every_step_it_goes_on_alike(mixed, tmp_path):
    optimizer = bojax.Optimizer(MIXED, strategy=de(popsize=POPSIZE), seed=2)
    for number in range(0, 40, 4):
        optimizer.save(tmp_path / "run.json")
        optimizer = bojax.Optimizer.load(tmp_path / "run.json")
        assert optimizer.strategy == mixed.strategy
        trials = optimizer.ask(4)
        for trial in reversed(trials):
            optimizer.tell(trial.id, score(trial.config))
        rows = np.array([trial.row for trial in trials])
        np.testing.assert_array_equal(rows, mixed.history.rows[number : number + 4])


def test_failed_late_and_foreign_results_are_taken():
    optimizer = bojax.Optimizer(MIXED, strategy=de(popsize=POPSIZE), seed=2)
    first = optimizer.ask(8)
    for trial in first[:4]:
        optimizer.tell(trial, score(trial.config))
    optimizer.tell(first[4], None)
    optimizer.tell(first[5], status="stale")
    optimizer.tell({"x": 0.03, "n": 6, "c": "b"}, -1.0)
    second = optimizer.ask(8)
    # Five slots are known, one failed; the lost and the pending ones are drawn again.
    assert optimizer.history.tag[9:17, 2].tolist() == [1] * 5 + [0] * 3
    for trial in [*first[6:], *second]:
        optimizer.tell(trial, score(trial.config))
    assert len({str(trial.config) for trial in optimizer.trials}) == 17


def test_one_by_one_knows_more_than_all_at_once(mixed):
    alone = optimised(de(popsize=POPSIZE), q=1, evaluations=16)
    np.testing.assert_allclose(alone.history.rows[:8], mixed.history.rows[:8], atol=1e-12)
    assert not np.array_equal(alone.history.rows[8:16], mixed.history.rows[8:16])


def test_whole_runs_of_rastrigin_beat_random_search_in_single_precision():
    """Paired by seed: 16 runs in 3 columns, 320 evaluations each."""

    def rastrigin(shift, key, rows):
        z = 5.12 * 2.0 * (rows[:, :D] - shift)
        return jnp.sum(z**2 + 10.0 * (1.0 - jnp.cos(2.0 * jnp.pi * z)), axis=1)

    problem = bojax.loop.Problem(REALS.table, rastrigin, np.float64(0.43))
    keys = jax.random.split(jax.random.key(1), 16)
    best = []
    for strategy in (de(popsize=16), bojax.strategies.random()):

        def one(key, strategy=strategy):
            return bojax.loop.run(strategy, problem, key, evaluations=320, batch=16)

        history = jax.jit(jax.vmap(one))(keys)
        assert history.rows.dtype == np.float32
        best.append(np.nanmin(np.asarray(history.values)[:, :320, 0], axis=1))
    assert (best[0] < best[1]).sum() >= 14 and np.median(best[0]) < 0.6 * np.median(best[1])


@pytest.mark.slow
def test_every_option_changes_what_is_asked():
    usual = ask(de(popsize=POPSIZE), FULL, 8)[0]
    for change in ({"f": 0.9}, {"cr": 0.9}, {"popsize": 7}):
        assert not np.array_equal(ask(de(**({"popsize": POPSIZE} | change)), FULL, 8)[0], usual)
    found = {
        variant: ask(de(popsize=POPSIZE, variant=variant), FULL, 8)[0].tobytes()
        for variant in VARIANTS
    }
    assert len(set(found.values())) == len(VARIANTS) == 10


def test_populations_are_sized_by_the_parameters():
    for columns, expected in ((1, 8), (2, 10), (10, 50)):
        space = bojax.Space({f"x{i}": bojax.Float(0, 1) for i in range(columns)})
        assert de().init(space.table, Sizes()).popsize == expected


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"popsize": 3}, "popsize must be at least 4 for rand1bin.*, got 3"),
        ({"popsize": 5, "variant": "best2exp"}, "popsize must be at least 6 for best2exp"),
        ({"f": 0.0}, "f must be above 0 and at most 2, got 0.0"),
        ({"f": 2.5}, "f must be above 0 and at most 2, got 2.5"),
        ({"cr": 1.5}, "cr must be between 0 and 1, got 1.5"),
        ({"variant": "rand3bin"}, "variant must be one of rand1bin, .* got 'rand3bin'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        de(**settings)


def test_several_objectives_are_refused():
    with pytest.raises(ValueError, match="'de' takes one objective, got 2"):
        de().init(REALS.table, Sizes(objectives=2))
