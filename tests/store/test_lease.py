"""One writer a run: refused, taken over, fenced."""

import os
import signal
import time

import pytest
from helpers_store import RUN, python

from bojax.errors import StoreError, StoreInUse
from bojax.store import lease as module
from bojax.store import process
from bojax.store.process import Process, alive, this_process

HOLD = """
import sys, time
from bojax.store import open_store
store = open_store(sys.argv[1])
lease = store.acquire("digits", expiry=float(sys.argv[2]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(store, file):
    """Another process that holds the lease, which would expire at once."""
    child = python(HOLD, file, 0)
    assert child.stdout.readline() == "held\n", child.stderr.read()
    yield child
    child.kill()
    child.communicate()


def test_a_live_process_keeps_its_run_and_a_dead_one_loses_it(store, holder):
    message = rf"run 'digits': in use by process {holder.pid} on host .* since 20.*stop it"
    with pytest.raises(StoreInUse, match=message):
        store.acquire(RUN.id)  # expired, yet plainly alive
    os.kill(holder.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while alive(Process(this_process().host, holder.pid, "")) is None:
        assert time.monotonic() < deadline
        os.waitpid(holder.pid, os.WNOHANG)
    with store.acquire(RUN.id) as lease:
        assert lease.fence == 2


def test_a_process_not_yet_collected_is_dead(store, holder):
    os.kill(holder.pid, signal.SIGKILL)
    with store.acquire(RUN.id, wait=10.0) as lease:
        assert lease.fence == 2


def test_a_writer_that_lost_its_lease_writes_nothing(store):
    old = store.acquire(RUN.id, expiry=0.0)
    new = store.acquire(RUN.id)
    for write in (old.renew, old.sweep_checkpoints, old.transaction().__enter__):
        with pytest.raises(StoreInUse, match=rf"lost its lease \(number 1\).*{os.getpid()}"):
            write()
    with new.transaction() as tx:
        tx.write_state("a", "new")
    new.release()
    with pytest.raises(StoreInUse, match="has since given it back"), old.transaction():
        pass
    newest = store.acquire(RUN.id)
    old.release()  # not its own any more: changes nothing
    newest.renew()
    assert store.state(RUN.id, "a") == "new"


def test_an_expired_lease_is_good_until_it_is_taken(store):
    with store.acquire(RUN.id, expiry=0.0) as lease, lease.transaction() as tx:
        tx.write_state("a", "b")
    assert store.state(RUN.id, "a") == "b"


def test_a_holder_elsewhere_has_until_its_expiry(store, monkeypatch):
    there = Process("elsewhere", 1, "other boot 5")
    with monkeypatch.context() as patch:
        patch.setattr(module, "this_process", lambda: there)
        lease = store.acquire(RUN.id, expiry=60.0)
    with pytest.raises(StoreInUse, match=r"process 1 on host elsewhere .* after 60 s of silence"):
        store.acquire(RUN.id)
    now = time.time()
    monkeypatch.setattr(module.time, "time", lambda: now + 50)
    with lease.transaction():
        pass  # which renews it
    monkeypatch.setattr(module.time, "time", lambda: now + 100)
    with pytest.raises(StoreInUse):
        store.acquire(RUN.id)
    monkeypatch.setattr(module.time, "time", lambda: now + 111)
    assert store.acquire(RUN.id).fence == 2


def test_waiting_for_a_lease(store):
    store.acquire(RUN.id, expiry=0.2)
    with pytest.raises(StoreInUse):
        store.acquire(RUN.id)
    with store.acquire(RUN.id, wait=10.0) as lease:
        assert lease.fence == 2


def test_a_released_lease_is_over(store):
    lease = store.acquire(RUN.id)
    lease.release()
    lease.release()
    with pytest.raises(StoreError, match="this lease was released"), lease.transaction():
        pass
    assert store.acquire(RUN.id).fence == 2


@pytest.mark.skipif(not process._PROC.is_dir(), reason="this system has no /proc")
def test_a_number_used_again_is_another_process():
    me = this_process()
    assert alive(me) is True
    place, _, start = me.identity.rpartition(" ")
    assert alive(Process(me.host, me.pid, f"{place} {int(start) + 1}")) is False
    assert alive(Process(me.host, me.pid, f"other boot {start}")) is None
    assert alive(Process("elsewhere", me.pid, me.identity)) is None


def test_without_proc(monkeypatch, tmp_path):
    monkeypatch.setattr(process, "_PROC", tmp_path)
    me = this_process()
    assert me.identity == "" and alive(me) is None
    child = python("pass")
    child.communicate()
    assert alive(Process(me.host, child.pid, "")) is False
