"""Fixtures for all tests. The settings they run under stand in the conftest.py above."""

from contextlib import contextmanager

import jax
import pytest
from hypothesis import settings

from bojax.configuration import set_compiler_flags

set_compiler_flags()  # as `bojax.configure` does: the tests' own programs compile alike

# The same examples in every run, whatever else the machine has to do.
settings.register_profile("bojax", derandomize=True, deadline=None, database=None)
settings.load_profile("bojax")

COMPILED = "/jax/core/compile/backend_compile_duration"  # one event a program, cached or not
_programs: list[str] = []


def _listen(event, seconds, **details):
    if event == COMPILED:
        _programs.append(details.get("fun_name", "?"))


jax.monitoring.register_event_duration_secs_listener(_listen)


@pytest.fixture
def count_compiles():
    """A context manager: the programs compiled within it.

    with count_compiles() as programs:
        ...
    assert programs == ["jit(fit)"]
    """

    @contextmanager
    def counting():
        before, programs = len(_programs), []
        try:
            yield programs
        finally:
            programs += _programs[before:]

    return counting
