"""Comparisons of strategies, sweeps and surrogates: paired, and with intervals."""

from bojax.benchmark import problems
from bojax.benchmark._sweeps import Comparison, Row, compare_sweeps
from bojax.benchmark._traces import Trace, read_traces, values_matrix, write_traces

__all__ = [
    "Comparison",
    "Row",
    "Trace",
    "compare_sweeps",
    "problems",
    "read_traces",
    "values_matrix",
    "write_traces",
]
