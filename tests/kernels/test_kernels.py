"""Kernels: against scikit-learn, autodiff, and what mixed and conditional rows mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process import kernels as sk

import bojax
from bojax.kernels import RBF, LogNormal, Matern12, Matern32, Matern52, dimension_scaled
from bojax.space import table as tables

FAMILIES = {
    "matern12": (Matern12, lambda scale: sk.Matern(scale, nu=0.5)),
    "matern32": (Matern32, lambda scale: sk.Matern(scale, nu=1.5)),
    "matern52": (Matern52, lambda scale: sk.Matern(scale, nu=2.5)),
    "rbf": (RBF, lambda scale: sk.RBF(scale)),
}
MIXED = bojax.Space(
    {
        "x": bojax.Float(0.0, 1.0),
        "c": bojax.Categorical(["a", "b", "d"]),
        "y": bojax.Float(0.0, 1.0, when={"c": ["a", "b"]}),
        "n": bojax.Int(1, 7, when={"y": bojax.Range(0.3, 1.0)}),
        "o": bojax.Ordinal([1, 2, 4, 8]),
    }
)


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def kernel_of(family, scale, gap=None):
    scale = np.asarray(scale, float)
    gap = np.ones(len(scale)) if gap is None else np.asarray(gap, float)
    kernel = dimension_scaled(FAMILIES[family][0], len(scale))
    return kernel.with_scales(jnp.log(scale), jnp.log(gap))


def rows(n, d, seed=0):
    return jnp.asarray(np.random.default_rng(seed).random((n, d)))


def mixed_rows(n, seed):
    unit = np.random.default_rng(seed).random((n, 6))
    return tables.unit_to_row(MIXED.table, unit, np)


@jax.jit
def mixed_gram(kernel, x, z):
    features = [tables.features(MIXED.table, rows) for rows in (x, z)]
    return kernel.gram(*features)


@pytest.mark.parametrize("d", [1, 5, 24, 32])
def test_equal_to_scikit_learn(family, d):
    scale = np.random.default_rng(d).uniform(0.2, 2.0, d)
    x, z = rows(13, d, 1), rows(7, d, 2)
    ours = kernel_of(family, scale).gram(x, z)
    assert ours.shape == (13, 7) and ours.dtype == jnp.float64
    reference = FAMILIES[family][1](scale)(np.asarray(x), np.asarray(z))
    np.testing.assert_allclose(ours, reference, rtol=1e-12, atol=1e-14)


def test_symmetric_with_a_diagonal_of_one(family):
    kernel, x = kernel_of(family, [0.3, 0.7, 2.0]), rows(9, 3)
    gram = kernel.gram(x, x)
    np.testing.assert_array_equal(gram, gram.T)
    np.testing.assert_array_equal(np.diagonal(gram), 1.0)
    np.testing.assert_array_equal(kernel.diagonal(x), np.ones(9))


def test_near_duplicates_stay_positive_definite(family):
    """Rows 1e-14 apart, where the expanded form of the distance loses all digits."""
    base = np.asarray(rows(8, 3))
    x = jnp.asarray(np.concatenate([base, base + 1e-14, base]))
    gram = np.asarray(kernel_of(family, [0.3, 0.7, 2.0]).gram(x, x))
    assert np.linalg.eigvalsh(gram).min() > -1e-14 * len(x) * 10


scales = st.floats(0.03, 30.0)


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(FAMILIES)),
    st.lists(scales, min_size=6, max_size=6),
    st.lists(scales, min_size=6, max_size=6),
    st.integers(0, 2**32),
)
def test_positive_semidefinite_on_mixed_conditional_rows(family, scale, gap, seed):
    with jax.enable_x64(True):
        x = mixed_rows(24, seed)
        x[12:16] = x[:4]  # duplicates
        gram = np.asarray(mixed_gram(kernel_of(family, scale, gap), x, x))
    assert np.linalg.eigvalsh(gram).min() > -1e-12
    np.testing.assert_allclose(gram, gram.T, rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(np.diagonal(gram), 1.0)
    np.testing.assert_array_equal(gram[np.arange(12, 16), np.arange(4)], 1.0)
    assert (gram >= 0).all() and (gram <= 1).all()


def squared(kernel, a, b):
    """-2 log k of an RBF: the squared distance itself."""
    rows = [np.asarray(MIXED.encode(config))[None] for config in (a, b)]
    return float(-2.0 * np.log(mixed_gram(kernel, *rows)[0, 0]))


def test_distances_of_mixed_rows_by_hand():
    scale, gap = [0.5, 0.25, 2.0, 0.4, 0.8, 1.0], [1.0, 1.0, 3.0, 0.6, 1.0, 1.0]
    kernel = kernel_of("rbf", scale, gap)
    full = {"x": 0.5, "c": "a", "y": 0.5, "n": 3, "o": 2}

    def distance(*pairs):
        return squared(kernel, full | pairs[0], full | pairs[1])

    np.testing.assert_allclose(distance({}, {"x": 0.75}), (0.25 / 0.5) ** 2, rtol=1e-10)
    # a category: all or nothing, wherever the codes lie
    np.testing.assert_allclose(distance({}, {"c": "b"}), (1 / 0.25) ** 2, rtol=1e-10)
    # an ordinal by rank, an integer by value, in units of their cells
    np.testing.assert_allclose(distance({}, {"o": 8}), (2 / 4 / 0.8) ** 2, rtol=1e-10)
    np.testing.assert_allclose(distance({}, {"n": 5}), (2 / 7 / 0.4) ** 2, rtol=1e-10)
    # y and n exist on one side alone: their gaps, and from their parked defaults
    gone = {"x": 0.5, "c": "d", "o": 2}
    parked = ((3 - 0.5) / 7 - MIXED.table.default[3]) ** 2 / 0.4**2
    np.testing.assert_allclose(
        squared(kernel, full, gone), 1 / 0.25**2 + 1 / 3.0**2 + 1 / 0.6**2 + parked, rtol=1e-10
    )


def test_what_is_inactive_on_both_sides_counts_nothing():
    gone = [{"x": 0.2, "c": "d", "o": 2}, {"x": 0.6, "c": "d", "o": 2}]
    for changed in (kernel_of("rbf", [0.5, 1, 9, 9, 1, 1], [9] * 6),
                    kernel_of("rbf", [0.5, 1, 0.1, 0.1, 1, 1], [0.1] * 6)):  # fmt: skip
        np.testing.assert_allclose(squared(changed, *gone), (0.4 / 0.5) ** 2, rtol=1e-10)


def test_every_scale_and_gap_changes_the_output():
    # Columns 2 and 3 alone are conditional, column 5 is padding.
    x, z = mixed_rows(40, 1), mixed_rows(30, 2)
    usual = np.asarray(mixed_gram(kernel_of("matern52", np.ones(6)), x, z))
    for column in range(6):
        wider = np.where(np.arange(6) == column, 3.0, 1.0)
        by_scale = np.asarray(mixed_gram(kernel_of("matern52", wider), x, z))
        by_gap = np.asarray(mixed_gram(kernel_of("matern52", np.ones(6), wider), x, z))
        assert (np.abs(by_scale - usual).max() > 1e-3) == (column < 5), column
        assert (np.abs(by_gap - usual).max() > 1e-3) == (column in (2, 3)), column


def test_more_columns_than_are_written_out_are_the_same_sum():
    """Above 24 columns the sum is a loop over blocks: mixed rows, both ways."""
    wide = bojax.Space(
        {
            **MIXED.parameters,
            **{f"p{i}": bojax.Float(0.0, 1.0) for i in range(20)},
        }
    )
    assert wide.table.columns == 32
    unit = np.random.default_rng(4).random((10, 32))
    x = tables.unit_to_row(wide.table, unit, np)
    scale, gap = np.linspace(0.5, 2.0, 32), np.linspace(0.3, 1.0, 32)
    features = tables.features(wide.table, jnp.asarray(x))
    gram = np.asarray(kernel_of("rbf", scale, gap).gram(features, features))
    shown = np.asarray(features.active)
    coordinate = np.asarray(features.coordinate)
    total = np.zeros((10, 10))
    for k in range(25):
        off = (coordinate[:, None, k] - coordinate[None, :, k]) ** 2
        if wide.table.kind[k] == tables.CATEGORY:
            off = (off > 0).astype(float)
        total += off / scale[k] ** 2 + (shown[:, None, k] != shown[None, :, k]) / gap[k] ** 2
    np.testing.assert_allclose(gram, np.exp(-0.5 * total), rtol=1e-12)


def test_gradient_by_rows_is_that_of_scikit_learn_and_finite_at_zero(family):
    """Two rows that coincide: slope 0 by symmetry, never NaN."""
    kernel, x = kernel_of(family, [0.5, 1.5]), rows(5, 2)

    def total(z):
        return kernel.gram(z, x).sum()

    slope = np.asarray(jax.grad(total)(x))
    assert np.isfinite(slope).all()
    # finite differences of the reference, away from and at coincidence (where it is even)
    reference = FAMILIES[family][1]([0.5, 1.5])
    for i in range(5):
        for k in range(2):
            step = np.zeros((1, 2))
            step[0, k] = 1e-6
            up, down = (
                reference(np.asarray(x[i : i + 1]) + s, np.asarray(x)) for s in (step, -step)
            )
            np.testing.assert_allclose(slope[i, k], (up - down).sum() / 2e-6, atol=1e-5)


def test_gradient_by_scales_is_finite_at_zero_distance(family):
    x = jnp.zeros((3, 2))

    def total(log_scale):
        return kernel_of(family, [1.0, 1.0]).with_scales(log_scale, jnp.zeros(2)).gram(x, x).sum()

    np.testing.assert_array_equal(jax.grad(total)(jnp.zeros(2)), 0.0)


def test_profile_and_slope_agree_with_gram_and_autodiff(family):
    """h = -2 dk / d(r^2), away from zero."""
    kernel, x = kernel_of(family, [0.5, 1.5]), rows(6, 2)
    gram, slope = kernel.gram_and_slope(x)
    np.testing.assert_array_equal(gram, kernel.gram(x, x))
    squared = jnp.linspace(0.01, 9.0, 50)
    by_autodiff = jax.vmap(jax.grad(kernel.profile))(squared)
    np.testing.assert_allclose(kernel.profile_and_slope(squared)[1], -2.0 * by_autodiff, rtol=1e-12)
    assert np.isfinite(slope).all()


@jax.jit
def both_gradients(kernel, log_scale, log_gap, weights, x):
    """sum_ij P_ij K_ij for a symmetric P, differentiated by JAX and in closed form."""
    off = 1.0 - jnp.eye(len(x), dtype=weights.dtype)  # the kink of Matern 1/2 is left out

    def total(log_scale, log_gap):
        return jnp.sum(weights * off * kernel.with_scales(log_scale, log_gap).gram(x, x))

    at = kernel.with_scales(log_scale, log_gap)
    _, pull = at.gram_and_pullback(x)
    return jax.grad(total, argnums=(0, 1))(log_scale, log_gap), pull(weights)


@pytest.mark.parametrize(
    ("kind", "mixed", "precision"),
    [(kind, mixed, "float64") for kind in FAMILIES for mixed in (False, True)]
    + [("matern52", False, "float32"), ("matern52", True, "float32")],
)
def test_closed_gradient_by_log_scales_is_that_of_autodiff(kind, mixed, precision):
    dtype = np.dtype(precision)
    rng = np.random.default_rng(5)
    weights = rng.normal(size=(20, 20))
    unit = rng.random((20, 6)).astype(dtype)
    if mixed:
        table = jax.tree.map(
            lambda leaf: leaf.astype(dtype) if leaf.dtype == np.float64 else leaf, MIXED.table
        )
        unit = tables.unit_to_row(MIXED.table, unit, np).astype(dtype)
        x = tables.features(table, unit, np)
    else:
        x = bojax.kernels.distance.Features(unit, np.ones_like(unit), np.ones(6, np.int32))
    log_scale = np.linspace(-1.0, 0.5, 6).astype(dtype)
    log_gap = np.linspace(0.3, -0.3, 6).astype(dtype)
    by_autodiff, closed = both_gradients(
        dimension_scaled(FAMILIES[kind][0], 6),
        log_scale,
        log_gap,
        (weights + weights.T).astype(dtype),
        x,
    )
    tolerance = 1e-11 if precision == "float64" else 2e-4
    for ours, theirs in zip(closed, by_autodiff, strict=True):
        assert ours.dtype == dtype
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=10 * tolerance)


def test_lognormal_density_slope_and_mode():
    from scipy import stats

    prior = LogNormal(0.7, 1.3)
    log_x = np.linspace(-4, 4, 9)
    np.testing.assert_allclose(
        prior.log_density(log_x), stats.lognorm(1.3, scale=np.exp(0.7)).logpdf(np.exp(log_x))
    )
    slopes = jax.vmap(jax.grad(prior.log_density))(jnp.asarray(log_x))
    np.testing.assert_allclose(prior.slope(log_x), slopes, rtol=1e-12)
    np.testing.assert_allclose(prior.slope(prior.mode()), 0.0, atol=1e-12)


@pytest.mark.parametrize("d", [1, 6, 20])
def test_length_scales_follow_the_dimension(d):
    """The priors of Hvarfner et al. (2024): log l ~ N(sqrt 2 + log(d) / 2, 3), from its mode."""
    kernel = dimension_scaled(Matern52, 32, d)
    np.testing.assert_allclose(kernel.length_scale.prior.location, 2**0.5 + np.log(d) / 2)
    np.testing.assert_allclose(kernel.length_scale.prior.scale**2, 3.0)
    np.testing.assert_allclose(kernel.length_scale.value, np.exp(2**0.5 - 3) * d**0.5, rtol=1e-12)
    assert kernel.length_scale.value.shape == (32,)


def test_kernels_are_pytrees_that_vmap_over_their_scales(family):
    x = rows(4, 2)
    scales = jnp.log(jnp.array([[0.5, 1.0], [2.0, 0.3]]))
    kernels = jax.vmap(kernel_of(family, [1.0, 1.0]).with_scales)(scales, jnp.zeros((2, 2)))
    grams = jax.vmap(lambda kernel: kernel.gram(x, x))(kernels)
    for i, scale in enumerate(np.exp(scales)):
        np.testing.assert_allclose(grams[i], FAMILIES[family][1](scale)(np.asarray(x)), rtol=1e-12)
