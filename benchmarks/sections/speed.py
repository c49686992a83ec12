"""The section of speed: rows of `speed.py`, seconds beside others' and beside a floor."""

from __future__ import annotations

import statistics

from bojax.analysis._growth import exponent

from . import Rows, Section, bullets, losses, spread, table

OURS, FLOOR = "bojax", "floor"
PICTURE = "bench_growth.png"
EVEN = 0.01  # nats: a difference of objective or score that is none
HEADINGS = {
    "a": "Value and gradient of the objective",
    "b": "A fit",
    "c": "A suggestion",
    "d": "Whole runs",
    "e": "Many fits, and a large one",
}
# Whom seconds are divided by: other libraries search from one start, and so does this.
BASELINES = {"b": "bojax, one start", "e": "bojax, one start"}
EXPLAINED = """One and the same core for everybody, in turn, warmed up (in parts that say so more
threads); median, least and largest
seconds, and the median of the paired ratios to bojax (of fits: to bojax from one start, as
the others search): above 1 bojax is faster. The floor is
LAPACK's factor, inverse and one pass over the pairs. `objective` is where a fit ended in
bojax's own objective (lower is better), `score` the log expected improvement of a suggestion
(higher is better). `first call` includes compiling, `programs` are those it compiled.
"""


def section(rows: Rows) -> Section:
    """The section; of each part the last run counts."""
    rows = _latest(rows)
    lost, tables = [], []
    for part in dict.fromkeys(row["part"] for row in rows):
        mine = [row for row in rows if row["part"] == part]
        if part.startswith("scaling"):
            continue
        worse, lines = _part(mine)
        lost += worse
        head = ["case", "who", "seconds", "ratio", "objective", "score", "evaluations",
                "first call", "programs"]  # fmt: skip
        letter, _, threads = part.partition(", ")
        title = ", ".join(filter(None, [HEADINGS.get(letter, letter), threads]))
        tables.append(f"### {title}\n\n{table(head, lines)}\n")
    if growth := _growth(rows):
        told = table(["of", "exponent", "upper half", "sizes"], growth)
        tables.append(f"### Growth\n\n{told}\n\n![growth](../docs/{PICTURE})\n")
    notes = dict.fromkeys(f"{r['contender']}, {r['case']}: {r['note']}" for r in rows if r["note"])
    missing = [f"Not complete:\n\n{bullets(list(notes))}\n"] if notes else []
    parts = [_provenance(rows), losses(lost), *missing, EXPLAINED, *tables]
    return Section("Speed", lost, "\n".join(parts))


def _part(rows: Rows) -> tuple[list[str], list[list[str]]]:
    """Where ours loses in a part, and its lines."""
    lost, lines = [], []
    for case in dict.fromkeys(row["case"] for row in rows):
        mine = [row for row in rows if row["case"] == case]
        chosen = BASELINES.get(mine[0]["part"].partition(", ")[0], OURS)
        own = _by_place(mine, chosen) or _by_place(mine, mine[0]["contender"])
        for name in dict.fromkeys(row["contender"] for row in mine):
            its = _by_place(mine, name)
            if not its:
                continue
            ratio = _paired(its, own, "seconds", lambda a, b: a / b)
            foreign = not name.startswith(OURS) and name != FLOOR
            if foreign and ratio is not None and ratio < 1:
                lost.append(f"{case}, against {name} ({ratio:.2f})")
            for what, sign in (("objective", 1), ("score", -1)):
                gap = _paired(its, own, what, lambda a, b, sign=sign: sign * (a - b))
                if foreign and gap is not None and gap < -EVEN:
                    lost.append(f"{case}, {what} of {name} is better by {-gap:.2g}")
            lines.append(_line(case, name, list(its.values()), ratio))
    return lost, lines


def _line(case: str, name: str, rows: Rows, ratio: float | None) -> list[str]:
    first = rows[0]
    middle = [
        "" if not (known := _known(rows, what)) else f"{statistics.median(known):.6g}"
        for what in ("objective", "score", "evaluations")
    ]
    told = "" if ratio is None else f"{ratio:.2f}"
    return [case, name, spread(_known(rows, "seconds")), told, *middle,
            first["first_seconds"], first["programs"]]  # fmt: skip


def _by_place(rows: Rows, contender: str) -> dict[tuple[str, str], dict[str, str]]:
    """Set and round -> what a contender measured there."""
    return {
        (row["set"], row["round"]): row
        for row in rows
        if row["contender"] == contender and row["seconds"] != ""
    }


def _paired(its, own, what: str, compare) -> float | None:
    """Median over what both measured of a comparison of the two."""
    pairs = [(its[p][what], own[p][what]) for p in its if p in own]
    known = [compare(float(a), float(b)) for a, b in pairs if a != "" and b != ""]
    return statistics.median(known) if known else None


def _known(rows: Rows, what: str) -> list[float]:
    return [float(row[what]) for row in rows if row[what] != ""]


def _growth(rows: Rows) -> list[list[str]]:
    """What grows, the exponent over all sizes and over the upper half, and the sizes."""
    lines = []
    for name, line in growing(rows).items():
        sizes, middle = list(line), list(line.values())
        upper = max(0, len(sizes) // 2 - 1)
        whole, largest = exponent(sizes, middle), exponent(sizes[upper:], middle[upper:])
        lines.append([
            name, f"{whole:.2f}", f"{largest:.2f}", ", ".join(f"{size:g}" for size in sizes)
        ])  # fmt: skip
    return lines


def growing(rows: Rows) -> dict[str, dict[float, float]]:
    """What grows -> size -> median seconds, sizes ascending, in the last run of each."""
    found: dict[str, dict[float, list[float]]] = {}
    for row in _latest(rows):
        if row["part"].startswith("scaling") and row["seconds"] != "":
            name = row["part"].removeprefix("scaling").strip(" ,:") or row["part"]
            size = float(row["case"].partition("=")[2])
            found.setdefault(name, {}).setdefault(size, []).append(float(row["seconds"]))
    return {
        name: {size: statistics.median(line[size]) for size in sorted(line)}
        for name, line in found.items()
        if len(line) > 1
    }


def _latest(rows: Rows) -> Rows:
    """Of each part the rows of its last run."""
    last: dict[str, str] = {}
    for row in rows:
        last[row["part"]] = max(row["run"], last.get(row["part"], ""))
    return [row for row in rows if row["run"] == last[row["part"]]]


def _provenance(rows: Rows) -> str:
    when = sorted(row["run"] for row in rows)
    loads = [float(row["load"]) for row in rows]
    own = ", ".join(f"{name} {rows[0][name]}" for name in ("python", "bojax", "jax", "jaxlib"))
    peers = sorted({f"{row['contender']}: {row['peer']}" for row in rows if row["peer"]})
    told = f"\n{bullets(peers)}\n" if peers else ""
    return (
        f"`python benchmarks/speed.py`, {when[0].replace('T', ' ')}; {rows[0]['threads']} of "
        f"{rows[0]['cores']} cores, load average {min(loads):.1f} to {max(loads):.1f}; {own}.\n"
        f"{told}"
    )
