"""The section of the training harness: rows of `harness.py` as figures beside their targets."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from . import Rows, Section, digits, losses, provenance, spread, table

SECONDS_PICTURE, MEMORY_PICTURE = "bench_members_seconds.png", "bench_members_memory.png"
PREDICTIONS = ("Plan.memory", "programs and states")
LARGE = 256  # members from which a prediction is to be within `WITHIN`
WITHIN, SMALL_FACTOR, SMALL_BYTES = 0.15, 1.5, 10e6
EXPLAINED = """Targets are for two cores and for seconds without compiling, unless a line says so.
Ratios are paired by round: median, least and largest. Loops are compiled with the options that
`bojax.configure` sets, as populations are.

- `cnn`: 64 networks of two convolutions with batch normalisation, 2 epochs of 512 random images,
  batch 32; the loops (one jitted step, traced rate, host batches) on 4 trials, extrapolated.
- `folds`: 32 configurations in 10 folds over 320 plain members; at 1 folds cost nothing.
- `halving`: 128 trials, of which 32 go on after 1 epoch and 8 after 4, over 128 trained for 16;
  the share of the epochs is the floor.
- `host`: a rung of 256 trials that cost nothing: suggestions, decisions, one durable commit. The
  states are written apart, the syncs of their file with them.
- `rate`: 6 operations a weight and example (2 forward, 4 back) a second of the train program,
  over a float32 product of 2048 square; `computed` leaves out the gradient of the first layer's
  inputs, which nobody needs. Busy: seconds in programs over those of the executor.
- `growth`: fresh processes, programs compiled before; growth of the resident memory over the
  prediction.
- `mixed`: 256 trials over width, depth, optimiser and batch size, halving 256, 64, 16. A program a
  shape is extrapolated from 6 shapes, a jit a trial from 4 trials of each rung, both with the
  epochs each trial had in the sweep.
"""


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        part, what: of what.
        told: the figure.
        target: in words, or "" for a figure that only stands beside one.
        met: whether it is reached; None without a target.
    """

    part: str
    what: str
    told: str
    target: str = ""
    met: bool | None = None

    @property
    def verdict(self) -> str:
        return {True: "met", False: "missed", None: ""}[self.met]

    def line(self) -> str:
        wanted = f" (target {self.target}: {self.verdict})" if self.target else ""
        return f"{self.part}: {self.what}: {self.told}{wanted}"


def section(rows: Rows) -> Section:
    """The section; of each part the last run counts."""
    rows = latest(rows)
    found = figures(rows)
    lost = [f"{f.part}, {f.what}: {f.told}, wanted {f.target}" for f in found if f.met is False]
    lines = [[f.part, f.what, f.told, f.target, f.verdict] for f in found]
    pictures = ""
    if growing(rows):
        pictures = f"\n![seconds](../docs/{SECONDS_PICTURE})\n![memory](../docs/{MEMORY_PICTURE})\n"
    text = "\n".join(
        [
            provenance("harness.py", rows),
            losses(lost),
            EXPLAINED,
            table(["part", "figure", "value", "target", ""], lines),
            pictures,
        ]
    )
    return Section("The training harness", lost, text)


def latest(rows: Rows) -> Rows:
    """Of each part the rows of its last run."""
    last: dict[str, str] = {}
    for row in rows:
        last[row["part"]] = max(row["run"], last.get(row["part"], ""))
    return [row for row in rows if row["run"] == last[row["part"]]]


def figures(rows: Rows) -> list[Figure]:
    """Every figure of the parts that have rows."""
    found: list[Figure] = []
    for part, of_part in PARTS.items():
        mine = [row for row in rows if row["part"] == part]
        if mine:
            found += of_part(mine)
    return found


# ------------------------------------------------------------------------ parts


def _cnn(rows: Rows) -> Iterator[Figure]:
    for what, wanted in (("loop, XLA's convolution", 1.7), ("loop, patches", 1.2)):
        pairs = _pairs(rows, what, "population")
        plain = [_of(a, "seconds") / _of(a, "value") * _of(b, "value") / _of(b, "seconds")
                 for a, b in pairs]  # fmt: skip
        whole = [
            (_of(a, "seconds") / _of(a, "value") * _of(b, "value") + _of(a, "compile_seconds"))
            / _whole(b)
            for a, b in pairs
        ]
        yield _least("cnn", f"{what} / population", plain, wanted)
        yield Figure("cnn", f"{what} / population, with compiling", spread(whole))


def _folds(rows: Rows) -> Iterator[Figure]:
    pairs = _pairs(rows, "folds", "plain")
    yield _most("folds", "folds / plain members", [_seconds(a, b) for a, b in pairs], 1.2)
    whole = [_whole(a) / _whole(b) for a, b in pairs]
    yield Figure("folds", "folds / plain members, with compiling", spread(whole))


def _halving(rows: Rows) -> Iterator[Figure]:
    pairs = _pairs(rows, "halving", "to the end")
    yield _most("halving", "halving / to the end", [_seconds(a, b) for a, b in pairs], 0.25)
    whole = [_whole(a) / _whole(b) for a, b in pairs]
    yield Figure("halving", "halving / to the end, with compiling", spread(whole))
    share = _of(pairs[0][0], "value") / _of(pairs[0][1], "value")
    yield Figure("halving", "share of the epochs, the floor", digits(share))


def _host(rows: Rows) -> Iterator[Figure]:
    each = {what: [_of(row, "seconds") for row in _named(rows, what)] for what in _whats(rows)}
    members = digits(_of(_named(rows, "rung")[0], "value"))
    yield _most("host", f"a rung of {members}, ms", [1e3 * s for s in each["rung"]], 20)
    pairs = zip(each["rung"], each["rung, its suggestions"], strict=True)
    rest = [1e3 * (whole - asking) for whole, asking in pairs]
    yield _most("host", "without its suggestions, ms", rest, 20)
    yield Figure("host", "a page synced, ms", spread([1e3 * s for s in each["a page synced"]]))
    megabytes = _of(_named(rows, "states written")[0], "value") / 1e6
    for what in ("states gathered", "states written", "as many bytes synced"):
        told = spread([megabytes / s for s in each[what]])
        yield Figure("host", f"{what} ({digits(megabytes)} MB), MB/s", told)


def _rate(rows: Rows) -> Iterator[Figure]:
    products = [row for row in rows if row["what"].startswith("product")]
    speed = {}  # round -> operations a second of the faster product
    for row in products:
        mine = _of(row, "value") / _of(row, "seconds")
        speed[str(row["round"])] = max(mine, speed.get(str(row["round"]), 0.0))
    yield Figure("rate", "a large product, GFLOP/s", spread([s / 1e9 for s in speed.values()]))
    for case in dict.fromkeys(row["case"] for row in rows if row["case"]):
        mine = [row for row in rows if row["case"] == case]
        share = {
            what: [_of(r, "value") / _of(r, "seconds") / speed[str(r["round"])]
                   for r in _named(mine, what)]
            for what in ("6 M operations", "computed operations")
        }  # fmt: skip
        yield _least("rate", f"{case}: of the product's rate", share["6 M operations"], 0.4)
        computed = spread(share["computed operations"])
        yield Figure("rate", f"{case}: of the product's rate, computed", computed)
        busy = [_of(r, "value") / _of(r, "seconds") for r in _named(mine, "in programs")]
        yield _least("rate", f"{case}: share of time in programs", busy, 0.85)


def _growth(rows: Rows) -> Iterator[Figure]:
    from bojax.analysis._growth import exponent

    for name, line in growing(rows).items():
        sizes, middle = list(line), list(line.values())
        half, told = len(sizes) // 2, f"{exponent(sizes, middle):.2f}"
        if len(sizes) - half > 1:
            upper = exponent(sizes[half:], middle[half:])
            told += f"; from {sizes[half]:g} members {upper:.2f}"
        yield Figure("growth", f"{name}: exponent in the members", told)
    measured = _by_size(rows, "measured", "value")
    for name in PREDICTIONS:
        predicted = _by_size(rows, name, "value")
        large = {p: measured[p] / predicted[p] for p in measured if p >= LARGE}
        if large:
            worst = max(abs(ratio - 1) for ratio in large.values())
            yield Figure(
                "growth", f"measured / {name}, from {LARGE} members", _listed(large),
                f"within {WITHIN:.0%}", worst <= WITHIN,
            )  # fmt: skip
        small = {p: measured[p] / predicted[p] for p in measured if p < LARGE}
        fits = all(measured[p] <= SMALL_FACTOR * predicted[p] + SMALL_BYTES for p in small)
        told = f"at most {SMALL_FACTOR} x + {SMALL_BYTES / 1e6:.0f} MB"
        yield Figure("growth", f"measured / {name}, below", _listed(small), told, fits)


def _mixed(rows: Rows) -> Iterator[Figure]:
    programs = [_of(row, "value") for row in _named(rows, "sweep")]
    yield _most("mixed", f"programs for {rows[0]['case']}", programs, 16)
    for what, wanted in (("a program a shape", 3), ("a jit a trial", 20)):
        pairs = _pairs(rows, what, "sweep")
        whole = [_whole(a) / _whole(b) for a, b in pairs]
        yield _least("mixed", f"{what} / sweep, with compiling", whole, wanted)
        plain = [_seconds(a, b) for a, b in pairs]
        yield Figure("mixed", f"{what} / sweep, without", spread(plain))


PARTS: dict[str, Callable[[Rows], Iterator[Figure]]] = {
    "cnn": _cnn,
    "folds": _folds,
    "halving": _halving,
    "host": _host,
    "rate": _rate,
    "growth": _growth,
    "mixed": _mixed,
}


# ------------------------------------------------------------------------ pictures


def growing(rows: Rows) -> dict[str, dict[float, float]]:
    """Seconds and MB by the members, sizes ascending; nothing where there is one size."""
    mine = [row for row in latest(rows) if row["part"] == "growth"]
    found = {
        "seconds": _by_size(mine, "run", "seconds"),
        "MB": {p: v / 1e6 for p, v in _by_size(mine, "measured", "value").items() if v > 0},
    }
    return {name: line for name, line in found.items() if len(line) > 1}


def pictures(rows: Rows) -> dict[str, tuple[str, dict[str, dict[float, float]]]]:
    """Name of the picture -> what its upright axis shows, and its lines."""
    found = growing(rows)
    mine = [row for row in latest(rows) if row["part"] == "growth"]
    drawn = {}
    if "seconds" in found:
        drawn[SECONDS_PICTURE] = ("seconds", {"training": found["seconds"]})
    if "MB" in found:
        predicted = {
            name: {p: v / 1e6 for p, v in _by_size(mine, name, "value").items()}
            for name in PREDICTIONS
        }
        drawn[MEMORY_PICTURE] = ("MB", {"measured": found["MB"], **predicted})
    return drawn


# ------------------------------------------------------------------------ arithmetic


def _of(row: dict, column: str) -> float:
    return float(row[column])


def _whole(row: dict) -> float:
    return _of(row, "seconds") + _of(row, "compile_seconds")


def _seconds(a: dict, b: dict) -> float:
    return _of(a, "seconds") / _of(b, "seconds")


def _named(rows: Rows, what: str) -> list[dict]:
    return [row for row in rows if row["what"] == what]


def _whats(rows: Rows) -> list[str]:
    return list(dict.fromkeys(row["what"] for row in rows))


def _pairs(rows: Rows, what: str, base: str) -> list[tuple[dict, dict]]:
    """Rows of two sides, of the same round."""
    own = {row["round"]: row for row in _named(rows, base)}
    return [(row, own[row["round"]]) for row in _named(rows, what) if row["round"] in own]


def _by_size(rows: Rows, what: str, column: str) -> dict[float, float]:
    """Members -> median of a column."""
    found: dict[float, list[float]] = {}
    for row in _named(rows, what):
        found.setdefault(float(row["case"]), []).append(_of(row, column))
    return {size: statistics.median(found[size]) for size in sorted(found)}


def _least(part: str, what: str, values: Sequence[float], wanted: float) -> Figure:
    met = statistics.median(values) >= wanted
    return Figure(part, what, spread(values), f"at least {wanted:g}", met)


def _most(part: str, what: str, values: Sequence[float], wanted: float) -> Figure:
    met = statistics.median(values) <= wanted
    return Figure(part, what, spread(values), f"at most {wanted:g}", met)


def _listed(ratios: dict[float, float]) -> str:
    return ", ".join(f"{size:g}: {digits(ratio)}" for size, ratio in ratios.items())
