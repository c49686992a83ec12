"""What is drawn is what the trials say."""

import builtins
import itertools
import math
import struct
import subprocess
import sys
from types import SimpleNamespace

import pytest

from bojax.analysis import _figures, comparison_picture, sweep_picture
from bojax.analysis._progress import best_so_far, curve_of, full_budget, rungs
from bojax.errors import DataError
from bojax.history import Report, Trial
from bojax.stats import mean_interval

NAN = math.nan


def result_of(*curves, metric="loss", direction="minimize", **more):
    """A sweep's result, from `[(budget, value), ...]` of each trial."""
    trials = [
        Trial(i, {}, values=(c[-1][1],), fidelity=c[-1][0],
              curve=tuple((b, {metric: v, "other": 0.0}) for b, v in c))
        for i, c in enumerate(curves)
    ]  # fmt: skip
    sign = 1 if direction == "minimize" else -1
    full = max(t.fidelity for t in trials)
    best = min((t for t in trials if t.fidelity == full), key=lambda t: sign * t.value)
    return SimpleNamespace(trials=trials, best=best, metric=metric, direction=direction, **more)


HALVING = result_of(
    [(3, 0.9)],
    [(3, 0.5), (9, 0.4), (27, 0.3)],
    [(3, 0.6), (9, 0.5)],
    [(3, 0.7), (9, 0.35), (27, 0.2)],
)


def png_size(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])


# ------------------------------------------------------------------ the numbers


def test_each_rung_costs_what_it_adds():
    assert [(a, b) for a, b, _ in rungs(HALVING)] == [
        (0, 3), (0, 3), (3, 9), (9, 27), (0, 3), (3, 9), (0, 3), (3, 9), (9, 27),
    ]  # fmt: skip
    spent, best = best_so_far(HALVING, 27)
    assert spent == [30, 66, 66]  # 3, then 27; 9, then 27
    assert best == [0.3, 0.2, 0.2]


def test_reports_give_the_order_when_there_are_some():
    order = [(0, 3), (1, 3), (2, 3), (3, 3), (3, 9), (2, 9), (1, 9), (3, 27), (1, 27)]
    value = {(t.id, b): m for t in HALVING.trials for b, m in t.curve}
    reports = [Report(t, b, value[t, b]) for t, b in order]
    ordered = SimpleNamespace(**vars(HALVING), reports=reports)
    assert best_so_far(ordered, 27) == ([48, 66], [0.2, 0.2])  # trial 1, later, is worse
    assert sum(b - a for a, b, _ in rungs(ordered)) == sum(b - a for a, b, _ in rungs(HALVING))


def test_direction_turns_what_is_better():
    result = result_of([(1, 0.1)], [(1, 0.3)], [(1, 0.2)], direction="maximize")
    assert best_so_far(result, 1) == ([1, 2, 3], [0.1, 0.3, 0.3])


def test_failures_cost_and_score_nothing():
    result = result_of([(1, NAN)], [(1, 0.3)])
    assert best_so_far(result, 1) == ([2, 2], [0.3, 0.3])
    assert curve_of(result.trials[0], "loss") == ([], [])


def test_the_full_budget_is_that_of_all_results():
    short = result_of([(3, 0.1)])
    assert full_budget([short, HALVING]) == 27
    assert best_so_far(short, 27) == ([], [])


# ------------------------------------------------------------------ the figures


def drawn(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def test_the_panels_hold_the_trials_numbers():
    random = result_of([(27, 0.8)], [(27, 0.6)])
    left, right = _figures.sweep_figure({"gp": HALVING, "random": random}).axes
    for name, result in {"gp": HALVING, "random": random}.items():
        line = drawn(left)[name]
        assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == best_so_far(result, 27)
        assert line.get_drawstyle() == "steps-post"
    curves = drawn(right)
    assert len(curves) == len(HALVING.trials)
    for trial in HALVING.trials:
        line = curves[f"trial {trial.id}"]
        points = list(zip(line.get_xdata(), line.get_ydata(), strict=True))
        assert points == [(b, m["loss"]) for b, m in trial.curve]
        survived = trial.curve[-1][0] == 27
        assert (line.get_color() == _figures.GREY) == (not survived)
    assert any("trial 3" in text.get_text() for text in right.texts)
    assert "4 trials, 2 to the end" in right.get_title(loc="left")
    assert right.get_xticks().tolist() == [3, 9, 27]


@pytest.mark.parametrize(("values", "scale"), [((0.1, 0.9), "log"), ((0.5, 0.6), "linear"),
                                               ((-1.0, 9.0), "linear")])  # fmt: skip
def test_a_log_axis_where_it_shows_more(values, scale):
    left, _ = _figures.sweep_figure({"a": result_of(*[[(1, v)] for v in values[::-1]])}).axes
    assert left.get_yscale() == scale


def test_labels_keep_apart_and_in_order():
    assert _figures._apart([0.1, 0.11, 0.5], 0.2) == pytest.approx([0.005, 0.205, 0.5])
    heights = _figures._apart([0.1, 0.3, 0.31, 0.32], 0.2)
    assert all(b - a >= 0.2 - 1e-12 for a, b in itertools.pairwise(heights))


def test_all_failed_is_drawn_too(tmp_path):
    failed = result_of([(1, NAN)], [(1, NAN)])
    failed.best = None
    left, right = _figures.sweep_figure({"a": failed}).axes
    assert left.texts[0].get_text() == "no trial reached the full budget"
    assert right.texts[0].get_text() == "nothing was measured"
    sweep_picture({"a": failed}, tmp_path / "failed.png")


ROWS = [{"random": 0.3, "gp": 0.2}, {"random": 0.5, "gp": 0.1}, {"random": 0.4, "gp": 0.35}]


def test_pairs_are_joined_and_intervals_are_students():
    columns = {name: [row[name] for row in ROWS] for name in ("random", "gp")}
    intervals = {name: mean_interval(values) for name, values in columns.items()}
    (axes,) = _figures.comparison_figure(columns, intervals, "loss", "minimize", 0.95).axes
    joined = [line.get_ydata() for line in axes.lines if line.get_color() == _figures.GREY]
    assert [tuple(pair) for pair in joined] == [(0.3, 0.2), (0.5, 0.1), (0.4, 0.35)]
    for container, name in zip(axes.containers, columns, strict=True):
        (mean,) = container.lines[0].get_ydata()
        (low, high) = container.lines[2][0].get_segments()[0][:, 1]
        interval = intervals[name]
        assert (mean, low, high) == pytest.approx((interval.mean, interval.low, interval.high))
    assert [label.get_text() for label in axes.get_xticklabels()] == ["random", "gp"]
    assert "lower is better" in axes.get_ylabel()


# ------------------------------------------------------------------ the files


def test_a_whole_png_of_its_size(tmp_path):
    path = sweep_picture({"gp": HALVING}, tmp_path / "new" / "sweep.png")
    assert png_size(path) == tuple(round(s * _figures.DPI) for s in _figures.SWEEP_INCHES)
    path = comparison_picture(ROWS, str(tmp_path / "comparison.png"))
    width, height = _figures.COMPARISON_INCHES
    assert png_size(path) == (round(3 * width * _figures.DPI), round(height * _figures.DPI))
    assert {p.name for p in tmp_path.iterdir()} == {"new", "comparison.png"}


def test_direction_and_level_are_seen(tmp_path):
    one = comparison_picture(ROWS, tmp_path / "a.png").read_bytes()
    for setting in ({"direction": "maximize"}, {"level": 0.5}, {"metric": "error"}):
        assert comparison_picture(ROWS, tmp_path / "b.png", **setting).read_bytes() != one


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (ROWS[:1], "at least two splits, got 1"),
        ([{"gp": 1.0}, {"gp": 2.0}], "at least two methods"),
        ([ROWS[0], {"gp": 1.0}], "split 1 and split 0 differ in random"),
        ([ROWS[0], {"gp": NAN, "random": 1.0}], "gp is nan on split 1"),
    ],
)
def test_rows_that_make_no_comparison(rows, says, tmp_path):
    with pytest.raises(DataError, match=says):
        comparison_picture(rows, tmp_path / "a.png")


def test_results_that_share_no_axis(tmp_path):
    other = result_of([(1, 0.5)], metric="accuracy", direction="maximize")
    with pytest.raises(DataError, match="b: accuracy, maximize"):
        sweep_picture({"a": HALVING, "b": other}, tmp_path / "a.png")
    with pytest.raises(DataError, match="no result"):
        sweep_picture({}, tmp_path / "a.png")
    with pytest.raises(DataError, match="direction"):
        comparison_picture(ROWS, tmp_path / "a.png", direction="up")


def test_without_matplotlib_the_error_names_the_extra(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "matplotlib":
            raise ImportError("No module named 'matplotlib'")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "bojax.analysis._figures")
    monkeypatch.delattr("bojax.analysis._figures")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'bojax\[plots\]'"):
        sweep_picture({"gp": HALVING}, tmp_path / "a.png")


def test_the_door_is_light_and_pyplot_stays_shut():
    code = (
        "import sys, bojax.analysis; assert 'matplotlib' not in sys.modules;"
        "import bojax.analysis._figures; assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
