"""Problem-agnostic numerics: bounded L-BFGS, Sobol points, factors, batching."""

from bojax.optimize.batching import over_batch
from bojax.optimize.lbfgs import Result, minimize
from bojax.optimize.mixed import Found, maximize
from bojax.optimize.scatter import normals, uniforms
from bojax.optimize.sobol import sobol

__all__ = ["Found", "Result", "maximize", "minimize", "normals", "over_batch", "sobol", "uniforms"]
