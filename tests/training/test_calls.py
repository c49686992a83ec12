"""How members are called: chunks, smaller calls, ceilings, compilation ahead, many devices."""

import subprocess
import sys
import threading

import jax
import numpy as np
import pytest

import bojax
from bojax.errors import TaskError
from bojax.history import Job
from bojax.training import LocalExecutor, Plan, clear_programs
from bojax.training.devices import Programs
from bojax.training.models import CNN
from bojax.training.plan import CACHE, CPU_CHUNK, chunk_for


def exhausted(*_, **__):
    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 1 byte.")


def test_calls_are_halved_when_memory_runs_out_and_nothing_is_lost(small, monkeypatch):
    configs = small.configurations(7, batch_size=16, width=20)
    whole = small.executor(slots=8)
    expected = whole.run(small.jobs(range(7), 0, 2), configs)
    train, most, events = Programs.train, 2, []

    def scarce(self, members, layout, *rest):
        return (exhausted if layout.jobs.size > most else train)(self, members, layout, *rest)

    monkeypatch.setattr(Programs, "train", scarce)
    halved = small.executor(slots=8, on_event=events.append)
    found = halved.run(small.jobs(range(7), 0, 2), configs)
    sizes = [event.members for event in events if event.kind == "halved"]
    assert sizes and sizes == sorted(sizes, reverse=True)
    for a, b in zip(found, expected, strict=True):
        assert a.metrics == pytest.approx(b.metrics, abs=1e-5)
    # The states say how they were called, and another executor goes on so.
    arrays, meta = halved.state_arrays(range(7))
    again = LocalExecutor(
        halved.task, halved.space, halved.data, seed=7, max_budget=9, slots=8, members=7
    )
    again.restore(arrays, meta, configs)
    (bucket,) = again._buckets.values()
    assert [bucket.programs.chunks, bucket.programs.chunk] == meta["buckets"][0]["calls"]


def test_one_member_that_is_too_large_says_so_and_other_errors_stay(small, monkeypatch):
    configs = small.configurations(2, batch_size=16, width=20)
    monkeypatch.setattr(Programs, "train", exhausted)
    with pytest.raises(TaskError, match=r"bucket .*width=.*: out of memory with one member"):
        small.executor().run(small.jobs(range(2), 0, 1), configs)

    def broken(*_):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(Programs, "train", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        small.executor().run(small.jobs(range(2), 0, 1), configs)


def test_the_next_bucket_is_compiled_in_a_thread_and_gives_the_same(small):
    def configs(sizes):
        return {i: small.configuration(i, batch_size=size) for i, size in enumerate(sizes)}

    clear_programs()
    seen = []
    both = small.executor(on_event=lambda e: seen.append((e.kind, threading.current_thread().name)))
    reports = both.run(small.jobs(range(4), 0, 2), configs([16, 32, 16, 32]))
    own = {name for kind, name in seen if kind == "compiled"}
    assert len(own) == 2 and any(name.startswith("bojax-compile") for name in own)
    clear_programs()
    apart = small.executor()
    for trial, size in enumerate([16, 32, 16, 32]):
        config = {trial: small.configuration(trial, batch_size=size)}
        (alone,) = apart.run([Job(trial, 0, 2)], config)
        assert alone.metrics == reports[trial].metrics


def test_an_error_of_the_thread_is_raised(small, monkeypatch):
    compile_ = Programs.compile

    def failing(self, **settings):
        if threading.current_thread() is not threading.main_thread():
            raise ZeroDivisionError("in the thread")
        compile_(self, **settings)

    monkeypatch.setattr(Programs, "compile", failing)
    configs = {i: small.configuration(i, batch_size=16 * (i + 1)) for i in range(2)}
    with pytest.raises(ZeroDivisionError, match="in the thread"):
        small.executor().run(small.jobs(range(2), 0, 1), configs)


def test_large_intermediates_are_not_trained_in_chunks():
    assert chunk_for("cpu", None, 1000) == CPU_CHUNK
    assert chunk_for("cpu", None, CACHE // 2) == 2 and chunk_for("cpu", None, CACHE + 1) == 1
    assert chunk_for("gpu", None, CACHE + 1) > CPU_CHUNK
    import optax

    task = bojax.Task.linen(
        lambda hp: CNN(3, features=(16, 16)), optimizer=lambda hp: optax.sgd(hp["lr"]),
        batch_size=32,
    )  # fmt: skip
    space = bojax.Space({"lr": bojax.Float(0.01, 0.1)})
    for side, chunk in ((28, 1), (4, CPU_CHUNK)):
        images = np.zeros((60, side, side, 1), np.uint8)
        executor = LocalExecutor(
            task, space, bojax.ArrayData(images, np.arange(60) % 3), max_budget=1
        )
        (bucket,) = executor.plan([{"lr": 0.05}]).buckets
        assert bucket.shape[1] == chunk
        assert f"x {chunk}" in executor.plan([{"lr": 0.05}]).describe()


def test_ceilings_can_be_set(small):
    configs = [{"width": width} for width in (4, 9, 33, 40)]
    space = bojax.Space({"width": bojax.Int(4, 64)})

    def ceilings(padded):
        task = bojax.Task.linen(
            lambda hp: None, optimizer=lambda hp: None, padded=padded, batch_size=8
        )
        return [bucket.ceiling["width"] for bucket in Plan.of(task, space, configs).buckets]

    assert ceilings(["width"]) == ceilings({"width": []}) == [4, 16, 64]
    assert ceilings({"width": [64]}) == ceilings(()) == [64]
    assert ceilings({"width": [48, 8]}) == [8, 48]
    assert ceilings({"width": [8, 36]}) == [8, 36, 64]  # above the last one the largest value
    with pytest.raises(TaskError, match=r"padded\['width'\]: ceilings are positive integers"):
        ceilings({"width": [0]})
    with pytest.raises(TaskError, match="padded='height': no such parameter"):
        ceilings({"height": [8]})


EIGHT = """
import bojax, jax, numpy as np, optax
jax.config.update("jax_num_cpu_devices", 8)
from bojax.history import Job
from bojax.training import LocalExecutor
from bojax.training.models import MLP
rng = np.random.default_rng(0)
data = bojax.ArrayData(rng.normal(size=(90, 4)), rng.integers(0, 3, 90))
task = bojax.Task.linen(lambda hp: MLP(3, 8), optimizer=lambda hp: optax.sgd(hp["lr"]),
                        batch_size=16)
space = bojax.Space({"lr": bojax.Float(0.01, 1.0, log=True)})
configs = {i: {"lr": 0.01 * (i + 1)} for i in range(19)}
found = []
for devices in (jax.devices(), jax.devices()[:1]):
    executor = LocalExecutor(task, space, data, max_budget=3, chunk=2, slots=32, devices=devices)
    first = executor.run([Job(i, 0, 1) for i in range(19)], configs)
    last = executor.run([Job(i, 1, 3) for i in range(0, 19, 3)], configs)
    found.append([r.metrics["loss"] for r in first + last])
assert len(jax.devices()) == 8
print(np.abs(np.subtract(*found)).max())
"""


def test_eight_devices_train_what_one_trains():
    done = subprocess.run(
        [sys.executable, "-c", EIGHT], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 2e-6
