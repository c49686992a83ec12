"""DEHB's populations: whose turn it is, who is where, and the children of DEHB 0.1.2.

The numbers in data/dehb.json were made by DEHB 0.1.2 itself; data/make_dehb.py says how.
"""

import json
from collections import Counter
from functools import partial
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.coordinate import Coordinator, dehb
from bojax.history import Report, Status, empty_history
from bojax.strategies import DEHB, Sizes, from_description, to_description
from bojax.strategies._dehb import RUNGS
from bojax.testing import strategy_checks

DEHB_012 = json.loads((Path(__file__).parent / "data" / "dehb.json").read_text())
SIZES = (27, 9, 6, 4)
STARTS = np.cumsum((0, *SIZES))
BUDGETS = (1, 3, 9, 27)
SPACE = bojax.Space({f"x{i}": bojax.Float(0.0, 1.0) for i in range(3)}).with_fidelity("e", 1, 27)
DRAWS = 8192


@pytest.mark.parametrize("check", strategy_checks(DEHB(), skip=["pure", "constraints"]), ids=repr)
def test_conformance(check):
    check()


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    [check for check in strategy_checks(DEHB()) if check.__name__ in ("pure", "constraints")],
    ids=repr,
)
def test_conformance_of_programs_of_their_own(check):
    check()


# ------------------------------------------------------------------------------- beside DEHB 0.1.2


def populations():
    """Those of make_dehb.py, and the place of each member in its population."""
    number = np.arange(1, sum(SIZES) + 1)
    points = np.zeros((sum(SIZES), 4))
    points[:, :3] = np.mod(number[:, None] * np.array([0.618034, 0.414214, 0.732051]), 1.0)
    points[39] = points[31]
    values = (number * 37 % 47) / 47
    parts = [values[a:b] for a, b in pairwise(STARTS)]
    return points, np.concatenate([np.argsort(np.argsort(part)) for part in parts])


@pytest.fixture(scope="module")
def children():
    """Children of one target, `[DRAWS, 3]`."""

    @jax.jit
    def program(strategy, turn, points, rank):
        def child(key):
            free = np.arange(4) < 3
            return strategy.child(key, turn, points, rank, free)[0][:3]

        return jax.vmap(child)(jax.random.split(jax.random.key(0), DRAWS))

    def draw(budget, bracket, slot, strategy=DEHB()):  # noqa: B008 (a value)
        points, rank = populations()
        turn = jax.tree.map(
            jnp.int32,
            type(strategy.turn(0, 0))(
                budget,
                STARTS[budget] + slot,
                budget - (bracket < budget),
                RUNGS[bracket][budget - bracket],
            ),
        )
        with jax.enable_x64(True):
            found = program(strategy, turn, points, rank.astype(np.int32))
        return np.asarray(found), points[STARTS[budget] + slot, :3]

    return draw


@pytest.mark.parametrize("case", DEHB_012["children"], ids=lambda case: str(case["case"]))
def test_children_are_distributed_as_those_of_dehb(children, case):
    found, target = children(*case["case"])
    pairs = [(found[:, a] < 0.5) & (found[:, b] < 0.5) for a, b in ((0, 1), (0, 2), (1, 2))]
    edges = np.round(np.arange(0.05, 1.0, 0.1), 2)
    ours = {
        "below": np.mean(found[:, :, None] < edges, axis=0),
        "kept": np.mean(found == target, axis=0),
        "both": np.mean(pairs, axis=1),
    }
    for name, share in ours.items():
        theirs = np.array(case[name])
        error = np.sqrt(theirs * (1 - theirs) * (1 / DRAWS + 1 / DEHB_012["draws"]))
        assert (np.abs(share - theirs) <= 4 * error + 1e-4).all(), name


def test_turns_are_those_of_dehb():
    """Targets of every suggestion in three rounds, and where their parents come from."""
    strategy = DEHB()
    counts, asked, expected = Counter(), [], []
    for bracket, budget, slot in DEHB_012["order"]:
        at, shape = BUDGETS.index(budget), bracket % len(BUDGETS)
        if bracket < len(BUDGETS) and at > shape:
            continue  # promoted
        asked.append((at, counts[at]))
        counts[at] += 1
        expected.append((at, STARTS[at] + slot, at - (at > shape), RUNGS[shape][at - shape]))
    budgets, numbers = np.array(asked, np.int32).T
    turns = jax.jit(jax.vmap(strategy.turn))(budgets, numbers)
    np.testing.assert_array_equal(np.stack(turns, axis=1), expected)


def line(history, i, trial, budget, x, value, asked_at=None, slot=0, status=Status.DONE):
    history.trial[i], history.status[i] = trial, status
    history.rows[i, :3] = history.raw[i, :3] = x
    history.rows[i, 3] = history.raw[i, 3] = SPACE.column_row("e", budget)
    history.tag[i, :2] = (0, 0) if asked_at is None else (1 + asked_at, slot)
    history.values[i, 0] = value


@pytest.fixture(scope="module")
def members():
    """Who is where, by a program compiled once."""
    program = jax.jit(lambda history: DEHB().members_of(SPACE.table, history))

    def run(history):
        with jax.enable_x64(True):
            return jax.tree.map(np.asarray, program(history))

    return run


def test_who_is_promoted_takes_the_slots_that_it_takes_in_dehb(members):
    """The first round replayed: each evaluation competes for the slot that DEHB gives it."""
    rng, history = np.random.default_rng(0), empty_history(128, 4)
    first = [entry for entry in DEHB_012["order"] if entry[0] < len(BUDGETS)]
    best = {}  # slot -> (value, x)
    lines, trials, last = [], {}, None
    for bracket, budget, slot in first:
        at = BUDGETS.index(budget)
        if at == bracket:  # asked
            trial = len(trials)
            trials[trial] = (bracket, at, slot, rng.random(3))
        else:
            if (bracket, at) != last:  # of a rung any may be promoted, by trial
                pool = [t for t, entry in trials.items() if entry[0] == bracket]
                below = [t for t, b, _ in lines if b == at - 1 and t in pool]
                chosen = sorted(rng.choice(below, RUNGS[bracket][at - bracket], replace=False))
            trial, chosen = chosen[0], chosen[1:]
        last, value = (bracket, at), float(rng.random())
        lines.append((trial, at, value))
        if value <= best.get(STARTS[at] + slot, (np.inf,))[0]:
            best[STARTS[at] + slot] = (value, trials[trial][3])
    for i, (trial, at, value) in enumerate(sorted(lines)):
        _, asked_at, slot, x = trials[trial]
        line(history, i, trial, BUDGETS[at], x, value, asked_at, STARTS[asked_at] + slot)
    found = members(history)
    assert found.known.all() and len(best) == sum(SIZES)
    for slot, (value, x) in best.items():
        assert found.values[slot] == value
        np.testing.assert_array_equal(found.points[slot, :3], x)


# ------------------------------------------------------------------------------------- the history


def test_foreign_late_and_failed_lines(members):
    history = empty_history(128, 4)
    line(history, 0, 0, 27, 0.1, 5.0)  # brought: the first slot of its population
    line(history, 1, 1, 27, 0.2, 6.0, asked_at=3, slot=42)  # worse than what was brought
    line(history, 2, 2, 27, 0.3, np.nan, 3, 43, status=Status.FAILED)
    line(history, 3, 3, 27, 0.4, 9.0, 3, 43)  # anything is better than failed
    line(history, 4, 4, 9, 0.5, np.nan, 2, 36, status=Status.PENDING)
    line(history, 5, 5, 9, 0.6, np.nan, 2, 37, status=Status.STALE)
    line(history, 6, 6, 5, 0.7, 0.0)  # at a budget that is nobody's
    found = members(history)
    assert np.flatnonzero(found.known).tolist() == [42, 43]
    np.testing.assert_array_equal(found.points[[42, 43], 0], [0.1, 0.4])
    np.testing.assert_array_equal(found.values[[42, 43]], [5.0, 9.0])


@pytest.fixture(scope="module")
def ask():
    """Rows and information, of one program."""

    @partial(jax.jit, static_argnames="q")
    def program(strategy, state, history, bits, given, wanted, q=8):
        key = jax.random.wrap_key_data(bits)
        return strategy.ask(state, history, key, q, given, wanted)

    def run(history, budget=None, asked=(0, 0, 0, 0), wanted=8, strategy=DEHB()):  # noqa: B008
        given = np.full((8, 4), np.nan)
        if budget is not None:
            given[:, 3] = SPACE.column_row("e", budget)
        with jax.enable_x64(True):
            state = strategy.init(SPACE.table, Sizes())._replace(asked=np.array(asked, np.int32))
            state, rows, info = program(
                strategy, state, history, np.array([0, 3], np.uint32), given, np.int32(wanted)
            )
        return np.asarray(state.asked), np.asarray(rows), jax.tree.map(np.asarray, info)

    return run


def test_suggestions_are_for_the_budget_that_is_given(ask):
    history = empty_history(128, 4)
    asked, rows, info = ask(history, budget=3, asked=(0, 2, 0, 0))
    assert asked.tolist() == [0, 10, 0, 0]
    np.testing.assert_allclose(rows[:, 3], SPACE.column_row("e", 3))
    # Nine were promoted to it in the first bracket; the targets go on after those: slots 2, 3, ...
    assert info.tag[:, :3].tolist() == [[2, 27 + (9 + 2 + i) % 9, 0] for i in range(8)]
    asked, rows, info = ask(history, wanted=5)  # no budget: the largest
    assert asked.tolist() == [0, 0, 0, 5] and (rows[:, 3] == 1.0).all()
    assert (info.tag[:, 0] == 4).all()


def test_unseen_targets_are_uniform_and_seen_ones_have_children(ask):
    history = empty_history(128, 4)
    _, rows, info = ask(history, budget=1)
    for i in range(27):
        line(history, i, i, 1, np.full(3, 0.4) + 0.001 * i, float(i), 0, i)
    _, children, later = ask(history, budget=1, asked=(27, 0, 0, 0))
    assert not info.tag[:, 2].any() and later.tag[:, 2].all()
    assert np.ptp(rows[:, :3]) > 0.5  # anywhere
    assert np.abs(children[:, :3] - 0.413).max() < 0.03  # where the population is


def test_the_settings_matter(children):
    plain, target = children(0, 0, 5)
    wide, _ = children(0, 0, 5, DEHB(f=1.0))
    whole, _ = children(0, 0, 5, DEHB(cr=1.0))
    none, _ = children(0, 0, 5, DEHB(cr=0.0))
    assert not np.array_equal(plain, wide)
    assert (whole == target).mean() < 0.02  # the members are a lattice
    changed = (none != target).sum(axis=1)
    assert changed.max() == 1 and changed.mean() > 0.98


def test_what_comes_from_json_is_the_same_structure():
    strategy = dehb(max_budget=9, f=0.7).strategy
    described = json.loads(json.dumps(to_description(strategy)))
    assert from_description(described) == strategy
    assert jax.tree.structure(from_description(described)) == jax.tree.structure(strategy)


def test_brackets_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="a bracket from each to the last"):
        DEHB(budgets=(1, 3), rungs=((3, 1),))
    with pytest.raises(ValueError, match="at least 2 budgets"):
        DEHB(budgets=(1,), rungs=((3,),))


# ------------------------------------------------------------------------------------ a whole run


class Bowl:
    """An executor: a loss that is less at larger budgets, the same way for all."""

    kept = ()

    def run(self, jobs, configs):
        return [
            Report(job.trial, job.stop, {"loss": self.loss(configs[job.trial]) + 0.1 / job.stop})
            for job in jobs
        ]

    def loss(self, config):
        return sum((x - 0.3) ** 2 for x in config.values())

    def keep(self, trials):
        pass


def test_later_rounds_breed_new_trials_at_every_rung():
    method = dehb(max_budget=9)
    settings = dict(method.scheduler)
    scheduler = bojax.schedulers.by_name(settings.pop("name"), trials=15 + 5 * 20, **settings)
    space = bojax.Space({f"x{i}": bojax.Float(0.0, 1.0) for i in range(3)})
    coordinator = Coordinator(
        space.with_fidelity("epochs", 1, 9), method.strategy, scheduler, Bowl(), metric="loss"
    )
    coordinator.run()
    jobs = Counter((report.budget, report.trial < 15) for report in coordinator.reports)
    # Two rungs of promoted trials in the first round's widest bracket, one in the next.
    assert jobs == {(1, True): 9, (3, True): 6, (9, True): 5,
                    (1, False): 45, (3, False): 30, (9, False): 25}  # fmt: skip
    assert all(len(trial.curve) == 1 for trial in coordinator.trials[15:])
    used = coordinator.session.used()
    at = np.log(np.array([trial.fidelity for trial in coordinator.trials])) / np.log(3)
    own = dict(zip(used.trial.tolist(), used.tag.tolist(), strict=True))
    assert [own[t][0] for t in range(15, 115)] == (1 + np.round(at[15:])).astype(int).tolist()
    # What is bred late is better than what was drawn first, at whatever budget.
    losses = [Bowl().loss(trial.config) for trial in coordinator.trials]
    assert np.mean(losses[-40:]) < 0.6 * np.mean(losses[:9])
