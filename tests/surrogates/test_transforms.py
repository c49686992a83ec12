"""Output transforms: the order of values is kept, whatever their scale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bojax.surrogates import transforms
from bojax.surrogates.transforms import (
    BoxCox,
    Chain,
    HalfRank,
    LogWarp,
    Rank,
    Standardize,
    Winsorize,
    YeoJohnson,
    named,
)

N = 16
LARGEST = {"float64": 1e300, "float32": 1e30}
# Every transform with a fitted form, and settings of each that are not the default.
METHODS = {
    "standardize": Standardize(),
    "winsorize": Winsorize(),
    "winsorize, no margin": Winsorize(margin=0.0),
    "yeo_johnson": YeoJohnson(),
    "yeo_johnson, deviation": YeoJohnson("deviation"),
    "yeo_johnson, none": YeoJohnson("none"),
    "box_cox": BoxCox(),
    "box_cox, always": BoxCox(0.0),
    "rank": Rank(),
    "half_rank": HalfRank(),
    "log_warp": LogWarp(),
    "log_warp, 10": LogWarp(10.0),
    "chain": Chain((HalfRank(), LogWarp())),
    "hebo": named("hebo"),
    "vizier": named("vizier"),
}


@jax.jit
def both(values, mask):
    return transforms.standardize(values, mask), transforms.half_rank(values, mask)


def run(values, mask=None):
    values = np.asarray(values, float)
    padded = np.full(N, np.nan)
    padded[: len(values)] = values
    used = np.arange(N) < len(values) if mask is None else mask
    with jax.enable_x64(True):
        (standard, shift, scale), warped = jax.tree.map(np.asarray, both(padded, used))
    assert (standard[~used] == 0).all()
    return standard[used], shift, scale, warped[used]


@jax.jit
def there_and_back(transform, values, mask, others):
    fitted = transform.fit(values, mask)
    warped = fitted(jnp.where(mask, values, 0.0))
    return fitted, warped, fitted.inverse(warped), fitted(others), fitted.inverse(others)


def fit(transform, values, others=(0.0,), dtype="float64", size=N):
    """Fitted transform, `[n]` warped values, they and back, others warped, others unwarped."""
    padded = np.full(size, np.nan, dtype)
    padded[: len(values)] = values
    others = np.asarray(others, dtype)
    with jax.enable_x64(dtype == "float64"):
        found = there_and_back(transform, padded, np.arange(size) < len(values), others)
        fitted, warped, back, *rest = jax.tree.map(np.asarray, found)
    assert warped.dtype == back.dtype == dtype
    return fitted, warped[: len(values)], back[: len(values)], *rest


def skewed(n=N, seed=0, spread=1.0):
    return np.exp(spread * np.random.default_rng(seed).normal(size=n))


# --------------------------------------------------------------- standardise, half rank


@pytest.mark.parametrize("factor", [1e-300, 1e-12, 1.0, 1e12, 1e300])
def test_standardize_is_mean_zero_and_variance_one(factor):
    values = np.random.default_rng(0).normal(3.0, 0.5, 12) * factor
    standard, shift, scale, _ = run(values)
    np.testing.assert_allclose(standard.mean(), 0.0, atol=1e-12)
    np.testing.assert_allclose(standard.std(ddof=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(shift + scale * standard, values, rtol=1e-13)
    np.testing.assert_allclose(scale / factor, (values / factor).std(ddof=1), rtol=1e-10)


@pytest.mark.parametrize("value", [0.0, 1.0, -1e300, 0.1, 1e-300])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_constant_values_are_zero_and_come_back(value, n):
    standard, shift, scale, warped = run([value] * n)
    np.testing.assert_allclose(standard, 0.0, atol=1e-12)
    assert np.isfinite(scale) and scale > 0
    np.testing.assert_allclose(shift + scale * standard, value, rtol=1e-14)
    np.testing.assert_array_equal(warped, value)


def test_no_value_at_all_is_no_nan():
    with jax.enable_x64(True):
        nothing = both(np.full(N, np.nan), np.zeros(N, bool))
        (standard, shift, scale), _ = jax.tree.map(np.asarray, nothing)
    assert (standard == 0).all() and np.isfinite([shift, scale]).all() and scale > 0


@settings(max_examples=200)
@given(st.lists(st.floats(-1e300, 1e300, allow_nan=False), min_size=1, max_size=N))
def test_both_are_finite_and_keep_the_order(values):
    values = np.array(values)
    standard, shift, scale, warped = run(values)
    order = np.argsort(values, kind="stable")
    for result in (standard, warped):
        assert np.isfinite(result).all()
        assert (np.diff(result[order]) >= 0).all()
    assert np.isfinite([shift, scale]).all() and scale > 0


def test_half_rank_by_hand():
    """Better half kept; of seven values the k-th worst goes to the normal quantile of its rank."""
    values = np.array([5.0, 1.0, 2.0, 1e9, 3.0, 40.0, 4.0])
    warped = run(values)[3]
    # Ranks (k - 1/2) / 7: the median 4, quantile 1/2, is the last of the better half.
    better = np.array([1.0, 2.0, 3.0, 4.0])
    spread = np.sqrt(np.mean((better - 4.0) ** 2))
    expected = {v: v for v in better} | {
        5.0: 4.0 + spread * stats.norm.ppf(4.5 / 7),
        40.0: 4.0 + spread * stats.norm.ppf(5.5 / 7),
        1e9: 4.0 + spread * stats.norm.ppf(6.5 / 7),
    }
    np.testing.assert_allclose(warped, [expected[v] for v in values], rtol=1e-12)


def test_half_rank_keeps_ties_and_forgets_how_bad_the_bad_are():
    values = [1.0, 2.0, 3.0, 7.0, 7.0]
    warped = run(values)[3]
    assert warped[3] == warped[4]
    np.testing.assert_array_equal(run([1.0, 2.0, 3.0, 7e9, 7e9])[3], warped)


def test_half_rank_ignores_what_is_masked():
    values = np.array([1.0, -50.0, 2.0, 90.0, 3.0, 4.0])
    mask = np.zeros(N, bool)
    mask[[0, 2, 4, 5]] = True
    with jax.enable_x64(True):
        padded = np.concatenate([values, np.zeros(N - 6)])
        warped = np.asarray(both(padded, mask)[1])[mask]
    np.testing.assert_array_equal(warped, run([1.0, 2.0, 3.0, 4.0])[3])


# --------------------------------------------------------------------- what all of them keep


def shapes(largest):
    """Lists of numbers, constant ones, ones of one sign, and ones close together."""
    if largest < 1e40:
        largest = float(np.float32(largest))
        number = st.floats(-largest, largest, width=32)
    else:
        number = st.floats(-largest, largest)
    scales = st.sampled_from([1 / largest, 1e-3, 1.0, 1e3, largest])
    unit = st.lists(st.floats(0.0, 1.0, width=32), min_size=1, max_size=N)
    return st.one_of(
        st.lists(number, min_size=1, max_size=N),
        st.builds(lambda x, n: [x] * n, number, st.integers(1, N)),
        st.builds(lambda x, s: [s * (v + 0.5) for v in x], unit, scales),
        st.builds(lambda x, s: [s * v for v in x], unit, scales),
        st.builds(lambda x, s: [s * (1.0 + 1e-6 * v) for v in x], unit, scales),
    )


@pytest.mark.parametrize("dtype", LARGEST)
@pytest.mark.parametrize("method", METHODS)
def test_every_one_is_finite_and_keeps_the_order(method, dtype):
    @settings(max_examples=60)
    @given(shapes(LARGEST[dtype]), st.floats(-40, 40, width=32))
    def keeps(values, other):
        values = np.array(values, dtype)
        fitted, warped, back, forth, unwarped = fit(METHODS[method], values, [other], dtype)
        assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(fitted))
        for result in (warped, back, forth, unwarped):
            assert np.isfinite(result).all()
        order = np.argsort(values, kind="stable")
        # Rounding may make two that are apart one, and no more than that.
        rounding = 8 * np.finfo(dtype).eps * np.abs(warped).max()
        assert (np.diff(warped[order]) >= -rounding).all()

    keeps()


@pytest.mark.parametrize("dtype", LARGEST)
@pytest.mark.parametrize("scale", ["small", "one", "large"])
@pytest.mark.parametrize("method", METHODS)
def test_every_one_has_its_way_back(method, scale, dtype):
    """Of skewed values at every scale; but what was cut off is not known any more."""
    factor = {"small": 1 / LARGEST[dtype], "one": 1.0, "large": LARGEST[dtype]}[scale]
    values = (skewed(N, seed=4).astype(dtype) - dtype_of(0.1, dtype)) * dtype_of(factor / 8, dtype)
    fitted, _, back, *_ = fit(METHODS[method], values, dtype=dtype)
    wanted = np.minimum(values, fitted.high) if method.startswith("winsorize") else values
    error = np.abs(back / factor - wanted / factor).max()
    # Logarithms of numbers far from 1 are large, and their roundings with them.
    loose = 1500 if method in ("hebo", "yeo_johnson, none") or "box_cox" in method else 50
    assert error < loose * np.finfo(dtype).eps * np.abs(values / factor).max()


def dtype_of(x, dtype):
    return np.asarray(x, dtype)


@pytest.mark.parametrize("method", METHODS)
def test_every_one_rises_beyond_what_was_seen_and_back(method):
    values = skewed(12, seed=1) + 0.5
    grid = np.linspace(values.min() - 1.0, values.max() + 1.0, 301)
    _, warped, _, forth, _ = fit(METHODS[method], values, grid)
    assert (np.diff(forth) >= 0).all()
    span = np.linspace(warped.min() - 3.0, warped.max() + 3.0, 301)
    *_, back = fit(METHODS[method], values, span)
    assert (np.diff(back) >= 0).all()
    # There is room for better values than the best.
    assert back[0] < values.min() - 1e-3 * np.ptp(values)


@pytest.mark.parametrize("hidden", [np.nan, -7.0])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_masked_is_not_seen(method, hidden):
    values, holes = skewed(8, seed=2), np.full(N, hidden)
    places = np.array([1, 3, 4, 8, 9, 11, 14, 15])
    holes[places] = values
    with jax.enable_x64(True):
        mask = np.isin(np.arange(N), places)
        _, scattered, *_ = jax.tree.map(
            np.asarray, there_and_back(METHODS[method], holes, mask, np.zeros(1))
        )
    np.testing.assert_allclose(scattered[places], fit(METHODS[method], values)[1], rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_many_at_once_are_each_alone(method):
    sets = np.stack([skewed(N, seed, spread) for seed, spread in ((0, 0.3), (1, 1.0), (2, 2.0))])
    with jax.enable_x64(True):
        mask = np.ones(N, bool)
        one = jax.vmap(lambda values: METHODS[method].fit(values, mask)(values))
        together = np.asarray(jax.jit(one)(sets))
    for values, warped in zip(sets, together, strict=True):
        np.testing.assert_allclose(warped, fit(METHODS[method], values)[1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("function", "method"),
    [
        (transforms.winsorize, "winsorize"),
        (transforms.yeo_johnson, "yeo_johnson"),
        (transforms.box_cox, "box_cox"),
        (transforms.rank, "rank"),
        (transforms.half_rank, "half_rank"),
        (transforms.log_warp, "log_warp"),
        (lambda values, mask: transforms.standardize(values, mask)[0], "standardize"),
    ],
)
def test_function_and_fitted_form_say_the_same(function, method):
    values = skewed(10, seed=3)
    padded, mask = np.concatenate([values, np.full(6, np.nan)]), np.arange(N) < 10
    with jax.enable_x64(True):
        warped = np.asarray(jax.jit(function)(padded, mask))
    np.testing.assert_allclose(warped[:10], fit(METHODS[method], values)[1], rtol=1e-12)
    if method != "half_rank":
        np.testing.assert_array_equal(warped[10:], 0.0)
    np.testing.assert_allclose(fit(named(method), values)[1], warped[:10], rtol=1e-12)


# ---------------------------------------------------------------------------- each by itself


@pytest.mark.parametrize("n", [1, 2, 5, 16])
@pytest.mark.parametrize("margin", [0.0, 1.5])
def test_winsorize_cuts_where_numpy_says(n, margin):
    values = np.random.default_rng(n).standard_cauchy(n)
    first, third = np.quantile(values, [0.25, 0.75])
    expected = np.minimum(values, third + margin * (third - first))
    np.testing.assert_allclose(fit(Winsorize(margin), values)[1], expected, rtol=1e-12)


DRAWS = {
    "log-normal": skewed(N, seed=0),
    "mirrored": -skewed(N, seed=1),
    "heavy": np.random.default_rng(2).standard_t(2, N),
    "two values": np.array([0.3, 2.0]),
    "uniform": np.random.default_rng(3).uniform(-1, 5, N),
    "shifted": 50 + skewed(N, seed=5),
}


@pytest.mark.parametrize("unit", ["standard", "deviation", "none"])
@pytest.mark.parametrize("draws", DRAWS)
def test_yeo_johnson_is_scipys(draws, unit):
    values = DRAWS[draws]
    scaled = {
        "none": values,
        "deviation": values / values.std(ddof=1),
        "standard": (values - values.mean()) / values.std(ddof=1),
    }[unit]
    fitted, warped, *_ = fit(YeoJohnson(unit), values)
    _, exponent = stats.yeojohnson(scaled)
    # The likelihood has one maximum: within bounds it is the nearer bound, or scipy's.
    flat = -0.75 * np.log(np.finfo(float).eps)
    least = max(-9.0, -flat / np.log1p(max(scaled.max(), 1e-9)))
    most = min(11.0, 2.0 + flat / np.log1p(max(-scaled.min(), 1e-9)))
    np.testing.assert_allclose(fitted.exponent, np.clip(exponent, least, most), atol=1e-4)
    np.testing.assert_allclose(
        warped, stats.yeojohnson(scaled, float(fitted.exponent)), rtol=1e-9, atol=1e-12
    )


def test_yeo_johnson_in_float32_is_near_that_in_float64():
    for values in DRAWS.values():
        wide = fit(YeoJohnson(), values)[0].exponent
        narrow = fit(YeoJohnson(), values, dtype="float32")[0].exponent
        np.testing.assert_allclose(narrow, wide, atol=2e-3)


def test_yeo_johnson_of_mirrored_values_is_mirrored():
    values = skewed(N, seed=6)
    fitted, warped, *_ = fit(YeoJohnson(), values)
    mirrored, downwards, *_ = fit(YeoJohnson(), -values)
    np.testing.assert_allclose(mirrored.exponent, 2.0 - fitted.exponent, atol=1e-8)
    np.testing.assert_allclose(downwards, -warped, rtol=1e-7, atol=1e-9)


@settings(max_examples=50)
@given(st.floats(-3, 3), st.integers(0, 50))
def test_only_the_unit_decides_whether_scale_matters(power, seed):
    values = skewed(10, seed)
    moved = 10.0**power * values + power
    np.testing.assert_allclose(
        fit(YeoJohnson(), moved)[1], fit(YeoJohnson(), values)[1], rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(
        fit(BoxCox(0.0), 10.0**power * values)[1], fit(BoxCox(0.0), values)[1], rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("draws", ["log-normal", "two values", "shifted"])
def test_box_cox_is_scipys(draws):
    values = DRAWS[draws]
    fitted, warped, *_ = fit(BoxCox(least_deviation=0.0), values)
    assert bool(fitted.positive)
    _, exponent = stats.boxcox(values)
    np.testing.assert_allclose(fitted.exponent, np.clip(exponent, -10, 10), atol=1e-4)
    expected = stats.boxcox(values / stats.gmean(values), float(fitted.exponent))
    np.testing.assert_allclose(warped, expected, rtol=1e-9, atol=1e-12)


def test_box_cox_gives_way_to_yeo_johnson():
    """Where a value is not positive, and where Box-Cox has nothing to bend."""
    values = skewed(N, seed=0)
    low, close = values - values.min(), 100 + values
    assert bool(fit(BoxCox(), values)[0].positive)
    for other in (low, close):
        np.testing.assert_array_equal(fit(BoxCox(), other)[1], fit(YeoJohnson(), other)[1])
    always = fit(BoxCox(least_deviation=0.0), close)
    assert bool(always[0].positive) and always[1].std() < 0.5
    never = fit(BoxCox(least_deviation=1e9), values)
    assert not bool(never[0].positive)


def test_rank_is_the_normal_quantile_of_scipys_ranks():
    values = np.random.default_rng(0).integers(0, 6, N).astype(float)  # with ties
    expected = stats.norm.ppf((stats.rankdata(values) - 0.5) / N)
    np.testing.assert_allclose(fit(Rank(), values)[1], expected, rtol=1e-9, atol=1e-12)


def test_ranks_go_on_below_the_best_and_stop_at_the_worst():
    values = np.array([0.0, 1.0, 2.0, 4.0, 1e6])
    _, warped, _, forth, back = fit(Rank(), values, [-3.0, 1e9, 9.0])
    slope = (warped[2] - warped[0]) / 2.0  # from the best to the median
    np.testing.assert_allclose(forth[:2], [warped[0] - 3.0 * slope, warped[4]], rtol=1e-12)
    np.testing.assert_allclose(back[0], (-3.0 - warped[0]) / slope, rtol=1e-12)
    assert back[2] == 1e6
    # The better half of half_rank is unchanged, and so is what is better still.
    _, _, _, forth, back = fit(HalfRank(), values, [-3.0, 1.5])
    np.testing.assert_allclose(forth, [-3.0, 1.5], rtol=1e-12)
    np.testing.assert_allclose(back, [-3.0, 1.5], rtol=1e-12)


def test_log_warp_by_hand():
    """1, 2, 5 with offset 1.5: ln(1 + part / 2) / ln 1.5 - 1/2 with parts 0, 1/4 and 1."""
    warped = fit(LogWarp(), np.array([1.0, 5.0, 2.0]))[1]
    np.testing.assert_allclose(
        warped, [-0.5, 0.5, np.log(1.125) / np.log(1.5) - 0.5], rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize("offset", [1.5, 4.0])
def test_the_offset_is_how_much_the_slope_falls(offset):
    values = np.array([0.0, 1.0])
    step = 1e-6
    *_, forth, _ = fit(LogWarp(offset), values, [0.0, step, 1.0 - step, 1.0])
    np.testing.assert_allclose((forth[1] - forth[0]) / (forth[3] - forth[2]), offset, rtol=1e-5)


@pytest.mark.parametrize("method", ["yeo_johnson", "log_warp", "box_cox"])
def test_the_way_back_ends_a_range_beyond_the_worst(method):
    values = skewed(N, seed=0)
    *_, back = fit(METHODS[method], values, [1e3])
    assert back[0] <= values.max() + np.ptp(values) * (1 + 1e-9)
    assert back[0] > values.max() + 0.5 * np.ptp(values)


def test_a_chain_is_one_after_the_other():
    values = skewed(N, seed=7)
    first = fit(HalfRank(), values)
    second = fit(LogWarp(), first[1])
    chained = fit(named(("half_rank", "log_warp")), values)
    np.testing.assert_allclose(chained[1], second[1], rtol=1e-12)
    assert not np.allclose(chained[1], fit(named(("log_warp", "half_rank")), values)[1])


def test_failed_lines_get_the_worst_value_or_one_beyond():
    values = np.array([3.0, np.nan, -1.0, np.nan, 7.0, 99.0])
    mask = np.array([True, False, True, False, False, False])
    failed = np.array([False, True, False, False, False, True])
    with jax.enable_x64(True):
        worst = np.asarray(transforms.impute(values, mask, failed))
        beyond = np.asarray(transforms.impute(values, mask, failed, rule="beyond"))
        nothing = np.asarray(transforms.impute(values, mask & False, failed))
    np.testing.assert_array_equal(worst, [3.0, 3.0, -1.0, np.nan, 7.0, 3.0])
    np.testing.assert_array_equal(beyond, [3.0, 6.0, -1.0, np.nan, 7.0, 6.0])  # 3 + (4 / 2 + 1)
    np.testing.assert_array_equal(nothing[failed], 0.0)


def test_a_line_that_failed_does_not_say_what_is_worst():
    values = np.array([1.0, 2.0, 1e9])
    failed = np.array([False, False, True])
    with jax.enable_x64(True):
        filled = np.asarray(transforms.impute(values, np.ones(3, bool), failed))
    np.testing.assert_array_equal(filled, [1.0, 2.0, 2.0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Winsorize(margin=-1.0), "margin must be 0 or more, got -1.0"),
        (lambda: YeoJohnson("mean"), "unit must be one of .*'mean'"),
        (lambda: BoxCox(least_deviation=-1.0), "least_deviation must be 0 or more"),
        (lambda: LogWarp(offset=1.0), "offset must be above 1, got 1.0"),
        (lambda: named("sqrt"), "transform: must be one of standardize, .*'sqrt'"),
        (
            lambda: transforms.impute(np.zeros(1), np.ones(1, bool), np.ones(1, bool), rule="nan"),
            "rule must be one of worst, beyond, got 'nan'",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
