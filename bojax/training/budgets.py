"""What a budget counts: epochs, steps, examples, the share of the examples, or their size.

Programs count optimisation steps. A budget is a whole number of its unit; a bucket, whose
batch size is known, turns it into steps.

- "epochs": passes over the training examples.
- "steps": optimisation steps, whatever the batch size.
- "examples": training examples seen; small batches take more steps for them.
- "percent": the first so many of 100 training examples (in an order drawn from the run's seed,
  so that they are a sample), in proportionally many steps: `passes` over all of them at 100.
  The fidelity of A. Klein et al., "Fast Bayesian optimization of machine learning
  hyperparameters on large datasets" (FABOLAS), AISTATS 2017.
- "resolution", "length": the longer side of images, the places of sequences; every budget trains
  from scratch, `passes` epochs on data of that size (:mod:`bojax.training.resized`).
- "replicas": folds and seeds of a trial, each trained from scratch for `passes` epochs
  (:mod:`bojax.training.replicated`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from bojax.errors import TaskError
from bojax.training.population import Span, steps_per_epoch

SIZES = ("resolution", "length")  # of the data: shapes, so programs, of their own
FRESH = (*SIZES, "replicas")  # every rung trains from scratch
UNITS = ("epochs", "steps", "examples", "percent", *FRESH)


@dataclass(frozen=True)
class Budget:
    """The unit of budgets.

    Attributes:
        unit: one of `UNITS`.
        passes: with "percent", epochs that the whole of the data is trained for; with
            "resolution" and "length", epochs that every size is trained for; with "replicas",
            every fold and seed.

    Raises:
        TaskError: an unknown unit, passes that make no sense.

    Example:
        >>> from bojax.training.budgets import Budget
        >>> [Budget(unit).steps(10, examples=100, batch_size=32)
        ...  for unit in ("epochs", "steps", "examples")]
        [40, 10, 1]
        >>> Budget("percent", passes=5).span(10, 50, examples=100, batch_size=32)
        Span(start=2, stop=10, limit=50)
    """

    unit: str = "epochs"
    passes: int = 1

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise TaskError(f"unit: expected one of {', '.join(UNITS)}, got {self.unit!r}.")
        if isinstance(self.passes, bool) or not isinstance(self.passes, int) or self.passes < 1:
            raise TaskError(f"passes: expected a positive integer, got {self.passes!r}.")
        if self.passes != 1 and self.unit not in ("percent", *FRESH):
            raise TaskError(
                "passes: it is how often the data is passed through at 100 percent, at each size, "
                f"or by each replica, and means nothing with unit={self.unit!r}; give max_budget "
                "instead."
            )

    def whole(self, what: str, budget: float) -> int:
        """A budget as an integer.

        Raises:
            TaskError: it is none, or more than 100 percent.
        """
        if not math.isfinite(budget) or budget != int(budget) or budget < 0:
            raise TaskError(
                f"{what}: the budget is in whole {self.unit}, got {budget!r}; choose the smallest "
                "budget and the reduction factor so that every rung is whole."
            )
        if self.unit == "percent" and budget > 100:
            raise TaskError(f"{what}: the budget is in percent, at most 100, got {budget!r}.")
        return int(budget)

    def steps(self, budget: Any, *, examples: int, batch_size: int) -> Any:
        """Steps of a budget for the largest fold's `examples`; integers of any shape."""
        an_epoch = steps_per_epoch(examples, batch_size)
        if self.unit == "steps":
            return budget
        if self.unit == "examples":
            return -(-budget // batch_size)
        if self.unit == "percent":
            return -(-budget * self.passes * an_epoch // 100)
        if self.unit in FRESH:
            return 0 * budget + self.passes * an_epoch
        return budget * an_epoch

    def span(self, start: Any, stop: Any, *, examples: int, batch_size: int) -> Span:
        """What is trained between two budgets."""
        begin, end = (
            self.steps(at, examples=examples, batch_size=batch_size) for at in (start, stop)
        )
        begin = 0 * begin if self.unit in FRESH else begin
        limit = -(-stop * examples // 100) if self.unit == "percent" else 0 * stop + examples
        return Span(begin, end, limit)
