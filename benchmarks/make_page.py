"""Write benchmarks/README.md from the raw rows that exist; nothing on it is typed by hand.

    python benchmarks/make_page.py

The page begins with where bojax loses. Each section has the command, when it ran, on what, and
a table. Of a file with several runs the latest counts. Pictures go to docs/bench_*.png.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import record
from sections import (
    Rows,
    Section,
    batches,
    bullets,
    harness,
    latest,
    losses,
    populations,
    provenance,
    references,
    regret,
    speed,
    spread,
    surrogates,
    table,
    to_target,
)

HERE = Path(__file__).parent
PAGE = HERE / "README.md"
PICTURES = HERE.parent / "docs"
HEAD = """# Benchmarks

Made by `python benchmarks/make_page.py` from the rows in `benchmarks/rows/` and the traces of
other libraries in `benchmarks/traces/`; a test holds the page to them. Medians, with the least
and the largest value in brackets; intervals in square brackets are 95 %. Both sides of a
comparison ran in one process, or in processes that took turns, where times are compared.
Ratios of seconds above 1 are in favour of bojax.
"""
NOTHING = "No rows have been recorded yet. `make bench` records them.\n"


def ask_latency(rows: Rows) -> Section:
    """Seconds of a suggestion, bojax beside Optuna."""
    lines, lost = [], []
    for kind in ("cold", "scratch", "warm"):
        mine, theirs = (
            [float(r["seconds"]) for r in rows if (r["side"], r["kind"]) == (side, kind)]
            for side in ("bojax", "optuna")
        )
        ratio = statistics.median(theirs) / statistics.median(mine)
        lines.append((ratio, f"| {kind} | {spread(mine)} | {spread(theirs)} | {ratio:.2f} |"))
        if ratio < 1:
            lost.append(f"{kind} ({ratio:.2f})")
    n, d = rows[0]["observations"], rows[0]["columns"]
    text = "\n".join(
        [
            provenance("ask_latency.py", rows),
            losses(lost),
            "One core. `cold` is the first suggestion of a process, compiling included; `scratch` "
            "fits from all starts; `warm` follows one more result. Optuna's side is its "
            "`GPSampler`.\n",
            "| seconds | bojax | optuna | ratio |\n|---|---|---|---|",
            *[line for _, line in sorted(lines)],
        ]
    )
    return Section(f"A suggestion after {n} observations in {d} dimensions", lost, text)


def import_time(rows: Rows) -> Section:
    """Seconds of imports."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["statement"], []).append(float(row["seconds"]))
    jax = statistics.median(found["import jax"])
    ratio = {name: jax / statistics.median(seconds) for name, seconds in found.items()}
    lost = [f"`{name}` ({ratio[name]:.2f})" for name in found if ratio[name] < 1]
    text = "\n".join(
        [
            provenance("import_time.py", rows),
            losses(lost),
            "`bojax` loads its doors when they are first used, so what it does not load is not "
            "saved, it is put off: the last line is the price with the first door open.\n",
            "| statement | seconds | `import jax` / it |\n|---|---|---|",
            *[f"| `{name}` | {spread(found[name])} | {ratio[name]:.2f} |" for name in found],
        ]
    )
    return Section("Importing", lost, text)


def programs(rows: Rows) -> Section:
    """Compiled programs a phase."""
    lines = []
    for phase in dict.fromkeys(row["phase"] for row in rows):
        mine = [row for row in rows if row["phase"] == phase]
        names = ", ".join(f"{r['programs']} `{r['program']}`" for r in mine if r["program"])
        total = sum(int(row["programs"]) for row in mine)
        seconds = sum(float(row["seconds"]) for row in mine)
        lines.append(f"| {phase} | {total} | {seconds:.1f} | {names or 'none'} |")
    n = rows[0]["observations"]
    text = "\n".join(
        [
            provenance("programs.py", rows),
            "The second space has other parameters, kinds and conditions, and the same size "
            "class: it must compile nothing.\n",
            "| space | programs | seconds compiling | which |\n|---|---|---|---|",
            *lines,
        ]
    )
    return Section(f"Programs compiled from 1 to {n} observations", (), text)


def training_loops(rows: Rows) -> Section:
    """Trials per minute: a population beside three loops of one's own."""
    keys = ("batch", "width", "epochs", "trials", "cores")
    tables, lost = [], []
    for group in dict.fromkeys(tuple(row[k] for k in keys) for row in rows):
        mine = [row for row in rows if tuple(row[k] for k in keys) == group]
        batch, width, epochs, trials, cores = group
        title = f"batch {batch}, width {width}, {epochs} epochs, {trials} trials, {cores} cores"
        tables.append(
            f"\n{title}:\n\n| method | per minute | bojax / it | with compiling | bojax / it "
            "| accuracy |\n|---|---|---|---|---|---|"
        )
        rate = {
            (m, w): [float(r[f"per_minute_{w}"]) for r in mine if r["method"] == m]
            for m in "abcd"
            for w in ("excl", "incl")
        }
        middle = {key: statistics.median(values) for key, values in rate.items() if values}
        for method in "abcd":
            if (method, "excl") not in middle:
                continue
            excl, incl = (middle["d", w] / middle[method, w] for w in ("excl", "incl"))
            accuracy = statistics.median(
                float(r["accuracy"]) for r in mine if r["method"] == method
            )
            tables.append(
                f"| {method} | {spread(rate[method, 'excl'])} | {excl:.2f} | "
                f"{spread(rate[method, 'incl'])} | {incl:.2f} | {accuracy:.3f} |"
            )
            for what, ratio in (("", excl), (" with compiling", incl)):
                if ratio < 1:
                    lost.append(f"against {method}{what}, {title} ({ratio:.2f})")
    text = "\n".join(
        [
            provenance("training_loops.py", rows),
            losses(lost),
            "Trials per minute of an MLP on scikit-learn's digits: `a` a new program a trial, `b` "
            "one jitted step, `c` one jitted epoch, `d` a population of bojax.",
            *tables,
        ]
    )
    return Section("Training many small models", lost, text)


def store(rows: Rows) -> Section:
    """What a commit costs."""
    lines = []
    for what in dict.fromkeys(row["what"] for row in rows):
        mine = [row for row in rows if row["what"] == what]
        values = [float(row["value"]) for row in mine]
        lines.append(f"| {what} | {spread(values)} {mine[0]['unit']} | {len(values)} |")
    text = "\n".join(
        [
            provenance("store.py", rows),
            "| what | median (least to largest) | times |\n|---|---|---|",
            *lines,
        ]
    )
    return Section("The store", (), text)


def trial_overhead(rows: Rows) -> Section:
    """Milliseconds a trial of bookkeeping."""
    found: dict[str, list[float]] = {}
    for row in rows:
        each = 1e3 * float(row["seconds"]) / float(row["trials"])
        found.setdefault(row["side"], []).append(each)
    own = [side for side in found if side.startswith("bojax")]
    middle = {side: statistics.median(values) for side, values in found.items()}
    worst = max(middle[side] for side in own)
    lost = [
        f"{side} ({middle[side] / worst:.2f})"
        for side in found
        if side not in own and middle[side] < worst
    ]
    lines = [[side, spread(found[side]), f"{middle[side] / middle[own[0]]:.1f}"] for side in found]
    text = "\n".join(
        [
            provenance("trial_overhead.py", rows),
            losses(lost),
            f"Trials that cost nothing, {rows[0]['trials']} a round, five parameters, random "
            "search: what asking, telling and storing take. bojax commits each rung to SQLite, "
            "Optuna each trial; Ray Tune runs a trainable of one step, actors reused. Starting "
            "is not counted.\n",
            table(["side", "ms a trial", f"it / {own[0]}"], lines),
        ]
    )
    return Section("A trial beyond its training", lost, text)


def scheduler_decisions(rows: Rows) -> Section:
    """Microseconds a trial of a scheduler's decisions."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["side"], []).append(float(row["microseconds_a_trial"]))
    ray = statistics.median(found["ray"])
    times = {side: ray / statistics.median(each) for side, each in found.items() if side != "ray"}
    lost = [
        f"{side} (Ray takes {ratio:.1f} times, at least 20 were wanted)"
        for side, ratio in times.items()
        if ratio < 20
    ]
    lines = [
        [side, spread(each), f"{times[side]:.1f}" if side in times else ""]
        for side, each in found.items()
    ]
    text = "\n".join(
        [
            provenance("scheduler_decisions.py", rows),
            losses(lost),
            f"ASHA with {rows[0]['trials']} trials of random values, 16 at a time, eta 3, budgets "
            "1 to 27: jobs and reports here, of Ray its `ASHAScheduler` alone. Time of the "
            "processor.\n",
            table(["side", "us a trial", "Ray / it"], lines),
        ]
    )
    return Section("Decisions of a scheduler", lost, text)


def starts(rows: Rows) -> Section:
    """How often a fit finds the best optimum known."""
    columns = ("one", "default", "all")
    objective = {c: [float(r[f"{c}_objective"]) for r in rows] for c in columns}
    spent = {c: [int(r[f"{c}_evaluations"]) for r in rows] for c in columns}
    best = [min(each) for each in zip(*objective.values(), strict=True)]
    names = {"one": "one start", "default": "default", "all": "64 random starts"}
    lines = []
    for c in columns:
        gaps = [o - b for o, b in zip(objective[c], best, strict=True)]
        cost = [a / b for a, b in zip(spent[c], spent["one"], strict=True)]
        close = sum(gap < 0.1 for gap in gaps)
        lines.append([names[c], f"{close} of {len(rows)}", f"{max(gaps):.3f}",
                      f"{statistics.median(cost):.1f} ({max(cost):.1f})"])  # fmt: skip
    text = "\n".join(
        [
            provenance("starts.py", rows),
            "Data sets of 10, 20 and 50 points in 6 dimensions; found means within 0.1 nat of "
            "the best of everything tried. The cost is in evaluations, in units of a search "
            "from one start: median, and the largest.\n",
            table(["starts", "found", "worst gap, nats", "cost"], lines),
        ]
    )
    return Section("Finding the best hyperparameters", (), text)


def precision(rows: Rows) -> Section:
    """What float32 loses."""
    columns = ("objective", "mean", "spread", "refined")
    lines = []
    for n in dict.fromkeys(row["n"] for row in rows):
        mine = [row for row in rows if row["n"] == n]
        known = [[float(row[c]) for row in mine] for c in columns]
        lines.append([n, *(f"{statistics.median(k):.1e} ({max(k):.1e})" for k in known)])
    text = "\n".join(
        [
            provenance("precision.py", rows),
            f"{len(rows)} data sets, fitted in float32 and in float64: median and largest. "
            "`objective`: nats that the float32 optimum is above the float64 one. `mean`: "
            "largest error of 200 predictions at equal hyperparameters, in standard deviations "
            "of an observation; `spread`: of that deviation, relative; `refined`: of the mean "
            "after a step of iterative refinement, which bojax does not take.\n",
            table(["points", *columns], lines),
        ]
    )
    return Section("Float32 beside float64", (), text)


def first_fit(rows: Rows) -> Section:
    """Seconds of a first fit."""
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row["what"], []).append(float(row["seconds"]))
    jax = statistics.median(found["import jax"])
    whole = statistics.median(found.get("import jax, whole process", [jax]))
    lines = [[what, spread(all_),
              f"{statistics.median(all_) / (whole if 'whole' in what else jax):.2f}"]
             for what, all_ in found.items()]  # fmt: skip
    text = "\n".join(
        [
            provenance("first_fit.py", rows),
            "A fresh process each; tracing and compiling are the fit's, imports are not. Whole "
            "processes are beside one that imports JAX.\n",
            table(["what", "seconds", "it / import jax"], lines),
        ]
    )
    return Section("The first fit and the first suggestion of a process", (), text)


def memory(rows: Rows) -> Section:
    """Peak memory of large fits."""
    keys = ("n", "d", "peak_mb", "before_mb", "four_matrices_mb", "seconds", "evaluations")
    head = ["n", "d", "peak, MB", "before, MB", "4 n^2 numbers, MB", "s with compiling",
            "evaluations"]  # fmt: skip
    text = "\n".join(
        [
            provenance("memory.py", rows),
            "Resident memory of a process that fits once, interpreter, JAX and compiler "
            "included; before: with JAX loaded.\n",
            table(head, [[row[key] for key in keys] for row in rows]),
        ]
    )
    return Section("Memory of a large fit", (), text)


def constraints(rows: Rows) -> Section:
    """What a small feasible part costs."""
    lines, lost = [], []
    for q in dict.fromkeys(row["q"] for row in rows):
        mine, free = (
            [float(r["seconds"]) for r in rows if (r["what"], r["q"]) == (what, q)]
            for what in ("constrained", "free")
        )
        ratio = statistics.median(mine) / statistics.median(free)
        lines.append([q, spread(mine), spread(free), f"{ratio:.2f}"])
        if ratio > 2:
            lost.append(f"{q} rows ({ratio:.2f} times the seconds, at most 2 were wanted)")
    text = "\n".join(
        [
            provenance("constraints.py", rows),
            losses(lost),
            f"Six columns, a ball of {float(rows[0]['value']):.1g} of the cube is feasible, a "
            "function of the user's says so; the same told results, fit included, warm.\n",
            table(["rows", "constrained, s", "free, s", "ratio"], lines),
        ]
    )
    return Section("A feasible part of a ten-thousandth", lost, text)


SECTIONS: dict[str, Callable[[Rows], Section]] = {
    "constraints": constraints,
    "batches": batches.section,
    "ask_latency": ask_latency,
    "import_time": import_time,
    "programs": programs,
    "training_loops": training_loops,
    "trial_overhead": trial_overhead,
    "scheduler_decisions": scheduler_decisions,
    "store": store,
    "first_fit": first_fit,
    "starts": starts,
    "precision": precision,
    "memory": memory,
}


def sections(rows: Path, traces: Path) -> list[Section]:
    """The sections that have rows, in the order of the page."""
    found = [regret.section(regret.traces_of([rows, traces]))]
    found.append(references.section(rows))
    found.append(to_target.section(rows))
    if (file := rows / "surrogates.csv").exists():
        found.append(surrogates.section(surrogates.rows_of(file)))
    if (file := rows / "speed.csv").exists():
        found.append(speed.section(record.read(file)))
    if (file := rows / "dimensions.csv").exists():
        found.append(batches.dimensions(file))
    if (file := rows / "harness.csv").exists():
        found.append(harness.section(record.read(file)))
    if (file := rows / "population_based.csv").exists():
        found.append(populations.section(record.read(file)))
    for name, section in SECTIONS.items():
        if (file := rows / f"{name}.csv").exists():
            found.append(section(latest(record.read(file))))
    return [section for section in found if section is not None]


def page(rows: Path, traces: Path | None = None) -> str:
    """The whole page from the rows of a folder, and the traces beside it."""
    parts = sections(rows, traces or rows.parent / "traces")
    if not parts:
        return f"{HEAD}\n{NOTHING}"
    lost = [f"{s.title}: {'; '.join(s.lost)}." for s in parts if s.lost]
    first = Section("Where bojax loses", (), bullets(lost) if lost else "Nowhere in these rows.")
    return "\n".join([HEAD, *(f"## {s.title}\n\n{s.text}\n" for s in [first, *parts])])


def pictures(rows: Path, traces: Path, folder: Path) -> list[Path]:
    """Draw what the page shows, and say where."""
    from bojax import analysis

    drawn = []
    compared = regret.traces_of([rows, traces])
    draw = (analysis.regret_picture, analysis.rank_picture, analysis.cost_picture)
    for setting in regret.settings_of(compared):
        mine = [trace for trace in compared if (trace.evaluations, trace.batch) == setting]
        for kind, picture in zip(regret.PICTURES, draw, strict=True):
            drawn.append(folder / regret.picture_name(kind, *setting))
            picture(mine, ours=regret.OURS, save=drawn[-1])
    if (rows / "references.csv").exists():
        drawn.append(folder / references.PICTURE)
        shown = references.intervals(references.found(rows))
        title = "Methods beside their reference implementations"
        analysis.interval_picture(shown, title=title, below=references.AXIS, save=drawn[-1])
    if shown := to_target.intervals(to_target.found(rows)):
        drawn.append(folder / to_target.PICTURE)
        title = "Training until a target"
        analysis.interval_picture(shown, title=title, below=to_target.AXIS, save=drawn[-1])
    file = rows / "speed.csv"
    if file.exists() and (growth := speed.growing(record.read(file))):
        drawn.append(folder / speed.PICTURE)
        analysis.growth_picture(growth, save=drawn[-1])
    if (file := rows / "harness.csv").exists():
        for name, (upright, lines) in harness.pictures(record.read(file)).items():
            drawn.append(folder / name)
            analysis.growth_picture(lines, below="members", beside=upright, save=drawn[-1])
    if (file := rows / "surrogates.csv").exists():
        found = surrogates.rows_of(file)
        drawn.append(folder / surrogates.PICTURE)
        analysis.calibration_picture(found, ours=surrogates.ours(found), save=drawn[-1])
    return drawn


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, default=record.ROWS)
    parser.add_argument("--traces", type=Path, default=None, help="traces/ beside the rows")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--pictures", type=Path, default=PICTURES, help="folder to draw into")
    settings = parser.parse_args(arguments)
    traces = settings.traces or settings.rows.parent / "traces"
    settings.page.write_text(page(settings.rows, traces))
    print(f"wrote {settings.page.name}")
    for path in pictures(settings.rows, traces, settings.pictures):
        print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
