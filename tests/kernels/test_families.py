"""The families beyond Matern and RBF: against scikit-learn, SciPy, and numbers by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.gaussian_process import kernels as sk

import bojax
from bojax.kernels import (
    RBF,
    Columns,
    Constant,
    Decay,
    Fidelity,
    LearningCurve,
    Linear,
    Matern52,
    Periodic,
    RationalQuadratic,
    Warped,
    White,
    scale_parameter,
)
from bojax.space import Features
from bojax.space import table as tables

# Columns x, c, y, n, o and one of padding; y needs c, and n needs y.
MIXED = bojax.Space(
    {
        "x": bojax.Float(0.0, 1.0),
        "c": bojax.Categorical(["a", "b", "d"]),
        "y": bojax.Float(0.0, 1.0, when={"c": ["a", "b"]}),
        "n": bojax.Int(1, 7, when={"y": bojax.Range(0.3, 1.0)}),
        "o": bojax.Ordinal([1, 2, 4, 8]),
    }
)
SCALES = [0.5, 0.25, 2.0, 0.4, 0.8, 1.0]
GAPS = [1.0, 1.0, 3.0, 0.6, 1.0, 1.0]
FULL = {"x": 0.5, "c": "a", "y": 0.5, "n": 3, "o": 2}
GONE = {"x": 0.5, "c": "d", "o": 2}  # neither y nor n
# How far an inactive column's default is from what FULL has there.
PARKED = [0.5 - MIXED.table.default[2], (3 - 0.5) / 7 - MIXED.table.default[3]]


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def rows(n, d, seed=0):
    return jnp.asarray(np.random.default_rng(seed).random((n, d)))


def of(*values):
    return scale_parameter(np.array(values) if len(values) > 1 else values[0])


@jax.jit
def evaluate(kernel, x, z):
    return kernel.gram(x, z), kernel.diagonal(x)


def agree(kernel, x, z, expected, diagonal):
    gram, own = evaluate(kernel, x, z)
    assert gram.shape == (len(x), len(z)) and gram.dtype == own.dtype == jnp.float64
    np.testing.assert_allclose(gram, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(own, diagonal, rtol=1e-12, atol=1e-14)


def between(kernel, one, other=None):
    """k of two configurations of MIXED."""
    built = kernel.build(Columns(MIXED.table.used, np.isin(np.arange(6), (2, 3)), jnp.asarray(5.0)))
    a, b = (
        tables.features(MIXED.table, np.asarray(MIXED.encode(c))[None], np)
        for c in (one, one if other is None else other)
    )
    gram, diagonal = evaluate(built, a, b)
    if other is None:
        np.testing.assert_allclose(diagonal, gram[0], rtol=1e-12)
    return float(gram[0, 0])


# ------------------------------------------------------------------------- plain numbers


@pytest.mark.parametrize("alpha", [0.3, 2.0, 50.0])
def test_rational_quadratic_is_that_of_scikit_learn(alpha):
    scale = np.array([0.2, 0.7, 2.0])
    kernel = RationalQuadratic(of(*scale), alpha=of(alpha)).build(Columns.plain(3))
    x, z = rows(9, 3, 1), rows(5, 3, 2)
    reference = sk.RationalQuadratic(1.0, alpha)
    agree(kernel, x, z, reference(x / scale, z / scale), np.ones(9))


@pytest.mark.parametrize(("scale", "period"), [(0.3, 0.25), (1.0, 1.0), (2.5, 0.07)])
def test_periodic_is_that_of_scikit_learn(scale, period):
    kernel = Periodic(of(scale), period=of(period)).build(Columns.plain(1))
    x, z = rows(9, 1, 1), rows(5, 1, 2)
    agree(kernel, x, z, sk.ExpSineSquared(scale, period)(x, z), np.ones(9))


def test_periodic_of_several_columns_is_the_product_over_them():
    scale, period = [0.3, 1.5], [0.4, 0.9]
    kernel = Periodic(of(*scale), period=of(*period)).build(Columns.plain(2))
    x, z = rows(9, 2, 1), rows(5, 2, 2)
    parts = [
        sk.ExpSineSquared(scale[k], period[k])(x[:, k : k + 1], z[:, k : k + 1]) for k in (0, 1)
    ]
    agree(kernel, x, z, parts[0] * parts[1], np.ones(9))
    agree(kernel, x, x + np.array(period), evaluate(kernel, x, x)[0], np.ones(9))


def test_linear_is_that_of_scikit_learn_on_centred_columns():
    variance = np.array([0.3, 1.0, 4.0])
    kernel = Linear(of(*variance)).build(Columns.plain(3))
    x, z = rows(9, 3, 1), rows(5, 3, 2)
    heights = [np.sqrt(variance) * (np.asarray(each) - 0.5) for each in (x, z)]
    reference = sk.DotProduct(sigma_0=0.0)
    agree(kernel, x, z, reference(*heights), reference.diag(heights[0]))


def test_constant_and_white_are_those_of_scikit_learn():
    x, z = rows(9, 2, 1), rows(5, 2, 2)
    built = [kernel.build(Columns.plain(2)) for kernel in (Constant(of(2.5)), White(of(0.3)))]
    for kernel, reference in zip(built, (sk.ConstantKernel(2.5), sk.WhiteKernel(0.3)), strict=True):
        agree(kernel, x, z, reference(x, z), reference.diag(x))
        agree(kernel, x, x, reference(x), reference.diag(x))


def test_white_is_shared_by_replicates_of_a_row_alone():
    x = jnp.array([[0.1, 0.2], [0.1, 0.2], [0.1, 0.2 + 1e-12]])
    kernel = White(of(0.3)).build(Columns.plain(2))
    agree(kernel, x, x, 0.3 * np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]]), np.full(3, 0.3))


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.4, 1.0), (1.0, 3.0), (2.5, 0.7)])
def test_warped_rows_are_kumaraswamys_distribution_function(a, b):
    """Of which scipy.stats has those with a or b = 1, as Beta distributions."""
    x = rows(9, 1, 1)
    kernel = Warped(RBF(of(0.5)), of(a), of(b)).build(Columns.plain(1))
    bent = 1 - (1 - np.asarray(x) ** a) ** b
    if 1.0 in (a, b):
        np.testing.assert_allclose(bent, stats.beta(a, b).cdf(x), rtol=1e-12)
    np.testing.assert_allclose(kernel.warp(x).coordinate, bent, rtol=1e-12)
    agree(kernel, x, x, sk.RBF(0.5)(bent), np.ones(9))


def test_warped_ends_stay_ends_with_finite_slopes():
    """The slope of x^a is infinite at 0 for a < 1, that of the function at 1 for b < 1."""
    kernel = Warped(RBF(of(0.5)), of(0.5), of(0.5)).build(Columns.plain(1))
    ends = jnp.array([[0.0], [1.0]])
    np.testing.assert_allclose(kernel.warp(ends).coordinate, ends, atol=2e-3)
    slope = jax.jit(jax.grad(lambda k: k.gram(ends, rows(3, 1)).sum()))(kernel)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slope))


def test_fidelity_by_hand():
    """c + (1 - s)^(1 + delta) (1 - t)^(1 + delta), BoTorch's DownsamplingKernel."""
    kernel = Fidelity(of(0.5), of(2.0)).build(Columns.plain(1))
    budgets = jnp.array([[0.0], [0.5], [1.0]])
    expected = [[1.5, 0.75, 0.5], [0.75, 0.5625, 0.5], [0.5, 0.5, 0.5]]
    agree(kernel, budgets, budgets, expected, np.diag(expected))
    kernel = Fidelity(of(0.25), of(1.5)).build(Columns.plain(1))
    agree(kernel, jnp.array([[0.75]]), jnp.array([[0.0]]), [[0.25 + 0.125]], [0.25 + 0.125**2])


def test_fidelity_has_finite_slopes_at_the_full_budget():
    kernel = Fidelity(of(0.5), of(0.5)).build(Columns.plain(1))
    full = jnp.ones((2, 1))
    slopes = jax.jit(jax.grad(lambda k, x: k.gram(x, full).sum(), argnums=(0, 1)))(kernel, full)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_decay_by_hand():
    """beta^alpha / (s + t + beta)^alpha, BoTorch's ExponentialDecayKernel without its offset."""
    kernel = Decay(of(2.0), of(0.5)).build(Columns.plain(1))
    budgets = jnp.array([[0.0], [0.25], [1.0]])
    expected = [[1.0, 4 / 9, 1 / 9], [4 / 9, 1 / 4, 4 / 49], [1 / 9, 4 / 49, 1 / 25]]
    agree(kernel, budgets, budgets, expected, np.diag(expected))
    kernel = Decay(of(1.5), of(1.0)).build(Columns.plain(1))
    agree(kernel, jnp.array([[1.0]]), jnp.array([[2.0]]), [[0.125]], [3**-1.5])


def test_learning_curves_by_hand():
    """a k(x, z) + b k'(x, z) decay(s, t) of the columns 0 and 2; the budget is column 1."""
    budget = jnp.array([False, True, False])
    columns = Columns.plain(3)._replace(budget=budget)
    own = [Matern52(of(0.5)), RBF(of(0.7)), Decay(of(2.0), of(0.5))]
    kernel = LearningCurve(*own).build(columns)
    x, z = rows(4, 3), rows(5, 3, seed=1)
    scales = 1.0  # where both begin
    expected = scales * own[0].on(0, 2).build(Columns.plain(3)).gram(x, z)
    departures = scales * own[1].on(0, 2).build(Columns.plain(3)).gram(x, z)
    expected += departures * own[2].on(1).build(Columns.plain(3)).gram(x, z)
    np.testing.assert_allclose(kernel.gram(x, z), expected, rtol=1e-12)
    without = LearningCurve(*own).build(Columns.plain(3))  # no budget: all curves at 0
    moved = without.gram(x.at[:, 1].add(0.5), z)
    assert np.abs(moved - without.gram(x, z)).max() > 0.01


# --------------------------------------------------- categories, inactive columns, padding


def test_stationary_families_on_mixed_rows_by_hand():
    rational = RationalQuadratic(of(*SCALES), of(*GAPS), of(1.5))
    period = np.full(6, 0.7)
    periodic = Periodic(of(*SCALES), of(*GAPS), of(*period))
    parts = np.array(PARKED)
    chords = 4 * np.sin(np.pi * parts / 0.7) ** 2
    gone = 1 / 0.25**2 + 1 / 3.0**2 + 1 / 0.6**2
    for kernel, profile, parked in (
        (rational, lambda r2: (1 + r2 / 3.0) ** -1.5, parts**2),
        (periodic, lambda r2: np.exp(-r2 / 2), chords),
    ):
        np.testing.assert_allclose(between(kernel, FULL), 1.0)
        other = between(kernel, FULL, FULL | {"c": "b"})
        np.testing.assert_allclose(other, profile(1 / 0.25**2), rtol=1e-10)
        r2 = gone + parked[0] / 2.0**2 + parked[1] / 0.4**2
        np.testing.assert_allclose(between(kernel, FULL, GONE), profile(r2), rtol=1e-10)


def test_linear_on_mixed_rows_by_hand():
    kernel = Linear(of(1.0, 0.3, 2.0, 3.0, 5.0, 7.0))
    n, o = (3 - 0.5) / 7 - 0.5, (1 + 0.5) / 4 - 0.5
    np.testing.assert_allclose(between(kernel, FULL), 0.3 + 3 * n**2 + 5 * o**2, rtol=1e-12)
    moved = FULL | {"x": 0.75, "y": 0.9}
    np.testing.assert_allclose(
        between(kernel, moved), 0.25**2 + 0.3 + 2 * 0.4**2 + 3 * n**2 + 5 * o**2, rtol=1e-12
    )
    # another category: no share in its coefficient
    other = between(kernel, moved, moved | {"c": "b"})
    np.testing.assert_allclose(between(kernel, moved) - other, 0.3, rtol=1e-12)
    # what one row does not have, however far from the middle its default is, adds nothing
    np.testing.assert_allclose(between(kernel, moved, GONE), 5 * o**2, rtol=1e-12)


def test_white_on_mixed_rows_looks_at_every_column_that_exists():
    kernel = White(of(0.3))
    assert between(kernel, GONE) == pytest.approx(0.3)
    for other in ({"c": "b"}, {"x": 0.6}, {"o": 4}, {"n": 4}):
        assert between(kernel, FULL, FULL | other) == 0.0
    assert between(kernel, FULL, GONE) == 0.0
    # the same coordinates, but one of them is but a default
    shown = Features(jnp.full((2, 1), 0.5), jnp.array([[1.0], [0.0]]), jnp.array([1]))
    built = kernel.build(Columns.plain(1))
    np.testing.assert_allclose(built.gram(shown, shown), 0.3 * np.eye(2))


def test_categories_are_not_warped():
    """Codes 1 and 2 both lie beyond the cube: bent as numbers they would be the same."""
    kernel = Warped(RBF(of(*SCALES), of(*GAPS)), of(2.0), of(0.5))
    same = {"x": 0.5, "o": 2, "y": 0.2}
    other = between(kernel, same | {"c": "b"}, same | {"c": "a"})
    np.testing.assert_allclose(other, np.exp(-8.0), rtol=1e-10)
    apart = between(kernel, same | {"c": "b"}, {"x": 0.5, "o": 2, "c": "d"})
    bent = [1 - (1 - y**2) ** 0.5 for y in (0.2, MIXED.table.default[2])]
    r2 = 1 / 0.25**2 + 1 / 3.0**2 + (bent[0] - bent[1]) ** 2 / 2.0**2
    np.testing.assert_allclose(apart, np.exp(-r2 / 2), rtol=1e-10)


def test_a_constant_is_one_on_mixed_rows():
    assert between(Constant(of(2.5)), FULL, GONE) == pytest.approx(2.5)


def test_padding_adds_nothing_to_a_plane():
    """A column that is not in use is 0 in every row, half a cube below the middle."""
    wide = dict(zip("abcdefg", [bojax.Float(0.0, 1.0)] * 7, strict=True))
    table = bojax.Space(wide).table  # eight columns, the last one empty
    unit = np.random.default_rng(0).random((5, 8))
    x = tables.features(table, tables.unit_to_row(table, unit, np), np)
    kernel = Linear(of(1.0)).build(Columns(table.used, ~table.used, jnp.asarray(7.0)))
    gram, diagonal = evaluate(kernel, x, x)
    heights = unit[:, :7] - 0.5
    np.testing.assert_allclose(gram, heights @ heights.T, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(diagonal, np.sum(heights**2, 1), rtol=1e-9)


@pytest.mark.parametrize("d", [25, 30, 33])
def test_any_number_of_columns_beyond_those_written_out(d):
    """A selection has any number of them: the loop over blocks takes the rest, too."""
    scale = np.linspace(0.5, 3.0, d)
    kernel = Matern52(of(*scale)).on(*range(1, d + 1)).build(Columns.plain(40))
    x = rows(6, 40)
    reference = sk.Matern(scale, nu=2.5)(np.asarray(x)[:, 1 : d + 1])
    agree(kernel, x, x, reference, np.ones(6))


# -------------------------------------------------------------------------------- errors

UNBUILT = {
    "RBF": RBF(),
    "RationalQuadratic": RationalQuadratic(),
    "Periodic": Periodic(),
    "Linear": Linear(),
    "Constant": Constant(),
    "White": White(),
    "Warped": Warped(RBF()),
    "Fidelity": Fidelity(),
    "Decay": Decay(),
    "LearningCurve": LearningCurve(),
}


@pytest.mark.parametrize("name", UNBUILT)
def test_a_kernel_that_was_not_built_says_what_to_do(name):
    with pytest.raises(ValueError, match=rf"^{name}: .*\.build\("):
        UNBUILT[name].gram(jnp.zeros((2, 1)), jnp.zeros((2, 1)))


@pytest.mark.parametrize("column", [3, -1])
def test_a_column_that_does_not_exist(column):
    with pytest.raises(ValueError, match=rf"column {column} does not exist, expected 0 to 2"):
        RBF().on(0, column).build(Columns.plain(3))


@pytest.mark.parametrize("kernel", [Fidelity(), Decay()], ids=["Fidelity", "Decay"])
def test_a_budget_is_one_column(kernel):
    name, built = type(kernel).__name__, kernel.build(Columns.plain(2))
    for call in (lambda: built.gram(rows(3, 2), rows(3, 2)), lambda: built.diagonal(rows(3, 2))):
        with pytest.raises(ValueError, match=rf"{name}: .*one column.*got 2.*\.on\(column\)"):
            call()


def test_more_values_than_columns():
    with pytest.raises(ValueError, match="3 values for 2 columns"):
        Linear(of(1.0, 2.0, 3.0)).build(Columns.plain(2))


def test_kernels_without_a_formula_say_so():
    with pytest.raises(NotImplementedError, match="Kernel has no gram"):
        bojax.kernels.Kernel().gram(rows(2, 1), rows(2, 1))
    with pytest.raises(NotImplementedError, match="Kernel has no diagonal"):
        bojax.kernels.Kernel().diagonal(rows(2, 1))
