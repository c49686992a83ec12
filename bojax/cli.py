"""The command line: `bojax sweep FILE`."""

from __future__ import annotations

import importlib.util
import os
import sys
import time
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer

from bojax.errors import BojaxError, ConfigError

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


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


def compilation_cache() -> Path:
    """Switch JAX's persistent compilation cache on, in the user's own directory, mode 0700.

    What is in it is code, so it never stands where others can write, nor in a run's folder.
    """
    import jax

    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "bojax" / "xla"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    return folder


def _new_store(file: Path) -> str:
    folder = Path("runs")
    folder.mkdir(exist_ok=True)
    return str(folder / f"{file.stem}-{datetime.now():%Y%m%d-%H%M%S}.db")


def main() -> None:
    """Entry point of the `bojax` command."""
    app()


if __name__ == "__main__":
    main()
