"""Comparisons: paired, resumable, alike on both roads, and no run's failure is another's."""

import sys
import textwrap
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.benchmark import (
    Doubled,
    Trace,
    compare_strategies,
    foreign,
    problems,
    read_traces,
    values_matrix,
    write_traces,
)
from bojax.benchmark._programs import group
from bojax.errors import ConfigError, DataError
from bojax.strategies import Info

SPACE = bojax.Space({"x": bojax.Float(-1, 1), "c": bojax.Categorical(["a", "b"])})


def quadratic(data, key, rows):
    return (rows[:, 0] - data) ** 2 + rows[:, 1]


def bowl(name="bowl", at=0.3, **settings):
    return bojax.loop.Problem(
        SPACE.table, quadratic, np.float64(at), optimum=0.0, name=name, space=SPACE,
        reference=0.5, **settings,
    )  # fmt: skip


PEER = """
import random
PACKAGES = ()
class Peer:
    def __init__(self, seed): self.random = random.Random(seed)
    def ask(self, q):
        return [{"x": self.random.uniform(-1, 1), "c": "a"} for _ in range(q)]
    def tell(self, configs, values): pass
def make(space, seed, evaluations): return Peer(seed)
"""
CRASHES = """
import os
class Peer:
    def __init__(self, seed): self.left = 3 if seed % 2 else 99
    def ask(self, q):
        self.left -= 1
        if self.left < 0: os._exit(7)
        return [{"x": 0.0, "c": "b"}] * q
    def tell(self, configs, values): pass
def make(space, seed, evaluations): return Peer(seed)
"""


def peer(tmp_path, source, name="peer"):
    file = tmp_path / f"{name}.py"
    file.write_text(textwrap.dedent(source))
    return foreign(file, python=sys.executable, timeout=60.0)


@dataclass(frozen=True)
class Broken:
    """A strategy that goes wrong in a way that `kind` says."""

    kind: str = "nan"

    def init(self, table, sizes):
        return table

    def ask(self, state, history, key, q, given=None, wanted=None):
        shape = (q, history.rows.shape[1] + (self.kind == "shape"))
        rows = jnp.full(shape, jnp.nan if self.kind == "nan" else 7.0, history.rows.dtype)
        info = Info(
            jnp.zeros((q, 4), jnp.int32), jnp.zeros_like(history.rows[:q]), jnp.ones(q, bool)
        )
        if self.kind == "raises":
            raise RuntimeError("no model here")
        return state, rows, info

    def tell(self, state, history):
        return state


def test_runs_are_paired_and_in_order():
    calls = []
    found = compare_strategies(
        {"random": "random", "sobol": bojax.strategies.sobol()},
        [bowl(), bowl("other", 0.6)],
        seeds=[3, 5],
        evaluations=6,
        batch=4,
        on_trace=lambda trace, done, total, left: calls.append((done, total, left >= 0)),
    )
    assert found.methods == ("random", "sobol") and not found.failures
    keys = [(t.method, t.problem, t.seed) for t in found.traces]
    assert keys == [
        (m, p, s) for m in ("random", "sobol") for p in ("bowl", "other") for s in (3, 5)
    ]
    assert [c[:2] for c in calls] == [(i, 8) for i in range(1, 9)] and all(c[2] for c in calls)
    for trace in found.traces:
        assert len(trace.values) == len(trace.seconds) == 6
        assert min(trace.values) >= 0 and trace.reference == 0.5
        assert list(trace.seconds) == sorted(trace.seconds)
    first, second = found.of("random")[:2]
    assert first.values != second.values, "seeds differ"


def test_a_trace_is_the_run_of_the_loop():
    """The same key as `loop.run` gives the same values, so nothing is added on the way."""
    import zlib

    from bojax.strategies.session import key_bits

    found = compare_strategies({"s": "sobol"}, [bowl()], seeds=[2], evaluations=8)
    key = jax.random.wrap_key_data(np.asarray(key_bits(zlib.crc32(b"bowl/0/2"))))
    history = bojax.loop.run(bojax.strategies.sobol(), bowl(), key, evaluations=8)
    assert np.allclose(found.traces[0].values, history.values[:8, 0], atol=1e-6)


def test_problems_of_a_size_class_share_one_program():
    made = [problems.branin(instance=1), problems.levy(4), problems.hartmann6(), bowl()]
    assert [g.numbers for g in group(made)] == [(0, 1), (2,), (3,)]


def test_twice_the_evaluations_count_the_better_of_each_pair():
    settings = {"seeds": 2, "evaluations": 6}
    doubled = compare_strategies({"m": Doubled(bojax.strategies.sobol())}, [bowl()], **settings)
    plain = compare_strategies({"m": "sobol"}, [bowl()], seeds=2, evaluations=12)
    for twice, once in zip(doubled.traces, plain.traces, strict=True):
        pairs = np.array(once.values).reshape(6, 2).min(axis=1)
        assert np.allclose(twice.values, pairs, atol=1e-6)


def test_finished_runs_are_read_not_run(tmp_path):
    store, ran = tmp_path / "traces.csv", []
    arguments = {"strategies": {"random": "random"}, "problems": [bowl()], "evaluations": 4}
    count = lambda trace, *rest: ran.append(trace.seed)  # noqa: E731
    first = compare_strategies(**arguments, seeds=2, store=store, on_trace=count)
    again = compare_strategies(**arguments, seeds=3, store=store, on_trace=count)
    assert ran == [0, 1, 2]
    assert [t.content for t in again.traces[:2]] == [t.content for t in first.traces]
    # Another strategy under the same name, or another problem, is another content.
    other = compare_strategies(
        {"random": "sobol"}, [bowl()], evaluations=4, seeds=1, store=store, on_trace=count
    )
    moved = compare_strategies(
        {"random": "random"}, [bowl(at=0.4)], evaluations=4, seeds=1, store=store, on_trace=count
    )
    assert ran == [0, 1, 2, 0, 0]
    assert len({t.content for t in (first.traces[0], other.traces[0], moved.traces[0])}) == 3


def test_a_line_cut_off_by_a_kill_is_run_again(tmp_path):
    store = tmp_path / "traces.csv"
    arguments = {"strategies": {"random": "random"}, "problems": [bowl()], "evaluations": 4}
    whole = compare_strategies(**arguments, seeds=2, store=store)
    text = store.read_text()
    store.write_text(text[:-40])
    again = compare_strategies(**arguments, seeds=2, store=store)
    assert [t.values for t in again.traces] == [
        tuple(float(f"{v:.9g}") for v in t.values) if i == 0 else t.values
        for i, t in enumerate(whole.traces)
    ]
    assert len(read_traces([store])) == 2


@pytest.mark.parametrize(
    "kind, reason",
    [("nan", "suggestion 0 is not finite"), ("shape", "shape"), ("raises", "no model here")],
)
def test_a_broken_strategy_is_a_failure_of_its_own_runs(kind, reason):
    broken = replace(Broken(), kind=kind)
    found = compare_strategies(
        {"broken": broken, "random": "random"}, [bowl()], seeds=2, evaluations=4
    )
    assert [reason in t.failure for t in found.failures] == [True, True]
    assert {t.method for t in found.failures} == {"broken"}
    assert all(len(t.values) == 4 for t in found.of("random"))


def test_nobody_gains_from_leaving_the_box():
    found = compare_strategies(
        {"far": replace(Broken(), kind="far")}, [bowl(at=7.0)], seeds=1, evaluations=3
    )
    # Row 7 is clipped to 1, category 7 to the last one.
    assert np.allclose(found.traces[0].values[0], (1.0 - 7.0) ** 2 + 1.0)


def test_foreign_methods_run_on_the_same_problems(tmp_path):
    found = compare_strategies(
        {"peer": peer(tmp_path, PEER), "random": "random"},
        [bowl(), bowl("other", 0.6)],
        seeds=2,
        evaluations=5,
        batch=2,
        store=tmp_path / "t.csv",
    )
    assert not found.failures and len(found.of("peer")) == 4
    for trace in found.of("peer"):
        assert len(trace.values) == 5 and max(trace.values) <= 1.0
    again = compare_strategies(
        {"peer": peer(tmp_path, PEER)}, [bowl()], seeds=1, evaluations=5, batch=2,
        store=tmp_path / "t.csv", on_trace=lambda *_: pytest.fail("ran again"),
    )  # fmt: skip
    assert len(again.traces) == 1


def test_a_crash_costs_its_own_run_alone(tmp_path):
    found = compare_strategies(
        {"peer": peer(tmp_path, CRASHES), "sobol": "sobol"},
        [bowl(), bowl("other"), bowl("third")],
        seeds=2,
        evaluations=5,
        workers=1,
    )
    ended = [t for t in found.of("peer") if t.failure]
    assert ended and len(ended) < 6, "seeds of both kinds occur"
    assert all("7" in t.failure and len(t.values) == 3 for t in ended)
    assert all(len(t.values) == 5 for t in found.of("peer") if not t.failure)
    assert all(len(t.values) == 5 for t in found.of("sobol"))


def test_noise_is_seen_by_the_method_and_not_by_the_record(tmp_path):
    told = """
    class Peer:
        def __init__(self): self.seen = []
        def ask(self, q): return [{"x0": 0.25, "x1": 3.0} for _ in range(q)]
        def tell(self, configs, values):
            self.seen += values
            assert len(set(self.seen)) == len(self.seen), "noise differs"
    def make(space, seed, evaluations): return Peer()
    """
    problem = problems.branin(instance=1, noise=0.1)
    found = compare_strategies(
        {"peer": peer(tmp_path, told)}, [problem], seeds=1, evaluations=4
    ).traces[0]
    assert found.failure == "" and len(set(found.values)) == 1


def test_traces_survive_their_file_and_other_files_are_refused(tmp_path):
    trace = Trace(
        "a, b", "p", 1, 2, 4, 3, (1.25, float("nan")), (0.5, 1.0), 0.1, 2.0,
        failure='said "no",\nand left', family="mixed", half="tuning", load=0.5,
    )  # fmt: skip
    path = tmp_path / "t.csv"
    write_traces(path, [trace])
    (back,) = read_traces([path])
    assert np.isnan(back.values[1])
    assert back.failure == 'said "no", and left', "one line a run"
    assert replace(back, values=(), failure="") == replace(trace, values=(), failure="")
    assert np.isnan(values_matrix([trace])[0, 1:]).all() and values_matrix([trace]).shape == (1, 3)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"other.csv: is no file of traces"):
        read_traces([tmp_path / "other.csv"])
    with pytest.raises(DataError, match=r"other.csv"):
        write_traces(tmp_path / "other.csv", [trace])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"strategies": {}}, "no strategies"),
        ({"problems": []}, "no problems"),
        ({"seeds": 0}, "no seeds"),
        ({"evaluations": 0}, "evaluations must be at least 1"),
        ({"batch": 0}, "batch must be at least 1"),
        ({"precision": "half"}, "precision must be float32 or float64"),
        (
            {"problems": [problems.branin(instance=1), problems.branin(instance=1)]},
            "branin instance 1 is there twice",
        ),
    ],
)
def test_bad_input_is_named(arguments, message):
    settings = {"strategies": {"random": "random"}, "problems": [bowl()], "seeds": 1} | arguments
    with pytest.raises(ConfigError, match=message):
        compare_strategies(**settings)


def test_precision_changes_the_numbers():
    settings = {"strategies": {"s": "sobol"}, "problems": [bowl(at=1 / 3)], "seeds": 1}
    narrow, wide = (
        compare_strategies(**settings, evaluations=4, precision=p).traces[0].values
        for p in ("float32", "float64")
    )
    assert narrow != wide and np.allclose(narrow, wide, atol=1e-6)
