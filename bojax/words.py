"""What the words of a command line say: directions, trials and what they scored."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bojax.errors import ConfigError, TrialError
from bojax.objectives import Objectives

TOLD = ("failed", "stale")  # statuses that need no value


def direction_of(word: str) -> str | dict[str, str]:
    """A direction, or those of several objectives by name.

    Raises:
        ConfigError: it is none.

    Example:
        >>> from bojax import words
        >>> words.direction_of("loss=minimize,speed=maximize")
        {'loss': 'minimize', 'speed': 'maximize'}
    """
    found: Any = word
    if "=" in word or "," in word:
        pairs = [part.split("=") for part in word.split(",")]
        if any(len(pair) != 2 for pair in pairs):
            raise ConfigError(
                f"--direction {word}: expected one direction, or NAME=minimize,NAME=maximize."
            )
        if len({name for name, _ in pairs}) < len(pairs):
            raise ConfigError(f"--direction {word}: an objective is named twice.")
        found = {name.strip(): way.strip() for name, way in pairs}
    try:
        return Objectives.of(found).direction
    except ValueError as error:
        raise ConfigError(f"--direction {word}: {error}") from error


def reports_of(
    words: Sequence[str], config: str | None = None, status: str | None = None
) -> list[dict[str, Any]]:
    """Requests to tell from the words of a command line.

    Args:
        words: TRIAL VALUE TRIAL VALUE ...; only trials if there is a status, only a value if
            there is a configuration. A value is as :func:`value_of` reads it.
        config: its JSON.
        status: "failed" or "stale".

    Raises:
        TrialError: words that are no numbers, or not in pairs.

    Example:
        >>> from bojax import words
        >>> words.reports_of(["3", "0.5"])
        [{'trial': 3, 'value': 0.5}]
    """
    if status is not None and status not in TOLD:
        raise TrialError(f"--status {status}: expected {' or '.join(TOLD)}.")
    if config is not None:
        if len(words) != (0 if status else 1):
            raise TrialError(f"--config: needs one VALUE, or --status alone, got {len(words)}.")
        values = {"value": value_of(words[0], "value")} if words else {}
        return [{"config": parse(config, "--config"), **values}]
    if status is not None:
        return [{"trial": _id(word)} for word in words]
    if len(words) % 2:
        raise TrialError(f"trial {words[-1]}: has no value; give TRIAL VALUE, or --status failed.")
    pairs = zip(words[::2], words[1::2], strict=True)
    return [{"trial": _id(trial), "value": value_of(v, f"trial {trial}")} for trial, v in pairs]


def value_of(word: str, name: str) -> float | list[float] | dict[str, float]:
    """A number; of several objectives one each, in their order or by name.

    Args:
        word: 0.5, or 0.5,12 or loss=0.5,speed=12.
        name: what it is of, for messages.

    Raises:
        TrialError: a part is no number.

    Example:
        >>> from bojax import words
        >>> words.value_of("0.5,12", "trial 3"), words.value_of("speed=12,loss=0.5", "trial 3")
        ([0.5, 12.0], {'speed': 12.0, 'loss': 0.5})
    """
    if "=" in word:
        pairs = [part.partition("=") for part in word.split(",")]
        if len({of for of, _, _ in pairs}) < len(pairs):
            raise TrialError(f"{name}: {word} names an objective twice.")
        return {of.strip(): _number(text, name) for of, _, text in pairs}
    if "," in word:
        return [_number(text, name) for text in word.split(",")]
    return _number(word, name)


def parse(text: str, name: str) -> Any:
    """JSON, or an error that says which text is none.

    Raises:
        ConfigError: it is no JSON.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{name}: is no JSON ({error}): {text.strip()[:80]}") from error


def _id(word: str) -> int:
    try:
        return int(word)
    except ValueError as error:
        raise TrialError(f"{word}: expected a trial's number, as `bojax ask` printed.") from error


def _number(word: str, name: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise TrialError(
            f"{name}: its value must be a number, got {word!r}; a failure is --status failed."
        ) from error
