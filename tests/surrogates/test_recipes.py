"""Recipes against the libraries they are named after: objectives, fits, predictions, values.

The numbers in data/ were made by the libraries themselves; docs/recipes.md says how the
originals scale what they minimise. All data sets are padded to one shape, so a recipe compiles
three programs.
"""

import functools
import importlib.util
import json
import math
import types
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize

import bojax
from bojax.kernels.kernel import Columns, Scaled
from bojax.kernels.parameter import pack, unpack
from bojax.space import table as tables
from bojax.surrogates import GP, Data
from bojax.surrogates._gp import fit as fitting
from bojax.surrogates._gp import objective
from bojax.surrogates._gp.objective import Evidence
from bojax.surrogates._gp.posterior import features_of
from bojax.surrogates._gp.recipes import RECIPES
from bojax.surrogates.transforms import named

DATA = Path(__file__).parent / "data"
N, D = 64, 6
SETTINGS = ("start", "short", "long", "uneven", "fit", "polished")
FIRM = 0.05  # curvature (nats a squared log unit) from which a parameter is compared
# Data sets on which more starts than the original's one find a better optimum.
BETTER = {("botorch", "noisy-20-1"), ("hebo", "noisy-40-2"), ("hebo", "noisy-8-6")}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@functools.cache
def stored(recipe):
    return json.loads((DATA / f"recipes_{recipe}.json").read_text())["data_sets"]


OURS = ("bojax", "tuning")  # nobody else's
CASES = [
    (recipe, each["name"]) for recipe in RECIPES if recipe not in OURS for each in stored(recipe)
]


def data_set(recipe, name):
    return next(each for each in stored(recipe) if each["name"] == name)


def padded(x, shape):
    x = np.asarray(x, float)
    return np.pad(x, [(0, want - have) for want, have in zip(shape, x.shape, strict=True)])


def table_of(categorical):
    """A table of six columns, of which the first ones are in use."""
    arrays = tables.empty_table(D, 1, 1, tables.CHOICES[0])
    kinds = [tables.CATEGORY if each else tables.REAL for each in categorical]
    arrays["kind"][: len(kinds)] = kinds
    arrays["cardinality"][: len(kinds)] = [5 if each else 0 for each in categorical]
    low, high = arrays.pop("clause_low"), arrays.pop("clause_high")
    used, column, choices = (arrays.pop(part) for part in ("used", "column", "choices"))
    clauses = tables.Clauses(used, column, low, high, choices)
    return tables.SpaceTable(**arrays, clauses=clauses, depth=np.int32(0))


def data_of(data, values):
    n = len(values)
    return Data(
        padded(data["rows"], (N, D)),
        padded(values, (N,)),
        np.zeros(N),
        np.ones(N),
        np.arange(N) < n,
        table_of(data["categorical"]),
    )


def units(recipe, data):
    """What one unit of a stored length scale is in columns, `[d]`: HEBO maps rows to [-1, 1]."""
    rows = np.asarray(data["rows"])
    return np.ptp(rows, axis=0) / 2 if recipe == "hebo" else np.ones(rows.shape[1])


def numbers(recipe, data, setting):
    """Length scales in columns `[6]`, noise, output scale, mean."""
    scales = np.ones(D)
    scales[: len(data["rows"][0])] = np.asarray(setting["length_scales"]) * units(recipe, data)
    return scales, setting["noise"], setting["output_scale"], setting["mean"]


def expected(recipe, data, value):
    """What the original minimises, as a negative log posterior with all constants."""
    n = len(data["targets"])
    if recipe in ("botorch", "botorch-legacy", "hebo"):
        return value * n
    return value + 0.5 * n * math.log(2 * math.pi) if recipe == "optuna" else value


def settings_of(data):
    found = {each["name"]: each for each in data["settings"]}
    found |= {"fit": data["fit"], "polished": data["polished"]}
    return {name: found[name] for name in SETTINGS if name in found}


# ------------------------------------------------------------------------------- programs


def evidence_of(data):
    """The values as they are, without standardising them again."""
    used = data.table.used
    columns = Columns(used, used & False, jnp.sum(used.astype(float)))
    values = jnp.asarray(data.values)
    features = features_of(data.table, jnp.asarray(data.rows))
    return Evidence(features, values, data.variance, data.count, data.mask, columns)


def placed(model, columns, scales, noise, scale, mean):
    """The model at given hyperparameters."""

    def put(parameter, value):
        return parameter.at(parameter.bijector.raw(jnp.log(value)))

    kernel = model.kernel
    inner = kernel.kernel if isinstance(kernel, Scaled) else kernel
    length_scale = inner.length_scale
    at = put(length_scale, scales).raw
    moved = length_scale.at(jnp.where(columns.used, at, length_scale.raw))
    inner = inner.with_scales(moved.raw, inner.gap.raw)
    kernel = Scaled(inner, put(kernel.scale, scale)) if isinstance(kernel, Scaled) else inner
    return model._replace(kernel=kernel, noise=put(model.noise, noise), mean=mean)


@functools.partial(jax.jit, static_argnums=0)
def at_settings(surrogate, data, test_rows, settings):
    """Objective, mean and variance at each setting; the surrogate's own values and start."""
    evidence = evidence_of(data)
    model = surrogate.model(evidence)

    def one(setting):
        at = placed(model, evidence.columns, *setting)
        gram = at.kernel.gram(evidence.features, evidence.features)
        diagonal = at.kernel.diagonal(evidence.features)
        factors = objective.factorise(gram, diagonal, evidence, at.noise.value, at.mean)
        value = objective.negative_log_likelihood(factors, evidence, at.noise.value)
        value = value - objective.log_prior(at)
        zero, unit = jnp.zeros(()), jnp.ones(())
        fixed = types.SimpleNamespace(model=lambda evidence: at)
        posterior = GP.posterior_at(fixed, pack(at), data, evidence, zero, unit)
        return value, *posterior.mean_and_variance(test_rows)

    return jax.lax.map(one, settings)


@functools.partial(jax.jit, static_argnums=0)
def slope_at(surrogate, data, theta):
    evidence = evidence_of(data)
    return objective.value_and_gradient(theta, surrogate.model(evidence), evidence)


@functools.partial(jax.jit, static_argnums=0)
def start_of(surrogate, data):
    """Start, its bounds, and what the surrogate makes of values itself."""
    model = surrogate.model(evidence_of(data))
    return model, pack(model), *fitting.bounds(model), surrogate.evidence(data)[0].values


@functools.cache
def evaluated(recipe, name):
    data = data_set(recipe, name)
    wanted = [numbers(recipe, data, each) for each in settings_of(data).values()]
    wanted += [wanted[-1]] * (len(SETTINGS) - len(wanted))
    settings = [np.stack(part) for part in zip(*wanted, strict=True)]
    test_rows = np.pad(data["test_rows"], [(0, 0), (0, D - len(data["rows"][0]))])
    arguments = data_of(data, data["targets"]), test_rows, settings
    found = jax.tree.map(np.asarray, at_settings(GP(recipe=recipe), *arguments))
    return {key: [part[i] for part in found] for i, key in enumerate(settings_of(data))}


@functools.cache
def fitted(recipe, name):
    """The public fit: targets are standardised, and standardising them once more is nothing."""
    data = data_set(recipe, name)
    surrogate = GP(recipe=recipe)
    return surrogate.fit(jax.random.key(0), data_of(data, data["targets"]))


def polished(recipe, name, theta):
    """The nearest stationary point of our objective, by SciPy, and the curvature there."""
    data = data_of(data_set(recipe, name), data_set(recipe, name)["targets"])
    surrogate = GP(recipe=recipe)
    model, _, low, high, _ = start_of(surrogate, data)

    def both(theta):
        return [np.asarray(x, float) for x in slope_at(surrogate, data, np.asarray(theta))]

    bounds = list(zip(np.asarray(low), np.asarray(high), strict=True))
    tight = {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-8}
    best = minimize(both, theta, jac=True, method="L-BFGS-B", bounds=bounds, options=tight)
    curvature = np.array(
        [
            (both(best.x + step)[1] - both(best.x - step)[1])[k] / 2e-4
            for k, step in enumerate(1e-4 * np.eye(len(theta)))
        ]
    )
    # At a bound a parameter is determined if the slope pushes it there.
    pushed = np.where(np.abs(both(best.x)[1]) > FIRM, np.inf, 0.0)
    inside = np.asarray((low < best.x) & (best.x < high))
    return float(best.fun), np.where(inside, curvature, pushed), unpack(model, best.x)


# ---------------------------------------------------------------------------------- tests


@pytest.mark.parametrize(("recipe", "name"), CASES)
def test_objective_at_fixed_hyperparameters_is_the_originals(recipe, name):
    data = data_set(recipe, name)
    for key, setting in settings_of(data).items():
        right = expected(recipe, data, setting["objective"])
        np.testing.assert_allclose(
            evaluated(recipe, name)[key][0], right, rtol=1e-8, atol=1e-8, err_msg=key
        )


@pytest.mark.parametrize(("recipe", "name"), CASES)
def test_predictions_at_fixed_hyperparameters_are_the_originals(recipe, name):
    for stored_at in data_set(recipe, name)["predictions"]:
        _, mean, variance = evaluated(recipe, name)[stored_at["at"]]
        np.testing.assert_allclose(mean, stored_at["mean"], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(variance, stored_at["variance"], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("recipe", "name"), CASES)
def test_start_is_the_originals(recipe, name):
    data = data_set(recipe, name)
    start = settings_of(data).get("start")
    found = start_of(GP(recipe=recipe), data_of(data, data["targets"]))
    model = found[0]
    inner = getattr(model.kernel, "kernel", model.kernel)
    d = len(data["rows"][0])
    np.testing.assert_array_equal(inner.length_scale.free, np.arange(D) < d)
    if start is None:  # Vizier's are random: ours is where its penalties are least
        np.testing.assert_allclose(model.kernel.scale.value, 0.039, rtol=1e-12)
        np.testing.assert_allclose(model.noise.value, 0.0039, rtol=1e-12)
        np.testing.assert_allclose(inner.length_scale.value[:d] ** 2, 0.5, rtol=1e-12)
        return
    scales, noise, scale, _ = numbers(recipe, data, start)
    np.testing.assert_allclose(inner.length_scale.value[:d], scales[:d], rtol=1e-10)
    np.testing.assert_allclose(model.noise.value, noise, rtol=1e-10)
    own = model.kernel.scale.value if isinstance(model.kernel, Scaled) else 1.0
    np.testing.assert_allclose(own, scale, rtol=1e-10)


# docs/recipes.md: least noise; bounds of length and output scales, where the original has some.
BOUNDS = {
    "botorch": (1e-4, (0.025, None), None),
    "botorch-legacy": (1e-4, (None, None), (None, None)),
    "optuna": (1e-6, (None, None), (None, None)),
    "hebo": (8e-4, (None, None), (None, None)),
    "vizier": (1e-10, (0.1, 10.0), (1e-3, 10.0)),
}


@pytest.mark.parametrize("recipe", BOUNDS)
def test_bounds_are_the_originals(recipe):
    """Where it has none, ours are so far off that nothing meets them."""
    data = stored(recipe)[0]
    model = start_of(GP(recipe=recipe), data_of(data, data["targets"]))[0]
    inner = getattr(model.kernel, "kernel", model.kernel)
    least, lengths, scale = BOUNDS[recipe]
    np.testing.assert_allclose(model.noise.at(model.noise.low).value, least, rtol=1e-6)
    if recipe == "vizier":
        np.testing.assert_allclose(model.noise.at(model.noise.high).value, 1.0)
    checked = [(inner.length_scale, lengths)] + ([(model.kernel.scale, scale)] if scale else [])
    for parameter, (low, high) in checked:
        ends = [np.ravel(np.exp(end))[0] for end in (parameter.low, parameter.high)]
        assert ends[0] < 1e-12 if low is None else ends[0] == pytest.approx(low)
        assert ends[1] > 9e3 if high is None else ends[1] == pytest.approx(high)


@pytest.mark.parametrize(("recipe", "name"), CASES)
def test_fits_are_at_least_as_good_as_the_originals(recipe, name):
    """To what the search calls converged; Vizier's best of five fits from four starts, to more."""
    data = data_set(recipe, name)
    posterior, info = fitted(recipe, name)
    best = expected(recipe, data, data["fit"]["objective"])
    within = 0.25 if recipe == "vizier" else 2 * fitting.TOLERANCE
    assert float(info.objective) <= best + within
    assert info.converged and float(posterior.scale) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("recipe", "name"), CASES)
def test_fits_lie_in_the_originals_basin_or_a_better_one(recipe, name):
    """Taken on to where the slope is zero: its value, and what the data determine, to 1 %.

    Along a direction that is flat (HEBO's length scales have no prior) anything is right.
    """
    data = data_set(recipe, name)
    value, curvature, at = polished(recipe, name, fitted(recipe, name)[1].theta)
    best = expected(recipe, data, data["polished"]["objective"])
    assert value <= best + 1e-5
    if value < best - 1e-3:
        assert (recipe, name) in BETTER
        return
    theirs = numbers(recipe, data, data["polished"])
    d = len(data["rows"][0])
    inner = getattr(at.kernel, "kernel", at.kernel)
    compared = {"noise": (at.noise.log, theirs[1], curvature[-1:])}
    compared["length_scales"] = (inner.length_scale.log[:d], theirs[0][:d], curvature[:d])
    if isinstance(at.kernel, Scaled):
        compared["scale"] = (at.kernel.scale.log, theirs[2], curvature[-2:-1])
    seen = 0
    for what, (ours, right, bend) in compared.items():
        firm = bend > FIRM
        apart = np.abs(np.ravel(ours) - np.log(np.ravel(right)))
        assert (apart[firm] < 0.01).all(), what
        seen += firm.sum()
    assert seen >= (1 + d) / 2


# ------------------------------------------------------------------------ values to targets

PEERS = ("botorch", "botorch-legacy", "optuna")
WARPED = {"hebo": 1.0, "vizier": -1.0}  # Vizier maximises


@pytest.mark.parametrize(("recipe", "name"), [case for case in CASES if case[0] in PEERS])
def test_values_are_standardised_as_the_original_does(recipe, name):
    data = data_set(recipe, name)
    values = start_of(GP(recipe=recipe), data_of(data, data["values"]))[-1]
    n = len(data["targets"])
    np.testing.assert_allclose(values[:n], data["targets"], rtol=1e-9, atol=1e-10)
    np.testing.assert_array_equal(values[n:], 0.0)


@functools.partial(jax.jit, static_argnums=0)
def warped_values(recipe, data):
    """As the surrogate of the recipe sees them behind the transform of the same name."""
    fitted = named(recipe).fit(data.values, data.mask)
    kept = jnp.where(data.mask, data.values, 0.0)
    told = replace(data, values=fitted(kept))
    return GP(recipe=recipe).evidence(told)[0].values, fitted.inverse(fitted(kept))


def told(recipe, values):
    """Values of one column of rows, warped, and warped and back."""
    n = len(values)
    rows = np.linspace(0.0, 1.0, n)[:, None]
    data = data_of({"rows": rows, "categorical": [False]}, np.asarray(values))
    warped, back = warped_values(recipe, data)
    return np.asarray(warped)[:n], np.asarray(back)[:n]


@pytest.mark.parametrize(("recipe", "name"), [case for case in CASES if case[0] in WARPED])
def test_values_are_warped_as_the_original_does(recipe, name):
    data, sign = data_set(recipe, name), WARPED[recipe]
    warped, back = told(recipe, sign * np.array(data["values"]))
    # An exponent of -8 leaves seven digits (docs/recipes.md), SciPy's own search eight.
    within = 1e-12 if recipe == "vizier" else 1e-5 if name == "noisy-8-6" else 1e-7
    np.testing.assert_allclose(sign * warped, data["targets"], atol=within)
    np.testing.assert_allclose(sign * back, data["values"], rtol=1e-9, atol=1e-9 * np.ptp(back))


def formula(recipe):
    """The original's steps in NumPy, which the script of the data checks against it."""
    path = DATA / "make_recipes.py"
    spec = importlib.util.spec_from_file_location("make_recipes", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FORMULAS[recipe].targets


TIED = {
    "two values": [1.0, 2.0],
    "median is a value": [3.0, 1.0, 2.0, 2.0, 5.0, 9.0, 9.0],
    "median between": [4.0, 1.0, 2.0, 9.0, 9.0, 1.0],
    "best is the median": [1.0, 1.0, 1.0, 1.0, 7.0, 8.0],
    "one outlier": [0.1, 0.2, 0.3, 0.4, 1e9],
    "below zero": [-5.0, -4.0, 0.0, -4.0, 3.0],
}


@pytest.mark.parametrize("recipe", WARPED)
@pytest.mark.parametrize("case", TIED)
def test_ties_and_ends_are_warped_as_the_original_does(recipe, case):
    values, sign = np.array(TIED[case]), WARPED[recipe]
    if recipe == "hebo" and case in ("two values", "best is the median", "one outlier"):
        # The likelihood has no maximum; ours stops where digits are lost, in the right order.
        warped, _ = told(recipe, values)
        assert (np.diff(warped[np.argsort(values)]) >= 0).all() and np.isfinite(warped).all()
        return
    expected = sign * formula(recipe)(sign * values)
    np.testing.assert_allclose(told(recipe, values)[0], expected, atol=1e-6)


@pytest.mark.parametrize("recipe", WARPED)
def test_equal_values_are_zeros_and_come_back(recipe):
    warped, back = told(recipe, np.full(5, 7.25))
    np.testing.assert_allclose(warped, 0.0, atol=1e-12)
    np.testing.assert_allclose(back, 7.25, rtol=1e-12)


def test_hebos_transform_falls_back():
    """Positive: Box-Cox; a value at 0: Yeo-Johnson; without spread: the values themselves."""
    values = np.exp(np.random.default_rng(0).normal(size=12))
    fit = jax.jit(lambda values: named("hebo").fit(values, values == values))
    positive, touching, flat = (fit(each) for each in (values, values - values.min(), 0 * values))
    assert positive.positive and not touching.positive and not flat.positive
    assert flat.exponent == 1.0 and touching.exponent != 1.0
    np.testing.assert_allclose(touching.scale, values.std(), rtol=1e-12)


@pytest.mark.parametrize("recipe", WARPED)
def test_a_warped_recipe_fits_what_the_recipe_fits_to_targets(recipe):
    """The promise of the recipes: `warped(gp(recipe=...), ...)` is the original, whole."""
    data, sign = data_set(recipe, "smooth-20-2"), WARPED[recipe]
    surrogate = bojax.surrogates.warped(GP(recipe=recipe), recipe)
    told = data_of(data, sign * np.array(data["values"]))
    _, info = surrogate.fit(jax.random.key(0), told)
    _, direct = fitted(recipe, "smooth-20-2")
    np.testing.assert_allclose(info.objective, direct.objective, rtol=1e-6)
    np.testing.assert_allclose(info.theta, direct.theta, atol=1e-3)


@pytest.mark.parametrize("columns", [1, 4, 20])
def test_the_recipe_for_tuning_has_tighter_length_scales(columns):
    """Everything else is as in "bojax"; in values, a log-normal density with mode sqrt(d) / 8."""
    rng = np.random.default_rng(0)
    data = Data(rng.random((9, columns)), rng.normal(size=9))
    with jax.enable_x64(True):
        tuning, plain = (
            GP(recipe=recipe).model(GP(recipe=recipe).evidence(data)[0]) for recipe in OURS[::-1]
        )
        scale = tuning.kernel.length_scale
        at = jnp.log(jnp.array([0.05, 0.3, 2.0]))[:, None]
        found = np.asarray(scale.prior.log_density(at))[:, 0]
    mode = 0.125 * math.sqrt(columns)
    expected = stats.lognorm(0.7, scale=mode * math.exp(0.49)).logpdf([0.05, 0.3, 2.0])
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(np.exp(scale.raw), mode, rtol=1e-12)
    np.testing.assert_array_equal(scale.low, plain.kernel.length_scale.low)
    np.testing.assert_array_equal(tuning.noise.raw, plain.noise.raw)
    np.testing.assert_array_equal(tuning.kernel.gap.raw, plain.kernel.gap.raw)
