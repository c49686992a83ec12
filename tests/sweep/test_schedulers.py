"""Sweeps under each scheduler: who trains on, in which waves, and after an interruption."""

import numpy as np
import pytest

import bojax
from bojax.history import Status
from bojax.store import open_store
from tests.sweep.conftest import TASK, make_data


def test_a_sweep_goes_through_the_brackets(small):
    rungs = []
    sweep = small(
        scheduler="hyperband", data=make_data(),
        callbacks=[lambda e: rungs.append(e.data) if e.kind == "rung" else None],
    )  # fmt: skip
    result = sweep.run(trials=16)
    planned = [(9, 1), (3, 3), (1, 9), (5, 3), (1, 9), (2, 9)]
    assert [(rung["members"], rung["budget"]) for rung in rungs] == planned
    assert result.best.fidelity == 9 and np.isfinite(result.best.value)


@pytest.mark.parametrize("mode", ["promotion", "stopping"])
def test_a_sweep_in_waves(small, table, tmp_path, mode):
    scheduler = {"name": "asha", "slots": 4, "mode": mode}
    rungs = []
    settings = {"scheduler": scheduler, "data": make_data()}
    sweep = small(
        **settings, callbacks=[lambda e: rungs.append(e.data) if e.kind == "rung" else None]
    )
    result = sweep.run(trials=12)
    assert all(rung["members"] <= 4 for rung in rungs)
    assert [trial.id for trial in result.trials] == list(range(12))
    assert {trial.status for trial in result.trials} <= {Status.DONE, Status.STOPPED}
    assert result.best.fidelity == 9
    late = [t for t in result.trials if len(t.curve) > 1]
    assert late and all([b for b, _ in t.curve] == [1, 3, 9][: len(t.curve)] for t in late)
    store, turns = tmp_path / "a.db", []

    def interrupt(event):
        turns.extend([event] if event.kind == "rung" else [])
        if len(turns) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small(**settings, store=store, callbacks=[interrupt]).run(trials=12)
    assert table(bojax.Sweep.resume(store, TASK, data=make_data())) == table(result)
    with open_store(str(store), create=False) as opened:
        assert [t.status for t in opened.trials("main")] == [t.status for t in result.trials]


@pytest.mark.parametrize("scheduler", ["median", {"name": "percentile", "percentile": 40}])
def test_a_sweep_stops_who_is_behind(small, scheduler):
    result = small(scheduler=scheduler, data=make_data(), max_budget=4).run(trials=9)
    first = {trial.id: trial.curve[0][1]["loss"] for trial in result.trials}
    share = 50 if scheduler == "median" else 40
    for trial in result.trials:
        others = [value for other, value in first.items() if other != trial.id]
        assert (len(trial.curve) > 1) == (first[trial.id] <= np.percentile(others, share))
    assert result.best.fidelity == 4
