"""Hyperband: both tables of the paper, in rounds, and what is refused."""

import json
from pathlib import Path

import pytest

from bojax.errors import SchedulerError
from bojax.schedulers import DONE, hyperband

# Li et al. (2018): algorithm 1 by its formulas, and table 1 as printed; R = 81, eta = 3.
ALGORITHM_1 = [
    [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    [(34, 3), (11, 9), (3, 27), (1, 81)],
    [(15, 9), (5, 27), (1, 81)],
    [(8, 27), (2, 81)],
    [(5, 81)],
]
TABLE_1 = [
    [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    [(27, 3), (9, 9), (3, 27), (1, 81)],
    [(9, 9), (3, 27), (1, 81)],
    [(6, 27), (2, 81)],
    [(5, 81)],
]
ALGORITHM_1_27 = [
    [(27, 1), (9, 3), (3, 9), (1, 27)],
    [(12, 3), (4, 9), (1, 27)],
    [(6, 9), (2, 27)],
    [(4, 27)],
]
TABLE_1_27 = [
    [(27, 1), (9, 3), (3, 9), (1, 27)],
    [(9, 3), (3, 9), (1, 27)],
    [(6, 9), (2, 27)],
    [(4, 27)],
]


def brackets(table):
    found = {}
    for row in table.rows:
        found.setdefault(row.bracket, []).append((row.members, row.budget))
    return [found[bracket] for bracket in sorted(found)]


@pytest.mark.parametrize(
    ("table", "max_budget", "trials", "expected", "scratch"),
    [
        ("algorithm-1", 81, 143, ALGORITHM_1, 1902),
        ("table-1", 81, 128, TABLE_1, 1701),
        ("algorithm-1", 27, 49, ALGORITHM_1_27, None),
        ("table-1", 27, 46, TABLE_1_27, None),
    ],
)
def test_the_tables_are_the_papers(table, max_budget, trials, expected, scratch):
    plan = hyperband(max_budget=max_budget, table=table, trials=trials).plan()
    assert brackets(plan) == expected
    assert plan.trials == trials
    if scratch is not None:
        assert plan.total_from_scratch == scratch
    # One trial more begins the next round, with its widest bracket.
    more = brackets(hyperband(max_budget=max_budget, table=table, trials=trials + 30).plan())
    assert more[: len(expected)] == expected
    assert more[len(expected)][0] == (min(30, expected[0][0][0]), 1)


def test_the_smallest_budget_scales_the_table():
    plain = brackets(hyperband(max_budget=27, trials=49).plan())
    scaled = brackets(hyperband(max_budget=108, min_budget=4, trials=49).plan())
    assert scaled == [[(n, 4 * budget) for n, budget in rungs] for rungs in plain]


def test_a_small_round_by_hand():
    # R = 4, eta = 2, s = 2, 1, 0: ceil(3 * 4 / 3) = 4, ceil(3 * 2 / 2) = 3, 3 trials
    scheduler = hyperband(max_budget=4, eta=2, trials=10)
    seen = []
    while (jobs := scheduler.next_jobs(99)) is not DONE:
        seen.append([(job.trial, job.start, job.stop) for job in jobs])
        for job in jobs:
            scheduler.report(job.trial, job.stop, float(-job.trial))  # later ones are better
    assert seen == [
        [(0, 0, 1), (1, 0, 1), (2, 0, 1), (3, 0, 1)],
        [(2, 1, 2), (3, 1, 2)],
        [(3, 2, 4)],
        [(4, 0, 2), (5, 0, 2), (6, 0, 2)],
        [(6, 2, 4)],
        [(7, 0, 4), (8, 0, 4), (9, 0, 4)],
    ]


@pytest.mark.parametrize(
    "changed", [{"max_budget": 9}, {"min_budget": 3}, {"eta": 2}, {"table": "table-1"}]
)
def test_every_option_matters(changed):
    usual = {"trials": 49}
    assert hyperband(**usual).plan() != hyperband(**usual | changed).plan()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"eta": 1}, "eta must be a number above 1, got 1"),
        ({"min_budget": 9, "max_budget": 3}, r"^min_budget must not exceed max_budget, got "),
        ({"table": "table 1"}, "table must be one of algorithm-1, table-1, got 'table 1'"),
        ({"max_budget": 2.5}, "max_budget must be an integer"),
        ({"trials": 0}, "trials must be an integer"),
    ],
)
def test_wrong_settings_are_named(wrong, message):
    with pytest.raises(SchedulerError, match=message):
        hyperband(**wrong)


def test_later_rounds_start_new_trials_at_every_rung_by_hand():
    # R = 9, eta = 3: 9 3 1, 3 1, 3 by table 1; then the same rungs, 13 + 4 + 3 trials.
    scheduler = hyperband(max_budget=9, table="table-1", promote="first-round", trials=15 + 20)
    seen = []
    while (jobs := scheduler.next_jobs(99)) is not DONE:
        seen.append(([job.trial for job in jobs], jobs[0].start, jobs[0].stop))
        for job in jobs:
            scheduler.report(job.trial, job.stop, float(-job.trial))  # later ones are better
    assert seen[:6] == [
        (list(range(9)), 0, 1), ([6, 7, 8], 1, 3), ([8], 3, 9),
        ([9, 10, 11], 0, 3), ([11], 3, 9), ([12, 13, 14], 0, 9),
    ]  # fmt: skip
    assert seen[6:] == [
        (list(range(15, 24)), 0, 1), ([24, 25, 26], 0, 3), ([27], 0, 9),
        ([28, 29, 30], 0, 3), ([31], 0, 9), ([32, 33, 34], 0, 9),
    ]  # fmt: skip


def test_the_rungs_are_those_of_dehb():
    """(bracket, budget) of every evaluation of DEHB 0.1.2 in three rounds at R = 27."""
    file = Path(__file__).parents[1] / "strategies" / "data" / "dehb.json"
    order = json.loads(file.read_text())["order"]
    plan = hyperband(max_budget=27, table="table-1", promote="first-round", trials=46 + 2 * 65)
    rows = plan.plan().rows
    assert [[row.bracket, row.budget] for row in rows for _ in range(row.members)] == [
        entry[:2] for entry in order
    ]


def test_who_promotes_is_one_of_two():
    with pytest.raises(SchedulerError, match="promote must be one of always, first-round"):
        hyperband(promote="never")
