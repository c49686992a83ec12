"""Search spaces: parameters, conditions, constraints, and the arrays they compile to."""

from bojax.space import presets
from bojax.space.constraints import Linear, Simplex
from bojax.space.derived import Derived, Product
from bojax.space.edges import Edge, Edges
from bojax.space.parameters import Boolean, Categorical, Float, Int, Normal, Ordinal, Range
from bojax.space.space import Space
from bojax.space.table import Features, SpaceTable

__all__ = [
    "Boolean",
    "Categorical",
    "Derived",
    "Edge",
    "Edges",
    "Features",
    "Float",
    "Int",
    "Linear",
    "Normal",
    "Ordinal",
    "Product",
    "Range",
    "Simplex",
    "Space",
    "SpaceTable",
    "presets",
]
