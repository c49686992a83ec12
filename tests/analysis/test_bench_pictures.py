"""Pictures of the bench: the numbers against arithmetic, the figures against the numbers."""

import builtins
import itertools
import struct
import sys

import numpy as np
import pytest

from bojax import stats
from bojax.analysis import (
    _bench_figures,
    calibration_picture,
    cost_picture,
    growth_picture,
    interval_picture,
    rank_picture,
    regret_picture,
)
from bojax.analysis import _bench_numbers as numbers
from bojax.benchmark import Trace
from bojax.benchmark._surrogate_rows import SurrogateRow
from bojax.errors import DataError

NAN = float("nan")


def run(method, values, *, instance=0, seed=0, problem="p", evaluations=None, **more):
    """A run on a problem whose regret is its value."""
    n = len(values) if evaluations is None else evaluations
    options = {"seconds": tuple(0.5 * (i + 1) for i in range(len(values))), "optimum": 0.0}
    return Trace(method, problem, instance, seed, 1, n, tuple(values), reference=1.0,
                 **(options | more))  # fmt: skip


def random_runs(methods=("gp", "random"), instances=4, seeds=3, n=6, family=lambda i: "", drop=()):
    draw = np.random.default_rng(0)
    return [
        run(m, 10 ** draw.uniform(-3, 0, n), instance=i, seed=s, family=family(i))
        for m in methods for i in range(instances) for s in range(seeds)
        if (m, s) not in drop
    ]  # fmt: skip


RUNS = random_runs()


def lines(axes):
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def colours(axes):
    return {name: line.get_color() for name, line in lines(axes).items()}


# ------------------------------------------------------------------ the numbers


def test_the_curve_is_the_geometric_mean_over_instances_of_that_over_seeds():
    runs = [
        run("a", (0.1, 0.01), instance=1, seed=0),
        run("a", (1.0, 0.0001), instance=1, seed=1),
        run("a", (0.01,), instance=2, evaluations=2),  # ended early: keeps what it had
    ]
    band = numbers.regret_bands(numbers.cells(runs))["a"]
    # log10: instance 1 has means -1/2 and -3, instance 2 has -2 twice
    assert np.log10(band.middle) == pytest.approx([-1.25, -2.5])


def test_floor_and_ceiling_are_those_of_the_statistics():
    curve = numbers.log_curve(run("a", (NAN, 7.0, 1e-9)))
    assert curve.tolist() == [0.0, 0.0, -4.0]


def test_bands_are_the_bootstrap_of_the_statistics():
    runs = [r for r in random_runs(seeds=4) if r.method == "gp" and (r.instance, r.seed) != (1, 2)]
    band = numbers.regret_bands(numbers.cells(runs))["gp"]
    final = {}
    for r in runs:
        final.setdefault(r.instance, []).append(float(numbers.log_curve(r)[-1]))
    zeros = {i: [0.0] * len(v) for i, v in final.items()}
    interval = stats.bootstrap_over_problems(final, zeros, resamples=50_000, seed=7)
    ours = [np.log10(line[-1]) for line in (band.middle, band.low, band.high)]
    assert ours[0] == pytest.approx(interval.mean)
    width = interval.high - interval.low
    assert ours[1:] == pytest.approx([interval.low, interval.high], abs=0.04 * width)


def test_ranks_add_up_and_ties_share():
    methods = numbers.cells(random_runs(("a", "b", "c")))
    bands, runs = numbers.rank_bands(methods)
    assert runs == 12
    assert sum(band.middle for band in bands.values()) == pytest.approx([6.0] * 6)
    tied = numbers.cells([run("a", (0.5, 0.2)), run("b", (0.5, 0.3))])
    bands, _ = numbers.rank_bands(tied)
    assert (bands["a"].middle.tolist(), bands["b"].middle.tolist()) == ([1.5, 1.0], [1.5, 2.0])


def test_a_method_with_few_runs_does_not_cost_the_others_theirs():
    runs = random_runs(("a", "slow", "half"), drop={("half", 0), ("half", 1)})
    runs = [r for r in runs if r.method != "slow" or r.instance == 0]
    bands, count = numbers.rank_bands(numbers.cells(runs))
    assert (set(bands), count) == ({"a", "half"}, 4), "one seed on every instance is enough"


def test_what_a_run_took():
    runs = [run("a", (0.1,), instance=i, seconds=(s,), compile_seconds=c)
            for i, (s, c) in enumerate([(1.0, 5.0), (2.0, 7.0), (3.0, 6.0)])]  # fmt: skip
    cost = numbers.costs(numbers.cells(runs))["a"]
    assert cost.seconds == (1.5, 2.0, 2.5)
    assert cost.compile_seconds == 6.0
    assert cost.regret.middle.tolist() == pytest.approx([0.1])


def rows_of(**surrogates):
    """Coverage of 90 % intervals of each data set."""
    return [
        SurrogateRow(name, data, n=20, d=2, tests=9, split=k, coverage50=0.5, coverage90=share,
                     coverage95=0.95)
        for name, found in surrogates.items()
        for data, shares in zip("abcd", found, strict=False)
        for k, share in enumerate(shares)
    ]  # fmt: skip


def test_every_data_set_covers_alike():
    found = numbers.coverages(rows_of(gp=[(0.8, 1.0, 0.9), (0.6,)]))
    assert list(found) == [0.5, 0.9, 0.95]
    assert found[0.9]["gp"].middle.tolist() == pytest.approx([0.75])
    assert found[0.5]["gp"].low.tolist() == pytest.approx([0.5])


@pytest.mark.parametrize(
    ("traces", "says"),
    [
        ([], "none to draw"),
        ([run("a", (NAN,), failure="died")], "no run has a value"),
        ([run("a", (1.0,)), run("a", (1.0,))], "two runs of"),
        ([run("a", (1.0,)), run("b", (1.0, 1.0))], "evaluations differs"),
    ],
)
def test_traces_that_make_no_picture(traces, says):
    with pytest.raises(DataError, match=says):
        regret_picture(traces)


def test_methods_that_share_no_run_are_not_ranked():
    with pytest.raises(DataError, match="no run that all methods have"):
        rank_picture([run("a", (1.0,), seed=0), run("b", (1.0,), seed=1)])


def test_failed_rows_and_only_failed_rows():
    failed = SurrogateRow("gp", "a", n=20, d=2, tests=9, split=9, failure="died")
    assert numbers.coverages([*rows_of(gp=[(0.8,)]), failed])[0.9]["gp"].middle[0] == 0.8
    with pytest.raises(DataError, match="no surrogate predicted"):
        calibration_picture([failed])


# ------------------------------------------------------------------ the figures


def test_regret_panels_hold_the_numbers_in_one_set_of_colours():
    runs = random_runs(("gp", "tpe", "random"), family=lambda i: "noisy" if i % 2 else "mixed")
    large, mixed, noisy = regret_picture(runs, ours="gp").axes
    bands = numbers.regret_bands(numbers.cells(runs))
    for name, line in lines(large).items():
        assert line.get_ydata().tolist() == bands[name].middle.tolist()
    assert large.get_title(loc="left") == "All 4 instances"
    assert [a.get_title(loc="left") for a in (mixed, noisy)] == ["mixed (2)", "noisy (2)"]
    part = numbers.regret_bands(numbers.cells([r for r in runs if r.family == "noisy"]))
    assert lines(noisy)["tpe"].get_ydata().tolist() == part["tpe"].middle.tolist()
    assert colours(large) == colours(mixed) == colours(noisy)
    assert {t.get_text() for t in large.texts} == {"gp", "tpe", "random"}
    assert all(axes.get_yscale() == "log" for axes in (large, mixed, noisy))
    assert (len(large.collections), len(mixed.collections)) == (3, 1)  # bands


def test_a_method_is_drawn_where_it_was_run_on_every_instance():
    runs = random_runs(("gp", "few", "tpe"), family=lambda i: "noisy" if i % 2 else "mixed")
    runs = [r for r in runs if r.method != "few" or (r.instance % 2 and r.seed == 0)]
    large, mixed, noisy = regret_picture(runs, ours="gp").axes
    assert [("few" in lines(axes)) for axes in (large, mixed, noisy)] == [False, False, True]
    assert large.get_xlabel() == "evaluations\n(not run on all instances: few)"
    cost = cost_picture(runs, ours="gp").axes[0]
    assert {t.get_text() for t in cost.texts} == {"gp", "tpe"} and "few" in cost.get_xlabel()
    assert colours(large)["tpe"] == colours(noisy)["tpe"]
    assert "not run" not in regret_picture(RUNS).axes[0].get_xlabel()


def test_one_family_has_one_panel():
    (axes,) = regret_picture(random_runs(family=lambda i: "noisy")).axes
    assert axes.get_title(loc="left") == "4 instances"


def test_ours_stands_out_and_no_two_methods_look_alike():
    names = ["gp", *(f"peer{i}" for i in range(12)), "random", "random-x2", "sobol"]
    looks = _bench_figures.style(names, "gp")
    seen = [(look["color"], str(look["linestyle"])) for look in looks.values()]
    assert len(set(seen)) == len(names)
    assert looks["gp"]["linewidth"] == max(look["linewidth"] for look in looks.values())
    assert sum(look["color"] == looks["gp"]["color"] for look in looks.values()) == 1


def test_the_best_rank_is_on_top_and_colours_do_not_move():
    runs = [r for r in random_runs(("gp", "few", "tpe")) if r.method != "few" or not r.instance]
    axes = rank_picture(runs, ours="gp").axes[0]
    bottom, top = axes.get_ylim()
    assert bottom > top
    assert "few" in axes.get_xlabel() and "few" not in lines(axes)
    assert colours(axes)["tpe"] == colours(regret_picture(runs, ours="gp").axes[0])["tpe"]


def test_points_of_cost_and_what_compiling_adds():
    runs = [run(m, (0.5, 0.1), instance=i, compile_seconds=9.0 * (m == "gp"))
            for m in ("gp", "tpe") for i in range(3)]  # fmt: skip
    axes = cost_picture(runs, ours="gp").axes[0]
    for container in axes.containers:
        assert container.lines[0].get_xydata().tolist() == [[1.0, pytest.approx(0.1)]]
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert [line.get_xydata().tolist() for line in hollow] == [[[10.0, pytest.approx(0.1)]]]
    assert "hollow" in axes.get_title(loc="left")
    plain = cost_picture([r for r in runs if r.method == "tpe"]).axes[0]
    assert "hollow" not in plain.get_title(loc="left")


def test_names_of_points_do_not_overlap():
    runs = [run(f"method{k}", (0.1 + 1e-3 * k,), instance=i) for k in range(4) for i in range(2)]
    figure = cost_picture(runs)
    renderer = figure.canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.axes[0].texts]
    assert len(boxes) == 4
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_calibration_has_a_panel_a_level_with_its_promise():
    figure = calibration_picture(rows_of(gp=[(0.8,), (0.9,)], mean=[(1.0,), (0.9,)]), ours="gp")
    assert [a.get_title(loc="left") for a in figure.axes] == [
        "50 % intervals", "90 % intervals", "95 % intervals",
    ]  # fmt: skip
    axes = figure.axes[1]
    assert axes.lines[0].get_xdata()[0] == 90.0
    found = [c.lines[0].get_xydata()[0].tolist() for c in axes.containers]
    assert found == [[pytest.approx(85.0), 0.0], [pytest.approx(95.0), 1.0]]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["gp", "mean"]


@pytest.mark.parametrize("picture", [regret_picture, rank_picture, cost_picture])
def test_a_saved_picture_is_whole_and_small(picture, tmp_path):
    names = ["gp", *(f"peer{i}" for i in range(8)), "random"]
    runs = random_runs(names, n=40, family=lambda i: f"f{i}")
    figure = picture(runs, ours="gp", save=tmp_path / "new" / "a.png")
    data = (tmp_path / "new" / "a.png").read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) < 150_000
    inches = figure.get_size_inches() * figure.dpi
    assert struct.unpack(">II", data[16:24]) == tuple(round(float(i)) for i in inches)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a.png"]


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "matplotlib":
            raise ImportError("No module named 'matplotlib'")
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "bojax.analysis._bench_figures")
    monkeypatch.delattr("bojax.analysis._bench_figures")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"pip install 'bojax\[plots\]'"):
        regret_picture(RUNS)


# ------------------------------------------------------------------ growth


def test_growth_is_drawn_on_log_axes_with_its_exponents():
    line = {float(n): 1e-6 * n**3 for n in (64, 512, 128)}
    axes = growth_picture({"refit": line, "flat": {1.0: 2.0, 8.0: 2.0}}, below="n").axes[0]
    assert (axes.get_xscale(), axes.get_yscale(), axes.get_xlabel()) == ("log", "log", "n")
    assert sorted(t.get_text() for t in axes.get_legend().texts) == [
        "flat ~ size^0.0",
        "refit ~ size^3.0",
    ]
    drawn, fitted = axes.lines[:2]
    assert list(drawn.get_xdata()) == [64, 128, 512]
    np.testing.assert_allclose(fitted.get_ydata(), drawn.get_ydata())  # an exact power


@pytest.mark.parametrize("growth", [{}, {"a": {1.0: 1.0}}, {"a": {1.0: 1.0, 2.0: 0.0}}])
def test_growth_needs_two_sizes_above_nothing(growth):
    with pytest.raises(DataError, match="growth"):
        growth_picture(growth)


# ------------------------------------------------------------------ intervals


def test_intervals_have_the_colour_of_what_they_say():
    told = {"left": (-2.0, -3.0, -1.0), "neither": (0.1, -1.0, 1.0), "right": (2.0, 1.0, 3.0)}
    axes = interval_picture(
        {name: stats.Interval(*one) for name, one in told.items()}, below="b", title="t"
    ).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(told)
    bars = [bar.lines[2][0] for bar in axes.containers]
    ends = [bar.get_segments()[0][:, 0].tolist() for bar in bars]
    np.testing.assert_allclose(ends, [[low, high] for _, low, high in told.values()])
    colours = [bar.get_color()[0].tolist() for bar in bars]
    assert len({tuple(colour) for colour in colours}) == 3
    assert axes.get_ylim() == (2.5, -0.5)  # the first on top
    moved = interval_picture({"left": stats.Interval(*told["left"])}, line=-5.0).axes[0]
    assert moved.containers[0].lines[2][0].get_color()[0].tolist() == colours[2]


@pytest.mark.parametrize("intervals", [{}, {"a": stats.Interval(0.0, NAN, 1.0)}])
def test_intervals_must_be_there_and_finite(intervals):
    with pytest.raises(DataError, match="intervals"):
        interval_picture(intervals)
