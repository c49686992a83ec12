"""The strategy suite: ours pass, and what breaks a promise is told which."""

from dataclasses import dataclass

import jax.numpy as jnp
import pytest

import bojax
from bojax.pytrees import pytree
from bojax.strategies import Random, session
from bojax.testing import STRATEGY_CHECKS, check_strategy, strategy_checks

QUICK = bojax.strategies.gp(candidates=24, local=8, fantasies=4, lanes=4, initial=4)
OURS = {"random": bojax.strategies.random(), "sobol": bojax.strategies.sobol(), "gp": QUICK}


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, marks=pytest.mark.slow if name == "gp" else ())
        for name, strategy in OURS.items()
        for check in strategy_checks(strategy, name=name)
    ],
    ids=repr,
)
def test_ours_keep_every_promise(check):
    check()


def complaints(strategy, *names):
    """Check -> what it says, of those that complain."""
    found = {}
    for check in strategy_checks(strategy, name="mine"):
        if check.__name__ not in names:
            continue
        try:
            check()
        except AssertionError as error:
            found[check.__name__] = str(error)
    return found


@pytree
@dataclass(frozen=True)
class Outside(Random):
    """Forgets which parameters exist, and where they end."""

    def ask(self, state, history, key, q, given=None, wanted=None):
        state, rows, info = super().ask(state, history, key, q, given, wanted)
        return state, rows.at[:, 0].set(jnp.nan), info


@pytree
@dataclass(frozen=True)
class Seedless(Random):
    """Draws alike, whatever the run."""

    def ask(self, state, history, key, q, given=None, wanted=None):
        import jax

        return super().ask(state, history, jax.random.key(0), q, given, wanted)


CALLS = []


@pytree
@dataclass(frozen=True)
class Counting(Random):
    """Remembers in itself how often it was asked."""

    def ask_on_host(self, state, history, bits, q, given, wanted):
        CALLS.append(q)
        bits = session.key_bits(len(CALLS))
        return session._ask_program(Random(), state, history, bits, q, given, wanted)


def test_what_breaks_a_promise_is_named():
    assert "valid" in complaints(Outside(), "valid")
    assert set(complaints(Seedless(), "seed", "unique")) == {"seed"}
    found = complaints(Counting(), "determinism", "saved", "order_of_results")
    assert set(found) == {"determinism", "saved", "order_of_results"}
    assert found["determinism"].startswith("mine: determinism: expected the same rows again")


def test_skipping_and_unknown_names():
    names = [check.__name__ for check in strategy_checks(Random(), skip=["seed"])]
    assert len(names) == len(STRATEGY_CHECKS) - 1 and "seed" not in names
    with pytest.raises(ValueError, match="no check is called 'sead'"):
        strategy_checks(Random(), skip=["sead"])
    with pytest.raises(AssertionError, match="Outside: valid"):
        skip = [check.__name__ for check in strategy_checks(Outside())]
        check_strategy(Outside(), skip=[name for name in skip if name != "valid"])
