"""Coarse to fine: ranges by a hand-worked trace, strategies within them, and no new program."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.history import Status, empty_history
from bojax.space.narrow import narrows
from bojax.strategies import Sizes, coarse_to_fine
from bojax.strategies._coarse_to_fine import Ranges, ends, stage_size
from bojax.strategies.session import key_bits
from bojax.testing import strategy_checks

SPACE = bojax.Space(
    {
        "x": bojax.Float(0.0, 1.0),
        "n": bojax.Int(1, 40),
        "c": bojax.Categorical(["a", "b"]),
        "y": bojax.Float(0.0, 1.0, when={"c": "a"}),
    }
)


def history_of(rows, values, space=SPACE, tags=0):
    history = empty_history(64, space.table.columns)
    for i, (row, value) in enumerate(zip(rows, values, strict=True)):
        history.trial[i], history.values[i] = i, np.nan if value is None else value
        history.rows[i, : len(row)], history.tag[i] = row, tags
        history.status[i] = Status.PENDING if value is None else Status.DONE
    return history


# ------------------------------------------------------------------ ranges


@pytest.fixture(scope="module")
def ranged():
    late = bojax.Float(0, 1, when={"x": bojax.Range(0.5, 1)})
    space = bojax.Space({"x": bojax.Float(0, 1), "y": late})

    @jax.jit
    def program(strategy, history, results):
        told = history.status == Status.DONE
        number = jnp.cumsum(told.astype(jnp.int32), dtype=jnp.int32) - 1
        found = strategy.ranges(space.table, history, told, number, results)
        return found, ends(space.table, found)

    def run(rows, values, results=2, **settings):
        history = history_of(rows, values, space)
        with jax.enable_x64(True):
            found, (low, high) = program(
                coarse_to_fine("random", **settings), history, np.int32(results)
            )
        return int(found.stage), *(np.asarray(x)[:2].tolist() for x in (*found[1:], low, high))

    return run


def approx(*numbers):
    return pytest.approx(numbers, abs=1e-12)


def test_a_trace_by_hand(ranged):
    """Two results a stage: away from the edges, at one of them, and beyond the space's end."""
    rows, values = [[0.9, 0.2], [0.7, 0.4]], [5.0, 3.0]
    assert ranged(rows[:1], values[:1]) == (0, [0.5, 0.5], [1, 1], [0, 0], [1, 1])
    stage, middle, width, low, high = ranged(rows, values)
    assert (stage, middle, width) == (1, approx(0.7, 0.4), approx(0.5, 0.5))
    assert (low, high) == (approx(0.45, 0.15), approx(0.95, 0.65))
    # The next best is 0.21 from the middle of x, where the last tenth begins at 0.2; y's is not.
    rows, values = [*rows, [0.91, 0.5], [0.6, 0.5]], [*values, 1.0, 4.0]
    stage, middle, width, low, high = ranged(rows, values)
    assert (stage, middle, width) == (2, approx(0.91, 0.5), approx(0.75, 0.25))
    assert (low, high) == (approx(0.535, 0.375), approx(1.0, 0.625))
    # Its end at the bound is the space's, not the range's: x shrinks though 0.98 is near 1.
    rows, values = [*rows, [0.98, 0.5], [0.9, 0.5]], [*values, 0.5, 4.0]
    assert ranged(rows, values)[2] == approx(0.375, 0.125)


def test_shrink_widen_and_the_least_width(ranged):
    rows, values = [[0.7, 0.4], [0.9, 0.2]], [3.0, 5.0]
    assert ranged(rows, values, shrink=0.25)[2] == approx(0.25, 0.25)
    edge = [*rows, [0.93, 0.4], [0.9, 0.2]], [*values, 1.0, 5.0]
    for widen, width in ((1.5, 0.75), (1.0, 0.5), (3.0, 1.0)):  # no wider than the space
        assert ranged(*edge, widen=widen)[2][0] == pytest.approx(width)
    same = [[0.7, 0.4]] * 40, [1.0] * 40
    assert ranged(*same)[:3] == (20, approx(0.7, 0.4), approx(1e-3, 1e-3))


def test_several_best_are_kept_in_range(ranged):
    rows, values = [[0.9, 0.2], [0.6, 0.25], [0.1, 0.9]], [1.0, 2.0, 9.0]
    _, middle, width, *_ = ranged(rows, values, results=3, best=2, shrink=0.1)
    assert middle == approx(0.75, 0.225)
    assert width == approx(0.3, 0.1)  # of x what the two span, which is more than a tenth


def test_what_none_of_the_best_has_keeps_its_range(ranged):
    rows, values = [[0.3, 0.0], [0.8, 0.4]], [1.0, 2.0]  # y exists from 0.5 on
    assert ranged(rows, values)[1:3] == (approx(0.3, 0.5), approx(0.5, 1.0))


def test_a_late_result_counts_as_if_in_time(ranged):
    rows = [[0.9, 0.2], [0.7, 0.4], [0.55, 0.6]]
    late = ranged(rows, [None, 3.0, 2.0])
    assert late[0] == 1 and late[1] == approx(0.55, 0.6)  # the second and the third
    assert ranged(rows, [5.0, 3.0, 2.0])[1] == approx(0.7, 0.4)


def test_integers_keep_a_neighbour_on_either_side():
    space = bojax.Space({"n": bojax.Int(1, 10), "o": bojax.Ordinal([1, 2, 4])})
    tiny = Ranges(0, jnp.array([0.55, 0.1, 0, 0]), jnp.full(4, 1e-3))
    low, high = jax.jit(ends)(space.table, tiny)
    assert 0.4 < low[0] < 0.5 and 0.6 < high[0] < 0.7 and low[1] == 0 and 1 / 3 < high[1] < 0.5


def test_categories_and_simplex_groups_do_not_narrow():
    space = bojax.Space(
        {"c": bojax.Categorical(["a", "b"]), "e": bojax.Int(1, 9), "x": bojax.Float(0, 1)},
        fidelity="e",
    )
    with jax.enable_x64(True):
        assert np.asarray(narrows(space.table))[:4].tolist() == [False, False, True, False]


def test_the_size_of_a_stage():
    assert int(stage_size(SPACE.table, 80)) == 20 and int(stage_size(SPACE.table, 3)) == 1
    assert int(stage_size(SPACE.table, None)) == 20  # five a parameter
    assert int(stage_size(bojax.Space({"x": bojax.Float(0, 1)}).table, None)) == 10
    state = coarse_to_fine("random", stage=7).init(SPACE.table, Sizes(evaluations=80))
    assert int(state.results) == 7


# ------------------------------------------------------------------ rows


@pytest.fixture(scope="module")
def program():
    """One program for all stages, histories and settings that are leaves."""
    traces = []

    @jax.jit
    def compiled(strategy, state, history, bits, given, wanted):
        traces.append(1)
        key = jax.random.wrap_key_data(bits)
        return strategy.ask(state, history, key, 4, given, wanted)

    def run(history, given=None, wanted=4, seed=0, **settings):
        strategy = coarse_to_fine("sobol", **({"stage": 4} | settings))
        given = np.full((4, 4), np.nan) if given is None else given
        with jax.enable_x64(True):
            state = strategy.init(SPACE.table, Sizes())
            bits = key_bits(seed)
            result = compiled(strategy, state, history, bits, given, np.int32(wanted))
            return jax.tree.map(np.asarray, result)

    run.traces = traces
    return run


def told(stages, best=0.42):
    """Results of so many stages of four, the best always alike."""
    rng = np.random.default_rng(1)
    rows = []
    for i in range(4 * stages):
        c = "a" if i % 2 == 0 else "b"
        x, n = (best, 18) if i % 4 == 0 else (rng.random(), int(rng.integers(1, 41)))
        config = {"x": x + 1e-4 * i, "n": n, "c": c} | ({"y": 0.7} if c == "a" else {})
        rows.append(SPACE.encode(config))
    return history_of(rows, [float(i % 4 + 1 / (i + 1)) for i in range(4 * stages)])


def test_rows_follow_the_ranges_without_a_new_program(program):
    for stages, width in ((0, 1.0), (1, 0.5), (2, 0.25), (4, 0.0625)):
        state, rows, info = program(told(stages))
        configs = SPACE.decode(rows)
        assert info.valid.all() and state.stage == stages and state.asked == 4
        if stages:
            assert max(abs(c["x"] - 0.42) for c in configs) <= 0.5 * width + 2e-3
            assert max(abs(c["n"] - 18) for c in configs) <= max(20 * width, 1) + 1
            assert {c["c"] for c in configs} == {"a", "b"}
            assert all(abs(c["y"] - 0.7) <= 0.5 * width + 1e-6 for c in configs if c["c"] == "a")
        np.testing.assert_allclose(SPACE.encode(configs), rows, atol=1e-9)
    assert len(program.traces) == 1


def test_settings_matter(program):
    usual = program(told(2))[1]
    for settings in ({"shrink": 0.3}, {"stage": 2}):
        assert not np.array_equal(program(told(2), **settings)[1], usual)
    assert not np.array_equal(program(told(2), seed=1)[1], usual)


def test_rows_beyond_the_wanted_change_nothing(program):
    _, rows, _ = program(told(2))
    for wanted in (1, 3):
        fewer, some, info = program(told(2), wanted=wanted)
        np.testing.assert_array_equal(some[:wanted], rows[:wanted])
        assert fewer.asked == wanted and info.valid[:wanted].all()


def test_what_is_given_keeps_its_range(program):
    given = np.full((4, 4), np.nan)
    given[:, 0] = [0.01, 0.02, 0.98, 0.99]
    _, rows, info = program(told(2), given=given)
    np.testing.assert_array_equal(rows[:, 0], given[:, 0])
    assert info.valid.all()
    assert max(abs(c["n"] - 18) for c in SPACE.decode(rows)) <= 6


# ------------------------------------------------------------------ whole runs


@pytest.mark.slow
def test_a_grid_zooms_in():
    """Five points a stage."""
    strategy = coarse_to_fine(bojax.strategies.grid(points=5), stage=5)
    optimizer = bojax.Optimizer({"x": bojax.Float(0, 8)}, strategy=strategy)
    for _ in range(6):
        trial = optimizer.ask()
        optimizer.tell(trial, abs(trial.config["x"] - 6.3))
    assert [t.config["x"] for t in optimizer.trials] == pytest.approx([4, 0, 6, 2, 8, 7])
    # The best, 6, lies in the middle half: the range is 4 to 8, of which 4, 6 and 8 are known.
    assert optimizer.ask().config["x"] == pytest.approx(5)


@pytest.mark.slow
def test_five_stages_of_random_search_beat_one_long_one():
    def best(strategy, seed):
        space = {"x": bojax.Float(0, 1), "z": bojax.Float(1e-4, 1, log=True)}
        optimizer = bojax.Optimizer(space, strategy=strategy, seed=seed)
        for _ in range(15):
            for trial in optimizer.ask(4):
                c = trial.config
                optimizer.tell(trial, (c["x"] - 0.37) ** 2 + (np.log10(c["z"]) + 2.6) ** 2)
        return optimizer.best().value

    zoomed = [best(coarse_to_fine("random", stage=12), seed) for seed in range(5)]
    plain = [best("random", seed) for seed in range(5)]
    assert np.mean(np.log(zoomed)) < np.mean(np.log(plain)) - np.log(4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"stage": 0}, "stage must be at least 1, got 0"),
        ({"best": 0}, "best must be at least 1"),
        ({"shrink": 1.0}, "shrink must be above 0 and below 1, got 1.0"),
        ({"widen": 0.3}, "widen must be at least shrink, 0.5, got 0.3"),
        ({"inner": "cmaes"}, "inner must not move ranges of its own, got CMAES"),
        ({"inner": "nobody"}, "unknown name 'nobody'"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        coarse_to_fine(**settings)


def test_a_pool_and_several_objectives_are_refused():
    pool = bojax.Space({"x": bojax.Float(0, 1)}, members=[{"x": 0.1}, {"x": 0.2}])
    with pytest.raises(ValueError, match="a pool of configurations has no ranges"):
        coarse_to_fine().init(pool.table, Sizes())
    with pytest.raises(ValueError, match="takes one objective"):
        coarse_to_fine().init(SPACE.table, Sizes(objectives=2))


def test_it_is_saved_with_the_strategy_inside():
    made = coarse_to_fine(bojax.strategies.grid(points=3), stage=9, best=2)
    description = bojax.strategies.to_description(made)
    assert description["settings"]["inner"]["name"] == "grid"
    assert bojax.strategies.from_description(description) == made
    nameless = coarse_to_fine(bojax.strategies.model_based())
    assert bojax.strategies.to_description(nameless)["name"] is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    [
        check
        for name, inner in {
            "random": bojax.strategies.random(),
            "sobol": bojax.strategies.sobol(),
            "grid": bojax.strategies.grid(points=3),
            "tpe": bojax.strategies.tpe(initial=4),
        }.items()
        for check in strategy_checks(
            coarse_to_fine(inner, stage=4), name=f"coarse_to_fine({name})",
            skip=["seed", "pure"] if name == "grid" else [],
        )
    ],
    ids=repr,
)  # fmt: skip
def test_it_keeps_every_promise(check):
    check()
