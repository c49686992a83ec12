"""What every strategy promises as a value: pure, padded, keyed by the number of the suggestion."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.history import Status, empty_history
from bojax.space import table as tables
from bojax.strategies import Sizes
from bojax.strategies.session import key_bits

SPACE = bojax.Space(
    {
        "x": bojax.Float(0.0, 1.0),
        "c": bojax.Categorical(["a", "b", "d"]),
        "y": bojax.Float(0.0, 1.0, when={"c": "a"}),
        "n": bojax.Int(1, 50),
    }
)
QUICK = bojax.strategies.gp(candidates=24, local=8, fantasies=4, lanes=4)
STRATEGIES = {
    "random": bojax.strategies.random(),
    "sobol": bojax.strategies.sobol(),
    "gp": QUICK,
    "tpe": bojax.strategies.tpe(initial=4),
}
Q = 4


@pytest.fixture(params=STRATEGIES, scope="module")
def asked(request):
    """`ask` of a strategy in float64, compiled once: every array may change, no shape."""
    strategy = STRATEGIES[request.param]

    @partial(jax.jit, static_argnames="q")
    def ask(state, history, bits, q, given, wanted):
        return strategy.ask(state, history, jax.random.wrap_key_data(bits), q, given, wanted)

    def run(history=None, seed=0, given=None, wanted=Q, asked=0):
        history = empty_history(64, 4) if history is None else history
        given = np.full((Q, 4), np.nan) if given is None else given
        with jax.enable_x64(True):
            state = strategy.init(SPACE.table, Sizes())._replace(asked=jnp.int32(asked))
            result = ask(state, history, key_bits(seed), Q, given, np.int32(wanted))
            return jax.tree.map(np.asarray, result)

    run.strategy = strategy
    return run


def told(lines=12):
    history = empty_history(64, 4)
    rows = tables.unit_to_row(SPACE.table, np.random.default_rng(1).random((lines, 4)), np)
    for i, row in enumerate(rows):
        history.trial[i], history.rows[i], history.status[i] = i, row, Status.DONE
        history.values[i] = (row[0] - 0.3) ** 2 + row[1] + row[3]
    return history


@pytest.mark.parametrize("past", ["empty", "told"])
def test_rows_beyond_the_wanted_change_nothing(asked, past):
    history = None if past == "empty" else told()
    number = 0 if past == "empty" else 12
    state, rows, info = asked(history, asked=number)
    for wanted in (1, 3):
        fewer_state, fewer, fewer_info = asked(history, asked=number, wanted=wanted)
        np.testing.assert_allclose(fewer[:wanted], rows[:wanted], rtol=0, atol=1e-9)
        assert (fewer_info.valid[:wanted] == info.valid[:wanted]).all()
        assert fewer_state.asked == number + wanted
    assert state.asked == number + Q


def test_rows_are_canonical_and_new(asked):
    history = told()
    _, rows, info = asked(history, asked=12)
    assert info.valid.all() and info.tag.shape == (Q, 4) and info.raw.shape == (Q, 4)
    np.testing.assert_allclose(tables.canonical(SPACE.table, rows, np), rows, atol=1e-12)
    everything = np.concatenate([rows, history.rows[:12]])
    with jax.enable_x64(True):
        same = tables.same_configuration(SPACE.table, everything[:, None], everything[None])
        assert np.array_equal(np.asarray(same), np.eye(16, dtype=bool))


def test_what_is_given_is_kept(asked):
    given = np.full((Q, 4), np.nan)
    given[:, 0] = [0.1, 0.2, 0.3, 0.4]
    given[0, 1] = 0.0
    for history, number in ((None, 0), (told(), 12)):
        _, rows, info = asked(history, asked=number, given=given)
        assert info.valid.all()
        np.testing.assert_array_equal(rows[:, 0], given[:, 0])
        assert rows[0, 1] == 0.0


def test_another_key_gives_other_rows_and_the_same_key_the_same(asked):
    history = told()
    one, again, other = (asked(history, seed=seed, asked=12)[1] for seed in (1, 1, 2))
    assert one.tobytes() == again.tobytes()
    assert not np.array_equal(one, other)


def test_suggestions_are_counted_not_calls(asked):
    """Four at once, or from the second on: the design's number i is number i."""
    if asked.strategy is QUICK:
        return  # the centre comes first there; its model looks at the history, tested above
    rows = asked()[1]
    later = asked(asked=1)[1]
    np.testing.assert_array_equal(later[:3], rows[1:])


def test_the_next_row_is_elsewhere_when_the_first_is_pending(asked):
    history = told()
    first = asked(history, asked=12)[1][0]
    history.trial[12], history.rows[12], history.status[12] = 12, first, Status.PENDING
    second = asked(history, asked=12)[1][0]
    assert np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize("seed", [0, 1, 2**31, 2**32 - 1])
def test_key_bits_are_those_of_jax(seed):
    assert np.array_equal(key_bits(seed), jax.random.key_data(jax.random.key(seed)))


@pytest.mark.parametrize("seed", [2**33 + 5, 2**63 - 1, -1, -(2**40)])
def test_key_bits_of_wide_seeds_are_those_of_jax_in_64_bits(seed):
    with jax.enable_x64(True):
        expected = np.asarray(jax.random.key_data(jax.random.key(seed)))
    assert np.array_equal(key_bits(seed), expected)


@pytest.mark.parametrize(("noise", "same"), [(0.3, "none"), (0.0, "half_rank")])
def test_values_are_ranked_unless_the_fit_finds_them_noisy(noise, same):
    rng = np.random.default_rng(0)
    x = rng.random((40, 2))
    values = (x[:, 0] - 0.3) ** 2 + np.exp(3 * x[:, 1]) / 10 + noise * rng.normal(size=40)
    space = bojax.Space({"a": bojax.Float(0, 1), "b": bojax.Float(0, 1)})

    def suggested(warp):
        optimizer = bojax.Optimizer(space, strategy=bojax.strategies.gp(warp=warp))
        optimizer.tell([{"a": float(a), "b": float(b)} for a, b in x], list(map(float, values)))
        return optimizer.ask().row[:2]

    rows = {warp: suggested(warp) for warp in ("auto", "half_rank", "none")}
    other = "half_rank" if same == "none" else "none"
    np.testing.assert_allclose(rows["auto"], rows[same], atol=1e-4)
    assert np.abs(rows["auto"] - rows[other]).max() > 1e-3


def test_a_diverged_value_says_no_more_than_a_bad_one_where_there_is_noise():
    """Beside 1e30 what is left of the others is rounding: values are ranked, noisy or not."""
    rng = np.random.default_rng(0)
    x = rng.random((40, 2))
    values = (x[:, 0] - 0.3) ** 2 + np.exp(3 * x[:, 1]) / 10 + 0.3 * rng.normal(size=40)
    space = bojax.Space({"a": bojax.Float(0, 1), "b": bojax.Float(0, 1)})

    def suggested(bad):
        told = np.where(x[:, 0] > 0.7, bad, values)
        optimizer = bojax.Optimizer(space)
        optimizer.tell([{"a": float(a), "b": float(b)} for a, b in x], list(map(float, told)))
        return optimizer.ask().row[:2]

    np.testing.assert_allclose(suggested(1e30), suggested(1e6), atol=1e-6)


@pytest.mark.slow
def test_every_setting_of_the_model_changes_what_is_suggested():
    """In eight rugged columns, where no search finds the very top."""
    space = bojax.Space({name: bojax.Float(0.0, 1.0) for name in "abcdefgh"})
    known = space.sample(12, seed=4)
    values = [float(np.sin(40 * sum(config.values())) + config["a"] ** 8) for config in known]

    def suggested(**settings):
        base = {"candidates": 8, "local": 8, "fantasies": 4, "lanes": 4, "initial": 2}
        base |= {"warp": "half_rank"}
        opt = bojax.Optimizer(space, strategy=bojax.strategies.gp(**base | settings))
        opt.ask(2)  # the design
        opt.tell(known, values)
        return [trial.row.tobytes() for trial in opt.ask(2)]

    usual = suggested()
    for change in (
        {"warp": "none"},
        {"kernel": "matern12"},
        {"recipe": "optuna"},
        {"kernel": bojax.kernels.Matern52() + bojax.kernels.Linear()},
        {"fantasies": 2},
        {"local": 56},
        {"candidates": 56},
        {"lanes": 2},
        {"initial": 20},
    ):
        assert suggested(**change) != usual, change


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"initial": 1}, "initial must be at least 2, got 1"),
        ({"fantasies": 0}, "fantasies must be at least 1"),
        ({"candidates": 0}, "candidates must be at least 1"),
        ({"local": -1}, "local must be at least 0"),
        ({"lanes": 0}, "lanes must be at least 1"),
        ({"lanes": 7}, r"lanes must divide candidates \+ local, got 7 and 768"),
        ({"warp": "log"}, "warp must be one of auto, half_rank, none, got 'log'"),
        ({"kernel": "cubic"}, "kernel must be one of"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        bojax.strategies.gp(**settings)


def test_more_than_one_objective_is_refused_by_name():
    with pytest.raises(ValueError, match="'gp' takes one objective, got 2"):
        QUICK.init(SPACE.table, Sizes(objectives=2))
