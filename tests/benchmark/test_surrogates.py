"""Comparison of surrogates: scores, pairing, failures of every kind, resumed runs."""

import math
import os
import re
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

import bojax
from bojax.benchmark import _datasets as sets
from bojax.benchmark._foreign import foreign
from bojax.benchmark._surrogate_rows import read_rows, rounded, write_rows
from bojax.benchmark._surrogate_runs import fit_predict, peak_bytes
from bojax.benchmark._surrogates import SurrogateComparison, SurrogateRow, compare_surrogates


def wave(n=80, noise=0.5, name="wave", d=2):
    """sin(6 x0) with noise; uniform inputs."""
    draw = np.random.default_rng(0)
    rows = draw.random((n, d))
    return sets.Dataset(
        name, rows, 40 + 10 * (np.sin(6 * rows[:, 0]) + noise * draw.normal(size=n))
    )


class Scripted:
    """Predicts `change(its mean and variance)`; what it was fitted to goes to `log`."""

    def __init__(self, change=None, noise=None):
        self._change = change
        if noise is not None:
            self.noise = noise

    def fit(self, key, data):
        LOG.append((data.rows.tobytes(), data.values.tobytes()))
        self._moments = data.values.mean(), data.values.var()
        return self, None

    def mean_and_variance(self, rows):
        mean, variance = (np.full(len(rows), moment) for moment in self._moments)
        return (mean, variance) if self._change is None else self._change(mean, variance)


LOG: list = []


@pytest.fixture(autouse=True)
def fresh_log():
    LOG.clear()


def compare(surrogates, data=None, splits=2, **settings):
    settings = {"sizes": (20,), "test": 30, **settings}
    return compare_surrogates(surrogates, data or [wave()], splits, **settings)


# ------------------------------------------------------------------------------- data sets


def test_friedman_functions_are_friedmans():
    x = sets.friedman1(200, noise=0)
    a, b, c, d, e = x.rows.T[:5]
    expected = 10 * np.sin(np.pi * a * b) + 20 * (c - 0.5) ** 2 + 10 * d + 5 * e
    np.testing.assert_allclose(x.values, expected, rtol=1e-12)
    x = sets.friedman2(200, noise=0)
    a, b, c, d = x.rows.T
    a, b, d = 100 * a, np.pi * (40 + 520 * b), 1 + 10 * d
    np.testing.assert_allclose(x.values, np.hypot(a, b * c - 1 / (b * d)), rtol=1e-12)
    np.testing.assert_array_equal(sets.friedman3(200).rows, x.rows)
    expected = np.arctan((b * c - 1 / (b * d)) / a)
    np.testing.assert_allclose(sets.friedman3(200, noise=0).values, expected, rtol=1e-12)


def test_friedman_noise_is_a_third_of_the_signal():
    for make in (sets.friedman2, sets.friedman3):
        signal, noisy = make(4000, noise=0).values, make(4000).values
        assert 2.5 < signal.std() / (noisy - signal).std() < 3.5


def test_diabetes_fills_the_cube():
    rows = sets.diabetes().rows
    assert rows.min(axis=0).tolist() == [0] * 10
    assert rows.max(axis=0).tolist() == [1] * 10


SPACE = bojax.Space(
    {"x": bojax.Float(-1, 3), "kind": bojax.Categorical(["a", "b", "c"]), "n": bojax.Int(1, 5)}
)


def test_a_problem_is_sampled_where_it_says():
    problem = bojax.loop.Problem(
        SPACE.table,
        lambda shift, key, rows: (4 * rows[:, 0] - 1) ** 2 + 10 * rows[:, 1] + rows[:, 2] + shift,
        7.0,
        name="mixed",
    )
    data = sets.from_problem(problem, 300, seed=1)
    assert data.rows.shape == (300, 3)
    unit, kind, whole = data.rows.T
    assert set(kind) == {0.0, 0.5, 1.0}
    assert len(set(whole)) == 5
    expected = (4 * unit - 1) ** 2 + 10 * 2 * kind + whole + 7
    np.testing.assert_allclose(data.values, expected, rtol=1e-6)
    assert data.content() == sets.from_problem(problem, 300, seed=1).content()
    assert data.content() != sets.from_problem(problem, 300, seed=2).content()


def test_failed_evaluations_are_left_out():
    problem = bojax.loop.Problem(
        SPACE.table, lambda data, key, rows: jnp.where(rows[:, 1] == 0, jnp.nan, rows[:, 0])
    )
    data = sets.from_problem(problem, 300)
    assert 150 < len(data.values) < 250
    assert (data.rows[:, 1] > 0).all()


@pytest.mark.parametrize(
    ("rows", "values", "told"),
    [
        (np.zeros((3, 1)), np.zeros(2), r"mine: expected rows \[n, d\] and values \[n\]"),
        (np.zeros((2, 1)), [0.0, np.nan], "mine: value 1 is nan"),
        ([[0.0], [1.5]], [0.0, 1.0], "mine: row 1 is outside"),
        ([[np.nan], [0.5]], [0.0, 1.0], "mine: row 0 is outside"),
        (np.zeros((3, 1)), np.ones(3), "mine: needs at least two values that differ"),
    ],
)
def test_bad_data_is_named(rows, values, told):
    with pytest.raises(bojax.DataError, match=told):
        sets.Dataset("mine", rows, values)


def test_splits_are_disjoint_and_nested():
    data = sets.Dataset("line", np.linspace(0, 1, 60)[:, None], np.arange(60.0))
    small, large = (data.split(3, train=n, test=25) for n in (10, 35))
    np.testing.assert_array_equal(small.values, large.values[:10])
    np.testing.assert_array_equal(small.test_values, large.test_values)
    assert sorted([*large.values, *large.test_values]) == list(range(60))
    assert set(small.test_values) != set(data.split(4, train=10, test=25).test_values)
    np.testing.assert_allclose(large.rows[:, 0] * 59, large.values)
    with pytest.raises(bojax.DataError, match="60 rows are too few for 36 to train on and 25"):
        data.split(0, train=36, test=25)


# ---------------------------------------------------------------------------------- scores


def test_scores_are_those_of_the_standardised_values():
    data = wave()
    (row,) = compare({"flat": Scripted(noise=4.0)}, [data], 1).rows
    part = data.split(0, train=20, test=30)
    m, s, y = part.values.mean(), math.sqrt(part.values.var() + 4), part.test_values
    unit = data.values.std()
    assert row.rmse == pytest.approx(math.sqrt(np.mean((y - m) ** 2)), rel=1e-5)
    assert row.nrmse == pytest.approx(row.rmse / unit, rel=1e-5)
    expected = norm.logpdf(y / unit, m / unit, s / unit).mean()
    assert row.log_density == pytest.approx(expected, rel=1e-5)
    for level, found in ((0.5, row.coverage50), (0.9, row.coverage90), (0.95, row.coverage95)):
        low, high = norm.interval(level, m, s)
        assert found == pytest.approx(np.mean((low <= y) & (y <= high)))
    grid = np.linspace(-10, 20, 3001)  # the CRPS as the integral it is, values in their unit
    step = np.array([grid >= v / unit for v in y], float)
    crps = np.trapezoid((norm.cdf(grid, m / unit, s / unit) - step) ** 2, grid, axis=1)
    assert row.crps == pytest.approx(crps.mean(), abs=2e-3)
    assert (row.n, row.d, row.tests, row.split, row.failure) == (20, 2, 30, 0, "")


class Fixed:
    """Our Gaussian process at given hyperparameters: nothing is searched, little compiled."""

    length_scale, noise = 0.3, 0.25

    def fit(self, key, data):
        surrogate = bojax.surrogates.gp()
        theta = np.log([self.length_scale, 1.0, self.noise])

        def posterior(rows, values):
            data = bojax.surrogates.Data(rows, values)
            return surrogate.posterior_at(theta, data, *surrogate.evidence(data))

        with jax.enable_x64(True):
            return jax.jit(posterior)(data.rows, data.values), None


def test_the_noise_of_ours_is_added():
    """Against the textbook's formulas for an observation, Rasmussen & Williams (2006), 2.25-26."""
    data = wave(40, d=1)
    rows, values, new = data.rows[:30], data.values[:30], data.rows[30:]

    def matern52(x, z):
        r = math.sqrt(5) * np.abs(x - z.T) / Fixed.length_scale
        return (1 + r + r**2 / 3) * np.exp(-r)

    outcome = fit_predict(Fixed(), 0, rows, values, new)
    inverse = np.linalg.inv(matern52(rows, rows) + Fixed.noise * np.eye(30))
    weights = matern52(new, rows) @ inverse
    centre = (inverse @ values).sum() / inverse.sum()  # the mean of highest likelihood
    np.testing.assert_allclose(outcome.mean, centre + weights @ (values - centre), rtol=1e-9)
    explained = np.sum(weights * matern52(new, rows), axis=1)
    expected = values.var(ddof=1) * (1 - explained + Fixed.noise)
    np.testing.assert_allclose(outcome.variance, expected, rtol=1e-9)


def test_all_see_the_same_splits_and_the_first_of_a_shape_runs_twice():
    compared = compare({"a": Scripted(), "b": Scripted()}, splits=3)
    # a a b b | b a | a b: who begins changes; the first of a shape is fitted again.
    assert [LOG.index(entry) for entry in LOG] == [0, 0, 0, 0, 4, 4, 6, 6]
    assert compared.values("a", "rmse") == compared.values("b", "rmse")
    assert len(set(compared.values("a", "rmse")["wave"])) == 3
    assert [row.compile_seconds > 0 for row in compared.rows[2:]] == [False] * 4


# -------------------------------------------------------------------------------- failures


def leave(mean, variance):
    sys.exit(3)


BAD = {
    "nan": (lambda m, v: (m * np.nan, v), "mean: nan at test row 0; must be finite"),
    "inf": (lambda m, v: (m, v / 0.0), "variance: inf at test row 0"),
    "shape": (lambda m, v: (m[:, None], v), r"mean: expected shape \(30,\), got \(30, 1\)"),
    "negative": (lambda m, v: (m, -v), "variance: -.* at test row 0; must be above 0"),
    "zero": (lambda m, v: (m, 0 * v), "variance: 0 at test row 0; must be above 0"),
    "raises": (lambda m, v: m[1000], "IndexError: index 1000 is out of bounds"),
    "one": (lambda m, v: m[:1], "ValueError: not enough values to unpack"),
    "text": (lambda m, v: ("a", v), "ValueError: could not convert string"),
    "leaves": (leave, "SystemExit: 3"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_surrogate_fails_alone(kind):
    change, told = BAD[kind]
    with np.errstate(all="ignore"):
        compared = compare({"bad": Scripted(change), "good": Scripted()})
    bad, good = ([r for r in compared.rows if r.surrogate == name] for name in ("bad", "good"))
    for row in bad:
        assert re.match(told, row.failure), row.failure
        assert math.isnan(row.nrmse) and math.isnan(row.fit_seconds)
    assert [row.failure for row in good] == ["", ""]
    assert compared.failures == tuple(bad)


class Endless:
    def fit(self, key, data):
        while True:
            try:
                while True:
                    pass
            except Exception:
                continue


def test_a_surrogate_without_end_is_interrupted():
    compared = compare({"endless": Endless(), "good": Scripted()}, timeout=0.2)
    failures = [row.failure for row in compared.rows]
    assert failures == ["took longer than 0.2 s", "", "", "took longer than 0.2 s"]


def test_patience_ends():
    compared = compare({"bad": Scripted(leave)}, splits=5, patience=2, sizes=(10, 20))
    told = ["SystemExit: 3"] * 2 + ["not run after 2 failures in a row"] * 3
    assert [row.failure for row in compared.rows] == told + told
    assert len(LOG) == 4


MODULE = """
import os
import numpy as np


class Moody:
    'Takes memory on the second split, crashes on the fourth, never returns on the fifth.'

    def fit(self, key, data):
        import jax
        split = int(jax.random.key_data(key)[-1])
        if split == 1:
            np.ones(30_000_000)
        if split == 3:
            os._exit(7)
        while split == 4:
            pass
        self.values = data.values
        return self, None

    def mean_and_variance(self, rows):
        return np.full(len(rows), self.values.mean()), np.full(len(rows), self.values.var())
"""


def test_a_process_of_its_own_survives_crash_and_hang(tmp_path, monkeypatch):
    (tmp_path / "moody_surrogate.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import moody_surrogate

    compared = compare({"moody": moody_surrogate.Moody()}, splits=5, isolated=True, timeout=3)
    failures = [row.failure for row in compared.rows]
    assert failures == ["", "", "", "crashed with exit status 7", "took longer than 3 s"]
    if not math.isnan(peak_bytes(os.getpid())):
        calm, large, after = (compared.rows[k].peak_bytes for k in (0, 1, 2))
        assert large - calm > 200e6 and large - after > 200e6


ADAPTER = """
import os

def fit_predict(rows, values, test_rows, mode="fine"):
    mean = sum(values) / len(values)
    variance = sum((v - mean) ** 2 for v in values) / len(values)
    if mode == "crash":
        os._exit(9)
    while mode == "hang":
        pass
    if mode == "nan":
        mean = float("nan")
    if mode == "malformed":
        return {"mean": 3}
    rows = test_rows[1:] if mode == "short" else test_rows
    return {"mean": [mean for _ in rows], "variance": [variance for _ in rows],
            "fit_seconds": 0.25, "predict_seconds": 0.5}
"""


def test_a_foreign_surrogate_in_all_its_moods(tmp_path):
    (tmp_path / "moments.py").write_text(ADAPTER)

    def peer(mode, **settings):
        return foreign(tmp_path / "moments.py", python=sys.executable, mode=mode, **settings)

    modes = ("fine", "crash", "nan", "malformed", "short")
    surrogates = {mode: peer(mode) for mode in modes} | {"hang": peer("hang", timeout=0.3)}
    compared = compare({**surrogates, "ours": Scripted()}, splits=1)
    row = {row.surrogate: row for row in compared.rows}
    own = (
        "surrogate", "fit_seconds", "predict_seconds", "compile_seconds", "peak_bytes", "content",
        "versions", "threads", "load", "when",
    )  # fmt: skip
    assert replace(row["ours"], **{name: getattr(row["fine"], name) for name in own}) == row["fine"]
    assert (row["fine"].fit_seconds, row["fine"].predict_seconds) == (0.25, 0.5)
    assert "python" in row["fine"].versions
    assert "crashed with exit status 9" in row["crash"].failure
    assert row["hang"].failure == "fit_predict took longer than 0.3 s"
    assert row["nan"].failure == "mean: nan at test row 0; must be finite"
    assert row["short"].failure == "mean: expected shape (30,), got (29,)"
    assert row["malformed"].failure.startswith("malformed answer")


# -------------------------------------------------------------------------- store, progress


def test_a_finished_run_is_not_made_again(tmp_path):
    store = tmp_path / "rows.csv"
    surrogates = {"a": Scripted(), "b": Scripted(noise=1.0)}
    first = compare(surrogates, store=store)
    LOG.clear()
    assert repr(compare(surrogates, store=store)) == repr(first)  # NaN is no equal of itself
    assert LOG == []
    compare(surrogates, store=store, splits=3)
    assert len(LOG) == 4  # the third split, its shape new to both
    LOG.clear()
    compare({"a": Scripted(noise=2.0), "b": surrogates["b"]}, store=store)
    assert len(LOG) == 3  # another setting: two splits, the first of them twice
    LOG.clear()
    compare(surrogates, [wave(noise=0.6)], store=store)
    assert len(LOG) == 6  # other data of the same name


def test_an_interrupted_comparison_goes_on(tmp_path):
    def stop(row, done, total, left):
        if done == 3:
            raise KeyboardInterrupt

    store, surrogates = tmp_path / "rows.csv", {"a": Scripted(), "b": Scripted()}
    with pytest.raises(KeyboardInterrupt):
        compare(surrogates, splits=3, store=store, on_row=stop)
    text = store.read_text()
    assert text.count("\n") == 4
    store.write_text(text[:-20])  # a kill while the third row was written
    LOG.clear()
    resumed = compare(surrogates, splits=3, store=store)
    assert len(LOG) == 4 + 2  # four runs were left, and the first of each shape is made twice
    assert sorted(map(repr, read_rows(store))) == sorted(map(repr, resumed.rows))
    whole = compare(surrogates, splits=3)
    measured = ("fit_seconds", "predict_seconds", "compile_seconds", "peak_bytes", "load", "when")
    for a, b in zip(resumed.rows, whole.rows, strict=True):
        assert replace(a, **{name: getattr(b, name) for name in measured}) == b


def test_failures_are_tried_again(tmp_path):
    class Once(Scripted):
        def fit(self, key, data):
            if not LOG:
                LOG.append(None)
                raise RuntimeError("out of sorts")
            return super().fit(key, data)

    store = tmp_path / "rows.csv"
    assert [r.failure != "" for r in compare({"a": Once()}, store=store).rows] == [True, False]
    assert compare({"a": Once()}, store=store).failures == ()
    assert len(read_rows(store)) == 3


def test_another_file_is_no_store(tmp_path):
    store = tmp_path / "other.csv"
    store.write_text("a,b\n1,2\n")
    with pytest.raises(bojax.DataError, match=r"other\.csv: holds no rows of surrogates"):
        compare({"a": Scripted()}, store=store)
    assert store.read_text() == "a,b\n1,2\n"


numbers = st.floats(allow_nan=False)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00")), numbers, numbers)
def test_rows_come_back_as_they_were(tmp_path_factory, failure, rmse, seconds):
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    filled = {
        name: seconds
        for name in SurrogateRow.__dataclass_fields__
        if name.startswith("coverage") or name.endswith(("seconds", "bytes", "load"))
    }
    row = rounded(
        SurrogateRow(
            "a", "b", 1, 2, 3, 4, rmse=rmse, nrmse=1.0, log_density=-0.1, crps=1e-300,
            calibration_error=0.0, failure=failure, **filled
        )
    )  # fmt: skip
    write_rows(path, [row])
    write_rows(path, [row])
    assert read_rows(path) == [row, row]


def test_progress_counts_down():
    heard = []
    compare(
        {"a": Scripted(), "b": Scripted()}, sizes=(10, 20), on_row=lambda *told: heard.append(told)
    )
    assert [done for _, done, _, _ in heard] == list(range(1, 9))
    assert {total for _, _, total, _ in heard} == {8}
    assert all(left > 0 for *_, left in heard[:-1])
    assert heard[-1][-1] == 0


# -------------------------------------------------------------------------- what rows say


def rows_of(values):
    """`values[surrogate][data set]` -> rows; None is a failure."""
    return SurrogateComparison(
        tuple(
            SurrogateRow(name, data, 20, 1, 9, k, nrmse=math.nan if v is None else v)
            if v is not None
            else SurrogateRow(name, data, 20, 1, 9, k, failure="died")
            for name, each in values.items()
            for data, column in each.items()
            for k, v in enumerate(column)
        )
    )


def test_pairs_leave_failures_out_and_wins_do_not():
    compared = rows_of(
        {
            "a": {"x": [1.0, 2.0, None], "y": [4.0, 4.0, 4.0]},
            "b": {"x": [3.0, 3.0, 9.0], "y": [4.0, 4.5, 5.0]},
        }
    )
    # x: -2, -1; y: 0, -0.5, -1: each data set counts the same.
    assert compared.gain("a", "b", "nrmse").mean == pytest.approx((-1.5 - 0.5) / 2)
    # x: win, win, loss; y: tie, win, win.
    assert compared.wins("a", "b", "nrmse").mean == pytest.approx((2 / 3 + 2.5 / 3) / 2)
    assert compared.mean("a", "nrmse") == pytest.approx((1.5 + 4) / 2)
    assert compared.gain("b", "a", "nrmse").mean == -compared.gain("a", "b", "nrmse").mean


def test_more_is_better_only_of_the_density():
    rows = [
        SurrogateRow(name, data, 20, 1, 9, k, log_density=v, crps=v)
        for data in "xy"
        for k in range(3)
        for name, v in (("high", 2.0), ("low", 1.0))
    ]
    compared = SurrogateComparison(tuple(rows))
    assert compared.wins("high", "low").mean == 1
    assert compared.wins("high", "low", "crps").mean == 0
    with pytest.raises(bojax.DataError, match="'coverage90' has no better side"):
        compared.wins("high", "low", "coverage90")
    with pytest.raises(bojax.DataError, match="'surrogate' is no numeric column"):
        compared.values("high", "surrogate")
    with pytest.raises(bojax.DataError, match="nobody: no rows of size 7; there are high, low"):
        compared.values("nobody", n=7)


def test_of_one_data_set_the_splits_are_drawn():
    compared = rows_of({"a": {"x": [1.0, 2.0, 3.0]}, "b": {"x": [1.0, 1.0, 1.0]}})
    found = compared.gain("a", "b", "nrmse")
    assert found == bojax.stats.paired_bootstrap([1.0, 2.0, 3.0], [1.0, 1.0, 1.0])


def test_the_table_has_a_line_a_size_and_surrogate():
    compared = compare({"flat": Scripted(), "bad": Scripted(leave)}, sizes=(10, 20))
    lines = compared.table().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert [line[:4] for line in cells[2:]] == [
        ["10", "flat", "2", "0"], ["10", "bad", "2", "2"],
        ["20", "flat", "2", "0"], ["20", "bad", "2", "2"],
    ]  # fmt: skip
    assert float(cells[4][4]) == pytest.approx(compared.mean("flat", "nrmse", n=20), abs=6e-4)
    assert set(cells[3][4:]) == {""}
    assert len({len(line) for line in cells}) == 1


# -------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"surrogates": {}}, "surrogates must be at least 1, got 0"),
        ({"datasets": []}, "datasets must be at least 1, got 0"),
        ({"splits": 0}, "splits must be at least 1, got 0"),
        ({"sizes": (20, 0)}, "the least of sizes must be at least 1, got 0"),
        ({"test": 0}, "test must be at least 1, got 0"),
        ({"datasets": [wave(), wave()]}, "wave: two data sets have this name"),
        ({"surrogates": {"a": 3}}, r"a: expected an object with fit\(key, data\)"),
        ({"surrogates": {"a": Scripted}}, r"a: expected an object with fit\(key, data\)"),
        (
            {"surrogates": {"a": Scripted(lambda m, v: (m, v))}, "isolated": True},
            "a: cannot be sent to a process of its own",
        ),
    ],
)
def test_settings_are_named(change, told):
    settings = {"surrogates": {"a": Scripted()}, "datasets": [wave()], "sizes": (20,), "test": 30}
    with pytest.raises(bojax.BojaxError, match=told):
        compare_surrogates(**{**settings, **change})
    assert LOG == []
