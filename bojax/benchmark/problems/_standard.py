"""The standard set of problems, read from standard.toml beside this file."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bojax.benchmark.problems import _catalogue
from bojax.errors import ConfigError
from bojax.loop import Problem

HALVES = ("tuning", "reporting")
MAKERS = {
    "function": _catalogue.function,
    "mixed": _catalogue.mixed,
    "conditional": _catalogue.conditional,
}


@dataclass(frozen=True)
class Entry:
    """A problem of the set.

    Attributes:
        label: the problem's name.
        half: "tuning" or "reporting".
        family: "continuous", "noisy", "mixed" or "conditional".
    """

    label: str
    half: str
    family: str


def standard(half: str | None = None, *, instances: int | None = None) -> list[Problem]:
    """The standard problems, every instance of each.

    Defaults are chosen on the tuning half alone; what is published is measured on the
    reporting half.

    Args:
        half: "tuning" (20 instances), "reporting" (20), None for both.
        instances: only the first so many of each problem.

    Raises:
        ConfigError: another half.

    Example:
        >>> from bojax.benchmark import problems
        >>> [p.name for p in problems.standard("tuning", instances=1)]
        ['styblinski_tang_4', 'levy_10', 'noisy_hartmann3', 'mixed_rastrigin_6', 'conditional_levy']
    """
    if half is not None and half not in HALVES:
        raise ConfigError(f"standard: half must be tuning or reporting, got {half!r}.")
    made = []
    for entry in _entries():
        if half is None or entry["half"] == half:
            numbers = entry["instances"][:instances]
            make, settings = _maker(entry)
            made += [make(**settings, instance=number) for number in numbers]
    return made


def described(name: str) -> Entry:
    """Half and family of a problem by its name; empty strings where it is not of the set.

    Example:
        >>> from bojax.benchmark import problems
        >>> problems.described("hartmann6")
        Entry(label='hartmann6', half='reporting', family='continuous')
    """
    return _by_name().get(name, Entry(name, "", ""))


@cache
def _by_name() -> dict[str, Entry]:
    found = {}
    for entry in _entries():
        make, settings = _maker(entry)
        label = make(**settings).name
        found[label] = Entry(label, entry["half"], entry["family"])
    return found


@cache
def _entries() -> tuple[dict[str, Any], ...]:
    text = (Path(__file__).parent / "standard.toml").read_text()
    return tuple(tomllib.loads(text)["problem"])


def _maker(entry):
    settings = {key: entry[key] for key in ("name", "dimensions", "noise") if key in entry}
    return MAKERS[entry["kind"]], settings
