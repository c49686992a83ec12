"""Surrogates: models of the objective, fitted to a history."""

from bojax.surrogates import transforms
from bojax.surrogates._bayes.posterior import BayesianPosterior
from bojax.surrogates._bayes.surrogate import BayesianGP, BayesianInfo, bayesian_gp
from bojax.surrogates._ensemble import (
    DeepEnsemble,
    EnsemblePosterior,
    NetworkInfo,
    deep_ensemble,
)
from bojax.surrogates._forest import Forest, ForestInfo, ForestPosterior, Trees, forest
from bojax.surrogates._gp.batch import Posteriors, fit_batch
from bojax.surrogates._gp.fit import Info, Starts
from bojax.surrogates._gp.modes import ModesPosterior
from bojax.surrogates._gp.paths import Paths
from bojax.surrogates._gp.posterior import Fantasies, Posterior
from bojax.surrogates._gp.surrogate import GP, gp
from bojax.surrogates._last_layer import (
    LastLayer,
    LastLayerInfo,
    LastLayerPosterior,
    last_layer,
)
from bojax.surrogates._warped import Warped, WarpedPosterior, warped
from bojax.surrogates.data import Data

__all__ = [
    "GP",
    "BayesianGP",
    "BayesianInfo",
    "BayesianPosterior",
    "Data",
    "DeepEnsemble",
    "EnsemblePosterior",
    "Fantasies",
    "Forest",
    "ForestInfo",
    "ForestPosterior",
    "Info",
    "LastLayer",
    "LastLayerInfo",
    "LastLayerPosterior",
    "ModesPosterior",
    "NetworkInfo",
    "Paths",
    "Posterior",
    "Posteriors",
    "Starts",
    "Trees",
    "Warped",
    "WarpedPosterior",
    "bayesian_gp",
    "deep_ensemble",
    "fit_batch",
    "forest",
    "gp",
    "last_layer",
    "transforms",
    "warped",
]
