"""Work that can be counted, which no busy machine changes: operations, factors, programs.

XLA's cost analysis sees products and elementwise operations and takes LAPACK's calls for
free, so these are counted from the traced function: a Cholesky factor of n x n as n^3 / 3
operations, a triangular solve with m right sides as n^2 m.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

FACTORS = ("cholesky", "triangular_solve", "dot_general")
# Other ways to factor or to solve; none of them has a place in a Gaussian process's fit.
OTHERS = ("lu", "qr", "eigh", "eig", "svd", "schur", "householder_product", "lu_solve")


def equations(jaxpr: Any) -> Iterator[Any]:
    """Every equation, those of inner functions, loops and branches included, each once."""
    jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
    for equation in jaxpr.eqns:
        yield equation
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                if hasattr(inner, "eqns") or hasattr(inner, "jaxpr"):
                    yield from equations(inner)


def calls(jaxpr: Any) -> dict[str, int]:
    """How often each factorisation, and each product, stands in a traced function."""
    found = Counter(equation.primitive.name for equation in equations(jaxpr))
    return {name: found[name] for name in (*FACTORS, *OTHERS)}


def lapack_flops(jaxpr: Any) -> float:
    """Operations of the factors and triangular solves, as if each ran once."""
    total = 0.0
    for equation in equations(jaxpr):
        if equation.primitive.name == "cholesky":
            *batch, n, _ = equation.invars[0].aval.shape
            total += math.prod(batch) * n**3 / 3
        elif equation.primitive.name == "triangular_solve":
            *batch, n, _ = equation.invars[0].aval.shape
            right = math.prod(equation.invars[1].aval.shape[-2:]) // n
            total += math.prod(batch) * n**2 * right
    return total


def flops(compiled: Any, jaxpr: Any) -> float:
    """Operations of one call of a program without loops: XLA's count and LAPACK's."""
    return float(compiled.cost_analysis()["flops"]) + lapack_flops(jaxpr)
