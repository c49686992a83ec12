"""Comparisons of strategies, sweeps and surrogates: paired, and with intervals."""

from bojax.benchmark import problems
from bojax.benchmark._foreign import Foreign, PeerError, Worker, foreign, run_foreign
from bojax.benchmark._profile import flame, profile
from bojax.benchmark._programs import Doubled
from bojax.benchmark._report import (
    RegretRow,
    regret_gaps,
    regret_lines,
    regret_losses,
    regret_table,
)
from bojax.benchmark._report_surrogates import surrogate_gaps, surrogate_losses
from bojax.benchmark._strategies import StrategyComparison, compare_strategies
from bojax.benchmark._surrogate_rows import SurrogateComparison, SurrogateRow
from bojax.benchmark._surrogates import compare_surrogates
from bojax.benchmark._sweeps import Comparison, Row, compare_sweeps
from bojax.benchmark._traces import Trace, read_traces, values_matrix, write_traces

__all__ = [
    "Comparison",
    "Doubled",
    "Foreign",
    "PeerError",
    "RegretRow",
    "Row",
    "StrategyComparison",
    "SurrogateComparison",
    "SurrogateRow",
    "Trace",
    "Worker",
    "compare_strategies",
    "compare_surrogates",
    "compare_sweeps",
    "flame",
    "foreign",
    "problems",
    "profile",
    "read_traces",
    "regret_gaps",
    "regret_lines",
    "regret_losses",
    "regret_table",
    "run_foreign",
    "surrogate_gaps",
    "surrogate_losses",
    "values_matrix",
    "write_traces",
]
