"""What a shell, or a program in another language, says to a study and is answered.

Requests and answers are JSON objects, one a line. `answer` serves one request; `serve` a whole
conversation over two streams, in which an error is an answer like any other. The commands
`bojax ask`, `tell` and `report` are the same requests, and print them as text if wanted.
"""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, TextIO

from bojax import study
from bojax.errors import BojaxError, ConfigError, TrialError
from bojax.history import Run, Status, Trial
from bojax.objectives import Objectives
from bojax.optimizer import Optimizer
from bojax.space import Space
from bojax.store import open_store
from bojax.words import TOLD, direction_of, parse, reports_of, value_of

__all__ = ["direction_of", "parse", "reports_of", "value_of"]  # as the command line needs them
ASK = ("n", "fidelity", "context", "fixed")
TELL = ("trial", "config", "value", "variance", "cost", "fidelity", "metrics", "status")


def open_optimizer(store: str, space: Path | None = None, **given: Any) -> Optimizer:
    """The study of a store, begun if there is a space to begin it with.

    Args:
        store: file or URL.
        space: file with the JSON of `Space.to_json`.
        given: "strategy", "seed", "direction"; None leaves the choice to the store.

    Raises:
        BojaxError: as the :class:`~bojax.Optimizer` does.
        ConfigError: the space's file cannot be read, or a setting is not the store's.
    """
    from bojax.strategies import names

    given = {name: value for name, value in given.items() if value is not None}
    if given.get("strategy", "gp") not in names():
        raise ConfigError(
            f"strategy {given['strategy']!r}: unknown; expected one of {', '.join(names())}."
        )
    optimizer = Optimizer(None if space is None else read_space(space), store=store, **given)
    kept = {name: getattr(optimizer, name) for name in ("seed", "direction")}
    kept["strategy"] = study.name_of(optimizer.strategy)
    for name, value in given.items():  # a default that was asked for is asked for, here
        named = isinstance(value, Mapping) and isinstance(kept[name], Mapping)
        if value != kept[name] or (named and list(value) != list(kept[name])):
            raise ConfigError(study.other(store, name, kept[name], value))
    return optimizer


def read_space(file: Path) -> Space:
    """The space in a file that has the JSON of `Space.to_json`.

    Raises:
        ConfigError: no such file, or no JSON in it.
        SpaceError: it describes no space.
    """
    try:
        data = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{file}: cannot be read as the JSON of a space ({error}); "
            "json.dump(space.to_json(), file) writes one."
        ) from error
    try:
        return Space.from_json(data)
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{file}: describes no space ({error!r}); json.dump(space.to_json(), file) writes one."
        ) from error


# ---------------------------------------------------------------------------------- requests


def ask(optimizer: Optimizer, request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """`n` new trials, kept as pending before this returns.

    Example:
        >>> import bojax
        >>> from bojax import shell
        >>> optimizer = bojax.Optimizer({"k": bojax.Int(3, 4)}, strategy="random")
        >>> shell.ask(optimizer, {"n": 1, "fixed": {"k": 3}})
        [{'trial': 0, 'config': {'k': 3}}]
    """
    _only(request, ASK, "ask")
    n = request.get("n", 1)
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ConfigError(f"n: expected a whole number of trials, at least 1, got {n!r}.")
    for name in ("context", "fixed"):
        if not isinstance(request.get(name) or {}, Mapping):
            raise ConfigError(f"{name}: expected an object of values by name.")
    more = {name: request[name] for name in ASK[1:] if request.get(name) is not None}
    return [_asked(trial) for trial in optimizer.ask(n, **more)]


def tell(optimizer: Optimizer, requests: Sequence[Mapping[str, Any]]) -> None:
    """What trials, or configurations from elsewhere, scored: all of it is kept, or nothing.

    Example:
        >>> import bojax
        >>> from bojax import shell
        >>> optimizer = bojax.Optimizer({"k": bojax.Int(1, 3)}, strategy="random")
        >>> shell.tell(optimizer, [{"config": {"k": 2}, "value": 0.5}])
        >>> optimizer.best().value
        0.5
    """
    reports = [_report(request) for request in requests]
    optimizer.together(lambda: [optimizer.tell(which, **told) for which, told in reports])


def _report(request: Any) -> tuple[Any, dict[str, Any]]:
    if not isinstance(request, Mapping):
        raise TrialError(f'tell: expected {{"trial": 3, "value": 0.5}}, got {request!r}.')
    _only(request, TELL, "tell")
    told = {name: value for name, value in request.items() if value is not None}
    which = [told.pop(name) for name in ("trial", "config") if name in told]
    if len(which) != 1:
        raise TrialError('tell: needs either "trial" or "config", to know what scored.')
    name = f"trial {which[0]}" if "trial" in request else "config"
    if isinstance(which[0], Mapping) == ("trial" in request):
        raise TrialError(f"{name}: trial takes a number, config an object of values by name.")
    if "value" not in told and told.get("status") not in TOLD:
        raise TrialError(f"{name}: has no value; give one, or a status: failed or stale.")
    for column in ("value", "variance", "cost", "fidelity"):
        given = told.get(column, 0.0)
        parts = [given]
        if column in ("value", "variance"):  # of several objectives one each
            parts = list(given.values()) if isinstance(given, Mapping) else parts
            parts = given if isinstance(given, list) else parts
        for number in parts:
            if isinstance(number, bool) or not isinstance(number, (int, float, NoneType)):
                raise TrialError(f"{name}: its {column} must be a number, got {number!r}.")
    return which[0], told


def best(optimizer: Optimizer) -> dict[str, Any]:
    """The best trial, as `report` has it."""
    return _row(optimizer.best(), Objectives.of(optimizer.direction))


def pareto(optimizer: Optimizer) -> list[dict[str, Any]]:
    """The trials that none is better than, as `report` has them."""
    objectives = Objectives.of(optimizer.direction)
    return [_row(trial, objectives) for trial in optimizer.pareto()]


def report(run: Run, trials: Sequence[Trial]) -> dict[str, Any]:
    """Counts by status, the best trial (of several objectives the front), and all trials.

    Example:
        >>> from bojax import shell
        >>> from bojax.history import Run, Status, Trial
        >>> trial = Trial(0, {"x": 1}, status=Status.DONE, values=(2.0,))
        >>> shell.report(Run("a", {}, {"loss": "minimize"}, 0), [trial])["counts"]
        {'done': 1}
    """
    objectives = Objectives.of(run.objectives)
    counts = dict(Counter(t.status.name.lower() for t in trials))
    rows = [_row(trial, objectives) for trial in trials]
    if objectives.several:
        front = [_row(trial, objectives) for trial in objectives.pareto(trials)]
        told = {"run": run.id, "objectives": objectives.direction, "counts": counts}
        return told | {"pareto": front, "trials": rows}
    done = [t for t in trials if t.value is not None and math.isfinite(t.value)]
    done = [t for t in done if t.status != Status.FAILED]
    (sign,) = objectives.signs
    ranked = sorted(done, key=lambda t: (-(t.fidelity or 0.0), sign * (t.value or 0.0), t.id))
    return {
        "run": run.id,
        "objective": objectives.names[0],
        "direction": objectives.directions[0],
        "counts": counts,
        "best": _row(ranked[0], objectives) if ranked else None,
        "trials": rows,
    }


def stored_report(store: str, run_id: str | None = None) -> dict[str, Any]:
    """The report of a run in a store: of the study, or of the latest sweep if there is none.

    Raises:
        StoreError: no store, or no such run in it.
        ConfigError: the store is empty.
    """
    with open_store(store, create=False) as opened:
        runs = {run.id: run for run in opened.runs()}
        if run_id is None:
            if not runs:
                raise ConfigError(f"{store}: holds no run yet; `bojax ask --space` begins one.")
            run_id = study.RUN if study.RUN in runs else list(runs)[-1]
        return report(opened.run(run_id), opened.trials(run_id))


def answer(optimizer: Optimizer, request: Any) -> dict[str, Any]:
    """The answer to one request.

    Args:
        optimizer: of the study.
        request: {"op": "ask", "n": 2}, {"op": "tell", "trial": 3, "value": 0.5} (or "reports":
            a list of such), {"op": "best"}, {"op": "pareto"} or {"op": "report"}.

    Raises:
        BojaxError: what the caller says back.

    Example:
        >>> import bojax
        >>> from bojax import shell
        >>> optimizer = bojax.Optimizer({"k": bojax.Int(3, 4)}, strategy="random")
        >>> shell.answer(optimizer, {"op": "ask", "fixed": {"k": 3}})
        {'trials': [{'trial': 0, 'config': {'k': 3}}]}
    """
    if not isinstance(request, Mapping) or "op" not in request:
        raise ConfigError(f'expected an object as {{"op": "ask", "n": 2}}, got {request!r}.')
    told = {name: value for name, value in request.items() if name != "op"}
    match request["op"]:
        case "ask":
            return {"trials": ask(optimizer, told)}
        case "tell":
            reports = told["reports"] if set(told) == {"reports"} else [told]
            if not isinstance(reports, list):
                raise TrialError("reports: expected a list of what trials scored.")
            tell(optimizer, reports)
            return {"told": len(reports)}
        case "best":
            _only(told, (), "best")
            return {"best": best(optimizer)}
        case "pareto":
            _only(told, (), "pareto")
            return {"pareto": pareto(optimizer)}
        case "report":
            _only(told, (), "report")
            wanted = Objectives.of(optimizer.direction)
            run = Run(study.RUN, {}, wanted.named(wanted.directions), optimizer.seed)
            return report(run, optimizer.trials)
        case other:
            raise ConfigError(
                f"op {other!r}: unknown; expected ask, tell, best, pareto, report or quit."
            )


def serve(optimizer: Optimizer, lines: Iterable[str], out: TextIO) -> None:
    """Answer requests, a line each, until `{"op": "quit"}` or the end of the lines.

    Example:
        >>> import sys
        >>> import bojax
        >>> from bojax import shell
        >>> optimizer = bojax.Optimizer({"k": bojax.Int(3, 4)}, strategy="random")
        >>> shell.serve(optimizer, ['{"op": "best"}', '{"op": "quit"}'], sys.stdout)
        {"error": "best: no trial has a value yet; tell one first."}
        {"bye": true}
    """
    for line in lines:
        if not line.strip():
            continue
        try:
            request = parse(line, "request")
            if isinstance(request, Mapping) and request.get("op") == "quit":
                found: dict[str, Any] = {"bye": True}
            else:
                found = answer(optimizer, request)
        except (BojaxError, ValueError, TypeError, KeyError) as error:
            found = {"error": " ".join(str(error).split())}
        print(line_of(found), file=out, flush=True)
        if "bye" in found:
            return


def _only(request: Mapping[str, Any], known: Sequence[str], op: str) -> None:
    if unknown := [name for name in request if name not in known]:
        expected = f"expected {', '.join(known)}" if known else "it takes nothing"
        raise ConfigError(f"{op}: does not know {unknown[0]!r}; {expected}.")


# ---------------------------------------------------------------------------------- printing


def _asked(trial: Trial) -> dict[str, Any]:
    told = {"trial": trial.id, "config": _finite(trial.config)}
    return told if trial.fidelity is None else told | {"fidelity": trial.fidelity}


def _row(trial: Trial, objectives: Objectives) -> dict[str, Any]:
    row: dict[str, Any] = {"trial": trial.id, "status": trial.status.name.lower()}
    values, variance = trial.values, trial.variance or ()
    if objectives.several:
        row["values"] = None if values is None else _finite(objectives.named(values))
    else:
        row["value"] = _finite(trial.value)
    row["config"] = _finite(trial.config)
    if any(variance):
        several = objectives.several
        row["variance"] = _finite(objectives.named(variance) if several else variance[0])
    more = {"cost": trial.cost, "fidelity": trial.fidelity}
    return row | {name: _finite(value) for name, value in more.items() if value is not None}


def _finite(value: Any) -> Any:
    """JSON has no word for what is not finite: null."""
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def line_of(data: Any) -> str:
    """Data as one line of JSON."""
    return json.dumps(data, allow_nan=False, default=str)


def text_of_trial(asked: Mapping[str, Any]) -> str:
    """A suggestion as a shell reads it: its number, then name=value, quoted where needed.

    Example:
        >>> from bojax import shell
        >>> shell.text_of_trial({"trial": 3, "config": {"lr": 0.5, "kind": "a b"}})
        "3 lr=0.5 kind='a b'"
    """
    return " ".join([str(asked["trial"]), *_pairs(asked["config"])])


def text_of_report(told: Mapping[str, Any], write: Callable[[str], None]) -> None:
    """A report as text: the counts, the best trial or the front, a table of all."""
    counts = ", ".join(f"{n} {status}" for status, n in told["counts"].items()) or "none"
    several = told.get("objectives")
    wanted = several or {told["objective"]: told["direction"]}
    ways = ", ".join(f"{way} {name}" for name, way in wanted.items())
    write(f"{told['run']}: {ways}; trials: {counts}")
    names = list(several) if several else ["value"]

    def values(row: Mapping[str, Any]) -> list[str]:
        found = row["values"] if several else {"value": row["value"]}
        found = dict.fromkeys(names) if found is None else found
        return ["" if found[name] is None else f"{found[name]:.6g}" for name in names]

    for first in told["pareto"] if several else [told["best"]]:
        if first is not None:
            which = "front" if several else "best"
            told_values = ", ".join(values(first))
            write(f"{which}: trial {first['trial']}, {told_values}: {_told(first['config'])}")
    if not told["trials"]:
        return
    cells = [["trial", "status", *names, "configuration"]]
    for row in told["trials"]:
        cells.append([str(row["trial"]), row["status"], *values(row), _told(row["config"])])
    wide = [max(len(line[i]) for line in cells) for i in range(len(cells[0]) - 1)]
    for number, status, *scores, config in cells:
        padded = "".join(f"{s:>{w}}  " for s, w in zip(scores, wide[2:], strict=True))
        write(f"{number:>{wide[0]}}  {status:<{wide[1]}}  {padded}{config}")


def _told(config: Mapping[str, Any]) -> str:
    return " ".join(_pairs(config))


def _pairs(config: Mapping[str, Any]) -> list[str]:
    return [f"{name}={_word(value)}" for name, value in config.items()]


def _word(value: Any) -> str:
    return shlex.quote(value if isinstance(value, str) else line_of(value))
