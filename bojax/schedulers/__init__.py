"""Schedulers: who trains on, and how far. Deterministic state machines, one method a file."""

from bojax.schedulers._asha import asha
from bojax.schedulers._freeze_thaw import freeze_thaw
from bojax.schedulers._full_budget import full_budget
from bojax.schedulers._hyperband import hyperband
from bojax.schedulers._median import median
from bojax.schedulers._pb2 import pb2
from bojax.schedulers._pbt import pbt
from bojax.schedulers._percentile import percentile
from bojax.schedulers._plateau import plateau
from bojax.schedulers._protocol import DONE, WAIT, Scheduler, Signal
from bojax.schedulers._racing import racing
from bojax.schedulers._registry import METHODS, by_name, method
from bojax.schedulers._rung_table import Rung, RungTable
from bojax.schedulers._successive_halving import successive_halving
from bojax.schedulers._wilcoxon import wilcoxon

__all__ = [
    "DONE",
    "METHODS",
    "WAIT",
    "Rung",
    "RungTable",
    "Scheduler",
    "Signal",
    "asha",
    "by_name",
    "freeze_thaw",
    "full_budget",
    "hyperband",
    "median",
    "method",
    "pb2",
    "pbt",
    "percentile",
    "plateau",
    "racing",
    "successive_halving",
    "wilcoxon",
]
