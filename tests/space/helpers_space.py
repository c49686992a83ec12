"""Random spaces of every kind, and conditions evaluated the slow, plain way."""

import numpy as np
from hypothesis import strategies as st

import bojax

CHOICES = [1, True, 1.0, "1", None, [7], [7.0], {"a": 1}, (7,), "b", 2, 2.5, b"1", 0, False]
SLACK = 1e-6  # relative; a real parent this close to a bound of its condition is no test


def numbers(low, high):
    return st.floats(low, high, allow_nan=False, allow_infinity=False, allow_subnormal=False)


@st.composite
def floats(draw, **when):
    log = draw(st.booleans())
    low = draw(numbers(1e-12, 1e6) if log else numbers(-1e6, 1e6))
    high = low * draw(numbers(1.01, 1e9)) if log else low + draw(numbers(1e-3, 1e6))
    return bojax.Float(low, high, log=log, **when)


@st.composite
def quantised(draw, **when):
    step = draw(st.sampled_from([0.1, 0.25, 0.3, 1 / 3, 2.0, 1e-3, 7e5]))
    low = step * draw(st.integers(-5, 5))
    steps = draw(st.integers(2, 40))
    log = low > 0 and draw(st.booleans())
    return bojax.Float(low, low + steps * step, log=log, step=step, **when)


@st.composite
def integers(draw, **when):
    log = draw(st.booleans())
    top = 2**45
    low = draw(st.integers(1, top - 1) if log else st.integers(-top, top - 1))
    high = draw(st.one_of(st.integers(low + 1, top), st.integers(low + 1, min(low + 9, top))))
    step = draw(st.integers(1, max(1, min(high - low, 1000))))
    return bojax.Int(low, high, log=log, step=step, **when)


@st.composite
def choices(draw, **when):
    picked = draw(st.lists(st.sampled_from(range(len(CHOICES))), min_size=2, unique=True))
    kind = draw(st.sampled_from([bojax.Ordinal, bojax.Categorical]))
    return kind([CHOICES[i] for i in picked], **when)


def parameter(**when):
    kinds = [floats(**when), quantised(**when), integers(**when), choices(**when)]
    return st.one_of(*kinds, st.just(bojax.Boolean(**when)))


@st.composite
def entry(draw, parent):
    """What a condition may ask of a parent."""
    if hasattr(parent, "choices"):
        wanted = draw(st.lists(st.sampled_from(range(len(parent.choices))), min_size=1))
        return [parent.choices[i] for i in wanted]
    if isinstance(parent, bojax.Int) and draw(st.booleans()):
        count = (parent.high - parent.low) // parent.step
        wanted = draw(st.lists(st.integers(0, count), min_size=1, max_size=2))
        return [parent.low + i * parent.step for i in wanted]
    ends = draw(st.lists(numbers(0.0, 1.0), min_size=2, max_size=2))
    low, high = sorted(parent.low + end * (parent.high - parent.low) for end in ends)
    return bojax.Range(min(low, parent.high), min(high, parent.high))


@st.composite
def spaces(draw, most=6, parameter=parameter):
    """Spaces of some parameters, about half of them conditional on earlier ones."""
    parameters = {}
    for i in range(draw(st.integers(1, most))):
        when = {}
        if parameters and draw(st.booleans()):
            names = st.sampled_from(sorted(parameters))
            clauses = []
            for _ in range(draw(st.integers(1, 2))):
                parents = draw(st.lists(names, min_size=1, max_size=2, unique=True))
                clauses.append({name: draw(entry(parameters[name])) for name in parents})
            when = {"when": clauses}
        new = draw(parameter(**when))
        parameters["abcdefgh"[i]] = new
        try:
            bojax.Space(parameters)
        except bojax.SpaceError as error:  # a range between two integers
            assert "could never exist" in str(error)
            del parameters["abcdefgh"[i]]
    return bojax.Space(parameters)


def rows_of(space, seed, n=12):
    """Canonical rows: uniform ones, and the corners."""
    unit = np.random.default_rng(seed).random((n, space.table.columns))
    unit[0], unit[1] = 0.0, 1.0
    return space.canonical(bojax.space.table.from_unit(space.table, unit, np))


def same(a, b):
    """Equality that tells 1, 1.0 and True apart, at any depth."""
    return type(a) is type(b) and repr(a) == repr(b)


def holds(wanted, value):
    """Whether a value meets an entry of a condition; None when it is too close to say."""
    if isinstance(wanted, bojax.Range):
        scale = SLACK * max(abs(wanted.low), abs(wanted.high), wanted.high - wanted.low)
        if isinstance(value, float) and min(abs(value - wanted.low), abs(value - wanted.high)) <= (
            scale
        ):
            return None
        return wanted.low <= value <= wanted.high
    listed = wanted if isinstance(wanted, list) else [wanted]
    return any(same(choice, value) for choice in listed)


def present(space, values):
    """Active parameters, by reading `when` as a person would; None where too close to say.

    Args:
        values: every parameter's decoded value, active or not.
    """
    active = {}
    for name, parameter in space.parameters.items():
        if parameter.when is None:
            active[name] = True
            continue
        alternatives = parameter.when if isinstance(parameter.when, list) else [parameter.when]
        verdicts = []
        for clause in alternatives:
            parts = [
                False if active[parent] is False else holds(wanted, values[parent])
                for parent, wanted in clause.items()
            ] + [active[parent] for parent in clause]
            verdicts.append(False if False in parts else None if None in parts else True)
        active[name] = True if True in verdicts else None if None in verdicts else False
    return active
