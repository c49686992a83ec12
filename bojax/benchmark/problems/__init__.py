"""Problems with known optima, as data: functions, variants, tables, recorded curves."""

from bojax.benchmark.problems._bbob import bbob, bbob_instance
from bojax.benchmark.problems._catalogue import (
    ackley,
    branin,
    conditional,
    cosine8,
    function,
    griewank,
    hartmann3,
    hartmann6,
    instances,
    levy,
    michalewicz,
    mixed,
    rastrigin,
    rosenbrock,
    styblinski_tang,
)
from bojax.benchmark.problems._curves import RECORDED, Curves, Replay, recorded
from bojax.benchmark.problems._draws import gp_draw
from bojax.benchmark.problems._simple_hpo import simple_hpo
from bojax.benchmark.problems._standard import HALVES, described, standard
from bojax.benchmark.problems._tables import table

__all__ = [
    "HALVES",
    "RECORDED",
    "Curves",
    "Replay",
    "ackley",
    "bbob",
    "bbob_instance",
    "branin",
    "conditional",
    "cosine8",
    "described",
    "function",
    "gp_draw",
    "griewank",
    "hartmann3",
    "hartmann6",
    "instances",
    "levy",
    "michalewicz",
    "mixed",
    "rastrigin",
    "recorded",
    "rosenbrock",
    "simple_hpo",
    "standard",
    "styblinski_tang",
    "table",
]
