"""NSGA-II: generations by hand, children, whole runs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.history import Status, empty_history
from bojax.strategies import Sizes, _variation, nsga2
from bojax.strategies._nsga2 import Parents, pair
from bojax.strategies.session import key_bits
from bojax.testing import strategy_checks


def test_the_winner_of_a_tournament_and_of_another_among_the_rest():
    """Least of two places drawn evenly: place r of n has ((n - r)^2 - (n - r - 1)^2) / n^2."""
    n = 5
    u = np.random.default_rng(0).random((40_000, 4)).astype(np.float32)
    one, other = map(np.asarray, jax.jit(jax.vmap(lambda u: pair(u, jnp.int32(n))))(u))
    tail = (1 - np.arange(n + 1) / n) ** 2
    np.testing.assert_allclose(np.bincount(one, minlength=n) / len(one), -np.diff(tail), atol=0.01)
    assert (one != other).all() and other.min() == 0 and other.max() == n - 1
    ones, others = jax.jit(jax.vmap(lambda u: pair(u, jnp.int32(1))))(u[:8])
    assert not np.any(ones) and not np.any(others)


# ------------------------------------------------------------------------ generations

REALS = bojax.Space({f"x{i}": bojax.Float(0.0, 1.0) for i in range(3)})
FOUR = nsga2(population=4)
ADVANCE = jax.jit(lambda strategy, state, history: strategy._advanced(state, history))


def history_of(lines, constraints=0):
    """`(generation or None, slot, values)` a trial; None is pending, "lost" stale, NaN failed."""
    history = empty_history(64, REALS.table.columns, 2, constraints)
    for i, (generation, slot, values) in enumerate(lines):
        history.trial[i], history.rows[i, 0] = i, i / 64
        history.tag[i] = (0, 0, 0, 0) if generation is None else (generation, slot, 0, 0)
        if values is None or values == "lost":
            history.status[i] = Status.STALE if values else Status.PENDING
            continue
        history.values[i] = values
        failed = np.isnan(history.values[i]).any()
        history.status[i] = Status.FAILED if failed else Status.DONE
    return history


def advanced(lines, state=None, strategy=FOUR, **settings):
    history = lines if not isinstance(lines, list) else history_of(lines, **settings)
    with jax.enable_x64(True):
        state = strategy.init(REALS.table, Sizes(2)) if state is None else state
        state = state._replace(asked=np.int32((history.trial >= 0).sum()))
        return jax.tree.map(np.asarray, ADVANCE(strategy, state, history))


FIRST = [(1, 0, (1, 4)), (1, 1, (4, 1)), (1, 2, (2, 2)), (1, 3, (5, 5))]


def test_two_generations_by_hand():
    state = advanced(FIRST)
    # The front is 0, 1, 2, whose ends are loneliest; 3 is behind it.
    assert (state.generation, state.first, state.parents.tolist()) == (1, 4, [0, 1, 2, 3])
    second = [(2, 0, (3, 3)), (2, 1, (0, 6)), (2, 2, (2, 2.5)), (2, 3, (np.nan, 0))]
    for waiting in (second[:3], [*second[:3], (2, 3, None)]):
        same = advanced(FIRST + waiting, state)
        assert (same.generation, same.first) == (1, 4) and same.parents.tolist() == [0, 1, 2, 3]
    after = advanced(FIRST + second, state)
    # The front is 5, 0, 2, 1 along the first objective; 2 has 3/4 + 3/5 of room, 0 has 2/4 + 4/5.
    assert (after.generation, after.first, after.parents.tolist()) == (2, 8, [1, 5, 2, 0])


def test_failed_rows_are_final_and_no_parents():
    state = advanced([*FIRST[:2], (1, 2, (np.nan, 1)), (1, 3, (np.nan, np.nan))])
    assert state.generation == 1 and state.parents.tolist() == [0, 1, -1, -1]
    state = advanced([(1, i, (np.nan, 0)) for i in range(4)])
    assert state.generation == 1 and state.parents.tolist() == [-1] * 4


def test_a_lost_row_is_made_up_for():
    lost = [*FIRST[:3], (1, 3, "lost")]
    assert advanced(lost).generation == 0
    state = advanced([*lost, (1, 4, (0, 0))])
    assert state.generation == 1 and state.parents[0] == 4 and 3 not in state.parents


def test_what_the_user_brought_is_in_no_generation():
    foreign = [(None, 0, (-9, -9)) for _ in range(4)]
    assert advanced(foreign).generation == 0
    assert advanced(foreign + FIRST).parents.tolist() == [4, 5, 6, 7]


def test_rows_beyond_the_generation_count_now_or_with_the_next():
    excess = [*FIRST, (1, 4, (0, 0)), (1, 5, None)]
    state = advanced(excess)
    assert state.generation == 1 and state.parents.tolist() == [4, 0, 1, 2]
    second = [(2, i, (9, 9 + i)) for i in range(4)]
    came = [*excess[:5], (1, 5, (-1, -1)), *second]
    assert advanced(came, state).parents[0] == 5
    lost = advanced([*excess[:5], (1, 5, "lost"), *second], state)
    assert lost.generation == 2 and lost.parents.tolist() == [4, 0, 1, 2]


def test_the_feasible_come_first_then_who_breaks_least():
    history = history_of(FIRST, constraints=1)
    history.constraints[:4, 0] = [3.0, np.nan, 1.0, -1.0]
    assert advanced(history).parents.tolist() == [3, 2, 0, 1]


def test_the_order_of_equal_points_and_of_one_objective():
    history = history_of(FIRST)
    history = history._replace(values=np.array([[3.0], [1.0], [2.0], [1.0]] + [[np.nan]] * 60))
    assert advanced(history).parents.tolist() == [1, 3, 2, 0]


# ------------------------------------------------------------------------ children

MIXED = bojax.Space(
    {
        "x": bojax.Float(1e-3, 1.0, log=True),
        "n": bojax.Int(1, 9),
        "c": bojax.Categorical(["a", "b", "d"]),
        "m": bojax.Float(0, 1, when={"c": "a"}),
    }
)
ROWS = np.array([[0.2, 0.3, 0.0, 0.9], [0.7, 0.8, 1.0, 0.0]])  # "m" exists for the first alone
SHOWN = np.array([[True, True, True, True], [True, True, True, False]])
MANY = 4000


@jax.jit
def bear(strategy, table, parents, bits):
    def one(key):
        fresh = jax.random.uniform(jax.random.fold_in(key, 2), (4,))
        return strategy._child(key, table, parents, fresh)

    return jax.vmap(one)(jax.random.split(jax.random.wrap_key_data(bits), MANY))


def children(count=2, **settings):
    """`[MANY, 4]` points of two parents."""
    unit = np.where(np.arange(4) == 2, (ROWS + 0.5) / 3, ROWS)
    with jax.enable_x64(True):
        parents = Parents(unit, SHOWN, jnp.int32(count))
        return np.asarray(bear(nsga2(**settings), MIXED.table, parents, key_bits(0)))


@pytest.fixture(scope="module")
def quiet():
    """Without mutation."""
    return children(mutation_rate=0.0)


def test_uniform_crossover_takes_each_value_of_one_parent(quiet):
    a, b = np.where(np.arange(4) == 2, (ROWS + 0.5) / 3, ROWS)
    of_a, of_b = np.isclose(quiet, a), np.isclose(quiet, b)
    assert (of_a | of_b)[:, :3].all()
    assert of_a[:, 3].mean() > 0.9  # only one of them has it; uncrossed copies of the other do not
    mixed = of_a[:, 0] != of_a[:, 1]
    assert abs(mixed.mean() - 0.9 * 0.5) < 0.03  # two values part in half of the crossings
    assert len(np.unique(quiet[~of_a[:, 3], 3])) > 100  # what neither shows is drawn


def test_rates_are_probabilities(quiet):
    swapped = children(mutation_rate=0.0, swap_rate=1.0, crossover_rate=1.0)
    same = np.isclose(swapped[:, 0], 0.2) == np.isclose(swapped[:, 1], 0.3)
    assert same.all()  # all of the other parent
    copied = children(mutation_rate=0.0, crossover_rate=0.0)
    same = np.isclose(copied[:, 0], 0.2) == np.isclose(copied[:, 1], 0.3)
    assert same.all() and not np.array_equal(copied, swapped)
    # The better parent wins three of four tournaments.
    assert abs(np.isclose(copied[:, 0], 0.2).mean() - 0.75) < 0.03
    moved = children(mutation_rate=0.25)
    for column in range(2):
        kept = np.isclose(moved[:, column, None], ROWS[:, column]).any(axis=1)
        assert abs(kept.mean() - 0.75) < 0.03
    single = children(count=1, mutation_rate=0.0)
    np.testing.assert_allclose(single[:, :2], np.tile(ROWS[0, :2], (MANY, 1)))


def test_by_default_one_of_the_parameters_that_exist_is_drawn_anew():
    found = children(crossover_rate=0.0)
    first = np.isclose(found[:, :2], ROWS[0, :2]).mean(axis=1) >= 0.5
    kept = np.isclose(found[first][:, :2], ROWS[0, :2]).mean()
    assert abs(kept - 0.75) < 0.06  # of four parameters each one time in four


def test_the_papers_operators_move_numbers_and_draw_categories(quiet):
    crossed = children(mutation_rate=0.0, crossover="sbx", crossover_rate=1.0)
    near = children(mutation_rate=0.0, crossover="sbx", crossover_rate=1.0, eta_crossover=200.0)
    codes = np.floor(3 * crossed[:, 2])
    assert set(codes) == {0.0, 1.0}
    for column in range(2):
        low, high = ROWS[:, column]
        steps = np.abs(crossed[:, column, None] - [low, high]).min(axis=1)
        nearer = np.abs(near[:, column, None] - [low, high]).min(axis=1)
        assert 0.4 < (steps > 1e-9).mean() < 0.6 and nearer.mean() < 0.3 * steps.mean()
        assert ((crossed[:, column] >= 0) & (crossed[:, column] <= 1)).all()
        assert abs(crossed[steps > 1e-9, column].mean() - (low + high) / 2) < 0.05
    moved = children(mutation_rate=1.0, crossover_rate=0.0, mutation="polynomial")
    still = children(
        mutation_rate=1.0, crossover_rate=0.0, mutation="polynomial", eta_mutation=200.0
    )
    steps = [np.abs(c[:, 0, None] - ROWS[:, 0]).min(axis=1).mean() for c in (moved, still)]
    assert 0.01 < steps[0] < 0.1 and steps[1] < 0.3 * steps[0]
    assert set(np.floor(3 * moved[:, 2])) == {0.0, 1.0, 2.0}  # a category is drawn


def test_simulated_binary_crossover_at_the_points_its_density_has():
    one, other, eta = np.array([0.3]), np.array([0.5]), 3.0
    with jax.enable_x64(True):
        step = jax.jit(_variation.simulated_binary)

        def child(u, side):
            return float(
                step(jnp.array([u]), np.array([side]), np.array([True]), one, other, eta)[0]
            )

        alpha = {True: 2 - (1 + 2 * 0.5 / 0.2) ** -4.0, False: 2 - (1 + 2 * 0.3 / 0.2) ** -4.0}
        for side, parent, bound in ((False, 0.3, 0.0), (True, 0.5, 1.0)):
            assert child(0.0, side) == pytest.approx(0.4)  # the mean
            assert child(1 / alpha[side], side) == pytest.approx(parent)
            assert child(1.0, side) == pytest.approx(bound, abs=1e-9)
        # Inside, the cumulative density of the spread is spread^(eta + 1) / alpha.
        assert child(0.5**4 / alpha[True], True) == pytest.approx(0.45)


def test_polynomial_mutation_at_the_points_its_density_has():
    with jax.enable_x64(True):
        u = jnp.array([0.0, 0.5, 1.0, 0.125, 0.875])
        found = np.asarray(jax.jit(_variation.polynomial)(u, jnp.full(5, 0.5), 1.0))
    step = 1 - np.sqrt(0.25 + 0.75 * 0.25)
    np.testing.assert_allclose(found, [0.0, 0.5, 1.0, 0.5 - step, 0.5 + step], atol=1e-12)


# ------------------------------------------------------------------------ through the door

EIGHT = nsga2(population=8)
BOTH = {"cost": "minimize", "gain": "maximize"}


def scores(config):
    base = {"a": 0.0, "b": 0.4, "d": 0.8}[config["c"]]
    cost = config["n"] / 9 + base + config.get("m", 0.5)
    return cost, 1.0 - abs(np.log10(config["x"]) + 1.5) + base - config["n"] / 30


def optimised(rounds=12, strategy=EIGHT, space=MIXED, seed=1, score=scores, back=False):
    optimizer = bojax.Optimizer(space, strategy=strategy, seed=seed, direction=BOTH)
    for _ in range(rounds):
        for trial in optimizer.ask(4)[:: -1 if back else 1]:
            optimizer.tell(trial, score(trial.config))
    return optimizer


@pytest.fixture(scope="module")
def run():
    return optimised()


def test_rows_are_new_of_the_space_and_of_their_generation(run):
    configs = [trial.config for trial in run.trials]
    assert len({str(config) for config in configs}) == 48
    for config in configs:
        assert MIXED.decode(MIXED.encode(config)[None])[0] == config
    tag = run.history.tag
    assert tag[:, 0].tolist() == [1 + i // 8 for i in range(48)]
    assert tag[:, 1].tolist() == list(range(8)) * 6
    assert tag[:, 2].tolist() == [0] * 8 + [1] * 40


def test_a_run_is_the_same_in_any_order_and_turned_round(run):
    np.testing.assert_array_equal(optimised(4, back=True).history.rows, run.history.rows[:16])
    negated = optimised(4, score=lambda c: {"cost": scores(c)[0], "gain": scores(c)[1]})
    np.testing.assert_array_equal(negated.history.rows, run.history.rows[:16])
    down = bojax.Optimizer(MIXED, strategy=EIGHT, seed=1, direction=dict.fromkeys(BOTH, "minimize"))
    for _ in range(4):
        for trial in down.ask(4):
            down.tell(trial, (scores(trial.config)[0], -scores(trial.config)[1]))
    np.testing.assert_array_equal(down.history.rows, run.history.rows[:16])


def test_saved_at_every_step_it_goes_on_alike(run, tmp_path):
    optimizer = bojax.Optimizer(MIXED, strategy=EIGHT, seed=1, direction=BOTH)
    for number in range(0, 24, 4):
        optimizer.save(tmp_path / "run.json")
        optimizer = bojax.Optimizer.load(tmp_path / "run.json")
        assert optimizer.strategy == EIGHT
        trials = optimizer.ask(4)
        for trial in trials:
            optimizer.tell(trial.id, scores(trial.config))
        rows = np.array([trial.row for trial in trials])
        np.testing.assert_array_equal(rows, run.history.rows[number : number + 4])


def test_late_failed_lost_and_foreign_results_are_taken():
    optimizer = bojax.Optimizer(MIXED, strategy=EIGHT, seed=3, direction=BOTH)
    for config in MIXED.sample(8, seed=5):
        optimizer.tell(config, (0.0, 9.0))
    trials = optimizer.ask(4) + optimizer.ask(4) + optimizer.ask(4)  # four more than a generation
    assert (optimizer.history.tag[8:, 0] == 1).all() and (optimizer.history.tag[8:, 2] == 0).all()
    optimizer.tell(trials[0], (0.1, np.nan))
    optimizer.tell(trials[1], status="stale")
    for trial in trials[3:]:
        optimizer.tell(trial, scores(trial.config))
    more = optimizer.ask(4)
    assert (optimizer.history.tag[20:, 0] == 1).all()  # the third is awaited
    optimizer.tell(trials[2], scores(trials[2].config))
    optimizer.ask(4)
    assert (optimizer.history.tag[24:, :3] == np.array([[2, i, 1] for i in range(4)])).all()
    seen = [str(trial.config) for trial in optimizer.trials]
    assert len(set(seen)) == 28 and len(more) == 4


def test_what_is_given_is_kept_and_a_finite_space_is_searched_to_its_end(run):
    optimizer = optimised(3)
    for trial in optimizer.ask(4, fixed={"c": "a", "n": 7}):
        assert (trial.config["c"], trial.config["n"]) == ("a", 7)
    few = bojax.Space({
        "c": bojax.Categorical(["a", "b"]), "n": bojax.Ordinal([1, 2]),
        "m": bojax.Int(1, 3, when={"c": "a"}),
    })  # fmt: skip
    found = optimised(2, space=few, score=lambda c: (c["n"], c.get("m", 0)))
    assert len({str(trial.config) for trial in found.trials}) == 8
    with pytest.raises(bojax.SpaceExhausted):
        found.ask(4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"population": 3}, "population must be at least 4, got 3"),
        ({"crossover": "two"}, "crossover must be one of uniform, sbx, got 'two'"),
        ({"mutation": "none"}, "mutation must be one of resample, polynomial, got 'none'"),
        ({"crossover_rate": 1.1}, "crossover_rate must be between 0 and 1, got 1.1"),
        ({"swap_rate": -0.1}, "swap_rate must be between 0 and 1"),
        ({"mutation_rate": 2.0}, "mutation_rate must be between 0 and 1"),
        ({"eta_crossover": -1.0}, "eta_crossover must be at least 0"),
        ({"eta_mutation": -1.0}, "eta_mutation must be at least 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        nsga2(**settings)


@pytest.mark.slow
@pytest.mark.parametrize("check", strategy_checks(nsga2(population=8), name="nsga2"), ids=repr)
def test_it_keeps_every_promise(check):
    check()


# ------------------------------------------------------------------------ whole runs

COLUMNS, EVALUATIONS, REFERENCE = 6, 320, [1.1, 6.0]


def zdt(shape, key, rows):
    """ZDT1 (`shape` 0.5) and ZDT2 (2) of Zitzler, Deb and Thiele, 2000, with six parameters."""
    first = rows[:, 0]
    g = 1 + 9 * jnp.mean(rows[:, 1:COLUMNS], axis=1)
    return jnp.stack([first, g * (1 - (first / g) ** shape)], axis=1)


@pytest.mark.slow
def test_its_fronts_beat_random_search_in_single_precision():
    """Paired by seed: eight runs of each of two problems."""
    space = bojax.Space({f"x{i}": bojax.Float(0, 1) for i in range(COLUMNS)})
    keys = jax.random.split(jax.random.key(1), 8)
    volumes = []
    for strategy in (nsga2(population=20), bojax.strategies.random()):

        def one(shape, key, strategy=strategy):
            problem = bojax.loop.Problem(space.table, zdt, shape)
            return bojax.loop.run(strategy, problem, key, evaluations=EVALUATIONS, batch=20)

        shapes = jnp.repeat(jnp.array([0.5, 2.0]), 8)
        history = jax.jit(jax.vmap(one))(shapes, jnp.concatenate([keys, keys]))
        assert history.values.dtype == np.float32 and history.values.shape[-1] == 2
        values = np.asarray(history.values)[:, :EVALUATIONS]
        volumes.append(np.array([bojax.stats.hypervolume(v, REFERENCE) for v in values]))
    gain = volumes[0] - volumes[1]
    assert (gain > 0).all() and gain.reshape(2, 8).mean(axis=1).min() > 0.5


@pytest.mark.slow
def test_of_one_objective_it_beats_random_search():
    space = bojax.Space({f"x{i}": bojax.Float(0, 1) for i in range(COLUMNS)})
    problem = bojax.loop.Problem(
        space.table, lambda data, key, rows: jnp.sum((rows[:, :COLUMNS] - 0.3) ** 2, axis=1)
    )
    best = []
    for strategy in (nsga2(population=16), bojax.strategies.random()):

        def one(key, strategy=strategy):
            return bojax.loop.run(strategy, problem, key, evaluations=192, batch=16)

        history = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), 8))
        best.append(np.nanmin(np.asarray(history.values)[:, :192, 0], axis=1))
    assert (best[0] < best[1]).all() and np.median(best[0]) < 0.5 * np.median(best[1])
