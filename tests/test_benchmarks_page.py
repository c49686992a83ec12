"""The page of figures is what the raw rows say, and the scripts write rows it can read."""

import importlib
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bojax.benchmark import SurrogateRow, Trace, write_traces
from bojax.benchmark._surrogate_rows import write_rows

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = {"make_page", "record", "sections", "programs", "import_time", "store", "speed_parts"}


@pytest.fixture
def bench(monkeypatch):
    """`bench("make_page")` is that script as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in SCRIPTS:
            del sys.modules[name]


COMMON = {"load": 0.5, "threads": 1, "cores": 2, "python": "3.11.9", "bojax": "0.1.0"}


def latency(run, seconds):
    """Rows of a run: `seconds[side, kind] = [...]`."""
    return [
        {"run": run, "side": side, "kind": kind, "round": i, "seconds": value,
         "observations": 100, "columns": 6, **COMMON}
        for (side, kind), values in seconds.items()
        for i, value in enumerate(values)
    ]  # fmt: skip


NEW = {
    ("bojax", "cold"): [20.0], ("optuna", "cold"): [2.0],
    ("bojax", "scratch"): [0.1], ("optuna", "scratch"): [0.2],
    ("bojax", "warm"): [0.02, 0.01, 0.04], ("optuna", "warm"): [0.05, 0.07, 0.06],
}  # fmt: skip


def test_the_page_is_made_from_the_rows(bench):
    make_page = bench("make_page")
    assert (BENCHMARKS / "README.md").read_text() == make_page.page(BENCHMARKS / "rows"), (
        "run python benchmarks/make_page.py"
    )


def test_medians_ratios_and_losses_first(bench, tmp_path):
    make_page, record = bench("make_page"), bench("record")
    old = {key: [9.0] for key in NEW}
    record.append(tmp_path / "ask_latency.csv", latency("2030-01-02T00:00:00", NEW))
    record.append(tmp_path / "ask_latency.csv", latency("2030-01-01T00:00:00", old))
    text = make_page.page(tmp_path)
    assert "| warm | 0.02 (0.01 to 0.04) | 0.06 (0.05 to 0.07) | 3.00 |" in text
    assert "| cold | 20 | 2 | 0.10 |" in text
    assert "**Loses:** cold (0.10)." in text
    assert text.index("Loses:") < text.index("| cold") < text.index("| warm")
    assert "2030-01-02 00:00:00; 1 of 2 cores, load average 0.5 to 0.5" in text
    assert "python 3.11.9, bojax 0.1.0" in text


def test_a_changed_row_changes_the_page(bench, tmp_path):
    make_page, record = bench("make_page"), bench("record")
    file = tmp_path / "ask_latency.csv"
    record.append(file, latency("2030", NEW))
    before = make_page.page(tmp_path)
    file.write_text(file.read_text().replace("0.06,", "0.08,"))
    assert make_page.page(tmp_path) != before


def test_no_rows_no_figures(bench, tmp_path):
    assert "No rows have been recorded yet" in bench("make_page").page(tmp_path)


def test_columns_do_not_change_under_a_file(bench, tmp_path):
    record = bench("record")
    record.append(tmp_path / "a.csv", [{"a": 1}])
    with pytest.raises(ValueError, match="move it"):
        record.append(tmp_path / "a.csv", [{"b": 1}])


def test_overhead_of_a_trial_is_told_with_what_it_loses(bench, tmp_path):
    make_page, record = bench("make_page"), bench("record")
    sides = {"bojax, full_budget": [0.2, 0.4, 0.3], "optuna": [6.0, 3.0, 4.5], "ray": [0.1] * 3}
    rows = [
        {"run": "2030", "side": side, "round": i, "trials": 100, "seconds": value, **COMMON}
        for side, values in sides.items() for i, value in enumerate(values)
    ]  # fmt: skip
    record.append(tmp_path / "trial_overhead.csv", rows)
    text = make_page.page(tmp_path)
    assert "| optuna | 45 (30 to 60) | 15.0 |" in text
    assert "A trial beyond its training: ray (0.33)." in text


def test_decisions_of_a_scheduler_are_told_beside_rays(bench, tmp_path):
    make_page, record = bench("make_page"), bench("record")
    sides = {"bojax promotion": 30.0, "bojax stopping": 20.0, "ray": 500.0}
    rows = [
        {"run": "2030", "side": side, "round": 0, "trials": 10, "reports": 15, "seconds": 1e-5 * us,
         "microseconds_a_trial": us, **COMMON, "ray": "2"}
        for side, us in sides.items()
    ]  # fmt: skip
    record.append(tmp_path / "scheduler_decisions.csv", rows)
    text = make_page.page(tmp_path)
    assert "| bojax stopping | 20 | 25.0 |" in text
    assert "Decisions of a scheduler: bojax promotion (Ray takes 16.7 times" in text


def test_methods_are_told_beside_their_references(bench, tmp_path):
    make_page, record = bench("make_page"), bench("record")
    common = {"reference": "peer", "problem": "p", "instance": 0, "budget": 40,
              "quantity": "regret", "versions": "peer 1.2"}  # fmt: skip
    values = {"worse": (0.1, 0.01), "better": (0.01, 0.1), "same": (0.1, 0.1)}
    old = [
        {"run": "2029", "part": "a", "method": "old", **common, "seed": 0, "ours": 1.0,
         "theirs": 1.0, **COMMON, "jax": "1"}
    ]  # fmt: skip
    rows = [
        {"run": "2030", "part": "a", "method": method, **common, "seed": seed, "ours": ours,
         "theirs": theirs, **COMMON, "jax": "1"}
        for method, (ours, theirs) in values.items() for seed in (0, 1)
    ]  # fmt: skip
    record.append(tmp_path / "references.csv", old + rows)
    curves = [
        {"run": "2030", "curves": "c", "method": method, "seed": seed, "epochs_to_target": epochs}
        for method, epochs in (("dehb", 100), ("DEHB 0.1.2", 1000)) for seed in (0, 1)
    ]  # fmt: skip
    record.append(tmp_path / "multi_fidelity.csv", curves)
    fronts = [
        {"run": "2030", "problem": "z", "contender": contender, "seed": seed, "volume_150": 9.0,
         "volume_500": volume, "versions": "optuna 5" if contender == "optuna nsga2" else ""}
        for contender, volume in (("optuna nsga2", 1.0), ("bojax nsga2", 10.0)) for seed in (0, 1)
    ]  # fmt: skip
    record.append(tmp_path / "objectives.csv", fronts)
    write_traces(
        tmp_path / "forest" / "traces.csv",
        [
            Trace(method, "q", 1, seed, 1, 2, values, (0.0, 0.0), optimum=1.0, reference=11.0,
                  versions="python 3, smac 2.4.1")
            for method, values in (("forest", (9.0, 2.0)), ("smac", (1.1, 4.0)))
            for seed in (0, 1)
        ],
    )  # fmt: skip
    text = make_page.page(tmp_path)
    told = [line for line in text.splitlines() if line.startswith("| `")]
    pairs = "2 pairs, 1 problem"
    assert told == [
        f"| `worse` | peer 1.2 | regret | 40 | {pairs} | +1.000 [+1.000, +1.000] | worse "
        "| p (+1.00) |",
        f"| `better` | peer 1.2 | regret | 40 | {pairs} | -1.000 [-1.000, -1.000] | better "
        "| p (-1.00) |",
        f"| `same` | peer 1.2 | regret | 40 | {pairs} | +0.000 [+0.000, +0.000] |  | p (+0.00) |",
        f"| `dehb` | DEHB 0.1.2 | epochs to the target | 8100 | {pairs} | -1.000 [-1.000, -1.000] "
        "| better | c (-1.00) |",
        f"| `nsga2` | Optuna's NSGA-II 5 | hypervolume | 500 | {pairs} | -1.000 [-1.000, -1.000] "
        "| better | z (-1.00) |",
        f"| `forest` | SMAC 2.4.1 | regret | 2 | {pairs} | +1.000 [+1.000, +1.000] | worse "
        "| q (+1.00) |",
    ]
    assert "Against the reference implementations: worse against peer 1.2" in text
    assert "from the rows of `multi_fidelity.py`, `objectives.py`, `forest.py`." in text
    drawn = bench("sections").references
    assert len(drawn.intervals(drawn.found(tmp_path))) == len(told)


def test_batches_are_told_beside_single_suggestions(bench, tmp_path):
    make_page, record = bench("make_page"), bench("record")
    rows = [
        {"run": "2030", "rule": rule, "batch": q, "evaluations": 40, "problem": problem,
         "instance": 0, "seed": seed, "area": area, "spread": 0.25, **COMMON}
        for rule, q, area in (("single", 1, 0.5), ("near", 8, 0.52), ("far", 8, 0.6))
        for problem in ("a", "b")
        for seed in (0, 1)
    ]  # fmt: skip
    record.append(tmp_path / "batches.csv", rows)
    text = make_page.page(tmp_path)
    assert "| `near` | 0.520 | 1.040 | 0.02 [0.02, 0.02] | 0.25 |" in text
    assert "Batches of 8: far (1.20 times the area)." in text


def test_many_dimensions_are_told_with_who_is_better(bench, tmp_path):
    make_page = bench("make_page")
    ends = {"gp": (8.0, 4.0), "botorch": (6.0, 2.0), "random": (float("nan"), 7.0)}
    write_traces(
        tmp_path / "dimensions.csv",
        [
            Trace(method, "ackley_50", 1, 0, 4, 2, values, (0.0, 0.0), optimum=1.0, reference=11.0)
            for method, values in ends.items()
        ],
    )
    text = make_page.page(tmp_path)
    assert "| gp | 0.3 |" in text and "| random | 0.6 |" in text
    assert "Fifty and a hundred dimensions: botorch on ackley_50 (0.1 for 0.3)." in text


def test_populations_are_told_beside_fixed_schedules(bench, tmp_path):
    make_page, record = bench("make_page"), bench("record")
    rows = [
        {"run": run, "contender": name, "seed": seed, "members": 20, "horizon": 60, "interval": 2,
         "validation_loss": loss + 0.01 * seed, "last_alone": 2 * loss, "test_loss": tested,
         "test_accuracy": accuracy, "epochs": 1200, "stages": 3, "seconds": 9.0, **COMMON}
        for run, name, loss, tested, accuracy in (
            ("2030", "pbt", 0.1, 0.2, 0.9), ("2030", "fixed", 0.3, 0.5, 0.8),
            ("2031", "pb2", 0.2, 0.1, 0.95), ("2031", "few", 0.0, 0.0, 1.0))
        for seed in range(2 if name == "few" else 5)
    ]  # fmt: skip
    record.append(tmp_path / "population_based.csv", rows)
    text = make_page.page(tmp_path)
    assert "| `fixed` | 5 | 0.32 | 0.2 [0.2, 0.2] | 0.5 | 0.3 [0.3, 0.3] | 0.8 |" in text
    assert "`pb2` by test loss (-0.1 [-0.1, -0.1]); `pb2` by test accuracy (0.05" in text
    assert "| `few` | 2 | 0.005 |  | 0 |  | 1 |  |" in text and "`few` by" not in text
    assert "end at a validation loss of 0.2, along their schedules at 0.12" in text


def test_scripts_write_rows_the_page_can_read(bench, tmp_path, capsys):
    bench("store").main(["--rows", str(tmp_path / "store.csv")])
    bench("import_time").main(["--rounds", "1", "--rows", str(tmp_path / "import_time.csv")])
    text = bench("make_page").page(tmp_path)
    assert "| commit of one result |" in text
    assert "| `import jax` |" in text and "| 1.00 |" in text


def test_the_harness_is_told_beside_its_targets(bench, tmp_path):
    make_page, record = bench("make_page"), bench("record")
    measured = [  # part, case, what, value, seconds, compile_seconds
        ("folds", "", "folds", 32, 11.0, 5.0), ("folds", "", "plain", 320, 10.0, 4.0),
        ("halving", "", "halving", 320, 3.0, 5.0), ("halving", "", "to the end", 2048, 10.0, 5.0),
        *(("growth", p, what, value, p / 100, 4.0)
          for p, mb in ((64, 20), (256, 30), (1024, 90))
          for what, value in (("run", p), ("measured", mb * 1e6), ("Plan.memory", 14e6),
                              ("programs and states", mb * 1e6 / 1.1))),
    ]  # fmt: skip
    record.append(
        tmp_path / "harness.csv",
        [
            {"run": run, "part": part, "case": case, "what": what, "round": i, "value": value,
             "unit": "", "seconds": times * seconds, "compile_seconds": compiling, **COMMON}
            for run, times in (("2029", 7), ("2030", 1))
            for part, case, what, value, seconds, compiling in measured
            for i in range(2)
        ],
    )  # fmt: skip
    text = make_page.page(tmp_path)
    assert "| folds | folds / plain members | 1.1 (1.1 to 1.1) | at most 1.2 | met |" in text
    assert "| halving | share of the epochs, the floor | 0.156 |  |  |" in text
    assert "halving, halving / to the end: 0.3 (0.3 to 0.3), wanted at most 0.25" in text
    assert "| seconds: exponent in the members | 1.00; from 256 members 1.00 |" in text
    assert "| measured / programs and states, from 256 members | 256: 1.1, 1024: 1.1 |" in text
    drawn = [path.name for path in make_page.pictures(tmp_path, tmp_path, tmp_path)]
    assert drawn == ["bench_members_seconds.png", "bench_members_memory.png"]


# ------------------------------------------------------------------ regret


def runs(method, shift, *, seeds=3):
    """Runs that end `shift` decades from those of shift 0, seed by seed."""
    draw = np.random.default_rng(0)
    return [
        Trace(method, problem, i, s, 1, 8, tuple(10 ** (shift - draw.uniform(0, 2, 8))),
              tuple(np.arange(1.0, 9.0)), 0.0, 1.0, family=family, half="reporting",
              machine="Linux x86_64, 2 cores", versions=f"{method}lib 1.0", load=0.5,
              when="2030-01-02T00:00:00")
        for problem, family in (("branin", "continuous"), ("ackley", "mixed"))
        for i in (1, 2, 3) for s in range(seeds)
    ]  # fmt: skip


@pytest.fixture
def recorded(tmp_path):
    """`recorded(ours, theirs)` writes traces as the repository keeps them; the rows' folder."""

    def write(ours, *theirs):
        (tmp_path / "rows").mkdir(exist_ok=True)
        if ours:
            write_traces(tmp_path / "rows" / "regret.csv", ours)
        for peer in theirs:
            write_traces(tmp_path / "traces" / f"{peer[0].method}.csv", peer)
        return tmp_path / "rows"

    return write


def line(text, start, number=0):
    return [found for found in text.splitlines() if found.startswith(start)][number]


def test_the_page_begins_with_where_bojax_loses(bench, recorded):
    folder = recorded(runs("gp", 0.0), runs("strong", -0.5), runs("weak", 0.5))
    bench("record").append(folder / "ask_latency.csv", latency("2030-01-02T00:00:00", NEW))
    text = bench("make_page").page(folder)
    first, second = re.findall(r"^## (.*)", text, re.MULTILINE)[:2]
    assert (first, second) == ("Where bojax loses", "Regret on the standard problems")
    summary = text[text.index(first) : text.index(f"## {second}")]
    assert "strong (won 0.00 [0.00, 0.00] of the pairs, regret 3.2 [3.2, 3.2] times its)" in summary
    assert "strong on mixed" in summary and "weak" not in summary
    assert "- A suggestion after 100 observations in 6 dimensions: cold (0.10)." in summary


def test_regret_is_told_with_what_it_is_of(bench, recorded):
    tuning = [replace(t, problem="levy", half="tuning") for t in runs("gp", 9.0)]
    ours = [*runs("gp", 0.0), *runs("random", 1.0), *tuning]
    few = runs("few", -0.5, seeds=1)
    few[0] = replace(few[0], values=(), seconds=(), failure="hung in /a/b/lib.py | for long")
    text = bench("make_page").page(recorded(ours, few))
    assert "- few: fewlib 1.0; threads: 1" in text and "3 seeds of gp" in text
    assert (
        "- few: 12 of 18 runs are missing, 1 ended early, 1 of them without a value and not "
        in text
    )
    assert "(first: hung in lib.py | for long)" in text
    assert "6 instances; ranks over 5 runs of each." in text
    row = line(text, "| gp |").split(" | ")
    assert row[1] == "18", "the tuning half is not in it"
    assert row[4] == "2", "few, run on enough instances to be ranked, ends lower on each"
    assert line(text, "| method | continuous | mixed |")
    assert line(text, "| few |", 1).split(" | ")[1].endswith("(0.00) of 2")  # one was empty
    for kind in ("regret", "rank", "cost"):
        assert f"![{kind}](../docs/bench_{kind}_8_by_1.png)" in text


def test_every_budget_and_batch_has_its_table(bench, recorded):
    ours = [*runs("gp", 0.0), *(replace(t, batch=4) for t in runs("gp", 0.0))]
    alone = [replace(t, evaluations=9) for t in runs("peer", 0.0)]  # nothing of ours beside it
    text = bench("make_page").page(recorded(ours, alone))
    heads = re.findall(r"^### (.*)", text, re.MULTILINE)
    assert heads == ["8 evaluations, one at a time", "8 evaluations, in batches of 4"]


def test_traces_of_others_alone_make_no_section(bench, recorded):
    folder = recorded([], runs("peer", 0.0))
    assert "No rows have been recorded yet" in bench("make_page").page(folder)


def test_a_changed_trace_changes_the_page(bench, recorded):
    peer = runs("peer", 0.1)
    folder = recorded(runs("gp", 0.0), peer)
    before = bench("make_page").page(folder)
    better = [replace(t, values=tuple(v / 10 for v in t.values)) for t in peer]
    write_traces(folder.parent / "traces" / "peer.csv", better)  # the last of a key counts
    after = bench("make_page").page(folder)
    assert "peer (won" not in before and "peer (won" in after


# ------------------------------------------------------------------ surrogates


def fits(name, error):
    return [
        SurrogateRow(name, data, n=n, d=2, tests=9, split=k, nrmse=error, log_density=-error,
                     crps=error, coverage50=0.4, coverage90=0.8, coverage95=0.9, fit_seconds=0.1,
                     predict_seconds=0.1, compile_seconds=1.0, calibration_error=0.1,
                     versions=f"{name}lib 1.0", machine="x86_64, 2 cores", load=0.5,
                     when="2030-01-02T00:00:00")
        for data in ("a", "b") for n in (20, 50) for k in range(2)
    ]  # fmt: skip


def test_surrogates_are_told_losses_first(bench, tmp_path):
    write_rows(tmp_path / "surrogates.csv", [*fits("bojax matern52", 9.0), *fits("other", 0.5)])
    write_rows(tmp_path / "surrogates.csv", fits("bojax matern52", 1.0))  # a later run
    text = bench("make_page").page(tmp_path)
    assert "Ours is `bojax matern52`." in text and "- other: otherlib 1.0; threads: 1" in text
    assert text.index("other by RMSE (won 0.00 [0.00, 0.00] of 8 pairs)") < text.index("Ours is")
    assert line(text, "| 20 | bojax matern52 |").split(" | ")[2:6] == ["4", "0", "1.000", "-1.000"]
    assert "![calibration](../docs/bench_calibration.png)" in text


# ------------------------------------------------------------------ speed


def timed(part, case, contender, seconds, *, run="2030-01-02T00:00:00", **more):
    """Rows as speed.py writes them, a second a round."""
    blank = dict.fromkeys(("objective", "score", "evaluations", "first_seconds", "programs",
                           "note", "peer"), "")  # fmt: skip
    return [
        {"run": run, "part": part, "case": case, "contender": contender, "set": 0, "round": i,
         "seconds": value, **blank, **COMMON, "jax": "0.10.2", "jaxlib": "0.10.2", **more}
        for i, value in enumerate(seconds)
    ]  # fmt: skip


def test_speed_is_told_case_by_case_with_paired_ratios(bench, tmp_path):
    rows = [
        *timed("b", "fit, n=50", "bojax", [0.2, 0.4, 0.3], objective=10.0, programs=2),
        *timed("b", "fit, n=50", "fast", [0.1, 0.3], objective=10.0, peer="fast 1.0"),
        *timed("b", "fit, n=50", "deep", [0.4, 0.9, 0.5], objective=9.5),
        *timed("b", "fit, n=50", "gone", [""], note="no environment"),
        *timed("a", "value", "bojax", [0.2]),
        *timed("a", "value", "floor", [0.1]),
        *timed("a", "value", "bojax", [7.0], run="2029"),  # an earlier run
    ]
    bench("record").append(tmp_path / "speed.csv", rows)
    text = bench("make_page").page(tmp_path)
    assert "| fit, n=50 | fast | 0.2 (0.1 to 0.3) | 0.62 | 10 |" in text  # of 0.5 and 0.75
    assert "| value | floor | 0.1 | 0.50 |" in text
    summary = text[: text.index("## Speed")]
    assert "fit, n=50, against fast (0.62)" in summary
    assert "fit, n=50, objective of deep is better by 0.5" in summary
    assert "floor" not in summary and "against deep" not in summary
    assert "- gone, fit, n=50: no environment" in text and "- fast: fast 1.0" in text
    assert "7" not in line(text, "| value | bojax |")


def test_growth_is_a_slope_on_log_axes(bench, tmp_path):
    rows = []
    for n in (8, 16, 32, 64):
        rows += timed("scaling n", f"n={n}", "bojax", [1e-6 * n**2 * max(1, n / 32)])
    bench("record").append(tmp_path / "speed.csv", rows)
    text = bench("make_page").page(tmp_path)
    assert "| n | 2.30 | 2.50 | 8, 16, 32, 64 |" in text


# ------------------------------------------------------------------ the command


def test_the_command_writes_the_page_and_small_pictures(bench, recorded, tmp_path, capsys):
    folder = recorded([*runs("gp", 0.0), *runs("random", 0.5)], runs("peer", 0.1))
    write_rows(folder / "surrogates.csv", [*fits("bojax matern52", 1.0), *fits("other", 0.5)])
    arguments = ["--rows", str(folder), "--page", str(tmp_path / "p.md"), "--pictures"]
    bench("make_page").main([*arguments, str(tmp_path / "docs")])
    text = (tmp_path / "p.md").read_text()
    assert text == bench("make_page").page(folder)
    linked = set(re.findall(r"\.\./docs/([a-z0-9_]+\.png)", text))
    drawn = {path.name: path.stat().st_size for path in (tmp_path / "docs").iterdir()}
    assert set(drawn) == linked and len(linked) == 4
    assert max(drawn.values()) < 150_000
    assert all(f"wrote {name}" in capsys.readouterr().out for name in list(linked)[:1])


@pytest.mark.slow
def test_a_second_space_of_the_class_compiles_nothing(bench, tmp_path):
    found = bench("programs").main(
        ["--observations", "10", "--asks", "5", "--rows", str(tmp_path / "p.csv")]
    )
    assert found == 0
