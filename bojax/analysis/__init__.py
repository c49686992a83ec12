"""Pictures of sweeps and of the bench. Needs matplotlib: `pip install 'bojax[plots]'`."""

from bojax.analysis._bench_pictures import (
    calibration_picture,
    cost_picture,
    rank_picture,
    regret_picture,
)
from bojax.analysis._pictures import comparison_picture, sweep_picture

__all__ = [
    "calibration_picture",
    "comparison_picture",
    "cost_picture",
    "rank_picture",
    "regret_picture",
    "sweep_picture",
]
