"""What the command line prints: plans, progress, tables. Rich on a terminal, else plain lines."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
from rich.console import Console as RichConsole
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"
SHOWN = 5  # configurations in the table of the best


class Programs:
    """Counts what XLA compiles in this process, and for how long."""

    def __init__(self) -> None:
        self.count, self.seconds = 0, 0.0
        jax.monitoring.register_event_duration_secs_listener(self._hear)

    def _hear(self, event: str, duration_secs: float, **_: str | int) -> None:
        if event == COMPILE_EVENT:
            self.count += 1
            self.seconds += duration_secs


class Console:
    """Prints; `plain` never draws anything that moves."""

    def __init__(self, *, plain: bool = False) -> None:
        self.rich = RichConsole(soft_wrap=True, highlight=False)
        if not self.rich.is_terminal:
            self.rich.width = 120  # a log file has no width of its own
        self.plain = plain or not self.rich.is_terminal

    def line(self, text: str = "") -> None:
        """One line of text as it is."""
        self.rich.print(text, markup=False)

    def plan(self, table: Any, store: str) -> None:
        """The rung table, before anything runs."""
        self.line("plan of one sweep (budget in epochs):")
        self.line(str(table))
        self.line(f"store: {store}")

    @contextmanager
    def progress(
        self, base: Any, trials: int, splits: int, default: bool, programs: Programs
    ) -> Iterator[Watch]:
        """A bar on a terminal, a line a finished run elsewhere."""
        budget = base.plan(trials).total
        random = max(1, round(budget / base.max_budget)) * base.max_budget
        total = splits * (budget + random + (base.max_budget if default else 0))
        watch = Watch(self, total, programs)
        if self.plain:
            yield watch
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=self.rich) as bar:
            watch.bar, watch.task = bar, bar.add_task("starting", total=total, note="")
            yield watch

    @contextmanager
    def runs(self, programs: Programs) -> Iterator[RunWatch]:
        """A bar over the runs of a comparison on a terminal, some twenty lines elsewhere."""
        watch = RunWatch(self, programs)
        if self.plain:
            yield watch
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:.0f} of {task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=self.rich) as bar:
            watch.bar, watch.task = bar, bar.add_task("compiling", total=1, note="")
            yield watch

    def best(self, result: Any) -> None:
        """The best configurations of the first split's sweep."""
        table = Table(title=f"best configurations ({result.metric} on the validation part)")
        for name in ("trial", result.unit, result.metric):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("configuration", overflow="fold")
        for trial in result.ranked()[:SHOWN]:
            config = ", ".join(f"{name} {_short(value)}" for name, value in trial.config.items())
            table.add_row(str(trial.id), f"{trial.fidelity:g}", f"{trial.value:.4f}", config)
        self.rich.print(table)

    def comparison(self, comparison: Any) -> None:
        """Means with intervals, and paired differences to the sweep."""
        several = len(comparison.values("bojax")) > 1
        table = Table(title=f"validation {comparison.metric}, best configuration of each method")
        for name in ("method", "trials", "epochs", "mean [95 %]", "bojax - it [95 %]", "better on"):
            table.add_column(name, justify="left" if name == "method" else "right", no_wrap=True)
        for method in comparison.methods:
            rows = [row for row in comparison.rows if row.method == method]
            mean = _interval(comparison.mean(method)) if several else f"{rows[0].value:.4f}"
            gain, wins = "", ""
            if method != "bojax":
                if several:
                    gain = _interval(comparison.gain("bojax", method), sign="+")
                else:
                    gain = f"{comparison.values('bojax')[0] - rows[0].value:+.4f}"
                wins = f"{comparison.wins('bojax', method)} of {len(rows)}"
            table.add_row(method, str(rows[0].trials), f"{rows[0].spent:g}", mean, gain, wins)
        self.rich.print(table)
        if several:
            self.line(
                f"{len(comparison.values('bojax'))} paired splits; the mean's interval is "
                "Student's, the difference's a bootstrap over pairs."
            )

    def regret(self, rows: Any) -> None:
        """Where ours loses, what is missing, and a table over all problems and by family."""
        from bojax.benchmark import regret_gaps, regret_lines, regret_losses

        self._standing(*regret_losses(rows), regret_gaps(rows))
        whole = [row for row in rows if row.family == "all"]
        head, *lines = regret_lines(whole)
        wide = {"area", "hits", *(name for name in head[2:] if name.startswith("rank at"))}
        shown = [i for i, name in enumerate(head) if name not in wide or name == "rank at 100 %"]
        title = f"regret after {whole[0].evaluations} evaluations, {whole[0].instances} instances"
        names = [head[i].replace("rank at 100 %", "rank") for i in shown]
        self._table(title, names, [[line[i] for i in shown] for line in lines])
        families = list(dict.fromkeys(row.family for row in rows if row.family != "all"))
        if families:
            final = {(row.method, row.family): f"{row.regret.mean:.2g}" for row in rows}
            self._table(
                "final regret by family",
                ["method", *families],
                [[r.method, *(final.get((r.method, f), "") for f in families)] for r in whole],
            )

    def surrogates(self, comparison: Any, ours: str) -> None:
        """Where ours loses, what failed, and scores and seconds by size."""
        from bojax.benchmark import surrogate_gaps, surrogate_losses

        self._standing(*surrogate_losses(comparison.rows, ours), surrogate_gaps(comparison.rows))
        self.line(comparison.table())

    def programs(self, programs: Programs) -> None:
        """What was compiled."""
        self.line(f"programs compiled: {programs.count} in {programs.seconds:.1f} s")

    def _standing(self, lost: Any, behind: Any, slower: Any, gaps: Any) -> None:
        self.line("loses: " + ("; ".join(lost) or "nowhere here"))
        for what, told in (("behind, within the intervals", behind), ("slower than", slower)):
            if told:
                self.line(f"{what}: {'; '.join(told)}")
        for gap in gaps:
            self.line(f"not complete: {gap}")

    def _table(self, title: str, head: Any, lines: Any) -> None:
        table = Table(title=title)
        for name in head:  # an interval may go on in the next line where there is no room
            whole = name == "method"
            table.add_column(name, justify="left" if whole else "right", no_wrap=whole)
        for line in lines:
            table.add_row(*line)
        self.rich.print(table)

    def test(self, result: Any) -> None:
        """The test score of the first split's winner, once."""
        if result.executor.data.test.touched:
            self.line("test part: was used already, it is not looked at again")
            return
        self.line(f"test part, looked at once, winner of the first split: {result.test()}")

    def cost(self, programs: Programs, comparison: Any, seconds: float) -> None:
        """Programs and seconds, the populations' apart from the Gaussian process's."""
        from bojax.training import compiled_programs

        everyone = compiled_programs()
        own = sum(p.compile_seconds for p in everyone)
        lowering = sum(p.lower_seconds for p in everyone)
        epochs = sum(row.spent for row in comparison.rows)
        self.line(
            f"programs compiled: {programs.count} in {programs.seconds:.1f} s; populations "
            f"{len(everyone)} in {own:.1f} s (and {lowering:.1f} s tracing), suggestions "
            f"{programs.count - len(everyone)} in {max(programs.seconds - own, 0.0):.1f} s"
        )
        self.line(f"{epochs:g} epochs trained, {seconds:.1f} s in all")


class Watch:
    """Follows the events of one comparison."""

    def __init__(self, console: Console, total: float, programs: Programs) -> None:
        self.console, self.total, self.programs = console, total, programs
        self.bar: Any = None
        self.task: Any = None
        self.done = 0.0  # epochs of finished runs
        self.spent = 0.0  # epochs of the present one
        self.began = time.perf_counter()

    def event(self, event: Any) -> None:
        """One event of a run."""
        data = event.data
        if event.kind == "resumed":
            self.spent = data["spent"]
            self.console.line(
                f"{event.run}: resumed with {data['trials']} trials, {data['spent']:g} of "
                f"{data['total']:g} epochs"
            )
        elif event.kind == "rung":
            self.spent = data["spent"]
            best = data["best"]
            value = "none" if best is None else f"{best.value:.4f} at {best.fidelity:g} epochs"
            self._show(
                event.run,
                f"{data['members']} members to {data['budget']:g} epochs, "
                f"{data['alive']} go on, best {value}",
            )
        elif event.kind == "compiling":
            self._note(f"compiling {data['name']}")

    def row(self, row: Any) -> None:
        """A run is finished."""
        self.done += row.spent
        self.spent = 0.0

    def left(self) -> float:
        """Seconds left at the rate so far, compilation not extrapolated."""
        spent = self.done + self.spent
        working = time.perf_counter() - self.began - self.programs.seconds
        return math.inf if spent <= 0 else max(working, 0.0) * (self.total - spent) / spent

    def _show(self, run: str, text: str) -> None:
        if self.bar is None:
            self.console.line(
                f"{run}: {text}; {self.done + self.spent:g}/{self.total:g} epochs, "
                f"{self.programs.count} programs in {self.programs.seconds:.1f} s, "
                f"about {self.left():.0f} s left"
            )
            return
        self.bar.update(self.task, description=run, completed=self.done + self.spent)
        self._note(text)

    def _note(self, text: str) -> None:
        if self.bar is None:
            return
        left = self.left()
        ahead = "" if math.isinf(left) else f"about {left:.0f} s left, "
        compiled = f"{self.programs.count} programs in {self.programs.seconds:.1f} s"
        self.bar.update(self.task, note=f"{ahead}{compiled}; {text}")


class RunWatch:
    """Follows the runs of a comparison of strategies, or the fits of one of surrogates."""

    LINES = 20  # that are printed where nothing may move

    def __init__(self, console: Console, programs: Programs) -> None:
        self.console, self.programs = console, programs
        self.bar: Any = None
        self.task: Any = None

    def trace(self, trace: Any, done: int, total: int, left: float) -> None:
        """A run has ended; of the runs there are `total`, and `left` seconds remain."""
        name = f"{trace.method} on {trace.problem}, instance {trace.instance}, seed {trace.seed}"
        self._ended(name, trace.failure, done, total, left)

    def fit(self, row: Any, done: int, total: int, left: float) -> None:
        """A fit has ended."""
        name = f"{row.surrogate} on {row.n} rows of {row.dataset}, split {row.split}"
        self._ended(name, row.failure, done, total, left)

    def _ended(self, name: str, failure: str, done: int, total: int, left: float) -> None:
        compiled = f"{self.programs.count} programs in {self.programs.seconds:.1f} s"
        ahead = "" if math.isnan(left) else f"about {left:.0f} s left, "
        if failure:
            self.console.line(f"failed: {name}: {failure}")
        if self.bar is not None:
            self.bar.update(self.task, completed=done, total=total, description=name,
                            note=f"{ahead}{compiled}")  # fmt: skip
        elif done == total or done % max(1, total // self.LINES) == 0:
            self.console.line(f"{done} of {total} runs, {ahead}{compiled}; {name}")


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _interval(interval: Any, sign: str = "") -> str:
    form = f"{{:{sign}.4f}}"
    mean, low, high = (form.format(v) for v in (interval.mean, interval.low, interval.high))
    return f"{mean} [{low}, {high}]"
