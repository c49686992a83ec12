"""Surrogates: models of the objective, fitted to a history."""

from bojax.surrogates import transforms
from bojax.surrogates._gp.fit import Info
from bojax.surrogates._gp.posterior import Fantasies, Posterior
from bojax.surrogates._gp.surrogate import GP, gp
from bojax.surrogates._warped import Warped, WarpedPosterior, warped
from bojax.surrogates.data import Data

__all__ = [
    "GP",
    "Data",
    "Fantasies",
    "Info",
    "Posterior",
    "Warped",
    "WarpedPosterior",
    "gp",
    "transforms",
    "warped",
]
