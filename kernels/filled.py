"""The alternative to a conditional kernel: an inactive column counts as if it had its default.

    k(x, z) = k'(x, z), every column active

Rows park an inactive coordinate at its default, so that nothing but the gap is taken away from a
kernel here. It is what libraries without conditions do, and what the gap is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from bojax.kernels.distance import as_features
from bojax.kernels.kernel import Columns, Kernel
from bojax.space import Features


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Filled(Kernel):
    """A kernel to which every column is active.

    Attributes:
        kernel: of the rows as they stand.

    Example:
        >>> import jax.numpy as jnp
        >>> import bojax
        >>> kernel = bojax.kernels.Filled(bojax.kernels.dimension_scaled(bojax.kernels.RBF, 1))
        >>> kernel.diagonal(jnp.zeros((1, 1))).tolist()
        [1.0]
    """

    kernel: Kernel

    def _filled(self, x: Any) -> Features:
        x = as_features(x)
        return Features(x.coordinate, jnp.ones_like(x.active), x.kind)

    def gram(self, x: Any, z: Any):
        """Of filled rows."""
        return self.kernel.gram(self._filled(x), self._filled(z))

    def diagonal(self, x: Any):
        """Of filled rows."""
        return self.kernel.diagonal(self._filled(x))

    def gram_and_pullback(self, x: Any):
        """As the kernel's."""
        return self.kernel.gram_and_pullback(self._filled(x))

    def directions(self, x: Any, vector: Any):
        """As the kernel's."""
        return self.kernel.directions(self._filled(x), vector)

    def build(self, columns: Columns):
        """No column has a gap."""
        plain = columns._replace(gapped=jnp.zeros_like(columns.gapped))
        return replace(self, kernel=self.kernel.build(plain))
