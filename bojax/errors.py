"""Every error bojax raises on purpose.

Each message names the culprit (parameter, trial, member, rung, file), what came, what was
expected and the remedy. All of them derive from :class:`BojaxError`; most also derive from
the built-in error that fits, so ``except ValueError`` works as a reader expects.
"""

from __future__ import annotations


class BojaxError(Exception):
    """The root of every error bojax raises on purpose.

    Example:
        >>> import bojax
        >>> issubclass(bojax.SpaceError, bojax.BojaxError)
        True
    """


class SpaceError(BojaxError, ValueError):
    """A search space, or one of its parameters or conditions, is not well formed.

    Example:
        >>> import bojax
        >>> bojax.Float(0.1, 0.01)
        Traceback (most recent call last):
        ...
        bojax.errors.SpaceError: Float: low must be below high, got low=0.1, high=0.01; swap them.
    """


class ConfigError(BojaxError, ValueError):
    """A configuration does not belong to the space it was given for.

    Example:
        >>> import bojax
        >>> bojax.Space({"x": bojax.Float(0, 1)}).encode({"y": 0.5})
        Traceback (most recent call last):
        ...
        bojax.errors.ConfigError: y: not a parameter of this space; expected one of x.
    """


class InfeasibleError(SpaceError):
    """No configuration that meets every constraint could be found.

    Example:
        >>> import bojax
        >>> bojax.Space(
        ...     {"a": bojax.Float(0, 1), "b": bojax.Float(0, 1)},
        ...     constraints=[bojax.Linear({"a": 1, "b": 1}, at_least=3)])
        Traceback (most recent call last):
        ...
        bojax.errors.InfeasibleError: no feasible configuration found in ...
    """


class SpaceExhausted(BojaxError, LookupError):
    """Every configuration of a finite space was suggested already.

    Example:
        >>> import bojax
        >>> optimizer = bojax.Optimizer(bojax.Space({"b": bojax.Boolean()}), strategy="random")
        >>> len(optimizer.ask(4))  # only two configurations exist
        2
        >>> optimizer.ask()
        Traceback (most recent call last):
        ...
        bojax.errors.SpaceExhausted: all 2 configurations of the space have been suggested; ...
    """


class TrialError(BojaxError, ValueError):
    """A result was told for a trial that cannot take it.

    Example:
        >>> import bojax
        >>> optimizer = bojax.Optimizer(bojax.Space({"x": bojax.Float(0, 1)}))
        >>> optimizer.tell(7, 0.5)
        Traceback (most recent call last):
        ...
        bojax.errors.TrialError: trial 7: unknown id; this optimizer has no trials yet. ...
    """


class DataError(BojaxError, ValueError):
    """Data (arrays, labels, splits) cannot be used as given.

    Example:
        >>> import bojax
        >>> bojax.Holdout(validation=0.7, test=0.6)
        Traceback (most recent call last):
        ...
        bojax.errors.DataError: Holdout: validation + test must leave data to train on, ...
    """


class TestDataTouched(DataError):
    """The test split was asked for a second time.

    A test score is honest once: a second look makes it a validation score.

    Example:
        >>> import bojax
        >>> issubclass(bojax.TestDataTouched, bojax.DataError)
        True
    """

    __test__ = False  # not a test class, whatever its name suggests to a test runner


class TaskError(BojaxError, ValueError):
    """A training task and the space it is swept over do not fit together.

    Example:
        >>> import bojax
        >>> issubclass(bojax.TaskError, ValueError)
        True
    """


class SchedulerError(BojaxError, ValueError):
    """A scheduler's settings, or a report given to it, make no sense.

    Example:
        >>> import bojax
        >>> bojax.schedulers.successive_halving(min_budget=9, max_budget=3)
        Traceback (most recent call last):
        ...
        bojax.errors.SchedulerError: min_budget must not exceed max_budget, got ...
    """


class StoreError(BojaxError, RuntimeError):
    """A store cannot be read or written.

    Example:
        >>> import bojax
        >>> issubclass(bojax.StoreInUse, bojax.StoreError)
        True
    """


class StoreInUse(StoreError):
    """Another process holds the lease on a run; this one may not write to it.

    Example:
        >>> import bojax
        >>> issubclass(bojax.StoreInUse, RuntimeError)
        True
    """
