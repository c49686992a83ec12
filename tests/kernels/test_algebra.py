"""Sums, products, scales and selections: arithmetic of the parts, gradients of the whole."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bojax
from bojax.kernels import (
    RBF,
    Columns,
    Constant,
    Decay,
    Fidelity,
    Kernel,
    LearningCurve,
    Linear,
    LogNormal,
    Matern12,
    Matern32,
    Matern52,
    Parameter,
    Periodic,
    RationalQuadratic,
    ShiftedLog,
    Warped,
    White,
    parameters,
    scale_parameter,
)
from bojax.kernels.kernel import spread
from bojax.kernels.parameter import pack, split, unpack
from bojax.space import Features
from bojax.space import table as tables
from bojax.testing import check_kernel
from bojax.testing._kernels import COLUMNS

# Columns x, c, y, n; y needs c, and n needs y.
MIXED = bojax.Space(
    {
        "x": bojax.Float(0.0, 1.0),
        "c": bojax.Categorical(["a", "b", "d"]),
        "y": bojax.Float(0.0, 1.0, when={"c": ["a", "b"]}),
        "n": bojax.Int(1, 7, when={"y": bojax.Range(0.3, 1.0)}),
    }
)
D, N = 4, 12
# used, gapped, how many, and which holds a budget
BUILT_FOR = (np.ones(D, bool), np.array([False, False, True, True]), 4.0, np.arange(D) == 3)
shifted = Parameter(0.3, LogNormal(0.0, 1.0), bijector=ShiftedLog(0.2))
KERNELS = {
    "matern12": Matern12(),
    "matern32": Matern32(),
    "matern52": Matern52(),
    "rbf": RBF(),
    "rational quadratic": RationalQuadratic(),
    "periodic": Periodic(),
    "linear": Linear(),
    "constant": Constant(),
    "white": White(),
    "fidelity": Fidelity().on(0),
    "decay": Decay().on(0),
    "learning curve": LearningCurve(),
    "warped": Warped(Matern52()),
    # each with parameters of another bijector somewhere, and parts of every kind inside
    "sum": Matern52(shifted).scaled() + Linear(shifted).scaled(shifted),
    "product": RationalQuadratic(shifted).on(0, 1) * (RBF().scaled(2.0) + Constant(shifted)),
    "nested": (
        (Periodic(period=shifted).on(0, 2) + White(shifted)) * Matern32(gap=shifted)
        + Warped(RBF()).on(3).scaled()
    ).scaled(),
    "budget": Matern52().on(0, 1, 2) * Fidelity(shifted).on(3)
    + RBF().on(1).scaled() * Decay(shifted).on(0),
}
NEW = [
    "rational quadratic", "periodic", "linear", "constant", "white", "fidelity", "decay",
    "learning curve", "warped",
]  # fmt: skip


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@functools.cache
def built(name):
    with jax.enable_x64(True):
        columns = Columns(*map(jnp.asarray, BUILT_FOR))
        return jax.tree.map(lambda leaf: jnp.asarray(leaf, float), KERNELS[name].build(columns))


def rows(seed=0):
    """Plain features, of which the last three lines repeat the first ones."""
    x = np.random.default_rng(seed).random((N, D))
    x[-3:] = x[:3]
    return Features(jnp.asarray(x), jnp.ones((N, D)), jnp.ones(D, jnp.int32))


def mixed_rows(seed=0):
    unit = np.random.default_rng(seed).random((N, D))
    x = tables.unit_to_row(MIXED.table, unit, np)
    x[-3:] = x[:3]
    found = tables.features(MIXED.table, x, np)
    shown = np.asarray(found.active)
    assert 0 < shown[:, 2:].mean() < 1
    return jax.tree.map(jnp.asarray, found)


def theta_near(kernel, seed, width=0.4):
    start = np.asarray(pack(kernel))
    return jnp.asarray(start + width * np.random.default_rng(seed).normal(size=start.shape))


@jax.jit
def every_gradient(kernel, theta, x, weights):
    """By the pullback, by autodiff, by central differences; grams of both ways, diagonal."""

    def matrix(theta):
        return unpack(kernel, theta).gram(x, x)

    at = unpack(kernel, theta)
    own, pull = at.gram_and_pullback(x)
    closed = jnp.concatenate([jnp.ravel(part) for part in pull(weights)])
    by_autodiff = jax.grad(lambda theta: jnp.sum(weights * matrix(theta)))(theta)
    steps = 1e-5 * jnp.eye(len(theta))
    ends = jax.lax.map(lambda step: matrix(theta + step) - matrix(theta - step), steps)
    by_steps = jnp.sum(weights * ends, axis=(1, 2)) / 2e-5
    return closed, by_autodiff, by_steps, own, matrix(theta), at.diagonal(x)


@pytest.mark.parametrize("name", KERNELS)
def test_pullback_is_autodiffs_and_that_of_differences(name):
    kernel = built(name)
    weights = np.random.default_rng(5).normal(size=(N, N))
    weights = jnp.asarray(weights + weights.T)
    for seed, x in enumerate((rows(), mixed_rows())):
        found = every_gradient(kernel, theta_near(kernel, seed), x, weights)
        closed, by_autodiff, by_steps, own, matrix, diagonal = map(np.asarray, found)
        assert closed.shape == pack(kernel).shape and np.isfinite(closed).all()
        np.testing.assert_allclose(closed, by_autodiff, rtol=1e-10, atol=1e-10)
        np.testing.assert_allclose(closed, by_steps, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(own, matrix, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(diagonal, np.diagonal(matrix), rtol=1e-13)
        # every parameter is felt on plain rows, fixed ones, too, but for gaps
        if seed == 0:
            for p, part in zip(parameters(kernel), split(kernel, closed), strict=True):
                felt = np.abs(part).max() > 1e-8
                gap = any(p is other for other in gaps(kernel))
                assert felt != gap


def gaps(kernel):
    """Parameters called gap, anywhere in a kernel."""
    if not isinstance(kernel, Kernel):
        return []
    own = [kernel.gap] if getattr(kernel, "gap", None) is not None else []
    return own + [gap for part in vars(kernel).values() for gap in gaps(part)]


@jax.jit
def grams_of(kernels, x):
    return [(kernel.gram(x, x), kernel.diagonal(x)) for kernel in kernels]


def test_sum_product_scale_and_selection_are_the_arithmetic_of_their_parts():
    a, b, factor = built("matern52"), built("linear"), scale_parameter(0.7)
    columns = [2, 0]
    narrow = Columns(*(jnp.asarray(part)[jnp.array(columns)] for part in BUILT_FOR[:2]), 2.0)
    c = RBF(scale_parameter(np.array([0.3, 2.0]))).build(narrow)
    x = mixed_rows()
    part = Features(x.coordinate[:, jnp.array(columns)], x.active[:, jnp.array(columns)],
                    x.kind[jnp.array(columns)])  # fmt: skip
    (ga, da), (gb, db) = grams_of([a, b], x)
    ((gc, dc),) = grams_of([c], part)
    selected = bojax.kernels.Selected(c, tuple(columns))
    cases = [
        (a + b, ga + gb, da + db),
        (a * b, ga * gb, da * db),
        (a.scaled(factor), 0.7 * ga, 0.7 * da),
        (a * 3.0, 3.0 * ga, 3.0 * da),
        (2 * a, 2.0 * ga, 2.0 * da),
        (a.scaled(), ga, da),
        (selected, gc, dc),
        ((a + selected) * b.scaled(0.5), (ga + gc) * gb * 0.5, (da + dc) * db * 0.5),
    ]
    found = grams_of([kernel for kernel, _, _ in cases], x)
    for (gram, diagonal), (_, expected, own) in zip(found, cases, strict=True):
        np.testing.assert_allclose(gram, expected, rtol=1e-13)
        np.testing.assert_allclose(diagonal, own, rtol=1e-13)


def test_a_number_is_fixed_and_a_parameter_is_fitted():
    kernel = RBF()
    assert not kernel.scaled(3.0).scale.free and not (kernel * 3.0).scale.free
    assert kernel.scaled().scale.free and kernel.scaled().scale.value == 1.0
    assert kernel.scaled(scale_parameter(3.0)).scale.free
    for bad in (0.0, -1.0):
        with pytest.raises(ValueError, match="above 0, got"):
            kernel.scaled(bad)


def test_a_selection_is_built_for_its_own_columns():
    """Their number is what the prior goes by, and each keeps whether it has a gap."""
    columns = Columns(*map(jnp.asarray, BUILT_FOR))
    selected = Matern52().on(3, 0).build(columns).kernel
    location = np.sqrt(2) + 0.5 * np.log(2)
    np.testing.assert_allclose(selected.length_scale.prior.location, location)
    np.testing.assert_array_equal(selected.gap.free, [True, False])
    one = Columns(jnp.array([True, False, True]), jnp.zeros(3, bool), jnp.asarray(2.0))
    alone = Matern52().on(1, 2).build(one).kernel
    np.testing.assert_allclose(alone.length_scale.prior.location, np.sqrt(2))
    np.testing.assert_array_equal(alone.length_scale.free, [False, True])


@settings(max_examples=60)
@given(st.sampled_from(sorted(KERNELS)), st.integers(0, 2**32 - 1), st.booleans())
def test_positive_semidefinite(name, seed, mixed):
    with jax.enable_x64(True):
        kernel = built(name)
        x = (mixed_rows if mixed else rows)(seed % 7)
        # The program above, which has been compiled already.
        theta, weights = theta_near(kernel, seed, 1.0), jnp.zeros((N, N))
        matrix = np.asarray(every_gradient(kernel, theta, x, weights)[4])
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-12, atol=1e-15)
    assert np.linalg.eigvalsh(matrix).min() > -1e-12 * np.abs(matrix).max()


# ------------------------------------------------------------------- parameters of columns


def test_columns_not_in_use_are_frozen_with_their_gaps():
    used, gapped = np.array([True, False, True]), np.array([True, False, False])
    columns = Columns(jnp.asarray(used), jnp.asarray(gapped), jnp.asarray(2.0))
    for spec in (Matern52(), RationalQuadratic(), Periodic(), RBF(scale_parameter(0.3))):
        kernel = spec.build(columns)
        np.testing.assert_array_equal(kernel.length_scale.free, used)
        np.testing.assert_array_equal(kernel.gap.free, gapped)
    np.testing.assert_array_equal(Periodic().build(columns).period.free, used)
    np.testing.assert_array_equal(Linear().build(columns).variance.free, used)
    np.testing.assert_array_equal(Warped(RBF()).build(columns).b.free, used)
    # what was given as fixed stays so in every column
    fixed = RBF(scale_parameter(0.3).fixed()).build(columns)
    assert not fixed.length_scale.free.any()
    np.testing.assert_allclose(fixed.length_scale.value, 0.3, rtol=1e-12)


def test_spread_gives_each_column_its_own_and_the_rest_the_default():
    default = Parameter(jnp.array([1.0, 2.0, 3.0, 4.0]), LogNormal(0.5, 2.0), -5.0, 5.0)
    free = jnp.array([True, True, False, True])
    made = spread(None, default, free)
    np.testing.assert_array_equal(made.raw, [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(made.low, [-5.0, -5.0, 3.0, -5.0])
    np.testing.assert_array_equal(made.high, [5.0, 5.0, 3.0, 5.0])
    given = Parameter(
        jnp.array([-1.0, -2.0]), LogNormal(jnp.array([0.1, 0.2]), 1.0), -3.0, jnp.array([3.0, 4.0])
    )
    made = spread(given, default, free)
    np.testing.assert_array_equal(made.raw, [-1.0, -2.0, 3.0, 4.0])
    np.testing.assert_array_equal(made.high, [3.0, 4.0, 3.0, 5.0])
    np.testing.assert_array_equal(made.low, [-3.0, -3.0, 3.0, -3.0])
    np.testing.assert_allclose(made.prior.location, [0.1, 0.2, 0.2, 0.2])
    assert made.prior.scale == 1.0
    one = spread(Parameter(0.7), default, free)
    np.testing.assert_array_equal(one.raw, np.full(4, 0.7))
    np.testing.assert_array_equal(one.free, free)


def test_length_scales_of_fewer_columns_than_padded_ones():
    """Two given, four in all: the same matrix, and the same prior, as for two alone."""
    given = scale_parameter(np.array([0.3, 0.8]), prior=LogNormal(jnp.array([0.0, 1.0]), 0.5))
    used = jnp.arange(4) < 2
    wide = RBF(given).build(Columns(used, ~used & False, jnp.asarray(2.0)))
    narrow = RBF(given).build(Columns.plain(2))
    x = np.zeros((5, 4))
    x[:, :2] = np.random.default_rng(0).random((5, 2))
    ours, theirs = wide.gram(jnp.asarray(x), jnp.asarray(x)), narrow.gram(x[:, :2], x[:, :2])
    np.testing.assert_allclose(ours, theirs, rtol=1e-13)
    np.testing.assert_allclose(wide.length_scale.log_prior(), narrow.length_scale.log_prior())


def test_frozen_parameters_are_felt_by_the_matrix_and_by_no_prior():
    frozen = Matern52(scale_parameter(0.3, prior=LogNormal(0.0, 1.0)).fixed()).scaled(2.0)
    kernel = frozen.build(Columns.plain(2))
    x = rows().coordinate[:, :2]
    other = Matern52(scale_parameter(0.3)).scaled(2.0).build(Columns.plain(2))
    np.testing.assert_allclose(kernel.gram(x, x), other.gram(x, x), rtol=1e-13)
    assert sum(p.log_prior() for p in parameters(kernel)) == 0.0


# ------------------------------------------------------------------------------ directions


@jax.jit
def both_directions(kernel, theta, x, vector):
    def product(theta):
        return unpack(kernel, theta).gram(x, x) @ vector

    return unpack(kernel, theta).directions(x, vector), jax.jacfwd(product)(theta)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        # which parameters are known, in their order; the others are zeros
        ("matern12", (True, False)),
        ("matern32", (True, False)),
        ("matern52", (True, False)),
        ("rbf", (True, False)),
        ("rational quadratic", (True, False, True)),
        ("linear", (False,)),
        ("sum", (True, False, True, False, True)),
        ("product", (False,) * 7),
    ],
)
def test_directions_are_autodiffs_where_they_are_known(name, known):
    kernel = built(name)
    vector = jnp.asarray(np.random.default_rng(2).normal(size=N))
    for mixed, x in enumerate((rows(), mixed_rows())):
        theta = theta_near(kernel, 3 + mixed)
        found, by_autodiff = both_directions(kernel, theta, x, vector)
        sizes = [np.size(p.raw) for p in parameters(kernel)]
        expected = np.split(np.asarray(by_autodiff), np.cumsum(sizes)[:-1], axis=1)
        for part, right, yes in zip(found, expected, known, strict=True):
            assert part.shape == right.shape
            if yes and right.shape[1] == D:  # length scales: of numbers alone
                right = np.where(np.asarray(x.kind) == tables.CATEGORY, 0.0, right)
            np.testing.assert_allclose(part, right if yes else 0 * right, rtol=1e-9, atol=1e-11)


# ------------------------------------------------------------------------------ conformance


@pytest.mark.parametrize(
    "name",
    [
        *NEW[:-1],
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("warped", "nested")),
    ],
)
def test_conformance(name):
    def make(columns):
        used = jnp.arange(columns) < COLUMNS
        gapped = jnp.isin(jnp.arange(columns), jnp.array([2, 3]))
        return KERNELS[name].build(Columns(used, gapped, jnp.asarray(float(COLUMNS))))

    # Where rows coincide White has a jump, which no difference of rows sees.
    check_kernel(make)
