"""What a surrogate promises, one function a promise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bojax.surrogates import Data
from bojax.testing._check import Broken, Check, above_zero, bound, close, finite, run, shaped
from bojax.testing._subject import (
    BAD,
    FAR,
    LEVEL,
    MIXED,
    QUERIES,
    SHIFT,
    STRETCH,
    Subject,
    moments,
    noise_of,
    smooth,
    spread,
)

DRAWS = 4000  # samples whose moments are compared
ERRORS = 6.0  # standard errors they may be off: one in a billion by chance
# Of the constant mean's error, what a model must stay below on 30 points of a smooth function
# of two columns. The weakest one here, a forest, has about 0.4.
LEARNED = 0.7
LOOSE = 0.05  # of the spread: two programs of one fit in float32


def shapes(subject: Subject) -> None:
    """Rows `[..., d]` give a mean and a variance `[...]`, all of them finite."""
    posterior = subject.posterior("plain")
    for rows in (QUERIES, QUERIES[:1], np.stack([QUERIES, QUERIES + 0.01])):
        mean, variance = moments(posterior, rows)
        finite("mean", mean)
        finite("variance", variance)
    flat, _ = moments(posterior, QUERIES)
    close("mean of rows in a stack", mean[0], flat, subject.tolerance)


def determinism(subject: Subject) -> None:
    """The same key and data give the same posterior, to the bit."""
    for one, other in zip(subject.predict("plain"), subject.predict("again"), strict=True):
        if not np.array_equal(one, other):
            raise Broken(f"{one.tolist()} again", other.tolist())


def independence(subject: Subject) -> None:
    """A posterior stays as it is when its surrogate is fitted to other data."""
    before = subject.predict("plain")
    subject.predict("learning")
    for one, other in zip(before, moments(subject.posterior("plain"), QUERIES), strict=True):
        if not np.array_equal(one, other):
            raise Broken(f"{one.tolist()} after another fit", other.tolist())


def masked_lines(subject: Subject) -> None:
    """A line that is masked out changes nothing, wherever it stands."""
    _same(subject, "masked")


def masked_nan(subject: Subject) -> None:
    """A masked line may hold anything, NaN included."""
    _same(subject, "masked nan")


def order(subject: Subject) -> None:
    """The order of the lines does not matter."""
    _same(subject, "ordered")


def scale(subject: Subject) -> None:
    """Values a + b y have the mean a + b m and the variance b^2 v."""
    mean, variance = subject.predict("plain")
    got = subject.predict("scaled")
    within = subject.tolerance * STRETCH * max(1.0, spread(subject.data("plain")))
    close("mean", got[0], SHIFT + STRETCH * mean, within)
    close("variance", got[1], STRETCH**2 * variance, within * STRETCH)


def duplicates(subject: Subject) -> None:
    """A row observed several times is fitted, near the mean of its values."""
    data = subject.data("duplicates")
    mean, variance = subject.predict("duplicates", data.rows)
    above_zero("variance", variance)
    error = np.sqrt(np.mean((mean - data.values) ** 2))
    if error > spread(data):
        raise Broken(f"an error below that of a constant, {spread(data):.3g}", f"{error:.3g}")


def one_observation(subject: Subject) -> None:
    """A single line is enough for finite predictions."""
    above_zero("variance", subject.predict("one")[1])


def constant_values(subject: Subject) -> None:
    """Equal values are predicted as they are, with a variance above 0."""
    mean, variance = subject.predict("constant")
    above_zero("variance", variance)
    if np.abs(mean - LEVEL).max() > 1.0:
        raise Broken(f"means within 1 of the only value, {LEVEL:g}", mean.tolist())


def full_capacity(subject: Subject) -> None:
    """As many lines as a capacity holds, none of them padding, are all used."""
    data = subject.data("full")
    mean, variance = subject.predict("full", data.rows)
    above_zero("variance", variance)
    error = np.abs(mean - data.values)[-8:].mean()
    if error > 0.5 * FAR:
        raise Broken(f"the last lines to be fitted within {0.5 * FAR:g}", f"{error:.3g}")


def nothing_observed(subject: Subject) -> None:
    """Without a line the prediction is a prior: finite, with a variance above 0."""
    above_zero("variance", subject.predict("nothing")[1])


def positive_variance(subject: Subject) -> None:
    """A variance is above 0, on observed rows and far away."""
    data = subject.data("plain")
    far = np.concatenate([data.rows, QUERIES, np.full((1, 2), 5.0), np.full((1, 2), -5.0)])
    above_zero("variance", subject.predict("plain", far)[1])


def nan_values(subject: Subject) -> None:
    """A value that is not finite is left out, or refused by an error that names its line."""
    try:
        got = subject.predict("nan value")
    except Broken:
        raise
    except Exception as error:
        _names_the_line(error)
        return
    _agree(subject, got, subject.predict("nan left out"))


def nan_rows(subject: Subject) -> None:
    """A row that is not finite is refused by an error that names it."""
    try:
        subject.posterior("nan row")
    except Broken:
        raise
    except Exception as error:
        _names_the_line(error)
    else:
        raise Broken(f"an error that names row {BAD}", "none")


def known_variance(subject: Subject) -> None:
    """A value known to be worthless, by its variance, moves the prediction little."""
    row = subject.data("outlier").rows[:1]
    wild, known, without = (
        subject.predict(name, row)[0][0] for name in ("outlier", "outlier known", "outlier masked")
    )
    if not abs(known - without) <= 0.5 * abs(wild - without):
        raise Broken(f"{known:.4g} nearer to {without:.4g} (masked)", f"{wild:.4g} (believed)")


def learning(subject: Subject) -> None:
    """A smooth function is predicted better than by the mean of its values."""
    test = smooth(40, seed=1)
    mean, _ = subject.predict("learning", test.rows)
    _learned(mean, subject.data("learning"), test)


def mixed_space(subject: Subject) -> None:
    """Rows of a mixed, conditional space are taken with their table, and categories told apart."""
    data = subject.data("mixed")
    mean, variance = subject.predict("mixed", data.rows)
    above_zero("variance", variance)
    best = data.rows[:, 1] == 1
    gap = mean[~best].mean() - mean[best].mean()
    wanted = 0.25 * (data.values[~best].mean() - data.values[best].mean())
    if not gap > wanted:
        raise Broken(f"category {MIXED.names[1]} to matter by {wanted:.3g}", f"{gap:.3g}")


def samples(subject: Subject) -> None:
    """Draws `[n, q]` have the predicted mean and variance."""
    if not subject.offers("sample"):
        return
    posterior = subject.posterior("plain")
    mean, variance = moments(posterior, QUERIES)
    drawn = np.asarray(posterior.sample(jax.random.key(1), QUERIES, DRAWS), float)
    shaped("samples", drawn, (DRAWS, len(QUERIES)))
    finite("sample", drawn)
    centred = drawn - drawn.mean(axis=0)
    found = (centred**2).mean(axis=0)
    errors = np.sqrt(found / DRAWS), np.sqrt(np.mean(centred**4, axis=0) - found**2)
    slack = subject.tolerance * spread(subject.data("plain"))
    for what, got, expected, error in (
        ("mean", drawn.mean(axis=0), mean, errors[0]),
        ("variance", found, variance, errors[1] / np.sqrt(DRAWS)),
    ):
        if (np.abs(got - expected) > ERRORS * error + slack).any():
            raise Broken(f"samples of {what} {expected.tolist()}", got.tolist())
    again = np.asarray(posterior.sample(jax.random.key(1), QUERIES, DRAWS), float)
    if not np.array_equal(again, drawn):
        raise Broken("the same samples by the same key", "others")


def joint(subject: Subject) -> None:
    """The joint mean `[q]` and covariance `[q, q]` agree with mean and variance."""
    if not subject.offers("joint"):
        return
    posterior = subject.posterior("plain")
    mean, variance = moments(posterior, QUERIES)
    got, covariance = (np.asarray(part, float) for part in posterior.joint(QUERIES))
    q = len(QUERIES)
    shaped("covariance", covariance, (q, q))
    finite("covariance", covariance)
    close("joint mean", got, mean, subject.tolerance)
    close("covariance's diagonal", np.diagonal(covariance), variance, subject.tolerance)
    close("transposed covariance", covariance.T, covariance, subject.tolerance)
    least = np.linalg.eigvalsh(0.5 * (covariance + covariance.T)).min()
    if least < -subject.tolerance * variance.max():
        raise Broken("a covariance without negative eigenvalues", f"{least:.3g}")


def condition(subject: Subject) -> None:
    """Two more observations, and no new fit: the same as conditioning the joint Gaussian."""
    if not subject.offers("condition"):
        return
    posterior = subject.posterior("plain")
    told = np.random.default_rng(2).random((2, 2))
    values = np.array([4.0, 1.0])
    mean, covariance = (
        np.asarray(part, float) for part in posterior.joint(np.concatenate([QUERIES, told]))
    )
    q = len(QUERIES)
    cross = covariance[:q, q:]
    gain = np.linalg.solve(covariance[q:, q:] + noise_of(posterior) * np.eye(2), cross.T).T
    grown = posterior.condition(told, values)
    got = moments(grown, QUERIES)
    within = subject.tolerance * max(1.0, spread(subject.data("plain")))
    close("mean", got[0], mean[:q] + gain @ (values - mean[q:]), within)
    close("variance", got[1], np.diagonal(covariance)[:q] - np.sum(gain * cross, axis=1), within)
    close("the first posterior's mean", moments(posterior, QUERIES)[0], mean[:q], within)


def jit(subject: Subject) -> None:
    """Fit and prediction are traceable: one compiled program, in float32, that learns."""
    data, test = subject.data("learning"), smooth(40, seed=1)
    mask = np.ones(len(data.values), bool)
    program = _compiled(subject)
    queries = jnp.asarray(test.rows, jnp.float32)
    arguments = jax.random.key(0), *_single(data)
    mean, variance = program(*arguments, mask, queries)
    shaped("mean", mean, queries.shape[:1])
    above_zero("variance", variance)
    finite("mean", mean)
    _learned(np.asarray(mean, float), data, test)
    mean, variance = program(*arguments, ~mask, queries)
    finite("mean without a line", mean)
    above_zero("variance without a line", variance)


def vmap(subject: Subject) -> None:
    """A lane of a vmapped fit is the fit by itself."""
    data = subject.data("learning")
    rows, values = _single(data)
    mask, queries = np.ones(len(values), bool), jnp.asarray(smooth(40, seed=1).rows, jnp.float32)
    keys = jax.random.split(jax.random.key(3), 2)
    both = jnp.stack([values, jnp.float32(1.0) - jnp.float32(2.0) * values])
    program = _compiled(subject)  # shared with the check above: the shapes are the same
    lanes = jax.jit(jax.vmap(program, in_axes=(0, None, 0, None, None)))
    means, variances = lanes(keys, rows, both, mask, queries)
    for lane in range(2):
        mean, variance = program(keys[lane], rows, both[lane], mask, queries)
        within = max(LOOSE, subject.tolerance) * float(np.std(both[lane]))
        close(f"mean of lane {lane}", means[lane], mean, within)
        close(f"variance of lane {lane}", variances[lane], variance, within)


def gradient(subject: Subject) -> None:
    """Mean and variance have finite slopes by the rows, so that candidates can climb."""
    posterior = subject.posterior("plain")
    rows = np.concatenate([QUERIES, subject.data("plain").rows[:2]])
    with jax.enable_x64(True):

        @jax.jit
        def slopes(rows):
            return [
                jax.grad(lambda r, part=part: jnp.sum(posterior.mean_and_variance(r)[part]))(rows)
                for part in (0, 1)
            ]

        for what, slope in zip(("mean", "variance"), slopes(jnp.asarray(rows)), strict=True):
            finite(f"slope of the {what}", slope)


_TRACED = (jit, vmap, gradient)
SURROGATE_CHECKS = (
    shapes, determinism, independence, masked_lines, masked_nan, order, scale, duplicates,
    one_observation, constant_values, full_capacity, nothing_observed, positive_variance,
    nan_values, nan_rows, known_variance, learning, mixed_space, samples, joint, condition,
    *_TRACED,
)  # fmt: skip


def surrogate_checks(
    surrogate: Any,
    *,
    name: str | None = None,
    traceable: bool = False,
    claims: Sequence[str] | None = None,
    tolerance: float = 1e-4,
    skip: Sequence[str] = (),
) -> list[Check]:
    """The suite for a surrogate, one callable a promise, made for `parametrize`.

        @pytest.mark.parametrize("check", bojax.testing.surrogate_checks(mine()))
        def test_conformance(check):
            check()

    The checks share their fits, so run them in one process.

    Args:
        surrogate: with `fit(key, data) -> (posterior, info)`, `data` being
            :class:`bojax.surrogates.Data`, and `posterior.mean_and_variance(rows)`.
        name: in complaints; the type's if not given.
        traceable: it may be called under `jit` and `vmap`; adds three checks.
        claims: which of "joint", "sample", "condition" the posterior has; None: whatever it
            has is checked, and what it has not is passed over.
        tolerance: how close predictions that should agree must be, in standard deviations of
            the values (and its square for variances).
        skip: names of checks to leave out.

    Returns:
        :class:`Check` objects: call one to run it; it raises AssertionError naming the
        surrogate, the check, what was expected and what came.

    Raises:
        ValueError: `skip` or `claims` has a name that does not exist.

    Example:
        >>> import bojax.testing
        >>> checks = bojax.testing.surrogate_checks(bojax.surrogates.gp(), skip=["scale"])
        >>> [check.__name__ for check in checks][:3]
        ['shapes', 'determinism', 'independence']
    """
    known = ("joint", "sample", "condition")
    for claim in claims or ():
        if claim not in known:
            raise ValueError(f"claims: expected some of {', '.join(known)}, got {claim!r}.")
    subject = Subject(surrogate, name or type(surrogate).__name__, claims, tolerance)
    wanted = [c for c in SURROGATE_CHECKS if traceable or c not in _TRACED or c.__name__ in skip]
    return bound(wanted, subject, skip)


def check_surrogate(surrogate: Any, **settings: Any) -> None:
    """Run the whole suite.

    Args:
        surrogate, settings: of :func:`surrogate_checks`.

    Raises:
        AssertionError: a promise was not kept; one line for each, naming the surrogate, the
            check, what was expected and what came.

    Example:
        >>> import numpy as np
        >>> import bojax.testing
        >>> class Mean:  # learns nothing, keeps its last fit in itself, sees no mask
        ...     def fit(self, key, data):
        ...         self.moments = np.mean(data.values), np.var(data.values) + 1e-6
        ...         return self, None
        ...     def mean_and_variance(self, rows):
        ...         return tuple(np.full(rows.shape[:-1], moment) for moment in self.moments)
        >>> try:
        ...     bojax.testing.check_surrogate(Mean())
        ... except AssertionError as error:
        ...     complaints = str(error).splitlines()
        >>> complaints[1]
        'Mean: masked_lines: expected mean 3.01505 at (0,), got 18.6767. A line ...'
    """
    run(surrogate_checks(surrogate, **settings))


# ---------------------------------------------------------------------------------- helpers


def _same(subject: Subject, example: str) -> None:
    _agree(subject, subject.predict(example), subject.predict("plain"))


def _agree(subject: Subject, got: Any, expected: Any) -> None:
    unit = spread(subject.data("plain"))
    close("mean", got[0], expected[0], subject.tolerance * unit)
    close("variance", got[1], expected[1], subject.tolerance * unit**2)


def _names_the_line(error: Exception) -> None:
    if not re.search(rf"\b{BAD}\b", str(error)):
        raise Broken(f"an error that names line {BAD}", f"{type(error).__name__}: {error}")


def _learned(mean: np.ndarray, data: Data, test: Data) -> None:
    error = np.sqrt(np.mean((mean - test.values) ** 2))
    constant = np.sqrt(np.mean((np.mean(data.values) - test.values) ** 2))
    if not error < LEARNED * constant:
        raise Broken(
            f"an error below {LEARNED:g} of the constant mean's {constant:.3g}", f"{error:.3g}"
        )


def _single(data: Data) -> tuple[jax.Array, jax.Array]:
    return jnp.asarray(data.rows, jnp.float32), jnp.asarray(data.values, jnp.float32)


def _compiled(subject: Subject):
    """Fit and predict as one program, `(key, rows, values, mask, queries)`; one a subject."""

    def program(key, rows, values, mask, queries):
        posterior, _ = subject.surrogate.fit(key, Data(rows, values, mask=mask))
        return posterior.mean_and_variance(queries)

    if subject.program is None:
        subject.program = jax.jit(program)
    return subject.program
