"""Kernels: one family a file, sums and products of them, and their hyperparameters as data."""

from bojax.kernels.constant import Constant, White
from bojax.kernels.fidelity import Decay, Fidelity
from bojax.kernels.kernel import Columns, Kernel, Product, Scaled, Selected, Sum
from bojax.kernels.learning_curve import LearningCurve
from bojax.kernels.linear import Linear
from bojax.kernels.matern import Matern12, Matern32, Matern52
from bojax.kernels.parameter import (
    Flat,
    HalfCauchy,
    Log,
    LogNormal,
    LogSquare,
    Parameter,
    Power,
    ShiftedLog,
    gamma,
    parameters,
    scale_parameter,
)
from bojax.kernels.periodic import Periodic
from bojax.kernels.rational_quadratic import RationalQuadratic
from bojax.kernels.rbf import RBF
from bojax.kernels.stationary import dimension_scaled
from bojax.kernels.warp import Warped

__all__ = [
    "RBF",
    "Columns",
    "Constant",
    "Decay",
    "Fidelity",
    "Flat",
    "HalfCauchy",
    "Kernel",
    "LearningCurve",
    "Linear",
    "Log",
    "LogNormal",
    "LogSquare",
    "Matern12",
    "Matern32",
    "Matern52",
    "Parameter",
    "Periodic",
    "Power",
    "Product",
    "RationalQuadratic",
    "Scaled",
    "Selected",
    "ShiftedLog",
    "Sum",
    "Warped",
    "White",
    "dimension_scaled",
    "gamma",
    "parameters",
    "scale_parameter",
]
