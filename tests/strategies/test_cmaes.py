"""CMA-ES: the updates of a reference, generations that close, and whole runs."""

from dataclasses import replace

import cmaes as reference
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.history import Status, empty_history
from bojax.strategies import Sizes, cmaes
from bojax.strategies._cmaes_restarts import next_run

D, POPSIZE = 5, 8
REALS = bojax.Space({f"x{i}": bojax.Float(0.0, 1.0) for i in range(D)})
MIXED = bojax.Space(
    {
        "x": bojax.Float(1e-3, 1.0, log=True),
        "n": bojax.Int(1, 9),
        "k": bojax.Int(1, 64, log=True),
        "o": bojax.Ordinal([1, 2, 4]),
        "b": bojax.Boolean(),
        "m": bojax.Float(0, 1, when={"b": True}),
    }
)
FUNCTIONS = {
    "sphere": lambda x: float(np.sum((x - 0.4) ** 2)),
    "ellipsoid": lambda x: float(np.sum(1e4 ** np.linspace(0, 1, x.size) * (x - 0.4) ** 2)),
    "rosenbrock": lambda x: float(
        np.sum(100 * ((4 * x[1:] - 2) - (4 * x[:-1] - 2) ** 2) ** 2 + (3 - 4 * x[:-1]) ** 2)
    ),
}


def programs(strategy):
    """`ask` in float64, compiled once a strategy."""

    @jax.jit
    def ask(state, history, bits, given, wanted):
        key = jax.random.wrap_key_data(bits)
        return strategy.ask(state, history, key, POPSIZE, given, wanted)

    return ask


class Driven:
    """A strategy with a history of its own, in which anything can be written."""

    def __init__(self, space, strategy, ask, capacity=512, seed=0):
        self.space, self.program = space, ask
        self.history = empty_history(capacity, space.table.columns)
        self.lines, self.bits = 0, np.array([0, seed], np.uint32)
        with jax.enable_x64(True):
            self.state = strategy.init(space.table, Sizes())

    def ask(self, wanted=POPSIZE):
        given = np.full((POPSIZE, self.space.table.columns), np.nan)
        with jax.enable_x64(True):
            found = self.program(self.state, self.history, self.bits, given, np.int32(wanted))
            self.state, rows, info = jax.tree.map(np.asarray, found)
        here = slice(self.lines, self.lines + wanted)
        self.lines += wanted
        h = self.history
        h.trial[here], h.status[here] = np.arange(here.start, here.stop), Status.PENDING
        h.rows[here], h.tag[here], h.raw[here] = rows[:wanted], info.tag[:wanted], info.raw[:wanted]
        return here

    def tell(self, lines, values):
        self.history.status[lines] = np.where(np.isfinite(values), Status.DONE, Status.FAILED)
        self.history.values[lines, 0] = values


FULL, DIAGONAL = cmaes(popsize=POPSIZE), cmaes(popsize=POPSIZE, separable=True)
ASK = {name: programs(strategy) for name, strategy in (("full", FULL), ("sep", DIAGONAL))}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("kind", ["full", "sep"])
def test_updates_are_those_of_the_package_cmaes(kind, function):
    strategy = FULL if kind == "full" else DIAGONAL
    other = (reference.CMA if kind == "full" else reference.SepCMA)(
        mean=np.full(D, 0.5), sigma=1 / 6, bounds=np.tile([0.0, 1.0], (D, 1)), seed=3,
        population_size=POPSIZE,
    )  # fmt: skip
    ours = Driven(REALS, strategy, ASK[kind])
    for generation in range(31):
        lines = ours.ask()  # closes what was told before
        now = ours.state.now
        assert ours.state.generation == generation
        for name, mine, theirs in (
            ("mean", now.mean[:D], other._mean),
            ("sigma", now.sigma, other._sigma),
            ("p_sigma", now.path_sigma[:D], other._p_sigma),
            ("p_c", now.path_c[:D], other._pc),
            ("C", covariance(now), other._C),
        ):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9, err_msg=name)
        samples = np.array([other.ask() for _ in range(POPSIZE)])
        values = np.array([FUNCTIONS[function](x) for x in samples])
        ours.history.rows[lines, :D] = ours.history.raw[lines, :D] = samples
        ours.tell(lines, values)
        other.tell(list(zip(samples, values, strict=True)))
    assert other._sigma < 0.16  # it did learn


def covariance(now):
    if now.basis is None:
        return now.scales[:D] ** 2
    return ((now.basis * now.scales**2) @ now.basis.T)[:D, :D]


def test_the_margin_is_that_of_the_package_cmaes():
    """Two reals, a switch, five and three values in equal cells, the reference in our unit."""
    space = bojax.Space({
        "x": bojax.Float(0, 1), "y": bojax.Float(0, 1), "b": bojax.Boolean(),
        "n": bojax.Int(1, 5), "o": bojax.Ordinal([1, 2, 4]),
    })  # fmt: skip
    cells = np.array([2, 5, 3])
    bounds = np.array([[0, 1], [0, 1], *[[0.5 / c, 1 - 0.5 / c] for c in cells]])
    start = np.array([0.5, 0.5, 0.3, 0.7, 0.45])
    strategy = cmaes(popsize=POPSIZE, mean=tuple(start))
    other = reference.CMAwM(
        mean=start.copy(), sigma=1 / 6, bounds=bounds, steps=np.array([0, 0, *(1 / cells)]),
        seed=5, population_size=POPSIZE,
    )  # fmt: skip
    ours = Driven(space, strategy, ASK["full"])
    moved = np.zeros(3, bool)
    for _ in range(30):
        lines = ours.ask()
        now = ours.state.now
        np.testing.assert_allclose(now.mean[:D], other.mean, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(now.spread[:D], other._A, rtol=1e-7)
        np.testing.assert_allclose(covariance(now), other._cma._C, rtol=1e-7, atol=1e-9)
        moved |= other._A[2:] != 1.0
        pairs = [other.ask() for _ in range(POPSIZE)]
        shown, samples = (np.array(side) for side in zip(*pairs, strict=True))
        values = np.sum((shown - np.array([0.4, 0.4, 0.75, 0.9, 0.5])) ** 2, axis=1)
        ours.history.raw[lines, :D] = samples
        codes = space.canonical(np.pad(shown, ((0, 0), (0, space.table.columns - D))))
        codes[:, 2] = np.floor(shown[:, 2] * 2)
        ours.history.rows[lines] = codes
        ours.tell(lines, values)
        other.tell(list(zip(samples, values, strict=True)))
    assert moved[1:].all()  # of two values both are edges, and an edge moves the mean alone


def told(ours, lines, function=FUNCTIONS["sphere"]):
    ours.tell(lines, np.array([function(row[:D]) for row in ours.history.rows[lines]]))


def fresh(seed=0):
    return Driven(REALS, FULL, ASK["full"], seed=seed)


def distribution(ours):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(ours.state.now)])


def test_a_generation_closes_when_its_own_rows_are_final():
    ours = fresh()
    lines = ours.ask()
    told(ours, slice(0, POPSIZE - 1))
    start = distribution(ours)
    extra = ours.ask(2)  # one is pending still: further samples of the same distribution
    assert ours.state.generation == 0
    np.testing.assert_array_equal(distribution(ours), start)
    assert ours.history.tag[extra, 0].tolist() == [1, 1]
    assert ours.history.tag[extra, 1].tolist() == [POPSIZE, POPSIZE + 1]
    told(ours, slice(extra.start, extra.start + 1), lambda x: -100.0)  # this changes nothing
    told(ours, slice(POPSIZE - 1, POPSIZE))
    ours.ask()
    assert ours.state.generation == 1

    plain = fresh()
    told(plain, plain.ask())
    plain.ask()
    np.testing.assert_array_equal(lines.stop, POPSIZE)
    np.testing.assert_allclose(distribution(ours), distribution(plain), atol=1e-12)


def test_a_lost_row_is_made_up_for_by_the_next():
    ours = fresh()
    told(ours, ours.ask())
    ours.history.status[3], ours.history.values[3] = Status.STALE, np.nan
    more = ours.ask(1)
    assert ours.state.generation == 0 and ours.history.tag[more, 1] == POPSIZE
    told(ours, more)
    ours.ask()
    assert ours.state.generation == 1
    # As if it had been drawn in the lost one's place.
    plain = fresh()
    lines = plain.ask()
    for leaf, own in zip(plain.history, ours.history, strict=True):
        leaf[lines] = own[[0, 1, 2, 4, 5, 6, 7, 8]]
    plain.history.trial[lines] = np.arange(POPSIZE)
    plain.ask()
    np.testing.assert_allclose(distribution(ours), distribution(plain), atol=1e-12)


def test_failed_rows_are_worst_and_foreign_ones_nothing():
    ours, worse = fresh(), fresh()
    for which, value in ((ours, np.nan), (worse, 1e6)):
        lines = which.ask()
        told(which, lines)
        which.tell(slice(2, 3), np.array([value]))
    h, at = ours.history, POPSIZE
    h.trial[at], h.rows[at], h.status[at], h.values[at] = at, 0.4, Status.DONE, -7.0
    ours.lines += 1
    ours.ask()
    worse.ask()
    assert ours.state.generation == 1
    np.testing.assert_array_equal(distribution(ours), distribution(worse))


def test_where_all_failed_the_distribution_stays():
    ours = fresh()
    start = distribution(ours)
    ours.tell(ours.ask(), np.full(POPSIZE, np.nan))
    ours.ask()
    assert ours.state.generation == 1
    np.testing.assert_array_equal(distribution(ours), start)


def test_a_row_that_was_not_drawn_enters_with_a_short_step():
    """The door put another row in a sample's place; far away, it must not blow up the step."""
    ours, plain = fresh(), fresh()
    for which in (ours, plain):
        for _ in range(12):
            told(which, which.ask())
        last = which.ask()
        told(which, last)
    line = last.stop - 1
    ours.history.rows[line, :D] = 1.0
    ours.history.values[line] = -1.0
    before = ours.state.now
    ours.ask()
    plain.ask()
    step = ours.state.now.mean - before.mean
    c = covariance(before) * before.sigma**2
    length = np.sqrt(step[:D] @ np.linalg.solve(c, step[:D]))
    assert 0.3 < length < np.sqrt(D) + 2 * D / (D + 2)
    assert ours.state.now.sigma < 1.7 * before.sigma
    assert not np.array_equal(distribution(ours), distribution(plain))


def score(config):
    value = (np.log10(config["x"]) + 1.5) ** 2 + abs(config["n"] - 6) + abs(config["k"] - 16) / 16
    return value + config["o"] / 4 + (config["m"] if config["b"] else 0.5)


def optimised(strategy, space=MIXED, evaluations=48, q=4, function=score, **settings):
    optimizer = bojax.Optimizer(space, strategy=strategy, seed=2, **settings)
    while len(optimizer.trials) < evaluations:
        for trial in optimizer.ask(q):
            optimizer.tell(trial, function(trial.config))
    return optimizer


@pytest.fixture(scope="module")
def mixed():
    return optimised(cmaes(popsize=POPSIZE))


def test_mixed_and_conditional_rows_are_new_and_of_the_space(mixed):
    configs = [trial.config for trial in mixed.trials]
    assert len({str(config) for config in configs}) == 48
    for config in configs:
        assert MIXED.decode(MIXED.encode(config)[None])[0] == config
        assert ("m" in config) == config["b"]
    tags = mixed.history.tag
    np.testing.assert_array_equal(tags[:, 0], 1 + np.arange(48) // POPSIZE)
    np.testing.assert_array_equal(tags[:, 1], np.arange(48) % POPSIZE)
    assert mixed.best().value < np.median([t.value for t in mixed.trials[:8]])


def test_saved_at_every_step_it_goes_on_alike(mixed, tmp_path):
    optimizer = bojax.Optimizer(MIXED, strategy=cmaes(popsize=POPSIZE), seed=2)
    for number in range(0, 48, 4):
        optimizer.save(tmp_path / "run.json")
        optimizer = bojax.Optimizer.load(tmp_path / "run.json")
        assert optimizer.strategy == mixed.strategy
        trials = optimizer.ask(4)
        optimizer.save(tmp_path / "run.json")
        optimizer = bojax.Optimizer.load(tmp_path / "run.json")
        for trial in reversed(trials):  # and in whatever order results arrive
            optimizer.tell(trial.id, score(trial.config))
        rows = np.array([trial.row for trial in trials])
        np.testing.assert_array_equal(rows, mixed.history.rows[number : number + 4])


def test_one_by_one_is_as_many_at_once(mixed):
    alone = optimised(cmaes(popsize=POPSIZE), q=1, evaluations=20)
    np.testing.assert_allclose(alone.history.rows, mixed.history.rows[:20], atol=1e-12)


def test_what_is_given_is_kept():
    optimizer = optimised(cmaes(popsize=POPSIZE), evaluations=8)
    for trial in optimizer.ask(4, fixed={"n": 3, "b": False}):
        assert (trial.config["n"], trial.config["b"]) == (3, False) and "m" not in trial.config
    assert optimizer.history.tag[8:, 3].tolist() == [1] * 4


def test_a_finite_space_is_searched_to_its_end():
    space = bojax.Space({"a": bojax.Int(0, 3), "b": bojax.Boolean(), "c": bojax.Ordinal([1, 2])})
    optimizer = optimised(
        cmaes(popsize=POPSIZE), space, 16, function=lambda c: c["a"] + c["b"] + c["c"]
    )
    assert len({str(trial.config) for trial in optimizer.trials}) == 16
    with pytest.raises(bojax.errors.SpaceExhausted):
        optimizer.ask()


def test_constraints_are_met():
    space = bojax.Space(
        {"x": bojax.Float(0, 1), "y": bojax.Float(0, 1)},
        constraints=[bojax.Linear({"x": 1, "y": 1}, at_most=0.3)],
    )
    optimizer = optimised(
        cmaes(popsize=POPSIZE), space, 32, function=lambda c: (c["x"] - 1) ** 2 + c["y"]
    )
    assert all(t.config["x"] + t.config["y"] <= 0.3 for t in optimizer.trials)
    assert optimizer.best().config["x"] > 0.2


def bowl(shift, key, rows):
    return jnp.sum((rows[:, :D] - shift) ** 2, axis=1)


def runs(strategy, evaluations, batch, count=4, wide=True, function=bowl, mean=0.5):
    """Whole runs as one program; the start is an argument of it."""
    with jax.enable_x64(wide):
        problem = bojax.loop.Problem(REALS.table, function, np.float64(0.37))

        def one(key, mean):
            started = replace(strategy, mean=mean)
            return bojax.loop.run(started, problem, key, evaluations=evaluations, batch=batch)

        program = PROGRAMS.setdefault(
            (strategy, evaluations, wide, function), jax.jit(jax.vmap(one, (0, None)))
        )
        keys = jax.random.split(jax.random.key(0), count)
        return jax.tree.map(np.asarray, program(keys, jnp.asarray(mean)))


PROGRAMS = {}


@pytest.mark.parametrize("strategy", [FULL, DIAGONAL], ids=["full", "separable"])
def test_whole_runs_reach_the_optimum_of_a_sphere(strategy):
    history = runs(strategy, 90 * POPSIZE, POPSIZE)
    best = np.nanmin(history.values[:, :, 0], axis=1)
    assert (best < 1e-8).all(), best


def test_whole_runs_in_single_precision():
    history = runs(FULL, 30 * POPSIZE, POPSIZE, wide=False)
    assert history.rows.dtype == np.float32
    assert (np.nanmin(history.values[:, :, 0], axis=1) < 1e-3).all()
    assert (history.status[:, : 30 * POPSIZE] == Status.DONE).all()


def test_draws_are_redrawn_within_the_bounds():
    """Near a corner a third of each column lies beyond; rows on the bounds would be clipped."""
    history = runs(FULL, 90 * POPSIZE, POPSIZE, mean=0.95)
    rows = history.rows[:, :POPSIZE, :D].reshape(-1, D)
    assert rows.min() > 0 and rows.max() < 1 and np.median(rows) > 0.8
    assert len(np.unique(rows[:, 0])) == 4 * POPSIZE
    assert (history.tag[:, :POPSIZE, 3] == 0).all()


def deceptive(shift, key, rows):
    """Cosine wells that a small population falls into."""
    z = 8.0 * (rows[:, :D] - shift)
    return jnp.sum(z**2 + 10.0 * (1.0 - jnp.cos(2.0 * jnp.pi * z)), axis=1)


@pytest.mark.parametrize("rule", ["ipop", pytest.param("bipop", marks=pytest.mark.slow)])
def test_restarts_go_elsewhere_with_another_population(rule):
    history = runs(cmaes(popsize=4, restarts=rule), 1536, 4, count=2, function=deceptive)
    for run in range(2):
        sizes = history.tag[run, :1536, 2]
        changes = np.flatnonzero(np.diff(sizes)) + 1
        assert sizes[0] == 4 and sizes[changes[0]] == 8  # after the first run a large one
        steps = np.std(history.raw[run, :, :D], axis=1)
        at = changes[0]
        assert np.ptp(history.rows[run, at - 4 : at, :D], axis=0).max() < 1e-2
        assert np.ptp(history.rows[run, at : at + 8, :D], axis=0).max() > 0.1, steps[at]
        if rule == "ipop":
            assert (np.diff(sizes[changes]) > 0).all()


def test_regimes_take_turns_by_what_they_spent():
    from bojax.strategies._cmaes_restarts import Runs

    def after(large, doublings, spent, used, rule="bipop"):
        runs = Runs(1, jnp.array(large), jnp.int32(doublings), jnp.array(spent), jnp.array(0.2))
        return next_run(rule, jax.random.key(4), runs, used, 6, jnp.array(0.2), 10_000)

    first, popsize = after(False, 0, [0, 0], 300)
    assert (bool(first.large), int(popsize), first.spent.tolist()) == (True, 12, [300, 0])
    second, popsize = after(True, 1, [300, 0], 500)
    assert (bool(second.large), int(popsize)) == (False, 6)  # half of 12 over 6 is 1
    assert 0.002 < float(second.sigma0) < 0.2
    third, popsize = after(True, 3, [300, 0], 500)
    assert 6 <= int(popsize) <= 24 and int(third.doublings) == 3
    again, popsize = after(True, 3, [300, 0], 500, rule="ipop")
    assert (bool(again.large), int(popsize), float(again.sigma0)) == (True, 96, pytest.approx(0.2))


@pytest.mark.slow
def test_every_option_changes_what_is_asked():
    base = {"popsize": POPSIZE}
    usual = optimised(cmaes(**base), evaluations=24).history.rows
    for change in (
        {"popsize": 10}, {"sigma0": 0.3}, {"mean": 0.3}, {"separable": True}, {"margin": False},
    ):  # fmt: skip
        rows = optimised(cmaes(**(base | change)), evaluations=24).history.rows
        assert not np.array_equal(rows, usual), change
    # Restarts change nothing before the first.
    rows = optimised(cmaes(**base, restarts="ipop"), evaluations=24).history.rows
    np.testing.assert_allclose(rows, usual, atol=1e-9)


def test_a_switch_does_not_freeze():
    """Without the margin a bit that is once lost stays lost; with it both values stay likely."""
    space = bojax.Space({"x": bojax.Float(0, 1), "n": bojax.Int(0, 40), "b": bojax.Boolean()})

    def rating(data, key, rows):
        return 100.0 * rows[:, 2] + (rows[:, 0] - 0.4) ** 2

    problem, shares = bojax.loop.Problem(space.table, rating), []
    for margin in (True, False):
        strategy = cmaes(popsize=POPSIZE, margin=margin)
        with jax.enable_x64(True):
            history = jax.jit(
                lambda key, s=strategy: bojax.loop.run(
                    s, problem, key, evaluations=40 * POPSIZE, batch=POPSIZE
                )
            )(jax.random.key(0))
        shares.append(np.asarray(history.rows)[20 * POPSIZE : 40 * POPSIZE, 2].mean())
    assert 0.01 < shares[0] < 0.2 and shares[1] < shares[0]


def test_populations_are_sized_by_the_parameters():
    for columns, expected in ((1, 4), (2, 6), (10, 10), (40, 15)):
        space = bojax.Space({f"x{i}": bojax.Float(0, 1) for i in range(columns)})
        state = cmaes().init(space.table, Sizes())
        assert state.popsize == expected


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"popsize": 3}, "popsize must be at least 4, got 3"),
        ({"sigma0": 0.0}, "sigma0 must be above 0, got 0.0"),
        ({"mean": 1.5}, "mean must lie in the unit cube, got 1.5"),
        ({"mean": (0.5, -0.1)}, "mean must lie in the unit cube, got -0.1"),
        ({"restarts": "always"}, "restarts must be one of none, ipop, bipop, got 'always'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        cmaes(**settings)


def test_a_mean_of_another_length_and_several_objectives_are_refused():
    with pytest.raises(ValueError, match="mean must be one number or 5, one a parameter, got 2"):
        cmaes(mean=(0.5, 0.5)).init(REALS.table, Sizes())
    with pytest.raises(ValueError, match="'cmaes' takes one objective, got 2"):
        cmaes().init(REALS.table, Sizes(objectives=2))
