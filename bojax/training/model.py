"""One trained configuration: parameters, predictions, and its score on the test part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bojax.training.score import TestScore


@dataclass(frozen=True)
class Model:
    """A trial of an executor.

    Attributes:
        executor: a :class:`LocalExecutor` that keeps its state.
        trial: its number there.
        config: its configuration.
        on_touch: called before the test part is handed out, or None.

    Example:
        >>> from bojax.training import Model
        >>> list(Model.__dataclass_fields__)
        ['executor', 'trial', 'config', 'on_touch']
    """

    executor: Any
    trial: int
    config: dict[str, Any]
    on_touch: Callable[[], None] | None = None

    def params(self) -> Any:
        """See :meth:`LocalExecutor.params`."""
        return self.executor.params(self.trial)

    def state(self) -> Any:
        """See :meth:`LocalExecutor.state`."""
        return self.executor.state(self.trial)

    def predict(self, x: Any) -> np.ndarray:
        """Outputs for `x[n, ...]`, not normalised; the mean over seeds."""
        predicted: np.ndarray = self.executor.predict(self.trial, x)
        return predicted

    def score(self, x: Any, y: Any) -> TestScore:
        """Every metric on other examples, as often as you like.

        Args:
            x, y: `[n, ...]`, as for :class:`ArrayData`.
        """
        score: TestScore = self.executor.score(self.trial, x, y)
        return score

    def test(self) -> TestScore:
        """Every metric on the test part. Once, whichever model of a run asks.

        Raises:
            TestDataTouched: the test part was used before.
        """
        self.executor.data.test.on_touch = self.on_touch
        score: TestScore = self.executor.test(self.trial)
        return score
