"""The command line: `bojax sweep FILE`; `bojax ask`, `tell`, `report` and `serve` of a study in a
store; and `bojax bench` with what it measures."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from bojax.errors import BojaxError, ConfigError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
bench = typer.Typer(no_args_is_help=True)
app.add_typer(bench, name="bench")

TWICE = "-x2"  # after the name of a strategy: at twice the evaluations, the better of each pair


@app.callback()
def _about() -> None:
    """Bayesian optimization and vectorised sweeps on JAX."""


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(help="Python file with a function sweep(**settings).")],
    trials: Annotated[int | None, typer.Option(help="Configurations started.")] = None,
    splits: Annotated[int, typer.Option(help="Paired splits to compare on.")] = 1,
    store: Annotated[str | None, typer.Option(help="File or URL to keep every rung in.")] = None,
    seed: Annotated[int, typer.Option(help="Fixes suggestions and training.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where STORE stands.")] = False,
    picture: Annotated[Path | None, typer.Option(help="PNG to write.")] = None,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="Plain lines only.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Compile everything anew.")] = False,
) -> None:
    """Tune the task of FILE, beside random search at the same training budget."""
    import bojax

    bojax.configure(cpu_devices="cores")
    if not no_cache:
        compilation_cache()
    from bojax.console import Console, Programs

    try:
        module = load(file)
        chosen = trials if trials is not None else getattr(module, "TRIALS", 64)
        if resume and store is None:
            raise ConfigError("--resume: needs --store, the file of the run to go on with.")
        where = store or _new_store(file)
        picture = picture or Path(f"{Path(where).stem if '://' not in where else file.stem}.png")
        console = Console(plain=no_progress)
        programs = Programs()
        _run(module, console, programs, trials=chosen, splits=splits, store=where, seed=seed,
             resume=resume, picture=picture)  # fmt: skip
    except BojaxError as error:
        typer.echo(f"bojax: {error}", err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        typer.echo(
            f"\nInterrupted; what was finished is kept. Go on with:\n"
            f"  bojax sweep {file} --store {where} --resume"
            + (f" --splits {splits}" if splits != 1 else "")
            + (f" --seed {seed}" if seed else "")
            + (f" --trials {trials}" if trials is not None else ""),
            err=True,
        )
        raise typer.Exit(130) from error


def _run(module: ModuleType, console: Any, programs: Any, **settings: Any) -> None:
    from bojax.benchmark import compare_sweeps

    began = time.perf_counter()
    make, default = module.sweep, getattr(module, "DEFAULT", None)
    trials, splits = settings["trials"], settings["splits"]
    base = make()
    console.plan(base.plan(trials), settings["store"])
    with console.progress(base, trials, splits, default is not None, programs) as watch:
        comparison = compare_sweeps(
            make,
            splits=splits,
            trials=trials,
            default=default,
            resume=settings["resume"],
            on_row=watch.row,
            store=settings["store"],
            seed=settings["seed"],
            callbacks=[watch.event],
        )
    result = comparison.first["bojax"]
    console.best(result)
    console.comparison(comparison)
    console.test(result)
    console.cost(programs, comparison, time.perf_counter() - began)
    path = result.plot(settings["picture"], baseline=comparison.first["random"])
    console.line(f"picture: {path}")


def load(file: Path) -> ModuleType:
    """The user's file as a module; it must define `sweep(**settings) -> bojax.Sweep`.

    Raises:
        ConfigError: no such file, or no such function in it.
    """
    if not file.is_file():
        raise ConfigError(f"{file}: no such file; give a Python file with a function sweep().")
    spec = importlib.util.spec_from_file_location(f"bojax_user_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{file}: is no Python file (its name must end in .py).")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    if not callable(getattr(module, "sweep", None)):
        raise ConfigError(
            f"{file}: defines no function sweep(**settings) that returns a bojax.Sweep; "
            "see examples/digits_mlp.py."
        )
    return module


def compilation_cache(whole: bool = False) -> Path:
    """Switch JAX's persistent compilation cache on, in the user's own directory, mode 0700.

    What is in it is code, so it never stands where others can write, nor in a run's folder.

    Args:
        whole: only whole programs are kept (`bojax.executables`), in a folder of their own. One
            that JAX's cache gave back cannot be written out again: kernels are missing in it.
    """
    import jax

    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "bojax" / ("programs" if whole else "xla")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    least = 1e9 if whole else 0.3  # seconds of compiling from which on JAX's own cache keeps
    jax.config.update("jax_persistent_cache_min_compile_time_secs", least)
    return folder


def _new_store(file: Path) -> str:
    folder = Path("runs")
    folder.mkdir(exist_ok=True)
    return str(folder / f"{file.stem}-{datetime.now():%Y%m%d-%H%M%S}.db")


# ---------------------------------------------------------------------------------- study


class Format(StrEnum):
    """How answers are printed."""

    text = "text"
    json = "json"


StoreOption = Annotated[str, typer.Option(help="File or URL of the study.")]
SpaceOption = Annotated[
    Path | None, typer.Option(help="JSON of Space.to_json; begins a study where there is none.")
]
DirectionOption = Annotated[
    str | None,
    typer.Option(help="minimize, maximize, or NAME=minimize,NAME=maximize. Default: minimize."),
]
SeedOption = Annotated[int | None, typer.Option(help="Of the suggestions. Default: 0.")]
StrategyOption = Annotated[
    str | None, typer.Option(help="A name, as gp, tpe, nsga2 or sobol. Default: gp.")
]
FormatOption = Annotated[Format, typer.Option(help="Of what is printed.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Compile everything anew.")]


@contextlib.contextmanager
def _study(no_cache: bool) -> Iterator[ModuleType]:
    """The module that answers; errors in one line."""
    with _answering(None):
        import bojax

        bojax.configure()
        if not no_cache:
            compilation_cache(whole=True)
        from bojax import shell

        yield shell


@app.command()
def ask(
    store: StoreOption,
    n: Annotated[int, typer.Option("-n", help="How many.")] = 1,
    space: SpaceOption = None,
    direction: DirectionOption = None,
    seed: SeedOption = None,
    strategy: StrategyOption = None,
    fidelity: Annotated[float | None, typer.Option(help="Budget to ask for.")] = None,
    context: Annotated[str | None, typer.Option(help="JSON: values of the context.")] = None,
    fixed: Annotated[str | None, typer.Option(help="JSON: values not to be chosen.")] = None,
    format: FormatOption = Format.text,
    no_cache: NoCache = False,
) -> None:
    """Suggest trials; they are in the store, as pending, before they are printed."""
    with _study(no_cache) as shell:
        request = {"n": n, "fidelity": fidelity}
        for name, text in (("context", context), ("fixed", fixed)):
            if text is not None:
                request[name] = shell.parse(text, f"--{name}")
        optimizer = shell.open_optimizer(
            store,
            space,
            direction=direction and shell.direction_of(direction),
            seed=seed,
            strategy=strategy,
        )
        show = shell.line_of if format is Format.json else shell.text_of_trial
        for trial in shell.ask(optimizer, request):
            typer.echo(show(trial))


@app.command(context_settings={"ignore_unknown_options": True})  # a value may be -0.5
def tell(
    store: StoreOption,
    told: Annotated[list[str] | None, typer.Argument(metavar="[TRIAL VALUE]...")] = None,
    config: Annotated[
        str | None, typer.Option(help="JSON of a configuration from elsewhere, told its VALUE.")
    ] = None,
    status: Annotated[
        str | None, typer.Option(help="failed or stale; then only trials are given.")
    ] = None,
    variance: Annotated[str | None, typer.Option(help="Known variance, as a VALUE.")] = None,
    cost: Annotated[float | None, typer.Option(help="Of each trial.")] = None,
    fidelity: Annotated[float | None, typer.Option(help="Budget the values were seen at.")] = None,
    json_lines: Annotated[
        bool, typer.Option("--json", help="Read JSON lines from standard input.")
    ] = False,
    no_cache: NoCache = False,
) -> None:
    """Tell what trials scored: all of it is kept, or nothing.

    A VALUE is a number; of several objectives 0.5,12 or loss=0.5,speed=12."""
    with _study(no_cache) as shell:
        words = told or []
        if json_lines:
            if words or config is not None:
                raise ConfigError("--json: reads standard input; leave trials and values out.")
            lines = enumerate(sys.stdin, 1)
            requests = [shell.parse(text, f"line {i}") for i, text in lines if text.strip()]
        else:
            requests = shell.reports_of(words, config, status)
        more = {"status": status, "cost": cost, "fidelity": fidelity}
        more["variance"] = variance and shell.value_of(variance, "--variance")
        more = {name: value for name, value in more.items() if value is not None}
        requests = [more | r if isinstance(r, dict) else r for r in requests]
        if not requests:
            raise ConfigError("tell: nothing was told; give TRIAL VALUE, --config or --json.")
        shell.tell(shell.open_optimizer(store), requests)


@app.command()
def report(
    store: StoreOption,
    run: Annotated[
        str | None, typer.Option(help="Its id. Default: the study, or else the latest sweep.")
    ] = None,
    format: FormatOption = Format.text,
) -> None:
    """The best trial, how many have which status, and a table of all."""
    with _answering(None):
        from bojax import shell

        found = shell.stored_report(store, run)
        if format is Format.json:
            typer.echo(shell.line_of(found))
        else:
            shell.text_of_report(found, typer.echo)


@app.command()
def serve(
    store: StoreOption,
    space: SpaceOption = None,
    direction: DirectionOption = None,
    seed: SeedOption = None,
    strategy: StrategyOption = None,
    no_cache: NoCache = False,
) -> None:
    """Answer JSON lines: {"op": "ask", "n": 2}, {"op": "tell", "trial": 3, "value": 0.5},
    {"op": "best"}, {"op": "pareto"}, {"op": "report"}, {"op": "quit"}."""
    with _study(no_cache) as shell:
        optimizer = shell.open_optimizer(
            store,
            space,
            direction=direction and shell.direction_of(direction),
            seed=seed,
            strategy=strategy,
        )
        shell.serve(optimizer, sys.stdin, sys.stdout)


# ---------------------------------------------------------------------------------- bench


class Half(StrEnum):
    """Of the standard set of problems."""

    tuning = "tuning"
    reporting = "reporting"


@bench.callback()
def _about_bench() -> None:
    """Measure strategies, surrogates and speed, beside other libraries where they are installed."""


@bench.command()
def regret(
    half: Annotated[Half, typer.Option(help="Problems; defaults are chosen on tuning.")] = (
        Half.tuning
    ),
    problem: Annotated[list[str] | None, typer.Option(help="Only these of them.")] = None,
    instances: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many of each.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs on each instance.")] = 5,
    evaluations: Annotated[int, typer.Option(min=1, help="Of each run.")] = 40,
    batch: Annotated[int, typer.Option(min=1, help="Suggestions at a time.")] = 1,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="Strategies of bojax, the first is ours; random-x2 has twice the budget."
            " Default: gp, random, sobol."
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(help="Other libraries: botorch, optuna-tpe, optuna4-tpe, an adapter.py, ..."),
    ] = None,
    rows: Annotated[
        Path, typer.Option(help="CSV of finished runs; those in it are not repeated.")
    ] = Path("runs/regret.csv"),
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Foreign processes at a time. Default: the cores.")
    ] = None,
    timeout: Annotated[float, typer.Option(help="Seconds of a foreign suggestion.")] = 120.0,
    picture: Annotated[Path | None, typer.Option(help="PNG of the regret curves.")] = None,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="Plain lines only.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Compile everything anew.")] = False,
) -> None:
    """Whole runs on the standard problems, paired, losses first."""
    console, programs = _begin(no_progress, no_cache)
    with _answering(rows):
        from bojax.benchmark import compare_strategies, regret_table

        methods = {name: _strategy(name) for name in method or ("gp", "random", "sobol")}
        methods |= {name: _peer(name, timeout) for name in against or ()}
        chosen = _problems(half.value, problem, instances)
        total = len(methods) * len(chosen) * seeds
        console.line(
            f"{len(chosen)} instances of the {half.value} half, {len(methods)} methods, {seeds} "
            f"seeds: {total} runs of {evaluations} evaluations; rows: {rows}"
        )
        with console.runs(programs) as watch:
            found = compare_strategies(
                methods, chosen, seeds=seeds, evaluations=evaluations, batch=batch, store=rows,
                workers=jobs, on_trace=watch.trace,
            )  # fmt: skip
        console.regret(regret_table(found.traces, method=next(iter(methods))))
        console.programs(programs)
        if picture is not None:
            from bojax.analysis import regret_picture

            regret_picture(found.traces, ours=next(iter(methods)), save=picture)
            console.line(f"picture: {picture}")


@bench.command()
def surrogates(
    kernel: Annotated[
        list[str] | None,
        typer.Option(help="Kernels of bojax, the first is ours. Default: matern52, rbf."),
    ] = None,
    against: Annotated[
        list[str] | None, typer.Option(help="Other libraries: botorch, sklearn, an adapter.py, ...")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Data sets, or standard problems to sample."
            " Default: diabetes, friedman1, friedman2, friedman3."
        ),
    ] = None,
    splits: Annotated[int, typer.Option(min=1, help="Of each data set.")] = 10,
    size: Annotated[
        list[int] | None, typer.Option(min=2, help="Training rows. Default: 20, 50, 100.")
    ] = None,
    test: Annotated[int, typer.Option(min=2, help="Rows predicted.")] = 200,
    rows: Annotated[
        Path, typer.Option(help="CSV of finished fits; those in it are not repeated.")
    ] = Path("runs/surrogates.csv"),
    timeout: Annotated[float, typer.Option(help="Seconds of a fit.")] = 120.0,
    isolated: Annotated[
        bool, typer.Option("--isolated", help="A process each, also for ours: memory is measured.")
    ] = False,
    picture: Annotated[Path | None, typer.Option(help="PNG of the calibration.")] = None,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="Plain lines only.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Compile everything anew.")] = False,
) -> None:
    """Fits to the same splits of the same data: error, density, coverage, seconds."""
    console, programs = _begin(no_progress, no_cache)
    with _answering(rows):
        import bojax
        from bojax.benchmark import compare_surrogates

        try:
            ours = {
                f"bojax {k}": bojax.surrogates.gp(kernel=k) for k in kernel or ("matern52", "rbf")
            }
        except ValueError as error:
            raise ConfigError(f"--kernel: {error}") from error
        contenders = ours | {name: _peer(name, timeout) for name in against or ()}
        sets = [_data(name) for name in dict.fromkeys(data or DATA)]
        with console.runs(programs) as watch:
            found = compare_surrogates(
                contenders, sets, splits, sizes=tuple(size or (20, 50, 100)), test=test,
                isolated=isolated, timeout=timeout, store=rows, on_row=watch.fit,
            )  # fmt: skip
        console.surrogates(found, next(iter(ours)))
        console.programs(programs)
        if picture is not None:
            from bojax.analysis import calibration_picture

            calibration_picture(found.rows, ours=next(iter(ours)), save=picture)
            console.line(f"picture: {picture}")


@bench.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def speed(
    context: typer.Context,
    script: Annotated[str, typer.Option(help="Which script below benchmarks/.")] = "speed",
) -> None:
    """Run a script of a checkout's benchmarks/; further options go to it, --help after --."""
    with _answering(None):
        file = _checkout() / "benchmarks" / f"{script}.py"
        if not file.is_file():
            known = ", ".join(sorted(path.stem for path in file.parent.glob("*.py")))
            raise ConfigError(f"--script {script}: there is no such script; there are {known}.")
        ended = subprocess.run([sys.executable, str(file), *context.args], check=False)
        raise typer.Exit(ended.returncode)


@bench.command()
def sweeps(
    file: Annotated[Path, typer.Argument(help="Python file with a function sweep(**settings).")],
    splits: Annotated[int, typer.Option(min=1, help="Paired splits to compare on.")] = 10,
    trials: Annotated[int | None, typer.Option(min=1, help="Configurations started.")] = None,
    store: Annotated[str | None, typer.Option(help="File or URL to keep every rung in.")] = None,
    seed: Annotated[int, typer.Option(help="Fixes suggestions and training.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where STORE stands.")] = False,
    picture: Annotated[Path | None, typer.Option(help="PNG to write.")] = None,
    no_progress: Annotated[bool, typer.Option("--no-progress", help="Plain lines only.")] = False,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Compile everything anew.")] = False,
) -> None:
    """A sweep, random search at its budget and a default: `bojax sweep FILE --splits 10`."""
    sweep(file, trials, splits, store, seed, resume, picture, no_progress, no_cache)


DATA = ("diabetes", "friedman1", "friedman2", "friedman3")


def _begin(no_progress: bool, no_cache: bool) -> tuple[Any, Any]:
    """The machine set up, and what prints and counts."""
    import bojax

    bojax.configure(cpu_devices="cores")
    if not no_cache:
        compilation_cache()
    from bojax.console import Console, Programs

    return Console(plain=no_progress), Programs()


@contextlib.contextmanager
def _answering(rows: Path | None) -> Iterator[None]:
    """Errors in one line; an interrupt says what is kept."""
    try:
        yield
    except BojaxError as error:
        typer.echo(f"bojax: {error}", err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt as error:
        kept = "" if rows is None else f" Finished runs are in {rows}; the same command goes on."
        typer.echo(f"\nInterrupted.{kept}", err=True)
        raise typer.Exit(130) from error


def _strategy(name: str) -> Any:
    """A strategy by its name, at twice the evaluations after `-x2`."""
    from bojax import strategies
    from bojax.benchmark import Doubled

    plain = name.removesuffix(TWICE)
    if plain not in strategies.names():
        raise ConfigError(
            f"--method {name}: unknown; expected one of {', '.join(strategies.names())}, with "
            f"{TWICE} for twice the budget."
        )
    strategy = strategies.by_name(plain)
    return strategy if plain == name else Doubled(strategy)


def _peer(name: str, timeout: float) -> Any:
    """A foreign method: an adapter by its name or path, or Optuna with one of its samplers."""
    from bojax.benchmark import foreign

    if name.endswith(".py"):
        return foreign(name, timeout=timeout)
    environment, _, sampler = name.partition("-")
    if not sampler:
        return foreign(name, timeout=timeout)
    adapter = environment.rstrip("0123456789")  # optuna4: the adapter of Optuna, older packages
    return foreign(adapter, environment=environment, sampler=sampler, label=name, timeout=timeout)


def _problems(half: str, names: list[str] | None, instances: int | None) -> list[Any]:
    from bojax.benchmark import problems

    found = problems.standard(half, instances=instances)
    known = list(dict.fromkeys(problem.name for problem in found))
    if unknown := [name for name in names or () if name not in known]:
        raise ConfigError(
            f"--problem {unknown[0]}: not in the {half} half, which has {', '.join(known)}."
        )
    return [problem for problem in found if not names or problem.name in names]


def _data(name: str) -> Any:
    from bojax.benchmark import _datasets, problems

    if name in DATA:
        return getattr(_datasets, name)()
    standard = {problem.name: problem for problem in problems.standard(instances=1)}
    if name not in standard:
        known = ", ".join([*DATA, *standard])
        raise ConfigError(f"--data {name}: unknown; expected one of {known}.")
    return _datasets.from_problem(standard[name])


def _checkout() -> Path:
    """The repository: above the present folder, or above the installed package."""
    below = Path.cwd()
    for folder in (below, *below.parents, Path(__file__).resolve().parents[1]):
        file = folder / "pyproject.toml"
        if file.is_file() and (folder / "benchmarks").is_dir():
            project = tomllib.loads(file.read_text()).get("project", {})
            if project.get("name") == "bojax":
                return folder
    raise ConfigError(
        "bench speed: needs a checkout of bojax, whose benchmarks/ are not installed with it; "
        "clone the repository, run `make bench-env` there for the other libraries, and try again."
    )


def main() -> None:
    """Entry point of the `bojax` command."""
    app()


if __name__ == "__main__":
    main()
