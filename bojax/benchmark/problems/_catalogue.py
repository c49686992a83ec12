"""The problems by name: test functions, their mixed and conditional variants, noise."""

from __future__ import annotations

from collections.abc import Sequence

from bojax.benchmark.problems._instances import BRANCHES, Part, function_of, make
from bojax.errors import ConfigError
from bojax.loop import Problem
from bojax.space import Categorical, Float, Int, Ordinal, Space

LEVELS = 7  # values of an integer column of a mixed problem
CHOICES = 5  # choices of a categorical one
RUNGS = (1, 2, 4, 8, 16)  # of an ordinal one

# Branches of a conditional problem: function, parameters of its own, and what it is lifted by
# so that the best branch has to be found out.
CONDITIONAL: dict[str, tuple[tuple[str, int, float], ...]] = {
    "conditional_levy": (("levy", 1, 2.0), ("rastrigin", 2, 0.0), ("ackley", 0, 4.0)),
    "conditional_ackley": (("ackley", 2, 0.0), ("styblinski_tang", 1, 3.0), ("levy", 0, 6.0)),
}
SHARED = 2  # parameters that every branch of a conditional problem reads


def function(name: str, dimensions: int | None = None, *, instance: int = 0, noise: float = 0.0):
    """A test function on its customary box, every parameter real.

    Args:
        name: "branin", "hartmann3", "hartmann6", "ackley", "rosenbrock", "levy",
            "rastrigin", "griewank", "styblinski_tang", "cosine8" or "michalewicz".
        dimensions: of a function that has any number.
        instance: 0 is the function as printed, another number a shift and a rotation.
        noise: standard deviation of Gaussian noise as a share of (median - minimum).

    Returns:
        :class:`bojax.loop.Problem`.

    Raises:
        ConfigError: unknown name, dimensions it does not have, a negative number.

    Example:
        >>> import numpy as np
        >>> from bojax.benchmark import problems
        >>> problem = problems.function("levy", 4, instance=3)
        >>> list(problem.space.parameters), float(problem.optimum)
        (['x0', 'x1', 'x2', 'x3'], 0.0)
    """
    chosen, d = function_of(name, dimensions)
    low, high = chosen.bounds(d)
    space = Space({f"x{i}": Float(float(low[i]), float(high[i])) for i in range(d)})
    label = name if chosen.dimensions is not None else f"{name}_{d}"
    return _labelled(label, noise, space, (Part(name, tuple(range(d))),), instance)


def mixed(name: str, dimensions: int | None = None, *, instance: int = 0, noise: float = 0.0):
    """A test function over real, integer, ordinal and categorical parameters in turn.

    Column i is real for even i; odd ones are an integer of 7 values, a category of 5 (in an
    order drawn by the instance), an ordinal of 5, and again. The minimiser is moved to the
    nearest point that these can take, so the minimum is attained.

    Args, Returns, Raises:
        as :func:`function`.

    Example:
        >>> from bojax.benchmark import problems
        >>> [type(p).__name__ for p in problems.mixed("levy", 6).space.parameters.values()]
        ['Float', 'Int', 'Float', 'Categorical', 'Float', 'Ordinal']
    """
    _, d = function_of(name, dimensions)
    discrete = (
        lambda: Int(1, LEVELS),
        lambda: Categorical([f"c{k}" for k in range(CHOICES)]),
        lambda: Ordinal(list(RUNGS)),
    )
    space = Space(
        {f"x{i}": Float(0.0, 1.0) if i % 2 == 0 else discrete[i // 2 % 3]() for i in range(d)}
    )
    parts = (Part(name, tuple(range(d))),)
    return _labelled(f"mixed_{name}_{d}", noise, space, parts, instance)


def conditional(name: str, *, instance: int = 0, noise: float = 0.0) -> Problem:
    """A category picks one of three functions; each reads two shared parameters and its own.

    Args:
        name: "conditional_levy" or "conditional_ackley".
        instance, noise: as in :func:`function`.

    Raises:
        ConfigError: unknown name.

    Example:
        >>> from bojax.benchmark import problems
        >>> list(problems.conditional("conditional_levy").space.parameters)
        ['branch', 'shared0', 'shared1', 'a0', 'b0', 'b1']
    """
    if name not in CONDITIONAL:
        raise ConfigError(f"problems: unknown {name!r}; one of {', '.join(CONDITIONAL)}.")
    letters = "abc"[:BRANCHES]
    parameters: dict = {"branch": Categorical(list(letters))}
    parameters |= {f"shared{i}": Float(0.0, 1.0) for i in range(SHARED)}
    shared = tuple(range(1, 1 + SHARED))
    parts = []
    for letter, (part, own, lift) in zip(letters, CONDITIONAL[name], strict=True):
        first = len(parameters)
        parameters |= {f"{letter}{i}": Float(0.0, 1.0, when={"branch": letter}) for i in range(own)}
        columns = (*shared, *range(first, first + own))
        chosen, d = function_of(part, len(columns))
        # Every branch has its minimum at `lift`, whatever its function's own is.
        parts.append(Part(part, columns, lift - chosen.minimum(d)))
    return _labelled(name, noise, Space(parameters), tuple(parts), instance, chooser=0)


def instances(problem, numbers: Sequence[int], **settings) -> list[Problem]:
    """Several instances of one problem.

    Args:
        problem: one of the functions of this module that make problems.
        numbers: of the instances.
        settings: for `problem`.

    Example:
        >>> from bojax.benchmark import problems
        >>> [int(p.data.number) for p in problems.instances(problems.branin, [1, 2])]
        [1, 2]
    """
    return [problem(instance=number, **settings) for number in numbers]


def _labelled(label, noise, space, parts, instance, chooser=-1) -> Problem:
    label = f"noisy_{label}" if noise else label
    return make(label, space, parts, instance=instance, chooser=chooser, noise=noise)


def branin(*, instance: int = 0, noise: float = 0.0) -> Problem:
    """Branin's function, 2 parameters; see :func:`function`.

    Example:
        >>> from bojax.benchmark import problems
        >>> round(float(problems.branin().optimum), 6)
        0.397887
    """
    return function("branin", instance=instance, noise=noise)


def hartmann3(*, instance: int = 0, noise: float = 0.0) -> Problem:
    """Hartmann's function of 3 parameters; see :func:`function`.

    Example:
        >>> from bojax.benchmark import problems
        >>> round(float(problems.hartmann3().optimum), 4)
        -3.8628
    """
    return function("hartmann3", instance=instance, noise=noise)


def hartmann6(*, instance: int = 0, noise: float = 0.0) -> Problem:
    """Hartmann's function of 6 parameters; see :func:`function`.

    Example:
        >>> from bojax.benchmark import problems
        >>> round(float(problems.hartmann6().optimum), 4)
        -3.3224
    """
    return function("hartmann6", instance=instance, noise=noise)


def cosine8(*, instance: int = 0, noise: float = 0.0) -> Problem:
    """The cosine mixture of 8 parameters; see :func:`function`.

    Example:
        >>> from bojax.benchmark import problems
        >>> round(float(problems.cosine8().optimum), 4)
        -0.8
    """
    return function("cosine8", instance=instance, noise=noise)


def _of_any_dimension(name: str):
    def problem(dimensions: int, *, instance: int = 0, noise: float = 0.0) -> Problem:
        return function(name, dimensions, instance=instance, noise=noise)

    problem.__name__ = problem.__qualname__ = name
    problem.__doc__ = f"""{name.replace("_", "-").title()}'s function; see :func:`function`.

    Example:
        >>> from bojax.benchmark import problems
        >>> list(problems.{name}(2).space.parameters)
        ['x0', 'x1']
    """
    return problem


ackley = _of_any_dimension("ackley")
rosenbrock = _of_any_dimension("rosenbrock")
levy = _of_any_dimension("levy")
rastrigin = _of_any_dimension("rastrigin")
griewank = _of_any_dimension("griewank")
styblinski_tang = _of_any_dimension("styblinski_tang")
michalewicz = _of_any_dimension("michalewicz")
