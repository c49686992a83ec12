"""Configurations to rows and back, on the host: NumPy, float64, a column at a time.

The trip is exact. Discrete values come back as the very objects that went in. A real
coordinate is kept on a grid fine enough not to matter (2**-40 of the range, coarser only
where the bounds themselves leave less precision) and coarse enough that the rounding of
`exp` and `log` never reaches the next grid point, so `row -> value -> row` and
`value -> row -> value` of every suggested value are identities to the bit.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bojax.errors import ConfigError
from bojax.space.parameters import Float, Int, Parameter, choice_key

STICK_GRID = 2.0**30  # steps of a share of what is left: rests down to 2**-16 stay exact
FINEST_GRID = 40  # bits; a step of 2**-40 of the range is below any tuner's resolution


def scale(parameter: Float | Int, value: Any) -> Any:
    """Natural value to the scale searched in."""
    return np.log(value) if parameter.log else np.asarray(value, float)


def edges(parameter: Float | Int) -> tuple[float, float]:
    """What 0 and 1 of the unit interval stand for, in the scale searched in."""
    if is_gridded(parameter):
        half = step_of(parameter) / 2
        low, high = parameter.low, grid_top(parameter)
        bottom = max(low - half, low / 2) if parameter.log else low - half
        return float(scale(parameter, bottom)), float(scale(parameter, high + half))
    return float(scale(parameter, parameter.low)), float(scale(parameter, parameter.high))


def is_gridded(parameter: Parameter) -> bool:
    """Whether a numeric parameter takes only `low + k step`."""
    return isinstance(parameter, Int) or (
        isinstance(parameter, Float) and parameter.step is not None
    )


def is_real(parameter: Parameter) -> bool:
    """Whether a parameter takes every value between its bounds."""
    return isinstance(parameter, Float) and parameter.step is None


def step_of(parameter: Float | Int) -> Any:
    """The grid's step, an int or a float; asked of gridded parameters only."""
    return parameter.step


def grid_count(parameter: Float | Int) -> int:
    """How many values a gridded parameter has."""
    # A tenth of a billionth of a step forgives 0.3 / 0.1 = 2.9999999999999996.
    return int(np.floor((parameter.high - parameter.low) / step_of(parameter) + 1e-10)) + 1


def grid_top(parameter: Float | Int) -> float:
    """The last value of the grid, at most `high`."""
    return parameter.low + (grid_count(parameter) - 1) * step_of(parameter)


def last_value(parameter: Float | Int) -> float:
    """The largest value that is suggested."""
    return grid_top(parameter) if is_gridded(parameter) else parameter.high


def grid_between(parameter: Float | Int, low: float, high: float) -> tuple[int, int]:
    """First and last index of the grid whose value lies in `[low, high]`; first > last if none."""
    first = np.ceil((low - parameter.low) / step_of(parameter) - 1e-9)
    last = np.floor((high - parameter.low) / step_of(parameter) + 1e-9)
    return max(int(first), 0), min(int(last), grid_count(parameter) - 1)


def encode_numeric(name: str, parameter: Float | Int, values: Sequence[Any]) -> np.ndarray:
    """Natural values to row coordinates, `[N]`.

    Raises:
        ConfigError: a value is no number, out of range, or off the grid.
    """
    for value in values:
        if isinstance(value, (bool, np.bool_)) or not isinstance(value, numbers.Real):
            raise ConfigError(f"{name}: expected a number, got {value!r}.")
    x = np.array([float(v) for v in values])
    bad = ~((x >= parameter.low) & (x <= parameter.high))
    if bad.any():
        raise ConfigError(
            f"{name}: {values[int(np.argmax(bad))]!r} is outside {parameter.low}..{parameter.high}."
        )
    low, high = edges(parameter)
    if is_gridded(parameter):
        index = np.round((x - parameter.low) / step_of(parameter))
        off = np.abs(parameter.low + index * step_of(parameter) - x) > 1e-9 * step_of(parameter)
        if off.any():
            raise ConfigError(
                f"{name}: {values[int(np.argmax(off))]!r} is not on its grid "
                f"{parameter.low} + k * {step_of(parameter)}."
            )
        x = parameter.low + index * step_of(parameter)
        return (scale(parameter, x) - low) / (high - low)
    return on_grid(parameter, (scale(parameter, x) - low) / (high - low))


def decode_numeric(parameter: Float | Int, unit: np.ndarray) -> list[Any]:
    """Row coordinates to natural values: Python ints or floats."""
    if not is_gridded(parameter):
        return Reals.of([parameter]).decoded(unit[:, None])[:, 0].tolist()
    low, high = edges(parameter)
    x = low + np.clip(unit, 0.0, 1.0) * (high - low)
    x = np.exp(x) if parameter.log else x
    index = np.clip(
        np.round((x - parameter.low) / step_of(parameter)), 0, grid_count(parameter) - 1
    )
    if isinstance(parameter, Int):
        return [parameter.low + int(i) * step_of(parameter) for i in index]
    return [_shown(parameter, value) for value in parameter.low + index * step_of(parameter)]


class Reals(NamedTuple):
    """Continuous parameters, whose columns are treated at once; each `[R]`.

    Attributes:
        bottom, top: the bounds, natural.
        low, high: the same in the scale searched in.
        log: which are searched in logarithms.
        steps: of the grid between 0 and 1, a power of two.
    """

    bottom: np.ndarray
    top: np.ndarray
    low: np.ndarray
    high: np.ndarray
    log: np.ndarray
    steps: np.ndarray

    @classmethod
    def of(cls, parameters: Sequence[Any]) -> Reals:
        """Of `Float` parameters without a step."""
        low, high = np.array([edges(p) for p in parameters], float).reshape(-1, 2).T
        return cls(
            np.array([p.low for p in parameters], float),
            np.array([p.high for p in parameters], float),
            low,
            high,
            np.array([p.log for p in parameters], bool),
            np.array([_steps(*edges(p), p.log) for p in parameters], float),
        )

    def on_grid(self, unit: np.ndarray) -> np.ndarray:
        """The nearest coordinates that survive the trip to values and back, `[..., R]`."""
        return np.round(np.clip(unit, 0.0, 1.0) * self.steps) / self.steps

    def decoded(self, unit: np.ndarray) -> np.ndarray:
        """Row coordinates to natural values, `[..., R]`."""
        unit = self.on_grid(unit)
        x = self.low + unit * (self.high - self.low)
        if self.log.any():
            x = np.where(self.log, np.exp(np.where(self.log, x, 0.0)), x)
        x = np.clip(x, self.bottom, self.top)
        return np.where(unit <= 0.0, self.bottom, np.where(unit >= 1.0, self.top, x))


def _shown(parameter: Float | Int, value: float) -> float:
    """A grid value in 15 digits, so that 0.1 + 2 * 0.1 is 0.3, where that is still the value."""
    short = float(f"{value:.15g}")
    close = abs(short - value) <= 1e-10 * step_of(parameter)
    if close and parameter.low <= short <= parameter.high:
        return short
    return float(min(max(value, parameter.low), parameter.high))


def on_grid(parameter: Float | Int, unit: np.ndarray) -> np.ndarray:
    """The nearest coordinate that survives the trip to a value and back."""
    steps = _steps(*edges(parameter), parameter.log)
    return np.round(np.clip(unit, 0.0, 1.0) * steps) / steps


def _steps(low: float, high: float, log: bool) -> float:
    """Of a real parameter's grid, between edges in the scale searched in."""
    eps = np.finfo(float).eps
    # Relative rounding of the value, seen in units of the interval, with room for both ways.
    magnitude = 1.0 + max(abs(low), abs(high)) if log else max(abs(low), abs(high))
    error = 8.0 * eps * max(magnitude, high - low) / (high - low)
    return 2.0 ** int(np.clip(np.floor(-np.log2(error)), 1, FINEST_GRID))


def on_stick_grid(unit: np.ndarray) -> np.ndarray:
    """The nearest share of a stick's rest that survives the trip to values and back."""
    return np.round(np.clip(unit, 0.0, 1.0) * STICK_GRID) / STICK_GRID


def forgiven(parameter: Parameter, value: Any) -> Any:
    """A member's value, put on its bound where only rounding is beyond: it is a difference."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        return value
    near = min(max(float(value), parameter.low), parameter.high)  # type: ignore[union-attr]
    return near if abs(near - value) <= 1e-9 * (parameter.high - parameter.low) else value  # type: ignore[union-attr]


def encode_sticks(
    names: Sequence[str],
    sticks: Any,
    rows: np.ndarray,
    given: np.ndarray,
    configs: Sequence[Mapping[str, Any]],
) -> np.ndarray:
    """Rows `[N, D]` with the members of each Simplex as shares of what is left.

    Args:
        names, sticks: of the space.
        given: `[N, D]` bool, which columns a configuration has.
        configs: the N configurations, whose natural values count.

    Raises:
        ConfigError: some members of a group without the others, or another sum.
    """
    rows = rows.copy()
    for end in np.flatnonzero(sticks.last):
        columns = [*np.flatnonzero(sticks.before[end]), end]
        group = [names[c] for c in columns]
        for i in np.flatnonzero(given[:, columns].any(axis=1)).tolist():
            if not given[i, columns].all():
                lacking = names[int(columns[int(np.argmin(given[i, columns]))])]
                raise ConfigError(
                    f"{lacking}: missing; the Simplex of {', '.join(group)} needs all of them."
                )
            amount = np.array([float(configs[i][name]) for name in group]) - sticks.low[columns]
            total, span = amount.sum(), sticks.span[end]
            if abs(total - span) > 1e-6 * span:
                whole = span + sticks.low[columns].sum()
                raise ConfigError(
                    f"{group[0]}: {' + '.join(group)} is {total - span + whole:g} and must be "
                    f"{whole:g}."
                )
            # What is left before each piece, summed from the small end: exact where it counts.
            amount = np.maximum(amount, 0.0)
            rest = np.cumsum(amount[::-1])[::-1]
            share = np.where(rest > 0, amount / np.where(rest > 0, rest, 1.0), 0.0)[:-1]
            power = sticks.power[columns[:-1]]
            with np.errstate(divide="ignore"):
                unit = -np.expm1(np.log1p(-np.minimum(share, 1.0)) / power)
            rows[i, columns[:-1]] = on_stick_grid(unit)
            rows[i, end] = 0.5
    return rows


def encode_choices(name: str, choices: Sequence[Any], values: Sequence[Any]) -> np.ndarray:
    """Values to codes, `[N]`; 1, 1.0 and True are told apart.

    Raises:
        ConfigError: a value is no choice.
    """
    codes = {choice_key(choice): code for code, choice in enumerate(choices)}
    out = np.empty(len(values))
    for i, value in enumerate(values):
        code = codes.get(choice_key(value))
        if code is None:
            raise ConfigError(
                f"{name}: {value!r} is no choice of it; expected one of {list(choices)!r}."
            )
        out[i] = code
    return out


def check_names(config: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse names the space does not have.

    Raises:
        ConfigError: naming the stranger.
    """
    if not isinstance(config, Mapping):
        raise ConfigError(f"expected a dict of parameters, got {config!r}.")
    for name in config:
        if name not in names:
            expected = ", ".join(names)
            raise ConfigError(f"{name}: not a parameter of this space; expected one of {expected}.")
