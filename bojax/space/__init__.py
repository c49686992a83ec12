"""Search spaces: parameters, conditions, and the arrays they compile to."""

from bojax.space.parameters import Boolean, Categorical, Float, Int, Ordinal, Range
from bojax.space.space import Space
from bojax.space.table import Features, SpaceTable

__all__ = [
    "Boolean",
    "Categorical",
    "Features",
    "Float",
    "Int",
    "Ordinal",
    "Range",
    "Space",
    "SpaceTable",
]
