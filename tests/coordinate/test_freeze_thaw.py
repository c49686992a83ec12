"""Freeze-thaw with its model: curves by hand, the acquisition's formula, whole runs, resumed ones.

All share one space, so one class of columns, and one capacity: three programs in all.
"""

import jax
import numpy as np
import pytest
from scipy.stats import norm

import bojax
from bojax.coordinate import Coordinator, freeze_thaw
from bojax.history import Report, Status
from bojax.strategies import Sizes
from bojax.strategies.session import Session
from bojax.strategies.weighing import weigh

WHOLE = 27
SPACE = bojax.Space({"x": bojax.Float(0, 1), "y": bojax.Float(0, 1)}).with_fidelity(
    "epochs", 1, WHOLE
)
COLUMN = SPACE.names.index("epochs")


def row_of(x, y, epochs):
    row = np.array(SPACE.encode({"x": x, "y": y}))
    row[COLUMN] = SPACE.column_row("epochs", epochs)
    return row


def session_with(curves, **settings):
    """Curves `{(x, y): values after 1, 2, ... epochs}` told, as trials 0, 1, ..."""
    method = freeze_thaw(max_budget=WHOLE, initial=2, **settings)
    session = Session(SPACE, method.strategy, sizes=Sizes(evaluations=30), batch=1)
    for trial, ((x, y), values) in enumerate(curves.items()):
        for epochs, value in enumerate(values, start=1):
            session.write(trial, row_of(x, y, epochs), status=Status.DONE, values=value)
    session.state = session.state._replace(asked=np.int32(len(curves)))
    return session


def weighed(session, curves, *, fresh=0, left=None):
    ends = [len(values) for values in curves.values()]
    left = [WHOLE - end for end in ends] if left is None else left
    rows = np.array([row_of(x, y, WHOLE) for x, y in curves])
    return weigh(session, rows, np.array(left, float), whole=float(WHOLE), fresh=fresh, places=1)


EPOCHS = np.arange(1, 9)
FALLING, FLAT = 1.0 * EPOCHS**-0.8, np.full(8, 1.0) - 0.002 * EPOCHS
CURVES = {
    (0.2, 0.2): FALLING,
    (0.8, 0.8): FLAT,
    (0.8, 0.2): FLAT + 0.05,
    (0.5, 0.9): FLAT + 0.02,
    (0.3, 0.7): 0.5 + 0.5 * FALLING,
}


def test_the_curve_that_falls_is_thawed_and_the_flat_ones_are_last():
    order, drawn = weighed(session_with(CURVES), CURVES)
    assert order[:2] == [0, 4] and drawn == []


def test_it_is_the_curves_not_their_last_values_that_decide():
    """One that falls fast from above is preferred to one that stands still below it."""
    curves = dict(CURVES)
    curves[0.2, 0.2] = (2.0 * EPOCHS**-0.8)[:3]  # 0.83 now, 0.14 at the end
    curves[0.8, 0.8] = FLAT - 0.25  # 0.73 now and at the end
    order, _ = weighed(session_with(curves), curves)
    assert order.index(0) < order.index(1)
    assert curves[0.2, 0.2][-1] > curves[0.8, 0.8][-1]


def test_heights_are_log_expected_improvement_less_the_log_of_what_is_left():
    session = session_with(CURVES)
    rows = np.array([row_of(x, y, WHOLE) for x, y in CURVES])
    left = np.array([3.0, 19.0, 5.0, 1.0, 27.0])
    history, nothing = session.lines_in_order(), np.full((1, SPACE.table.columns), np.nan)
    with jax.enable_x64(True):
        found = session.strategy.weigh_on_host(
            session.state, history, session.bits, 1, nothing, np.int32(1),
            *(np.concatenate([part, part[:1].repeat(59, 0)]) for part in (rows, left)), 27.0,
        )  # fmt: skip
        _, posterior = session.strategy.fit_on_host(session.state, history, session.bits)
        new = np.concatenate([rows, np.asarray(found.rows)])
        mean, variance = (np.asarray(part) for part in posterior.mean_and_variance(new))
    scale = float(posterior.scale)
    mean, deviation = mean / scale, np.sqrt(variance) / scale
    u = (mean[:5].min() - mean) / deviation  # the incumbent: what is predicted for who is begun
    improvement = deviation * (norm.pdf(u) + u * norm.cdf(u))
    heights = np.concatenate([np.asarray(found.heights)[:5], np.asarray(found.fresh)])
    good = u > -6  # below, the difference of the formula is rounding
    assert good.sum() > 1
    expected = np.log(improvement[good]) - np.log([*left, 27.0])[good]
    np.testing.assert_allclose(heights[good], expected, rtol=1e-6)


def test_only_new_trials_that_are_begun_count_as_asked():
    session = session_with(CURVES)
    order, drawn = weighed(session, CURVES, fresh=1, left=[1e-9] * 5)
    assert None not in order and drawn == [] and session.state.asked == len(CURVES)
    order, drawn = weighed(session, CURVES, fresh=1, left=[1e9] * 5)
    assert order[0] is None and len(drawn) == 1 and session.state.asked == len(CURVES) + 1


def test_before_there_is_a_model_new_trials_are_begun():
    order, drawn = weighed(session_with({(0.2, 0.2): FALLING}), {(0.2, 0.2): FALLING}, fresh=1)
    assert order == [None, 0] and len(drawn) == 1


# ------------------------------------------------------------------------------- whole runs


class Curves:
    """An executor: losses that fall by a power of the epochs to what the configuration is worth."""

    kept = ()

    def __init__(self):
        self.spent, self.found = 0, None  # epochs when a loss first was at the target

    def run(self, jobs, configs):
        reports = []
        for job in jobs:
            self.spent += job.stop - job.start
            x, y = configs[job.trial]["x"], configs[job.trial]["y"]
            end = (x - 0.3) ** 2 + 0.5 * abs(y - 0.6)
            loss = end + (1.0 + x) * job.stop**-0.7
            if loss <= 0.16 and self.found is None:
                self.found = self.spent
            reports.append(Report(job.trial, job.stop, {"loss": loss}))
        return reports

    def keep(self, trials):
        pass


def run_of(method, trials=16, *, turns=10**6, restart=False, **settings):
    """A run, and its executor; with `restart` every turn is made by a coordinator of its own."""

    def make(executor):
        own = dict(method.scheduler)
        scheduler = bojax.schedulers.by_name(own.pop("name"), trials=trials, **own)
        return Coordinator(
            SPACE, method.strategy, scheduler, executor, metric="loss", **{"seed": 0} | settings
        )

    executor = Curves()
    coordinator = make(executor)
    while turns and coordinator.turn():
        turns -= 1
        if restart:
            before, coordinator = coordinator, make(executor)
            coordinator.session.restore_from(before.session.used(), before.session.save_state())
            coordinator.scheduler.restore(before.scheduler.state())
            coordinator.trials, coordinator.reports = before.trials, before.reports
            coordinator._infos, coordinator.spent = before._infos, before.spent
    return coordinator, executor


def jobs_of(coordinator):
    return [(report.trial, report.budget) for report in coordinator.reports]


SMALL = freeze_thaw(max_budget=WHOLE, initial=2, slots=2, mean_budget=3)


@pytest.fixture(scope="module")
def whole():
    return run_of(SMALL)[0]


def test_a_run_trains_what_is_best_to_the_end(whole):
    assert 44 <= whole.spent <= 48  # of 16 trials, 3 epochs each
    assert whole.best.fidelity == WHOLE
    done = [trial for trial in whole.trials if trial.fidelity == WHOLE]
    assert len(done) == 1 and whole.best.value == min(t.values[0] for t in whole.trials)


def test_a_run_is_the_same_however_often_it_is_interrupted(whole):
    again, _ = run_of(SMALL, restart=True)
    assert jobs_of(again) == jobs_of(whole)
    assert [t.config for t in again.trials] == [t.config for t in whole.trials]
    assert again.session.save() == whole.session.save()


def test_another_seed_and_other_slots_are_other_runs(whole):
    assert jobs_of(run_of(SMALL, seed=1)[0]) != jobs_of(whole)


def test_a_run_begins_with_the_configurations_given():
    first = [{"x": 0.25, "y": 0.5}, {"x": 0.9, "y": 0.1}, {"x": 0.3, "y": 0.6}]
    begun, _ = run_of(SMALL, turns=3, first=first)
    assert [trial.config for trial in begun.trials[:3]] == first
    assert [trial.source for trial in begun.trials[:3]] == ["default"] * 3


def test_a_strategy_without_a_model_leaves_the_choice_to_the_values():
    method = bojax.coordinate.Method("own", bojax.strategies.random(), SMALL.scheduler)
    coordinator, _ = run_of(method)
    assert len(coordinator.trials) == 16 and coordinator.spent >= 48.0


@pytest.mark.slow
def test_it_needs_less_training_than_random_search_at_full_budget():
    random = bojax.coordinate.Method(
        "random", bojax.strategies.random(),
        {"name": "full_budget", "max_budget": WHOLE, "bracket": 1},
    )  # fmt: skip
    ratios = []
    for seed in range(4):
        _, theirs = run_of(random, 200, seed=seed)
        _, ours = run_of(freeze_thaw(max_budget=WHOLE, slots=4, mean_budget=10), 40, seed=seed)
        ratios.append((theirs.found or theirs.spent) / (ours.found or 10**9))
    # 1.7 in the geometric mean; the four lie between 0.3 and 11.
    assert np.exp(np.mean(np.log(ratios))) > 1.0
