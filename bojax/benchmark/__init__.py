"""Comparisons of strategies, sweeps and surrogates: paired, and with intervals."""

from bojax.benchmark import problems
from bojax.benchmark._foreign import Foreign, PeerError, Worker, foreign, run_foreign
from bojax.benchmark._programs import Doubled
from bojax.benchmark._strategies import StrategyComparison, compare_strategies
from bojax.benchmark._sweeps import Comparison, Row, compare_sweeps
from bojax.benchmark._traces import Trace, read_traces, values_matrix, write_traces

__all__ = [
    "Comparison",
    "Doubled",
    "Foreign",
    "PeerError",
    "Row",
    "StrategyComparison",
    "Trace",
    "Worker",
    "compare_strategies",
    "compare_sweeps",
    "foreign",
    "problems",
    "read_traces",
    "run_foreign",
    "values_matrix",
    "write_traces",
]
