"""What the surrogate suite fits and predicts: small data sets, and fits kept for all checks.

Every set has at most 64 lines, the smallest capacity, and every space at most four columns,
the smallest size class: a surrogate that pads to them compiles once for the whole suite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import numpy as np

from bojax.space import Categorical, Float, Int, Space
from bojax.space import table as tables
from bojax.surrogates import Data, Posterior
from bojax.testing._check import Broken, finite, shaped

LINES = 12
QUERIES = np.random.default_rng(7).random((5, 2))
MIXED = Space(
    {
        "x": Float(0.0, 1.0),
        "c": Categorical(["a", "b", "d"]),
        "y": Float(0.0, 1.0, when={"c": ["a", "b"]}),
        "n": Int(1, 7),
    }
)
BAD = 7  # the line that is not a number, where one is
LEVEL = 7.0  # of constant values
STRETCH, SHIFT = 4.0, -50.0  # of scaled values
OUTLIER = 10.0  # standard deviations
FAR = 8.0  # by which the last lines of a full capacity are higher


def smooth(n: int, seed: int = 0) -> Data:
    """Values of a smooth function of two columns, around 3, of standard deviation about 1.6."""
    rows = np.random.default_rng(seed).random((n, 2))
    return Data(rows, 3.0 + 2.0 * np.sin(5.0 * rows[:, 0]) + rows[:, 1])


def spread(data: Data) -> float:
    """Standard deviation of the values, the unit of what is close."""
    return float(np.std(data.values))


def with_junk(data: Data, junk: float) -> Data:
    """The lines between masked ones that hold junk."""
    n, d = data.rows.shape
    rows = np.full((n + 6, d), junk)
    values = np.full(n + 6, 100.0 * junk)
    rows[2 : n + 2], values[2 : n + 2] = data.rows, data.values
    at = np.arange(n + 6)
    return Data(rows, values, mask=(at >= 2) & (at < n + 2))


def ordered(data: Data, seed: int = 3) -> Data:
    """The same lines in another order."""
    order = np.random.default_rng(seed).permutation(len(data.values))
    return Data(data.rows[order], data.values[order])


def with_outlier(known: str) -> Data:
    """One value is far off: "nothing" is known of it, its "variance", or it is "masked"."""
    data = smooth(LINES)
    values = data.values.copy()
    values[0] += OUTLIER * spread(data)
    first = np.arange(LINES) == 0
    variance = np.where(first, (100.0 * spread(data)) ** 2, 0.0)
    return Data(
        data.rows,
        values,
        variance=variance if known == "variance" else None,
        mask=~first if known == "masked" else None,
    )


def duplicated() -> Data:
    """Every row twice, the first three times, with values of their own."""
    data = smooth(6)
    rows = np.concatenate([data.rows, data.rows, data.rows[:1]])
    return Data(rows, np.concatenate([data.values, data.values + 0.2, data.values[:1] - 0.2]))


def by_category() -> Data:
    """Values that depend on the category, `b` being best, in a mixed, conditional space."""
    unit = np.random.default_rng(5).random((30, MIXED.table.columns))
    rows = tables.unit_to_row(MIXED.table, unit, np)
    values = np.where(rows[:, 1] == 1, 0.0, 10.0) + rows[:, 0]
    return Data(rows, values, table=MIXED.table)


def with_far_lines() -> Data:
    """64 lines, the last eight elsewhere and higher: what ignores them is far off there."""
    data = smooth(64)
    last = np.arange(64) >= 56
    return Data(data.rows + 3.0 * last[:, None], data.values + FAR * last)


def _with(data: Data, line: int, *, row: float | None = None, value: float | None = None) -> Data:
    rows, values = data.rows.copy(), data.values.copy()
    if row is not None:
        rows[line, 0] = row
    if value is not None:
        values[line] = value
    return replace(data, rows=rows, values=values)


EXAMPLES = {
    "plain": lambda: smooth(LINES),
    "again": lambda: smooth(LINES),
    "masked": lambda: with_junk(smooth(LINES), 0.5),
    "masked nan": lambda: with_junk(smooth(LINES), np.nan),
    "ordered": lambda: ordered(smooth(LINES)),
    "scaled": lambda: Data(smooth(LINES).rows, SHIFT + STRETCH * smooth(LINES).values),
    "duplicates": duplicated,
    "one": lambda: smooth(1),
    "constant": lambda: Data(smooth(LINES).rows, np.full(LINES, LEVEL)),
    "full": with_far_lines,
    "nothing": lambda: replace(smooth(LINES), mask=np.zeros(LINES, bool)),
    "nan value": lambda: _with(smooth(LINES), BAD, value=np.nan),
    "nan left out": lambda: replace(smooth(LINES), mask=np.arange(LINES) != BAD),
    "nan row": lambda: _with(smooth(LINES), BAD, row=np.nan),
    "outlier": lambda: with_outlier("nothing"),
    "outlier known": lambda: with_outlier("variance"),
    "outlier masked": lambda: with_outlier("masked"),
    "learning": lambda: smooth(30),
    "mixed": by_category,
}


@dataclass(eq=False)
class Subject:
    """A surrogate under test, with the fits that several checks look at.

    Attributes:
        surrogate: with `fit(key, data)`.
        name: what complaints call it.
        claims: methods its posterior must have; None: whichever it has are checked.
        tolerance: how close predictions that should agree must be, of the values' spread.
        program: the compiled fit of the checks that trace; made when it is first needed.

    Example:
        >>> import bojax.testing
        >>> subject = bojax.testing.Subject(bojax.surrogates.gp(), "gp")
        >>> mean, variance = subject.predict("plain")
        >>> mean.shape
        (5,)
    """

    surrogate: Any
    name: str
    claims: Sequence[str] | None = None
    tolerance: float = 1e-4
    program: Any = field(default=None, repr=False)
    _posteriors: dict[str, Any] = field(default_factory=dict, repr=False)
    _predictions: dict[tuple[str, bytes], Any] = field(default_factory=dict, repr=False)

    def data(self, example: str) -> Data:
        """The example data set of a name."""
        return EXAMPLES[example]()

    def posterior(self, example: str) -> Any:
        """The posterior of an example, fitted once."""
        if example not in self._posteriors:
            result = self.surrogate.fit(jax.random.key(0), self.data(example))
            if not (isinstance(result, tuple) and len(result) == 2):
                raise Broken("fit to return (posterior, info)", f"{type(result).__name__}")
            self._posteriors[example] = result[0]
        return self._posteriors[example]

    def predict(self, example: str, rows: Any = QUERIES) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance `[m]` at rows after the fit to an example, finite."""
        place = example, rows.tobytes()
        if place not in self._predictions:
            mean, variance = moments(self.posterior(example), rows)
            finite("mean", mean)
            finite("variance", variance)
            self._predictions[place] = mean, variance
        return self._predictions[place]

    def offers(self, method: str) -> bool:
        """Whether the posterior has a method that is not always there.

        Raises:
            Broken: it claims to, and has not.
        """
        there = callable(getattr(self.posterior("plain"), method, None))
        if self.claims is None:
            return there
        if method in self.claims and not there:
            raise Broken(f"a posterior with the method {method!r}", "none")
        return method in self.claims


def moments(posterior: Any, rows: Any) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance as NumPy, of the shape they must have."""
    mean, variance = posterior.mean_and_variance(rows)
    shaped("mean", mean, rows.shape[:-1])
    shaped("variance", variance, rows.shape[:-1])
    return np.asarray(mean, float), np.asarray(variance, float)


def noise_of(posterior: Any) -> float:
    """Variance of an observation's noise, the values' unit squared; 0 where none is told."""
    if isinstance(posterior, Posterior):  # bojax's own keeps it standardised
        return float(posterior.noise) * float(posterior.scale) ** 2
    return float(np.max(np.asarray(getattr(posterior, "noise", 0.0), float)))
