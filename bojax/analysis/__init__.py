"""Pictures of sweeps, of the bench and of surrogates. Needs `pip install 'bojax[plots]'`."""

from bojax.analysis._bench_pictures import (
    calibration_picture,
    cost_picture,
    rank_picture,
    regret_picture,
)
from bojax.analysis._growth import growth_picture
from bojax.analysis._intervals import interval_picture
from bojax.analysis._mup_pictures import coordinate_picture, transfer_picture
from bojax.analysis._pictures import comparison_picture, sweep_picture
from bojax.analysis._surrogate_pictures import (
    coverage_picture,
    leave_one_out_picture,
    slices_picture,
)

__all__ = [
    "calibration_picture",
    "comparison_picture",
    "coordinate_picture",
    "cost_picture",
    "coverage_picture",
    "growth_picture",
    "interval_picture",
    "leave_one_out_picture",
    "rank_picture",
    "regret_picture",
    "slices_picture",
    "sweep_picture",
    "transfer_picture",
]
