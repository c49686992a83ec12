"""Pictures of a surrogate: the numbers against its predictions, the figures against the numbers."""

import builtins
import functools
import itertools
import struct
import sys

import jax
import numpy as np
import pytest

import bojax
from bojax import stats
from bojax.analysis import _figures as looks
from bojax.analysis import _surrogate_figures as figures
from bojax.analysis import _surrogate_numbers as numbers
from bojax.analysis import coverage_picture, leave_one_out_picture, slices_picture
from bojax.errors import DataError
from bojax.surrogates import Data, gp

SPACE = bojax.Space(
    {
        "lr": bojax.Float(1e-4, 1.0, log=True),
        "optimizer": bojax.Categorical(["sgd", "adam", "lion"]),
        "momentum": bojax.Float(0.0, 0.9, when={"optimizer": "sgd"}),
        "batch": bojax.Ordinal([32, 64]),
        "layers": bojax.Int(1, 4),
        "width": bojax.Int(8, 512, log=True),
    }
)
POINT = {"lr": 0.01, "optimizer": "sgd", "momentum": 0.5, "batch": 64, "layers": 2, "width": 64}
N = 16  # all fits here are of one shape, and share their programs


@functools.cache
def data_of():
    rows = SPACE.encode(SPACE.sample(2 * N, seed=1))
    rng = np.random.default_rng(0)
    return rows, 5.0 + 2.0 * np.sin(5 * rows[:, 0]) + rows[:, 1] + 0.2 * rng.normal(size=2 * N)


@functools.cache
def fitted(used=N):
    rows, values = data_of()
    mask = np.arange(N) < used
    data = Data(rows[:N], values[:N], mask=mask, table=SPACE.table)
    return gp(screened=0, kept=0).fit(jax.random.key(0), data)[0]


@functools.cache
def plain():
    """Numbers that belong to no space."""
    rows = np.random.default_rng(2).uniform(10, 20, (N, SPACE.table.columns))
    return gp(screened=0, kept=0).fit(jax.random.key(0), Data(rows, rows[:, 0]))[0], rows


def drawn(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


# ------------------------------------------------------------------ the numbers


def test_what_was_observed_comes_back_from_the_factors():
    _, values = data_of()
    for used in (N, N - 5):
        of = numbers.left_out(fitted(used))
        np.testing.assert_allclose(of.observed, values[:used], rtol=1e-10)
        residual, variance = fitted(used).leave_one_out()
        np.testing.assert_allclose(of.observed - of.mean, residual[:used], rtol=1e-8)
        np.testing.assert_allclose(of.deviation**2, variance[:used], rtol=1e-12)
        density = fitted(used).leave_one_out_density()[:used]
        ours = -0.5 * (of.standardised**2 + np.log(2 * np.pi * of.deviation**2))
        np.testing.assert_allclose(ours, density, rtol=1e-8)


def test_new_observations_have_the_fitted_noise():
    rows, values = (part[N:] for part in data_of())
    of = numbers.held_out(fitted(), rows, values)
    # Told of one of them, the model is as sure of its value as 1 / (1 / variance + 1 / noise).
    _, before = fitted().mean_and_variance(rows[:1])
    _, after = fitted().condition(rows[:1], values[:1]).mean_and_variance(rows[:1])
    np.testing.assert_allclose(before[0] - after[0], before[0] ** 2 / of.deviation[0] ** 2)


def test_coverage_is_that_of_the_statistics_within_what_chance_does():
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        of = numbers.Predictions(rng.normal(size=50), np.zeros(50), np.ones(50))
        found = numbers.coverage(of)
        inside.append((found.low <= found.found) & (found.found <= found.high))
    assert found.n == 50 and (np.mean(inside, axis=0) > 0.9).all()
    expected = stats.coverage(of.mean, of.deviation**2, of.observed, [0.5, 0.9])
    at = [np.flatnonzero(np.isclose(found.level, p))[0] for p in (0.5, 0.9)]
    assert found.found[at].tolist() == expected.tolist()
    sure = numbers.Predictions(of.observed, of.mean, of.deviation / 3)
    assert (numbers.coverage(sure).found < found.low)[5:].all()


def test_slices_are_predictions_in_natural_units():
    found = {one.name: one for one in numbers.slices(fitted(), POINT, None, SPACE)}
    assert list(found) == list(SPACE.names)
    centre = fitted().mean_and_variance(SPACE.encode(POINT))
    for name, one in found.items():
        own = np.flatnonzero(one.x == one.at)
        assert len(own) == 1, name
        np.testing.assert_allclose(one.mean[own], centre[0], rtol=1e-8)
        np.testing.assert_allclose(one.deviation[own] ** 2, centre[1], rtol=1e-8)
        value = one.at if one.choices is None else one.choices[int(one.at)]
        assert value == pytest.approx(POINT[name]) or value == str(POINT[name])
    assert found["optimizer"].choices == ("sgd", "adam", "lion")
    assert found["batch"].choices == ("32", "64") and found["batch"].at == 1
    assert found["layers"].x.tolist() == [1, 2, 3, 4] and found["layers"].discrete
    assert found["lr"].log and found["width"].log and not found["momentum"].log
    lr = found["lr"]
    assert (lr.x[0], lr.x[-1]) == pytest.approx((1e-4, 1.0)) and (np.diff(lr.x) > 0).all()
    some = SPACE.encode([POINT | {"lr": x} for x in lr.x[::40].tolist()])
    np.testing.assert_allclose(lr.mean[::40], fitted().mean_and_variance(some)[0], rtol=1e-6)
    others = SPACE.encode([{**POINT, "optimizer": c} for c in ("sgd", "adam", "lion")])
    expected = fitted().mean_and_variance(others)[0]
    np.testing.assert_allclose(found["optimizer"].mean, expected, rtol=1e-8)


def test_a_column_that_the_point_lacks_is_left_out_or_refused():
    without = {"lr": 0.01, "optimizer": "adam", "batch": 32, "layers": 2, "width": 64}
    names = [one.name for one in numbers.slices(fitted(), without, None, SPACE)]
    assert names == ["lr", "optimizer", "batch", "layers", "width"]
    with pytest.raises(DataError, match="momentum does not exist at this point"):
        slices_picture(fitted(), without, ["momentum"], space=SPACE)


def test_slices_of_plain_numbers_go_as_far_as_the_observations():
    posterior, rows = plain()
    first, second = numbers.slices(posterior, rows[3], [0, "column 2"], None)
    assert (first.name, second.name) == ("column 0", "column 2")
    for one, c in ((first, 0), (second, 2)):
        assert (one.x[0], one.x[-1]) == (rows[:, c].min(), rows[:, c].max())
        assert one.at == rows[3, c] and one.at in one.x and one.choices is None


def test_a_row_will_do_and_columns_are_heard():
    by_row = numbers.slices(fitted(), SPACE.encode(POINT), [0, "layers"], SPACE)
    by_name = numbers.slices(fitted(), POINT, ["lr", 4], SPACE)
    for one, other in zip(by_row, by_name, strict=True):
        assert one.name == other.name and one.mean.tolist() == other.mean.tolist()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: coverage_picture(fitted(1)), "needs two observations, has 1"),
        (lambda: coverage_picture(fitted(), data_of()[0]), "give both, or neither"),
        (lambda: coverage_picture(fitted(), data_of()[0], np.zeros(3)), r"shapes .* \(3,\)"),
        (lambda: coverage_picture(fitted(), data_of()[0], np.full(2 * N, np.nan)), "be finite"),
        (lambda: slices_picture(fitted(), POINT), "a configuration needs its space"),
        (lambda: slices_picture(fitted(), POINT, ["rate"], space=SPACE), "lr, .*got 'rate'"),
        (lambda: slices_picture(fitted(), POINT, [6], space=SPACE), "got 6"),
        (lambda: slices_picture(fitted(), POINT, [], space=SPACE), "at least one"),
        (lambda: slices_picture(fitted(), np.zeros(2), space=SPACE), "one row of 6"),
        (lambda: slices_picture(fitted(), np.full(6, np.nan), space=SPACE), "one row of 6"),
    ],
)
def test_what_makes_no_picture(call, says):
    with pytest.raises(DataError, match=says):
        call()


# ------------------------------------------------------------------ the figures


def test_the_curve_of_coverage_lies_in_its_band():
    rows, values = data_of()
    for given, how in (((), "16 observations, each left out"),
                       ((rows, values), "32 observations, held out")):  # fmt: skip
        (axes,) = coverage_picture(fitted(), *given).axes
        found = numbers.coverage(numbers.predictions(fitted(), *(given or (None, None))))
        assert drawn(axes)["found"].get_ydata().tolist() == (100 * found.found).tolist()
        assert drawn(axes)["promised"].get_xydata().tolist() == [[0, 0], [100, 100]]
        assert how in axes.get_title(loc="left")
        band = axes.collections[0].get_paths()[0].vertices
        assert {0.0, 100.0} <= set(band[:, 0]) and 100 * found.low[9] in band[:, 1]


def test_far_observations_are_set_off():
    of = numbers.Predictions(np.array([1.0, 2.0, 9.0]), np.array([1.5, 2.0, 3.0]), np.ones(3))
    left, right = figures.left_out_figure(of).axes
    near, far = left.containers
    assert near.lines[0].get_xydata().tolist() == [[1.5, 1.0], [2.0, 2.0]]
    assert far.lines[0].get_xydata().tolist() == [[3.0, 9.0]]
    assert far.lines[2][0].get_segments()[0][:, 0].tolist() == [1.0, 5.0]  # two deviations
    assert drawn(right)["far"].get_ydata().tolist() == [6.0]
    assert drawn(right)["far"].get_color() == looks.COLOURS[1]
    assert right.get_title(loc="left").startswith("1 of 3 beyond")
    assert left.get_xlim() == left.get_ylim() == right.get_xlim()
    assert max(right.get_ylim()) > 6.0


def test_a_panel_a_column_on_one_axis_of_values():
    figure = slices_picture(fitted(), POINT, space=SPACE)
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(SPACE.names)
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    lr, optimizer, _, batch, layers, width = figure.axes
    assert lr.get_xscale() == width.get_xscale() == "log"
    assert layers.get_xscale() == "linear"
    assert [t.get_text() for t in optimizer.get_xticklabels()] == ["sgd", "adam", "lion"]
    assert [t.get_text() for t in batch.get_xticklabels()] == ["32", "64"]
    assert layers.get_xticks().tolist() == [1, 2, 3, 4]
    found = numbers.slices(fitted(), POINT, None, SPACE)
    for axes, one in zip(figure.axes, found, strict=True):
        assert drawn(axes)["mean"].get_xydata().tolist() == np.stack([one.x, one.mean], 1).tolist()
        assert drawn(axes)["at"].get_xdata()[0] == one.at
        low, high = axes.get_ylim()
        assert low < (one.mean - 2 * one.deviation).min()
        assert high > (one.mean + 2 * one.deviation).max()


def test_tick_labels_do_not_overlap():
    figure = slices_picture(fitted(), POINT, space=SPACE)
    figure.draw_without_rendering()
    for axes in figure.axes:
        low, high = axes.get_xlim()
        ticks = zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
        shown = [label for at, label in ticks if low <= at <= high and label.get_text()]
        boxes = [label.get_window_extent() for label in shown]
        assert len(boxes) >= 2, axes.get_title(loc="left")
        assert not any(a.overlaps(b) for a, b in itertools.pairwise(boxes))


@pytest.mark.parametrize(("n", "grid"), [(1, (1, 1)), (4, (1, 4)), (5, (2, 3)), (9, (3, 3))])
def test_panels_are_spread_over_rows(n, grid):
    one = numbers.Slice("x", np.arange(3.0), np.zeros(3), np.ones(3), 1.0)
    figure = figures.slices_figure([one] * n)
    spec = figure.axes[0].get_subplotspec().get_gridspec()
    assert len(figure.axes) == n and (spec.nrows, spec.ncols) == grid


def test_long_names_of_choices_are_slanted_and_many_values_are_a_line():
    names = tuple(f"a long choice {i}" for i in range(3))
    one = numbers.Slice("x", np.arange(3.0), np.zeros(3), np.ones(3), 1.0, names, discrete=True)
    many = numbers.Slice("n", np.arange(30.0), np.zeros(30), np.ones(30), 1.0, discrete=True)
    slanted, line = figures.slices_figure([one, many]).axes
    assert {label.get_rotation() for label in slanted.get_xticklabels()} == {30.0}
    assert drawn(line)["mean"].get_linestyle() == "-" and drawn(slanted)["mean"].get_marker() == "o"


# ------------------------------------------------------------------ the files


@pytest.mark.parametrize("picture", [coverage_picture, leave_one_out_picture])
def test_a_saved_picture_is_whole(picture, tmp_path):
    figure = picture(fitted(), save=tmp_path / "new" / "a.png")
    data = (tmp_path / "new" / "a.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    inches = figure.get_size_inches() * figure.dpi
    assert struct.unpack(">II", data[16:24]) == tuple(round(float(i)) for i in inches)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.png"]


def test_slices_are_saved_too(tmp_path):
    slices_picture(fitted(), POINT, ["lr"], space=SPACE, save=tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "matplotlib":
            raise ImportError("No module named 'matplotlib'")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "bojax.analysis._surrogate_figures")
    monkeypatch.delattr("bojax.analysis._surrogate_figures")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'bojax\[plots\]'"):
        leave_one_out_picture(fitted())
