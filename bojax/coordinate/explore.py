"""What a copy in population based training changes: perturbed, or drawn anew.

M. Jaderberg et al., "Population based training of neural networks", 2017, section 4.1, with the
fresh draws and the sideways steps of lists of Ray Tune.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bojax.errors import SpaceError
from bojax.space import Space
from bojax.space.parameters import Float, Int, Ordinal, choice_key

DRAWS = 16  # of a copy that a constraint forbids; then it keeps its donor's configuration


def explored(
    space: Space, config: Mapping[str, Any], names: Sequence[str], rng: np.random.Generator, *,
    factors: Sequence[float], resample: float,
) -> dict[str, Any]:  # fmt: skip
    """A neighbour of a configuration: valid, feasible, every value in its range.

    Args:
        space, config: what is perturbed; the fidelity is no part of it.
        names: parameters that may change.
        rng: where chance comes from.
        factors: one of which a number is multiplied by.
        resample: probability of a fresh draw instead.

    Example:
        >>> import bojax, numpy as np
        >>> from bojax.coordinate.explore import explored
        >>> space = bojax.Space({"lr": bojax.Float(0.1, 1.0), "n": bojax.Ordinal([1, 2, 4])})
        >>> explored(space, {"lr": 0.5, "n": 1}, ["n"], np.random.default_rng(0),
        ...          factors=(1.2, 0.8), resample=0.0)
        {'lr': 0.5, 'n': 2}
    """
    own = {name: value for name, value in config.items() if name not in space.derived}
    for _ in range(DRAWS):
        # A draw of every column: for what is drawn anew, and what a new parent switches on.
        row = rng.random((1, space.table.columns))
        fresh = {
            name: _drawn(space.parameters[name], values[0], rng)
            for name, values in zip(space.names, space.values_of(row), strict=True)
            if name != space.fidelity
        }
        changed = fresh | own
        for name in names:
            if name not in own:
                continue
            if rng.random() < resample:
                changed[name] = fresh[name]
            else:
                changed[name] = _moved(space.parameters[name], own[name], factors, rng)
        found = space.decode(space.encode(changed))
        if space.feasible(found):
            return {n: own.get(n, v) if n not in names else v for n, v in found.items()}
    return dict(config)


def _drawn(parameter: Any, value: Any, rng: np.random.Generator) -> Any:
    """A number as a random row has it, or one of the choices."""
    if isinstance(parameter, (Float, Int)):
        return value
    return parameter.choices[int(rng.integers(len(parameter.choices)))]


def _moved(parameter: Any, value: Any, factors: Sequence[float], rng: np.random.Generator) -> Any:
    """A number times a factor, an ordinal's neighbour, another category."""
    if isinstance(parameter, (Float, Int)):
        moved = value * factors[int(rng.integers(len(factors)))]
        if parameter.step is not None:
            # A small integer times 1.2 rounds to itself: one step at least.
            steps = round((moved - value) / parameter.step) or (1 if moved > value else -1)
            moved = value + steps * parameter.step
        return type(value)(min(max(moved, parameter.low), parameter.high))
    choices = list(parameter.choices)
    at = [choice_key(choice) for choice in choices].index(choice_key(value))
    if isinstance(parameter, Ordinal):
        at += 1 if rng.random() < 0.5 else -1
        # The ends have one neighbour: the other way from there.
        at = 1 if at < 0 else len(choices) - 2 if at == len(choices) else at
        return choices[max(at, 0)]
    return choices[(at + 1 + int(rng.integers(max(len(choices) - 1, 1)))) % len(choices)]


def names_to_explore(
    space: Space, wanted: Sequence[str] | None, fixed: Iterable[str]
) -> tuple[str, ...]:
    """The parameters that copies change.

    Args:
        space: of the run.
        wanted: names, or None for every Float.
        fixed: what cannot change in training.

    Raises:
        SpaceError: a name that is no parameter, or cannot change; nothing to change.
    """
    fixed = set(fixed)
    if space.members:
        raise SpaceError(
            "pbt: members of a pool cannot be perturbed; search the parameters instead."
        )
    listed = [n for n in space.names if n != space.fidelity]
    if wanted is None:
        found = [n for n in listed if n not in fixed and isinstance(space.parameters[n], Float)]
    else:
        for name in wanted:
            if name not in listed:
                raise SpaceError(f"perturb={name!r}: no such parameter; the space has {listed}.")
            if name in fixed:
                raise SpaceError(
                    f"perturb={name!r}: it chooses the program (static or padded), so that a copy "
                    "could not keep its donor's weights; leave it out."
                )
        found = list(wanted)
    if not found:
        raise SpaceError(
            "pbt: nothing to perturb: no Float that is traced; name parameters with perturb=[...]."
        )
    return tuple(found)
