"""Tables of regret: worked by hand, against the statistics, and what they say of gaps."""

import math
from dataclasses import replace

import numpy as np
import pytest

from bojax import stats
from bojax.benchmark import (
    SurrogateRow,
    Trace,
    regret_gaps,
    regret_lines,
    regret_losses,
    regret_table,
    surrogate_gaps,
    surrogate_losses,
)
from bojax.errors import DataError

NAN = float("nan")


def run(method, values, *, instance=0, seed=0, problem="p", **more):
    """A run on a problem whose regret is its value."""
    seconds = tuple(0.5 * (i + 1) for i in range(len(values)))
    options = {"evaluations": len(values), "seconds": seconds, "optimum": 0.0, "reference": 1.0,
               "batch": 1}  # fmt: skip
    return Trace(method=method, problem=problem, instance=instance, seed=seed, values=tuple(values),
                 **(options | more))  # fmt: skip


def random_runs(methods=("gp", "other"), instances=5, seeds=3, n=4, **more):
    draw = np.random.default_rng(1)
    return [run(m, 10 ** draw.uniform(-3, 0, n), instance=i, seed=s, **more)
            for m in methods for i in range(instances) for s in range(seeds)]  # fmt: skip


def of(rows, method, family="all"):
    (row,) = [row for row in rows if (row.method, row.family) == (method, family)]
    return row


def final(traces, method):
    found = {}
    for t in traces:
        if t.method == method:
            found.setdefault(t.instance, []).append(math.log10(max(min(t.values), 1e-4)))
    return found


# ------------------------------------------------------------------ the numbers


def test_a_table_worked_by_hand():
    traces = [
        run("gp", (0.5, 0.1, 0.1, 0.01), instance=1),
        run("gp", (0.9, 0.9, 0.9, 0.9), instance=2),
        run("other", (0.6, 0.6, 0.1, 0.1), instance=1, seconds=(1.0, 2.0, 3.0, 8.0)),
        run("other", (0.9, 0.5, 0.1, 0.001), instance=2, seconds=(1.0, 2.0, 3.0, 4.0)),
    ]
    rows = regret_table(traces, at=(0.25, 1.0))
    ours, its = of(rows, "gp"), of(rows, "other")
    assert [row.method for row in rows] == ["gp", "other"]
    assert ours.ranks == (1.25, 1.5) and its.ranks == (1.75, 1.5)  # a tie at first, on 2
    assert ours.regret.mean == pytest.approx(math.sqrt(0.01 * 0.9))
    assert its.wins.mean == 0.5 and its.pairs == 2
    assert its.ratio.mean == pytest.approx(math.sqrt(0.1 * 900))
    assert its.to_match == math.inf  # after a half on 1, never on 2
    assert its.seconds == 1.5  # of 8 / 4 and 4 / 4
    area = [np.mean(np.log10(t.values)) for t in traces[:2]]
    assert ours.area == pytest.approx(np.mean(area))
    # 40 targets from 1 down to 1e-4, 10 a decade, and the one at 1e-4: 21 of 41 at 0.01, 1 at 0.9
    assert ours.hits == pytest.approx((21 + 1) / 2 / 41)
    assert math.isnan(ours.wins.mean) and ours.pairs == 0


def test_share_of_the_budget_to_match_is_a_median_of_medians():
    own = [(0.01, 0.01, 0.01, 0.01)] * 3 + [(0.9, 0.9, 0.9, 0.05)]  # there after 1, 1, 1, 4
    traces = [run("gp", values, instance=1, seed=s) for s, values in enumerate(own)]
    traces += [run("gp", (0.9, 0.9, 0.9, 0.1), instance=2)]  # after 4
    its = [replace(t, method="other", values=(0.9, 0.5, 0.5, 0.1)) for t in traces]
    assert of(regret_table([*traces, *its]), "other").to_match == (0.25 + 1.0) / 2
    late = run("gp", (0.5, 0.1, 0.05, 0.01))
    level = replace(late, method="other", values=(0.9, 0.9, 0.9, 0.01))  # reached: equal is there
    assert of(regret_table([late, level]), "other").to_match == 1.0


def test_intervals_are_those_of_the_statistics():
    traces = random_runs()
    row = of(regret_table(traces), "other")
    a, b = final(traces, "gp"), final(traces, "other")
    assert row.wins == stats.win_rate(a, b)
    raw = {m: {i: [10**v for v in each] for i, each in f.items()} for m, f in (("a", a), ("b", b))}
    ratio = stats.bootstrap_over_problems(raw["a"], raw["b"], statistic="ratio")
    assert (row.ratio.mean, row.ratio.low, row.ratio.high) == pytest.approx(
        (ratio.mean, ratio.low, ratio.high)
    )


def test_beyond_floor_and_ceiling_all_are_equal():
    traces = [run(m, values, instance=i) for i in range(2)
              for m, values in (("gp", (9.0, 1e-6)), ("other", (2.0, 1e-9)))]  # fmt: skip
    row = of(regret_table(traces, at=(0.5, 1.0)), "other")
    assert (row.wins.mean, row.ratio.mean, row.ranks) == (0.5, 1.0, (1.5, 1.5))


def test_pairs_are_what_both_have_and_ranks_what_all_have():
    few = [t for t in random_runs(("few",)) if t.instance < 2]
    half = [t for t in random_runs(("half",)) if t.seed < 2]
    rows = regret_table([*random_runs(), *few, *half])
    assert {row.method: row.pairs for row in rows} == {"gp": 0, "other": 15, "few": 6, "half": 10}
    assert [math.isnan(of(rows, m).ranks[-1]) for m in ("gp", "few", "half")] == [0, 1, 0]
    assert of(rows, "gp").ranked == 10
    assert sum(row.ranks[-1] for row in rows if row.method != "few") == pytest.approx(6.0)
    assert of(rows, "few").missing == 9
    assert regret_gaps(rows) == [
        "few: 9 of 15 runs are missing, too few to be ranked.",
        "half: 5 of 15 runs are missing.",
    ]


def test_a_failed_run_counts_with_what_it_had_and_an_empty_one_not_at_all():
    traces = [t for t in random_runs() if t.method == "gp"]
    failed = run("other", (0.2,), instance=0, seed=0, evaluations=4, failure="hung")
    empty = run("other", (), instance=1, seed=0, evaluations=4, failure="crashed")
    nothing = run("other", (NAN, NAN), instance=2, seed=0, evaluations=4, failure="")
    row = of(regret_table([*traces, failed, empty, nothing]), "other")
    assert (row.runs, row.failures, row.counted, row.instances, row.pairs) == (3, 2, 1, 1, 1)
    assert row.regret.mean == pytest.approx(0.2) and math.isnan(row.regret.low)
    text = " ".join(regret_gaps(regret_table([*traces, failed, empty])))
    assert "2 ended early, 1 of them without a value and not counted (first: hung)" in text


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        ("in /a/b-c/d.py:3 and C:\\x\\y.py", "in d.py:3 and y.py"),
        ("1/2 of them, at a\n  rate of 3 /s", "1/2 of them, at a rate of 3 s"),
        ("x" * 500, "x" * 120 + "..."),
    ],
)
def test_reasons_are_short_and_name_no_folder(failure, told):
    rows = regret_table([run("gp", (1.0,)), run("a", (1.0,), failure=failure)])
    assert regret_gaps(rows) == [f"a: 1 ended early (first: {told})."]


def test_ours_may_have_nothing_to_be_paired_with():
    rows = regret_table([run("gp", (), evaluations=4, failure="broken"), *random_runs(("other",))])
    assert of(rows, "other").pairs == 0 and math.isnan(of(rows, "other").wins.mean)
    assert math.isnan(of(rows, "gp").regret.mean)
    assert regret_losses(rows)[0] == [] and len(regret_lines(rows)) == 3


def test_families_budgets_and_batches_are_apart():
    traces = [*random_runs(family="noisy"), *random_runs(problem="q", family="mixed"),
              *random_runs(n=8), *(replace(t, batch=4) for t in random_runs())]  # fmt: skip
    rows = regret_table(traces)
    assert [(r.evaluations, r.batch, r.family) for r in rows if r.method == "gp"] == [
        (4, 1, "all"), (4, 1, "noisy"), (4, 1, "mixed"), (4, 4, "all"), (8, 1, "all"),
    ]  # fmt: skip
    assert of([r for r in rows if (r.evaluations, r.batch) == (4, 1)], "gp").instances == 10
    assert of(rows, "gp", "noisy").instances == 5


def test_one_instance_gives_no_interval():
    row = of(regret_table(random_runs(instances=1)), "other")
    assert math.isfinite(row.wins.mean) and math.isnan(row.wins.low)


# ------------------------------------------------------------------ what is said


def scaled(method, factor):
    """The runs of gp with all values times a factor: losing or winning every pair."""
    return [replace(t, method=method, values=tuple(factor * v for v in t.values))
            for t in random_runs() if t.method == "gp"]  # fmt: skip


def test_losses_come_first_and_are_told_apart_from_being_behind():
    traces = [t for t in random_runs() if t.method == "gp"]
    traces += [*scaled("worse", 1.5), *scaled("better", 0.9)]
    mixed = [replace(t, method="close", values=tuple(v * (0.8 if t.instance > 1 else 1.5)
             for v in t.values)) for t in traces if t.method == "gp"]  # fmt: skip
    rows = regret_table([*traces, *mixed])
    assert [row.method for row in rows] == ["gp", "better", "close", "worse"]
    lost, behind, slower = regret_losses(rows)
    assert [text.split()[0] for text in lost] == ["better"]
    assert [text.split()[0] for text in behind] == ["close"]
    assert slower == []


def test_a_worse_geometric_mean_is_a_loss_whatever_the_wins():
    traces = [t for t in random_runs(instances=20) if t.method == "gp"]
    traces = [replace(t, values=(1.0, 1.0, 1.0, 0.1)) for t in traces]
    other = [replace(t, method="other", values=(1, 1, 1, 0.11 if t.seed else 1e-4)) for t in traces]
    rows = regret_table([*traces, *other])
    assert of(rows, "other").wins.low > 0.5
    assert regret_losses(rows)[0][0].startswith("other (won 0.67")


def test_who_is_faster_is_named():
    traces = random_runs()
    traces += [replace(t, method="fast", seconds=tuple(s / 10 for s in t.seconds))
               for t in traces if t.method == "other"]  # fmt: skip
    assert regret_losses(regret_table(traces))[2] == ["fast 0.05 s a suggestion, 0.5 s here"]


def test_a_mean_over_fewer_instances_says_so():
    few = [t for t in random_runs(("few",)) if t.instance < 2]
    lines = {line[0]: line for line in regret_lines(regret_table([*random_runs(), *few], at=()))}
    assert (lines["few"][1], lines["gp"][1]) == ("6 of 15", "15")
    assert lines["few"][2].endswith("] on 2") and lines["gp"][2].endswith("]")


def test_lines_leave_no_nan_and_no_inf():
    traces = [*random_runs(), run("alone", (0.5, 0.4, 0.3, 0.2), instance=99)]
    lines = regret_lines(regret_table(traces))
    assert len({len(line) for line in lines}) == 1
    assert not any(word in cell for line in lines for cell in line for word in ("nan", "inf"))


@pytest.mark.parametrize(
    ("traces", "settings", "says"),
    [
        ([], {}, "no trace of 'gp'; there are none at all"),
        (random_runs(), {"method": "tpe"}, "no trace of 'tpe'; there are gp, other"),
        (random_runs(), {"at": (0.0,)}, "at must be shares"),
        (random_runs() * 2, {}, "is there twice"),
        ([run("gp", (1.0,), optimum=NAN)], {}, "p: regret needs a known optimum"),
        ([run("gp", (1.0,), optimum=1.0)], {}, "p: regret needs a known optimum"),
        ([run("gp", (1.0,)), run("a", (1.0,), reference=2.0)], {}, "instance 0: a was run on ano"),
    ],
)
def test_what_makes_no_table(traces, settings, says):
    with pytest.raises(DataError, match=says):
        regret_table(traces, **settings)


# ------------------------------------------------------------------ surrogates


def surrogate_rows(**errors):
    """Rows whose scores are all the given error, lower being better."""
    return [
        SurrogateRow(name, data, n=20, d=2, tests=9, split=k, nrmse=e + 0.1 * k, crps=e + 0.1 * k,
                     log_density=-e - 0.1 * k, fit_seconds=1 / e)
        for name, e in errors.items() for data in "abc" for k in range(2)
    ]  # fmt: skip


def test_surrogates_that_win_are_named_by_score():
    lost, behind, slower = surrogate_losses(surrogate_rows(gp=1.0, good=0.5, bad=2.0), "gp")
    assert [text.partition(" (")[0] for text in lost] == [
        "good by RMSE", "good by log density", "good by CRPS",
    ]  # fmt: skip
    assert (behind, slower) == ([], ["bad 0.5 s a fit, 1 s here"])


def test_surrogates_pair_on_what_both_have_and_a_failure_loses():
    rows = surrogate_rows(gp=1.0, other=0.5)
    rows = [r for r in rows if (r.surrogate, r.split) != ("other", 1)]
    rows = [replace(r, failure="died", nrmse=NAN, crps=NAN, log_density=NAN)
            if r.surrogate == "other" else r for r in rows]  # fmt: skip
    assert surrogate_losses(rows, "gp") == ([], [], [])
    assert surrogate_gaps(rows) == ["other: 3 of 6 runs are missing, 3 failed (first: died)."]
    with pytest.raises(DataError, match="no row of 'tpe'; there are gp, other"):
        surrogate_losses(rows, "tpe")
