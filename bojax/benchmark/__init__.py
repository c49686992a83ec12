"""Comparisons of strategies, sweeps and surrogates: paired, and with intervals."""

from bojax.benchmark._sweeps import Comparison, Row, compare_sweeps

__all__ = ["Comparison", "Row", "compare_sweeps"]
