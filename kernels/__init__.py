"""Kernels: one family a file, all on the same mixed, conditional ARD distance."""

from bojax.kernels.matern import Matern12, Matern32, Matern52
from bojax.kernels.parameter import LogNormal, Parameter
from bojax.kernels.rbf import RBF
from bojax.kernels.stationary import dimension_scaled

__all__ = [
    "RBF",
    "LogNormal",
    "Matern12",
    "Matern32",
    "Matern52",
    "Parameter",
    "dimension_scaled",
]
