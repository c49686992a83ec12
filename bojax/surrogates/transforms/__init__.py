"""Output transforms: what happens to values before a surrogate sees them.

All are for minimisation, take masked values, and are monotone: the order of configurations,
all that an optimiser needs, is kept. Each comes as a function of `(values, mask)`, and as a
small object with

    fit(values, mask) -> fitted,    fitted(values),    fitted.inverse(values)

for the way back, and for values that were not there at the fit. All of it is traceable, and
finite at every scale a precision has.
"""

from bojax.surrogates.transforms._affine import Affine, Standardize, standardize
from bojax.surrogates.transforms._chain import TRANSFORMS, Chain, FittedChain, named
from bojax.surrogates.transforms._impute import impute
from bojax.surrogates.transforms._log_warp import FittedLogWarp, LogWarp, log_warp
from bojax.surrogates.transforms._named import Hebo, Shift, ViziersRank
from bojax.surrogates.transforms._power import BoxCox, Power, YeoJohnson, box_cox, yeo_johnson
from bojax.surrogates.transforms._rank import HalfRank, Knots, Rank, half_rank, rank
from bojax.surrogates.transforms._winsorize import Clip, Winsorize, winsorize

__all__ = [
    "TRANSFORMS",
    "Affine",
    "BoxCox",
    "Chain",
    "Clip",
    "FittedChain",
    "FittedLogWarp",
    "HalfRank",
    "Hebo",
    "Knots",
    "LogWarp",
    "Power",
    "Rank",
    "Shift",
    "Standardize",
    "ViziersRank",
    "Winsorize",
    "YeoJohnson",
    "box_cox",
    "half_rank",
    "impute",
    "log_warp",
    "named",
    "rank",
    "standardize",
    "winsorize",
    "yeo_johnson",
]
