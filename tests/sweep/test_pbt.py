"""Population based training on a real task: copies, their parents, and going on after a stop."""

import numpy as np
import pytest

import bojax
from bojax.history import Status
from tests.sweep.conftest import SPACE, TASK, make_data

SETTINGS = {"scheduler": {"name": "pbt", "interval": 2, "quantile": 0.5}, "max_budget": 6}


class Stop(Exception):
    """Raised by a callback to interrupt a run."""


def stop_at(rung):
    seen = []

    def callback(event):
        seen.append(event.kind)
        if seen.count("rung") == rung:
            raise Stop

    return callback


def test_copies_go_on_from_their_parents_with_other_values(small, count_compiles):
    events = []
    sweep = small(**SETTINGS, callbacks=[events.append])
    with count_compiles() as programs:
        result = sweep.run(8)
    train = [name for name in programs if "train" in name]
    assert len(train) <= 1  # inside a bucket copies compile nothing
    copies = [t for t in result.trials if t.parent is not None]
    assert len(result.trials) == 8 + 4 + 4 and len(copies) == 8
    by_id = {t.id: t for t in result.trials}
    for copy in copies:
        parent = by_id[copy.parent]
        assert copy.source == "clone" and copy.config != parent.config
        begun = copy.curve[0][0] - 2
        assert begun in [budget for budget, _ in parent.curve]
    rungs = [event.data for event in events if event.kind == "rung"]
    assert [rung["members"] for rung in rungs] == [8, 8, 8]
    assert result.spent == 8 * 6
    assert sum(t.status == Status.DONE for t in result.trials) == 8
    assert sum(t.status == Status.STOPPED for t in result.trials) == 8
    assert result.best.fidelity == 6
    for trial in result.trials:
        SPACE.encode(trial.config)  # every value in its range


def test_losers_copy_winners(small):
    result = small(**SETTINGS).run(8)
    first = {t.id: t.curve[0][1]["loss"] for t in result.trials if t.id < 8}
    best = set(sorted(first, key=first.get)[:4])
    second = [t for t in result.trials if 8 <= t.id < 12]
    assert {t.parent for t in second} <= best
    worst = set(first) - best
    assert {t.id for t in result.trials if t.status == Status.STOPPED and t.id < 8} >= worst


def test_stopped_anywhere_and_resumed_it_is_the_same_run(small, table, tmp_path):
    whole = small(**SETTINGS).run(8)
    for rung in (1, 2):
        store = tmp_path / f"{rung}.db"
        with pytest.raises(Stop):
            small(**SETTINGS, store=store, callbacks=[stop_at(rung)]).run(8)
        resumed = bojax.Sweep.resume(store, TASK, data=make_data())
        assert table(resumed) == table(whole)
        assert [t.parent for t in resumed.trials] == [t.parent for t in whole.trials]


def test_seed_factors_resampling_and_names_change_the_copies(small):
    def copies(seed=0, **more):
        scheduler = SETTINGS["scheduler"] | more
        result = small(scheduler=scheduler, max_budget=6, seed=seed).run(8)
        return [t.config for t in result.trials[8:]]

    plain = copies(resample=0.0)
    assert copies(resample=1.0) != plain
    assert copies(resample=0.0, factors=[2.0, 0.5]) != plain
    assert copies(resample=0.0, seed=1) != plain
    rates = copies(resample=0.0, perturb=["lr"])
    ratios = np.array([c["lr"] for c in rates])
    assert rates != plain and len(set(ratios.tolist())) > 1


def test_what_chooses_the_program_cannot_be_perturbed(small):
    scheduler = {"name": "pbt", "perturb": ["momentum"]}
    with pytest.raises(bojax.SpaceError, match="perturb='momentum': no such parameter"):
        small(scheduler=scheduler).run(4)
