"""Statistics of comparisons: intervals, regret, and how good a prediction is. NumPy only."""

from bojax.stats.intervals import Interval, mean_interval, paired_bootstrap, t_quantile

__all__ = ["Interval", "mean_interval", "paired_bootstrap", "t_quantile"]
