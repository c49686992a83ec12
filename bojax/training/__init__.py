"""Vectorised training: a population of Flax models in a few compiled programs.

`Task` says how one member trains, `ArrayData` what on, `LocalExecutor` trains many at
once. Flax and optax are imported when they are first needed.
"""

from bojax.training._mup import Multiplier, mup, mup_multipliers
from bojax.training.budgets import Budget
from bojax.training.coordinates import Coordinates, coordinate_check
from bojax.training.data import ArrayData, TestSplit
from bojax.training.executor import LocalExecutor
from bojax.training.hyper import Hyperparameters
from bojax.training.lineage import Schedule, Stage
from bojax.training.metrics import LOSSES, METRICS, Metric, mean_of
from bojax.training.model import Model
from bojax.training.plan import Plan
from bojax.training.program import Program, clear_programs, compiled_programs
from bojax.training.records import Event
from bojax.training.replicated import ReplicatedExecutor
from bojax.training.resized import ResizedExecutor
from bojax.training.score import TestScore
from bojax.training.splits import CrossValidation, Holdout
from bojax.training.streamed import GrainData
from bojax.training.task import Batch, Task

__all__ = [
    "LOSSES",
    "METRICS",
    "ArrayData",
    "Batch",
    "Budget",
    "Coordinates",
    "CrossValidation",
    "Event",
    "GrainData",
    "Holdout",
    "Hyperparameters",
    "LocalExecutor",
    "Metric",
    "Model",
    "Multiplier",
    "Plan",
    "Program",
    "ReplicatedExecutor",
    "ResizedExecutor",
    "Schedule",
    "Stage",
    "Task",
    "TestScore",
    "TestSplit",
    "clear_programs",
    "compiled_programs",
    "coordinate_check",
    "mean_of",
    "mup",
    "mup_multipliers",
]
