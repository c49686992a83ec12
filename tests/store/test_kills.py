"""kill -9 anywhere: what was committed is there, what was not is nowhere."""

import os
import random
import signal
import time

import numpy as np
import pytest
from helpers_store import RUN, python

from bojax.store import faults, open_store, read_checkpoint

# Writes rung after rung: a checkpoint, then one commit with everything of the rung.
WORK = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[2])
from helpers_store import history_with, report, trial
from bojax.store import open_store, write_checkpoint
with open_store(sys.argv[1], create=False) as store, store.acquire("digits") as lease:
    lease.sweep_checkpoints()
    folder = store.checkpoint_folder("digits")
    begin = int(store.state("digits", "rung") or 0) + 1
    print("begin", flush=True)
    for rung in range(begin, begin + int(sys.argv[3])):
        arrays = {"w": np.full(500, float(rung)), "v": np.full(500, -float(rung))}
        written = write_checkpoint(folder, "population", arrays, {"rung": rung})
        with lease.transaction() as tx:
            tx.write_history(history_with(rung % 64, value=rung))
            tx.write_trials([trial(rung)])
            tx.write_reports([report(rung, 1)])
            tx.write_state("rung", str(rung))
            tx.name_checkpoint("population", *written, {"rung": rung})
"""


def work(file, rungs, fault=""):
    return python(WORK, file, os.path.dirname(__file__), rungs, fault=fault)


def check(file):
    """Everything stored belongs to one and the same rung, which is returned."""
    with open_store(file) as store:
        rung = int(store.state(RUN.id, "rung") or 0)
        assert [t.id for t in store.trials(RUN.id)] == list(range(1, rung + 1))
        assert [r.trial for r in store.reports(RUN.id)] == list(range(1, rung + 1))
        history = store.history(RUN.id)
        if rung == 0:
            assert history is None and store.checkpoints(RUN.id) == []
            return rung
        assert (history.trial >= 0).sum() == rung % 64
        assert set(history.values[: rung % 64, 0]) <= {float(rung)}
        (named,) = store.checkpoints(RUN.id)
        arrays, meta = read_checkpoint(named.path, named.checksum)
        assert meta == named.meta == {"rung": rung}
        assert np.all(arrays["w"] == rung) and np.all(arrays["v"] == -rung)
        return rung


@pytest.mark.parametrize(
    ("fault", "committed", "loose"),
    [("commit:3", 2, 1), ("committed:3", 3, 1), ("checkpoint:3", 2, 1), ("renamed:3", 2, 1)],
)
def test_killed_at_a_point(store, file, fault, committed, loose):
    child = work(file, 5, fault)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, errors
    assert check(file) == committed
    files = list(store.checkpoint_folder(RUN.id).iterdir())
    assert len(files) == 1 + loose
    with store.acquire(RUN.id) as lease:  # its process is dead: no waiting
        assert len(lease.sweep_checkpoints()) == loose
    assert check(file) == committed


@pytest.mark.parametrize("times", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_killed_at_any_moment_and_resumed(store, file, times):
    rungs, chance = [], random.Random(times)
    for _ in range(times):
        child = work(file, 100_000)
        assert child.stdout.readline() == "begin\n", child.stderr.read()
        time.sleep(chance.uniform(0.05, 0.25))
        child.kill()
        child.communicate()
        rungs.append(check(file))
    assert rungs == sorted(rungs) and rungs[-1] > 0


def test_killed_while_the_store_is_made(file):
    code = "import sys; from bojax.store import open_store; open_store(sys.argv[1])"
    for delay in ("make_tables", "_use_wal"):
        program = f"import os; from bojax.store import engine; engine.{delay} = " + (
            "lambda *_: os.kill(os.getpid(), 9)\n"
        )
        child = python(program + code, file)
        _, errors = child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL, errors
    with open_store(file) as store:
        store.create_run(RUN)
        assert store.run(RUN.id) == RUN


def test_faults_are_named():
    assert faults.parse("") == faults.parse(None) == {}
    for wrong in ("commit", "commit:0", "nowhere:1", "commit:x"):
        with pytest.raises(ValueError, match=f"BOJAX_FAULT={wrong}: expected POINT:TIMES"):
            faults.parse(wrong)
