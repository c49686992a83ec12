"""Population based bandits: the process by formula, the choice by what it must do."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.stats import multivariate_normal

import bojax
from bojax.coordinate._bandit import Bandit, check_numbers, fences, standardised
from bojax.coordinate._copies import Copies
from bojax.coordinate._time_varying import HIGH, JITTER, LOW, Fading, fit, loss_and_slope
from bojax.history import Job, Status, Trial

THETA = np.array([math.log(1.7), math.log(0.3), 0.2, math.log(0.05)])
SPACE = bojax.Space({"x": bojax.Float(0.0, 1.0), "n": bojax.Int(1, 9)}).with_fidelity("e", 1, 9)


def covariance(a, b):
    """Of two rows with their times, by the paper's formula and nothing else."""
    (x, s), (z, t) = a, b
    fading = (1 - 0.2) ** (abs(s - t) / 2)
    return 1.7 * fading * math.exp(-float(np.sum((x - z) ** 2)) / (2 * 0.3**2))


def some(n, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((n, 2)), rng.integers(0, 4, n).astype(float), rng.normal(size=n)


def test_mean_and_deviation_are_those_of_the_formula():
    rows, times, values = some(6)
    awaited, asked = some(2, seed=1)[0], some(3, seed=2)[0]
    model = Fading.of(THETA, rows, times, values).awaiting(awaited, 5.0)
    mean, deviation = model.mean_and_deviation(asked, 5.0)
    told = list(zip(rows, times, strict=True))
    every = [*told, *((row, 5.0) for row in awaited)]
    noise = 0.05 + JITTER
    inner = np.array([[covariance(a, b) for b in told] for a in told]) + noise * np.eye(6)
    outer = np.array([[covariance(a, b) for b in every] for a in every]) + noise * np.eye(8)
    for i, row in enumerate(asked):
        k = np.array([covariance((row, 5.0), b) for b in every])
        assert mean[i] == pytest.approx(k[:6] @ np.linalg.inv(inner) @ values, abs=1e-9)
        left = 1.7 - k @ np.linalg.inv(outer) @ k
        assert deviation[i] == pytest.approx(math.sqrt(left), abs=1e-9)
    # What is awaited says nothing of the mean.
    alone = Fading.of(THETA, rows, times, values).mean_and_deviation(asked, 5.0)
    np.testing.assert_allclose(alone[0], mean, atol=1e-12)
    assert (alone[1] > deviation).all()


def test_the_likelihood_and_its_slope():
    rows, times, values = some(7)
    squared = ((rows[:, None] - rows[None]) ** 2).sum(-1)
    apart = np.abs(times[:, None] - times[None])
    told = list(zip(rows, times, strict=True))
    matrix = np.array([[covariance(a, b) for b in told] for a in told])
    matrix += (0.05 + JITTER) * np.eye(7)
    loss, slope = loss_and_slope(THETA, squared, apart, values)
    expected = -multivariate_normal(np.zeros(7), matrix).logpdf(values)
    assert loss + 3.5 * math.log(2 * math.pi) == pytest.approx(expected, abs=1e-9)
    numeric = approx_fprime(THETA, lambda t: loss_and_slope(t, squared, apart, values)[0], 1e-7)
    np.testing.assert_allclose(slope, numeric, rtol=1e-4, atol=1e-4)


def test_a_fit_is_at_least_as_likely_as_where_it_began_and_sees_what_fades():
    rng = np.random.default_rng(0)
    rows, times = rng.random((60, 1)), np.repeat(np.arange(6.0), 10)
    still = np.sin(6 * rows[:, 0])
    turning = np.sin(6 * rows[:, 0] + 1.3 * times)
    steady, fading = (fit(rows, times, standardised(v)) for v in (still, turning))
    assert fading.theta[2] > 0.3 > 0.01 > steady.theta[2]
    for found in (steady, fading):
        assert (found.theta >= LOW).all() and (found.theta <= HIGH).all()


def population(gain, *, intervals=2, members=10, row=lambda i: (i + 0.5) / 10):
    """Trials that gained `gain(x, interval)` in each interval after the first."""
    trials = []
    for i in range(members):
        x, value, curve = row(i), 9.0, [(1.0, {"loss": 9.0})]
        for t in range(1, intervals):
            value -= gain(x, t)
            curve.append((1.0 + t, {"loss": value}))
        config = {"x": x, "n": 5}
        trials.append(Trial(i, config, SPACE.encode(config), curve=tuple(curve)))
    return trials


def rough(x, t):
    """Next to noise: little to go by, so that what is not known counts."""
    return math.sin(40.0 * x * t)


def bandit(trials, names=("x",), now=2.0, space=SPACE, **settings):
    return Bandit(space, names, trials, lambda m: m["loss"], now=now, **settings)


def chosen(trials, seed=0, **settings):
    return bandit(trials, **settings).chosen(trials[0], np.random.default_rng(seed))


def test_the_choice_is_where_most_was_gained_lately():
    assert abs(chosen(population(lambda x, t: 1 - (x - 0.3) ** 2))["x"] - 0.3) < 0.1
    assert abs(chosen(population(lambda x, t: 1 - (x - 0.8) ** 2))["x"] - 0.8) < 0.1

    def turning(x, t):  # first 0.1 was best, at last 0.9
        return 1 - (x - (0.1 if t < 4 else 0.9)) ** 2

    trials = population(turning, intervals=5)
    assert chosen(trials, now=5.0)["x"] > 0.7
    trials = population(rough, intervals=5)
    assert chosen(trials, now=5.0, window=10) != chosen(trials, now=5.0)
    trials = population(lambda x, t: math.sin(6 * x + 1.3 * t), intervals=5)
    assert chosen(trials, now=5.0, interval=3) != chosen(trials, now=5.0)


def test_the_bound_is_the_mean_and_the_papers_share_of_the_deviation():
    for members in (2, 10):
        trials = population(lambda x, t: x, members=members)
        one = bandit(trials)
        rows = np.linspace(0, 1, 5)[:, None]
        begun = one.bound(rows, trials[0])
        context = np.concatenate(
            [rows, np.full((5, 1), one._with(one._begin(trials[0]), rows)[0, 1])], 1
        )
        mean, deviation = one.model.mean_and_deviation(context, 2.0)
        kappa = math.sqrt(0.2 + max(0.0, math.log(0.4 * members)))
        np.testing.assert_allclose(begun, mean + kappa * deviation, rtol=1e-12)


def test_nothing_is_chosen_twice_and_a_seed_is_a_choice():
    trials = population(lambda x, t: 0.01 * x, members=4)
    one = bandit(trials)
    found = []
    for i in range(3):
        config = one.chosen(trials[0], np.random.default_rng(i))
        one.expect(Trial(10 + i, config, SPACE.encode(config)), trials[0])
        found.append(config["x"])
    gaps = np.diff(np.sort(found))
    assert gaps.min() > 0.02, "a choice knows of those before it"
    assert chosen(trials, seed=3) == chosen(trials, seed=3) != chosen(trials, seed=4)


def test_a_copy_gains_from_what_its_parent_stood_at():
    trials = population(lambda x, t: 0.5, members=4)
    config = {"x": 0.9, "n": 5}
    copy = Trial(4, config, SPACE.encode(config), curve=((3.0, {"loss": 6.5}),), parent=2)
    _, rows, times, gains = bandit(trials)._progress([*trials, copy], 100)
    assert gains.tolist() == [0.5] * 4 + [2.0]  # 8.5 when it was copied
    assert times.tolist() == [1.0] * 4 + [2.0] and rows[-1, 0] == pytest.approx(0.9)


def test_failures_count_as_the_worst_and_outliers_are_drawn_in():
    trials = population(lambda x, t: 1.0 - x)
    broken = replace(trials[0], curve=((1.0, {"loss": 9.0}), (2.0, {"loss": math.nan})))
    _, _, _, gains = bandit(trials)._progress([broken, *trials[1:]], 100)
    assert gains[0] == gains[1:].min()
    values = standardised(np.array([1.0, 2.0, 3.0, 4.0, -1e9]))
    assert np.abs(values).max() < 3 and np.argmin(values) in (0, 4)
    assert fences(np.array([1.0, 2.0, 3.0, 4.0, -1e9])) == (1.0, 4.0)
    assert standardised(np.full(3, 2.0)).tolist() == [0.0] * 3
    # A member that has failed does not stop the others.
    assert 0 <= chosen([*trials[1:], replace(broken, id=9)])["x"] <= 1


def test_before_any_improvement_was_seen_values_are_drawn_evenly():
    trials = population(lambda x, t: x, intervals=1)
    found = [chosen(trials, seed=s, now=1.0)["x"] for s in range(200)]
    assert np.abs(np.histogram(found, 4, (0, 1))[0] - 50).max() < 25
    assert {chosen(trials, seed=s, now=1.0)["n"] for s in range(9)} == {5}  # not among the names


def test_choices_are_configurations():
    space = bojax.Space(
        {
            "a": bojax.Float(0.0, 1.0), "b": bojax.Float(1e-3, 1.0, log=True), "n": bojax.Int(1, 9),
            "kind": bojax.Categorical(["sgd", "adam"]),
            "momentum": bojax.Float(0.0, 0.9, when={"kind": "sgd"}),
        },
        constraints=[bojax.Linear({"a": 1.0, "b": 1.0}, at_most=0.6)],
    )  # fmt: skip
    configs = space.sample(8, seed=0)
    trials = [
        Trial(i, c, space.encode(c), curve=((1.0, {"loss": 2.0}), (2.0, {"loss": 2.0 - c["a"]})))
        for i, c in enumerate(configs)
    ]
    for donor in trials:
        one = bandit(trials, names=("a", "b", "n", "momentum"), space=space)
        found = one.chosen(donor, np.random.default_rng(donor.id))
        assert space.feasible(found) and space.decode(space.encode(found)) == found
        assert found["kind"] == donor.config["kind"] and isinstance(found["n"], int)
        assert ("momentum" in found) == (donor.config["kind"] == "sgd")


def test_what_is_no_number_is_named():
    space = bojax.Space({"n": bojax.Ordinal([1, 2, 4]), "x": bojax.Float(0.0, 1.0)})
    with pytest.raises(bojax.SpaceError, match="perturb='n': pb2 chooses numbers, this is Ordinal"):
        check_numbers(space, ["x", "n"])
    explore = bojax.schedulers.pb2(perturb=["n"], trials=4).explore
    with pytest.raises(bojax.SpaceError, match="pb2 chooses numbers"):
        Copies(space, explore, (), 0, min)


def test_a_generation_knows_who_stays_and_what_was_chosen():
    trials = [replace(t, status=Status.PAUSED) for t in population(rough, members=6)]
    explore = bojax.schedulers.pb2(trials=6).explore | {"perturb": ["x"]}
    copies = Copies(SPACE, explore, (), 0, lambda m: m["loss"])
    jobs = [*(Job(i, 2, 3) for i in range(4)), *(Job(6 + i, 2, 3, donors=(0, 1)) for i in range(2))]

    def generation(jobs):
        make = copies.made(jobs, trials)
        return [make(job) for job in jobs if job.donors]

    found = generation(jobs)
    assert {donor.id for donor, _ in found} <= {0, 1}
    assert generation(jobs) == found
    alone = generation(jobs[4:])
    assert [c for _, c in alone] != [c for _, c in found], "those who stay are expected, too"
