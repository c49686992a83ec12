"""The tree-structured Parzen estimator, against Optuna's own numbers and as a strategy.

The numbers in data/parzen.json were made by Optuna 5.0.0 and 4.5.0; data/make_parzen.py says how.
"""

import importlib.util
import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.history import Status, empty_history
from bojax.strategies import Sizes, tpe
from bojax.strategies import _parzen as parzens
from bojax.strategies._parzen import Groups

DATA = Path(__file__).parent / "data"
REFERENCE = json.loads((DATA / "parzen.json").read_text())
_spec = importlib.util.spec_from_file_location("make_parzen", DATA / "make_parzen.py")
MADE = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(MADE)
KINDS = {n: bojax.Float(a, b, step=s, log=g) for n, (a, b, s, g) in MADE.FLOATS.items()}
KINDS |= {n: bojax.Int(a, b, step=s, log=g) for n, (a, b, s, g) in MADE.INTS.items()}
SPACE = bojax.Space({**KINDS, "c": bojax.Categorical(MADE.CHOICES)})
LINES = 48


def edges(name):
    """Ends of a number's range as Optuna has it, half a step beyond a grid's."""
    low, high, step, log = (MADE.FLOATS | MADE.INTS)[name]
    half = (step or 0.0) / 2
    return tuple((np.log if log else float)(x) for x in (low - half, high + half))


def unit_rows(values, lines):
    rows, d = np.tile(SPACE.table.default, (lines, 1)), len(SPACE.names)
    for name, column in values.items():
        x = np.array(column)
        if name != "c":
            low, high = edges(name)
            x = ((np.log(x) if (MADE.FLOATS | MADE.INTS)[name][3] else x) - low) / (high - low)
        rows[: len(x), SPACE.names.index(name)] = x
    assert rows.shape[1] >= d
    return rows


@partial(jax.jit, static_argnames="rule")
def fitted(groups, rows, lines, candidates, rule):
    present = jnp.broadcast_to(groups.joint | groups.own, rows.shape)
    model = parzens.parzen(SPACE.table, groups, rows, lines, present, rule)
    return model, parzens.log_densities(SPACE.table, groups, [model], candidates)[0]


@pytest.mark.parametrize("number", range(len(REFERENCE["5.0.0"]["cases"])))
@pytest.mark.parametrize("version", ["5.0.0", "4.5.0"])
def test_estimators_are_those_of_optuna(version, number):
    case = REFERENCE[version]["cases"][number]
    names = list(case["observed"])
    used = np.isin(np.arange(SPACE.table.columns), [SPACE.names.index(n) for n in names])
    multivariate, size = case["multivariate"], len(case["observed"]["x"])
    strategy = tpe(recipe=f"optuna-{version[0]}", multivariate=multivariate)
    groups = jax.tree.map(np.asarray, strategy.groups(SPACE.table))
    groups = Groups(groups.joint & used, groups.own & used, groups.cells)
    rows = unit_rows(case["observed"], LINES)
    candidates = unit_rows(case["candidates"], 8)
    lines = np.arange(LINES) < size
    with jax.enable_x64(True):
        model, (joint, own) = fitted(groups, rows, lines, candidates, strategy.rule)
        model, joint, own = jax.tree.map(np.asarray, (model, joint, own))
    kernels = np.append(np.flatnonzero(lines), LINES)  # and the prior's
    close = {"rtol": 0, "atol": 1e-9}
    wide = {name: edges(name)[1] - edges(name)[0] for name in names if name != "c"}
    for name in wide:
        k, low = SPACE.names.index(name), edges(name)[0]
        found = np.stack([model.mean[k, kernels], model.sigma[k, kernels]])
        known = np.array([case["mean"][name], case["sigma"][name]])
        known = np.stack([(known[0] - low) / wide[name], known[1] / wide[name]])
        if case["ties"]:  # as sets
            found, known = (pair[:, np.lexsort(np.round(pair, 9))] for pair in (found, known))
        np.testing.assert_allclose(found, known, err_msg=name, **close)
        np.testing.assert_allclose(np.exp(model.log_weight[k, kernels]), case["weights"], **close)
    np.testing.assert_allclose(np.exp(model.joint_weight[kernels]), case["weights"], **close)
    # Ours are densities in the unit interval; the mass of a cell has no unit.
    gridded = {n for n in wide if (MADE.FLOATS | MADE.INTS)[n][2]}
    if version == "4.5.0":
        gridded -= {"w"}
    unit = {name: 0.0 if name in {"c", *gridded} else np.log(wide[name]) for name in names}
    for name, known in case["log_density"].items():
        if name == "all":
            found = joint - sum(unit.values())
        else:
            found = own[:, SPACE.names.index(name)] - unit[name]
        np.testing.assert_allclose(found, known, err_msg=name, **close)


@pytest.mark.parametrize("version", ["5.0.0", "4.5.0"])
def test_ages_and_shares_are_those_of_optuna(version):
    for number, known in REFERENCE[version]["age"].items():
        with jax.enable_x64(True):
            here = np.arange(64) < int(number)
            found = np.exp(np.asarray(parzens._log_weights(jnp.asarray(here[None]), float)))[0]
        np.testing.assert_allclose(found[: int(number)] / found[-1], known, atol=1e-12)
    history = empty_history(512, 4)
    history.values[:400, 0] = np.arange(400)[::-1]
    with jax.enable_x64(True):
        told = np.arange(512) < np.arange(400)[:, None]
        best, counts = jax.jit(jax.vmap(lambda m: tpe().good_lines(history, m)))(told)
    assert np.asarray(counts).sum(axis=1).tolist() == REFERENCE[version]["good"]
    assert np.asarray(best)[200][np.asarray(counts)[200]].tolist() == list(range(180, 200))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_masses_of_cells_hold_far_out_and_in_narrow_cells(dtype):
    from scipy.stats import norm

    low = np.array([-30.0, -8.0, -1.0, 0.0, 3.0, 9.0, 30.0, 1.0, 20.0])
    wide = np.array([1.0, 0.1, 1e-3, 1e-2, 2.0, 0.5, 1e-9, 1e-7, 1e-4])
    if dtype == "float32":  # beyond, its logarithm is -inf, beside the prior's kernel nothing
        low, wide = low[1:6], wide[1:6]
    with jax.enable_x64(dtype == "float64"):
        found = parzens.log_mass(jnp.asarray(low, dtype), jnp.asarray(low + wide, dtype))
    exact = np.where(wide < 1e-5, norm.logpdf(low + wide / 2) + np.log(wide), 0.0)
    near, far = np.abs(low) + wide, np.abs(low)
    mass = np.where(low >= 0, norm.sf(far) - norm.sf(near), norm.cdf(low + wide) - norm.cdf(low))
    exact = np.where(wide < 1e-5, exact, np.log(mass))
    np.testing.assert_allclose(found, exact, rtol=1e-7 if dtype == "float64" else 2e-4)


@pytest.fixture(scope="module")
def sampled():
    """Observations of every kind, 40,000 draws of their estimator, and the groups."""
    rows = SPACE.encode(SPACE.sample(12, seed=3))
    strategy = tpe()
    with jax.enable_x64(True):
        groups = strategy.groups(SPACE.table)
        model = parzens.parzen(
            SPACE.table, groups, jnp.asarray(rows), np.ones(12, bool), np.ones(rows.shape, bool),
            strategy.rule,
        )  # fmt: skip
        given = np.full(rows.shape[1], np.nan)
        given[SPACE.names.index("x")] = rows[4, SPACE.names.index("x")]
        draw = jax.jit(
            lambda at: parzens.draws(SPACE.table, groups, model, jax.random.key(0), 40_000, at)
        )
        free, beside = draw(np.full(rows.shape[1], np.nan)), draw(given)
    return rows, model, np.asarray(free), np.asarray(beside)


def test_draws_have_the_density(sampled):
    from scipy.stats import kstest, truncnorm

    _, model, free, beside = sampled
    weight = np.exp(np.asarray(model.joint_weight))
    k, c = SPACE.names.index("lr"), SPACE.names.index("c")
    mean, sigma = np.asarray(model.mean)[k], np.asarray(model.sigma)[k]

    def distribution(x):
        parts = truncnorm((0 - mean) / sigma, (1 - mean) / sigma, mean, sigma).cdf(x[:, None])
        return parts @ weight

    assert kstest(free[:, k], distribution).pvalue > 1e-3
    # One observed choice in twelve trials: (its kernels' mass there) + (a part of all others).
    code, share = np.asarray(model.mean)[c, :-1], 1 / 13
    total = 1 + 4 * share
    known = [
        (weight[:-1] * ((code == choice) + share) / total).sum() + weight[-1] / 4
        for choice in range(4)
    ]
    found = np.bincount(free[:, c].astype(int), minlength=4) / len(free)
    np.testing.assert_allclose(found, known, atol=0.01)
    # Beside a given column kernels count by what they say of it.
    x = SPACE.names.index("x")
    at, wide = np.asarray(model.mean)[x], np.asarray(model.sigma)[x]
    said = weight * truncnorm((0 - at) / wide, (1 - at) / wide, at, wide).pdf(at[4])
    weight = said / said.sum()
    assert kstest(beside[:, k], distribution).pvalue > 1e-3
    assert kstest(free[:, k], distribution).pvalue < 1e-3


# ------------------------------------------------------------------ as a strategy

TREE = bojax.Space(
    {
        "kind": bojax.Categorical(["flat", "steep", "odd"]),
        "lr": bojax.Float(1e-4, 1.0, log=True),
        "a": bojax.Float(0, 1, when={"kind": "steep"}),
        "n": bojax.Int(1, 30, when={"kind": ["steep", "odd"]}),
    }
)


def tree_value(config):
    if config["kind"] == "flat":
        return 1.5 + 0.1 * np.log10(config["lr"]) ** 2
    near = (np.log10(config["lr"]) + 2) ** 2 + 0.02 * (config["n"] - 7) ** 2
    return near + (4 * (config["a"] - 0.7) ** 2 if config["kind"] == "steep" else 1.0)


def history_of(space, configs, values, statuses=None, capacity=64):
    history = empty_history(capacity, space.table.columns)
    for i, config in enumerate(configs):
        history.trial[i], history.rows[i] = i, space.encode(config)
        history.values[i] = values[i]
        history.status[i] = Status.DONE if statuses is None else statuses[i]
    return history


@partial(jax.jit, static_argnames="q")
def _asked(strategy, state, history, key, q, given):
    return strategy.ask(state, history, key, q, given)


def asked(strategy, space, history, q=1, given=None, seed=0):
    with jax.enable_x64(True):
        state = strategy.init(space.table, Sizes())
        given = np.full(space.table.columns, np.nan) if given is None else given
        key = jax.random.key(seed)
        _, rows, info = _asked(strategy, state, history, key, q, np.tile(given, (q, 1)))
        return np.asarray(rows), np.asarray(info.valid)


@pytest.mark.slow
def test_every_setting_changes_what_is_suggested():
    configs = TREE.sample(40, seed=1)
    values = [float(tree_value(config)) for config in configs]
    statuses = [Status.DONE] * 34 + [Status.PENDING] * 6
    history = history_of(TREE, configs, values, statuses)

    def rows(**settings):
        return asked(tpe(**settings), TREE, history, q=2)[0]

    usual, old = rows(), rows(recipe="optuna-4")
    assert not np.array_equal(usual, old)
    for settings in (
        {"initial": 35}, {"candidates": 7}, {"gamma": 0.3}, {"most_good": 2},
        {"multivariate": False}, {"constant_liar": False},
    ):  # fmt: skip
        assert not np.array_equal(rows(**settings), usual), settings
    for settings in ({"multivariate": True}, {"constant_liar": True}):
        assert not np.array_equal(rows(recipe="optuna-4", **settings), old), settings


def test_the_two_sets_are_what_the_estimator_is_made_of():
    """Pending and failed lines are bad, unless their trial is learnt from; stale ones nothing."""
    history = history_of(TREE, TREE.sample(8, seed=0), np.arange(8.0))
    history.status[:8] = [2, 3, 1, 6, 2, 1, 3, 2]
    history.trial[5] = 4  # runs on
    strategy = tpe(initial=2, gamma=0.5)
    with jax.enable_x64(True):
        learnt = np.asarray(strategy.learnt(TREE.table, history))
        best, counts = map(np.asarray, strategy.good_lines(history, learnt))
        bad = np.asarray(strategy.unfinished(history, learnt))
        told = np.asarray(tpe(constant_liar=False).unfinished(history, learnt))
    assert np.flatnonzero(learnt).tolist() == [0, 4, 7]
    assert best[counts].tolist() == [0, 4]
    assert np.flatnonzero(bad).tolist() == [1, 2, 6] and np.flatnonzero(told).tolist() == [1, 6]


def test_the_largest_budget_with_enough_results_is_learnt_from():
    space = bojax.Space({"x": bojax.Float(0, 1), "epochs": bojax.Int(1, 9)}, fidelity="epochs")
    budgets = [1] * 6 + [3] * 4 + [9] * 2
    configs = [{"x": i / 12, "epochs": b} for i, b in enumerate(budgets)]
    history = history_of(space, configs, np.arange(12.0))

    def learnt(initial):
        with jax.enable_x64(True):
            found = tpe(initial=initial).learnt(space.table, history)
        return np.flatnonzero(np.asarray(found)).tolist()

    assert learnt(2) == [10, 11] and learnt(3) == [6, 7, 8, 9]
    assert learnt(5) == [0, 1, 2, 3, 4, 5] and learnt(7) == []


def test_a_conditional_column_is_learnt_from_the_lines_that_have_it():
    rng = np.random.default_rng(0)
    configs, values = [], []
    for i in range(60):
        config = {"kind": ["flat", "steep", "odd"][i % 3], "lr": 10.0 ** -rng.integers(1, 4)}
        if config["kind"] != "flat":
            config["n"] = int(rng.integers(1, 31))
        if config["kind"] == "steep":
            config["a"] = float(rng.random())
        configs.append(config)
        near = abs(config.get("a", 0.0) - 0.25) if config["kind"] == "steep" else 2.0 + i
        values.append(float(near))
    history = history_of(TREE, configs, values)
    rows = np.concatenate([asked(tpe(), TREE, history, q=4, seed=s)[0] for s in range(6)])
    suggested = [c["a"] for c in TREE.decode(rows) if "a" in c]
    assert len(suggested) > 16 and abs(np.median(suggested) - 0.25) < 0.1


def test_a_batch_spreads_under_the_liar():
    space = bojax.Space({"x": bojax.Float(0, 1), "y": bojax.Float(0, 1)})
    configs = space.sample(30, seed=2)
    history = history_of(space, configs, [(c["x"] - 0.5) ** 2 + c["y"] ** 2 for c in configs])

    def spread(**settings):
        rows = [asked(tpe(**settings), space, history, q=8, seed=s)[0][:, :2] for s in range(8)]
        return np.mean([np.ptp(batch, axis=0) for batch in rows])

    assert spread() > 1.1 * spread(constant_liar=False)


def test_constraints_hold_where_little_is_feasible():
    space = bojax.Space(
        {"a": bojax.Float(0, 1), "b": bojax.Float(0, 1), "c": bojax.Categorical(["u", "v"])},
        constraints=[bojax.Linear({"a": 1, "b": 1}, at_most=0.02)],
        forbidden=[{"c": "v", "a": bojax.Range(0.0, 0.005)}],
    )
    optimizer = bojax.Optimizer(space, strategy=tpe(initial=4), seed=0)
    for _ in range(4):
        for trial in optimizer.ask(4):
            optimizer.tell(trial, (trial.config["a"] - 0.015) ** 2 + trial.config["b"] ** 2)
    configs = [trial.config for trial in optimizer.trials]
    assert space.feasible(configs).all() and len({str(c) for c in configs}) == 16
    late = np.mean([abs(c["a"] - 0.015) + c["b"] for c in configs[8:]])
    assert late < np.mean([abs(c["a"] - 0.015) + c["b"] for c in configs[:4]])


def test_a_small_space_is_used_up_without_a_repeat():
    space = bojax.Space({"n": bojax.Int(1, 4), "b": bojax.Boolean(), "o": bojax.Ordinal([1, 2, 8])})
    optimizer = bojax.Optimizer(space, strategy=tpe(initial=3), seed=2)
    with pytest.raises(bojax.SpaceExhausted):
        while True:
            for trial in optimizer.ask(4):
                optimizer.tell(trial, trial.config["n"] * trial.config["o"])
    assert len({str(trial.config) for trial in optimizer.trials}) == 24 == len(optimizer.trials)


def test_saved_at_every_step_with_late_partial_failed_and_foreign_results(tmp_path):
    def stepped(saves):
        optimizer = bojax.Optimizer(TREE, strategy=tpe(initial=4, gamma=0.2), seed=5)
        rows, late = [], None
        for step in range(8):
            if saves:
                optimizer.save(tmp_path / "run.json")
                optimizer = bojax.Optimizer.load(tmp_path / "run.json")
            trials = optimizer.ask(3)
            rows += [trial.row for trial in trials]
            optimizer.tell(trials[0].id, tree_value(trials[0].config))
            optimizer.tell(trials[1].id, None if step % 3 == 0 else tree_value(trials[1].config))
            if late is not None:
                optimizer.tell(late.id, tree_value(late.config))
            late = trials[2] if step % 2 else None  # every other one is never told
            if step == 2:
                optimizer.tell({"kind": "odd", "lr": 0.01, "n": 7}, 1.0)
        return np.array(rows), optimizer

    rows, optimizer = stepped(False)
    again, loaded = stepped(True)
    np.testing.assert_array_equal(rows, again)
    assert loaded.strategy == optimizer.strategy == tpe(initial=4, gamma=0.2)
    assert len({row.tobytes() for row in rows}) == 24


def test_the_order_of_telling_does_not_matter():
    rows = []
    for turned in (False, True):
        optimizer = bojax.Optimizer(TREE, strategy=tpe(initial=4), seed=5)
        trials = optimizer.ask(4)
        for trial in reversed(trials) if turned else trials:
            optimizer.tell(trial, tree_value(trial.config))
        rows.append([trial.row for trial in optimizer.ask(3)])
    np.testing.assert_array_equal(*rows)


def quadratic(data, key, rows):
    return jnp.sum((rows[:, :4] - data) ** 2, axis=1)


def tree_values(data, key, rows):
    natural = bojax.space.table.natural(TREE.table, rows)
    kind, lr, a, n = (natural[:, k] for k in range(4))
    near = (jnp.log10(lr) + 2) ** 2 + 0.02 * (n - 7) ** 2
    steep = near + 4 * (a - 0.7) ** 2
    flat = 1.5 + 0.1 * jnp.log10(lr) ** 2
    return jnp.where(kind == 0, flat, jnp.where(kind == 1, steep, near + 1.0))


PROBLEMS = {
    "quadratic": bojax.loop.Problem(
        bojax.Space({f"x{i}": bojax.Float(0, 1) for i in range(4)}).table, quadratic, 0.37
    ),
    "conditional": bojax.loop.Problem(TREE.table, tree_values),
}


@pytest.mark.parametrize(
    ("name", "precision"), [("quadratic", "float64"), ("conditional", "float32")]
)
def test_better_than_random_in_paired_runs(name, precision):
    """48 runs of one program; each pair has the same key and the same random start."""
    problem, runs, evaluations = PROBLEMS[name], 48, 50
    with jax.enable_x64(precision == "float64"):
        keys = jax.random.split(jax.random.key(7), runs)

        def best(strategy):
            one = partial(bojax.loop.run, strategy, problem, evaluations=evaluations, batch=2)
            histories = jax.jit(jax.vmap(one))(keys)
            rows = np.asarray(histories.rows, float)[:, :evaluations]
            curve = np.asarray(bojax.loop.best_so_far(histories))
            return rows, curve[:, 9], curve[:, evaluations - 1]

        rows, start, ours = best(tpe())
        _, same, theirs = best(bojax.strategies.random())
    np.testing.assert_allclose(start, same, rtol=1e-5)  # ten of them are the same
    gain = np.log(theirs) - np.log(ours)
    assert gain.mean() > 3 * gain.std(ddof=1) / np.sqrt(runs)
    assert all(len({row.tobytes() for row in run}) == evaluations for run in rows)


def test_settings_are_vmapped():
    problem = PROBLEMS["quadratic"]

    def last(initial, gamma):
        strategy = bojax.strategies.TPE(initial=initial, gamma=gamma)
        return bojax.loop.run(strategy, problem, jax.random.key(0), evaluations=8).rows[7]

    rows = jax.jit(jax.vmap(last))(jnp.array([4, 20, 4]), jnp.array([0.1, 0.1, 0.6]))
    assert len({np.asarray(row).tobytes() for row in rows}) == 3


def test_one_program_serves_every_space_and_length_of_a_class(count_compiles):
    spaces = [TREE, bojax.Space({f"x{i}": bojax.Float(-i - 1, 1) for i in range(4)})]
    found = []
    for space in spaces:
        optimizer = bojax.Optimizer(space, strategy=tpe(initial=2))
        with count_compiles() as programs:
            for _ in range(6):
                optimizer.tell(optimizer.ask(4), [1.0] * 4)
        found += programs
    assert len(found) <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"recipe": "hyperopt"}, "recipe must be one of optuna-5, optuna-4, got 'hyperopt'"),
        ({"initial": 0}, "initial must be at least 1, got 0"),
        ({"candidates": 0}, "candidates must be at least 1, got 0"),
        ({"most_good": 0}, "most_good must be at least 1, got 0"),
        ({"gamma": 1.0}, "gamma must be above 0 and below 1, got 1.0"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        tpe(**settings)


def test_more_than_one_objective_is_refused_by_name():
    with pytest.raises(ValueError, match="'tpe' takes one objective, got 2"):
        tpe().init(SPACE.table, Sizes(objectives=2))
