"""Trained configurations: parameters, predictions, and a score on the test part."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bojax.errors import ConfigError
from bojax.training.score import TestScore


@dataclass(frozen=True)
class Model:
    """One or several trials of an executor, whose outputs are averaged.

    Attributes:
        executor: a :class:`LocalExecutor` that keeps their states.
        trials: their numbers there.
        configs: their configurations.
        on_touch: called before the test part is handed out, or None.

    Example:
        >>> from bojax.training import Model
        >>> list(Model.__dataclass_fields__)
        ['executor', 'trials', 'configs', 'on_touch']
    """

    executor: Any
    trials: tuple[int, ...]
    configs: tuple[dict[str, Any], ...]
    on_touch: Callable[[], None] | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The configuration, of the first where there are several."""
        return self.configs[0]

    def params(self) -> Any:
        """See :meth:`LocalExecutor.params`; a list where there are several."""
        return self._each(self.executor.params)

    def state(self) -> Any:
        """See :meth:`LocalExecutor.state`; a list where there are several."""
        return self._each(self.executor.state)

    def predict(self, x: Any) -> np.ndarray:
        """Outputs for `x[n, ...]`, not normalised; the mean over seeds and trials."""
        predicted: np.ndarray = self.executor.predict(self.trials, x)
        return predicted

    def score(self, x: Any, y: Any) -> TestScore:
        """Every metric on other examples, as often as you like.

        Args:
            x, y: `[n, ...]`, as for :class:`ArrayData`.
        """
        score: TestScore = self.executor.score(self.trials, x, y)
        return score

    def test(self) -> TestScore:
        """Every metric on the test part. Once, whichever model of a run asks.

        Raises:
            TestDataTouched: the test part was used before.
        """
        self.executor.data.test.on_touch = self.on_touch
        score: TestScore = self.executor.test(self.trials)
        return score

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write parameters, other collections and configurations to a new folder.

        Arrays as an Orbax checkpoint, readable without this package:
        `orbax.checkpoint.StandardCheckpointer().restore(path)` gives
        `{"0": {"params": ..., "state": ...}, ...}`, an entry a model; beside it `model.json`.
        Tuples and lists in the parameters come back as the dicts that Orbax makes of them.

        Args:
            path: a folder that does not exist, or is empty.

        Returns:
            The folder.

        Raises:
            ConfigError: there is something at `path`, or Orbax is not installed.
        """
        folder = Path(path).absolute()
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{path}: there is something already; give a new folder.")
        try:
            import orbax.checkpoint as orbax
        except ImportError as missing:
            raise ConfigError("Model.save needs Orbax: pip install orbax-checkpoint.") from missing
        arrays = {
            str(i): {
                "params": self.executor.params(trial), "state": self.executor.state(trial)
            }
            for i, trial in enumerate(self.trials)
        }  # fmt: skip
        with orbax.StandardCheckpointer() as checkpointer:
            checkpointer.save(folder, arrays, force=True)
        told = {"configs": list(self.configs), "trials": list(self.trials)}
        (folder / "model.json").write_text(json.dumps(told, indent=1))
        return folder

    def _each(self, take: Callable[[int], Any]) -> Any:
        parts = [take(trial) for trial in self.trials]
        return parts[0] if len(parts) == 1 else parts
