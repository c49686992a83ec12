"""Every scheduler keeps the promises of the suite, in every mode."""

import pytest

from bojax.schedulers import METHODS
from bojax.testing import scheduler_checks

VARIANTS = [
    ("full_budget", {}),
    ("full_budget", {"bracket": 5}),
    ("freeze_thaw", {"max_budget": 9}),
    ("freeze_thaw", {"max_budget": 7, "every": 2, "slots": 4, "mean_budget": 5}),
    ("plateau", {"max_budget": 7, "every": 2, "patience": 1}),
    ("successive_halving", {"max_budget": 9}),
    ("successive_halving", {"max_budget": 10, "eta": 2.5, "bracket": 20}),
    ("hyperband", {"max_budget": 9}),
    ("hyperband", {"max_budget": 16, "eta": 2, "table": "table-1"}),
    ("hyperband", {"max_budget": 3, "table": "table-1", "promote": "first-round"}),
    ("hyperband", {"max_budget": 4, "eta": 2, "min_budget": 2, "promote": "first-round"}),
    ("median", {"max_budget": 7, "every": 2}),
    ("median", {"max_budget": 7, "every": 2, "startup": 1, "bracket": 1}),
    ("percentile", {"max_budget": 7, "every": 2, "bracket": 6}),
    ("wilcoxon", {"max_budget": 7, "bracket": 4}),
    ("wilcoxon", {"max_budget": 9, "every": 2, "threshold": 0.3}),
    ("racing", {"max_budget": 7}),
    ("racing", {"max_budget": 7, "bracket": 6, "level": 0.5, "correction": "none", "startup": 2}),
    ("racing", {"max_budget": 9, "bracket": 7, "test": "t", "every": 3}),
    ("pbt", {"max_budget": 6, "interval": 2, "quantile": 0.4}),
    ("pb2", {"max_budget": 6, "interval": 2, "quantile": 0.4}),
    ("asha", {"max_budget": 9}),
    ("asha", {"max_budget": 9, "slots": 4}),
    ("asha", {"max_budget": 27, "brackets": 3, "eta": 2.5}),
    ("asha", {"max_budget": 9, "mode": "stopping"}),
    ("asha", {"max_budget": 9, "mode": "stopping", "brackets": 2, "slots": 5}),
]


# A copy is a further trial, which begins where its donor stands; what failed is replaced, and a
# population that trains does not grow.
POPULATION = ("decided", "resumes", "failed", "extend", "several_metrics")
SKIPPED = {"pbt": POPULATION, "pb2": POPULATION}


def checks():
    for method, settings in VARIANTS:

        def make(method=method, settings=settings):
            return METHODS[method](trials=20, **settings)

        yield from scheduler_checks(make, skip=SKIPPED.get(method, ()))


@pytest.mark.parametrize("check", list(checks()), ids=repr)
def test_conformance(check):
    check()


def test_every_method_is_among_them():
    assert {method for method, _ in VARIANTS} == set(METHODS)
