"""Statistics of comparisons: intervals, regret, fronts, how good a prediction is. NumPy only."""

from bojax.stats.hierarchical import bootstrap_over_problems, win_rate
from bojax.stats.intervals import (
    Interval,
    geometric_ratio,
    mean_interval,
    paired_bootstrap,
    t_quantile,
)
from bojax.stats.pareto import crowding_distances, hypervolume, pareto_ranks
from bojax.stats.predictive import (
    calibration_error,
    coverage,
    crps,
    log_predictive_density,
    normalised_rmse,
    rmse,
)
from bojax.stats.rank_tests import friedman_p_value, signed_rank_p_value
from bojax.stats.regret import (
    TARGETS,
    best_so_far,
    hit_fraction,
    log_regret,
    log_regret_area,
    normalised_regret,
    ranks,
    time_to_target,
)

__all__ = [
    "TARGETS",
    "Interval",
    "best_so_far",
    "bootstrap_over_problems",
    "calibration_error",
    "coverage",
    "crowding_distances",
    "crps",
    "friedman_p_value",
    "geometric_ratio",
    "hit_fraction",
    "hypervolume",
    "log_predictive_density",
    "log_regret",
    "log_regret_area",
    "mean_interval",
    "normalised_regret",
    "normalised_rmse",
    "paired_bootstrap",
    "pareto_ranks",
    "ranks",
    "rmse",
    "signed_rank_p_value",
    "t_quantile",
    "time_to_target",
    "win_rate",
]
