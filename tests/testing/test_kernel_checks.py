"""The kernel suite: the package's own kernels pass, what breaks a promise is told which."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax.kernels import RBF, Matern12, Matern32, Matern52, dimension_scaled
from bojax.kernels.distance import as_features
from bojax.testing import KERNEL_CHECKS, check_kernel, kernel_checks
from bojax.testing._kernels import COLUMNS


def of(family):
    return lambda columns: dimension_scaled(family, columns, COLUMNS)


@pytest.mark.parametrize(
    "family",
    [*(pytest.param(k, marks=pytest.mark.slow) for k in (RBF, Matern12, Matern32)), Matern52],
)
def test_our_kernels_pass(family):
    check_kernel(of(family))


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Good:
    """exp(-|x - z|^2), activity and categories as coordinates."""

    scale: Any = 1.0

    def embedded(self, x):
        x = as_features(x)
        return jnp.concatenate([self.scale * x.coordinate, x.active], axis=-1)

    def gram(self, x, z):
        x, z = self.embedded(x), self.embedded(z)
        return jnp.exp(-self.squared(x, z))

    def squared(self, x, z):
        return jnp.sum((x[:, None, :] - z[None, :, :]) ** 2, axis=-1)

    def diagonal(self, x):
        return jnp.ones(len(self.embedded(x)))


def kind_of(**methods):
    """Makes a kernel like `Good`, with other methods."""
    made = jax.tree_util.register_dataclass(
        dataclass(frozen=True)(type("Broken", (Good,), methods))
    )
    return lambda columns: made()


def unregistered(columns):
    return Unregistered()


class Unregistered:
    gram, diagonal = Good.gram, Good.diagonal
    embedded, squared, scale = Good.embedded, Good.squared, 1.0


BROKEN = {
    "shapes": (lambda s, x: jnp.ones((len(s.embedded(x)), 1)), "diagonal"),
    "symmetric": (lambda s, x, z: jnp.exp(-s.squared(s.embedded(x), 0.5 * s.embedded(z))), "gram"),
    "positive": (lambda s, x, z: -Good.gram(s, x, z), "gram"),
    "diagonal": (lambda s, x: 2.0 * Good.diagonal(s, x), "diagonal"),
    "gradient": (
        lambda s, x, z: jnp.exp(-jnp.sqrt(s.squared(s.embedded(x), s.embedded(z)))),
        "gram",
    ),
    "padding": (
        lambda s, x, z: Good.gram(s, x, z) / as_features(x).coordinate.shape[-1],
        "gram",
    ),
    "features": (
        lambda s, x, z: Good.gram(s, x, z) * (0.5 if hasattr(x, "kind") else 1.0),
        "gram",
    ),
}
WORDS = {
    "shapes": "diagonal of shape (9,), got shape (9, 1)",
    "symmetric": "expected k(z, x)",
    "positive": "no negative eigenvalue with plain rows",
    "diagonal": "expected diagonal 1 at (0,), got 2",
    "gradient": "a finite slope at coinciding rows, got nan",
    "padding": "gram with padded columns",
    "features": "gram of features",
}


def complaints(make):
    found = {}
    for check in kernel_checks(make, name="mine"):
        try:
            check()
        except AssertionError as error:
            found[check.__name__] = str(error)
    return found


def test_a_good_kernel_passes():
    assert complaints(lambda columns: Good()) == {}


@pytest.mark.parametrize("check", BROKEN)
def test_a_broken_promise_is_told(check):
    method, name = BROKEN[check]
    found = complaints(kind_of(**{name: method}))
    assert found[check].startswith(f"mine: {check}: expected ")
    assert WORDS[check] in found[check]


def test_a_kernel_that_is_no_pytree_is_told():
    found = complaints(unregistered)
    assert "TypeError" in found["vmap"] and "TypeError" in found["gradient"]


def test_a_wrong_slope_is_told():
    @jax.custom_jvp
    def profile(squared):
        return jnp.exp(-squared)

    profile.defjvp(lambda p, t: (profile(*p), -0.9 * profile(*p) * t[0]))
    wrong = kind_of(gram=lambda s, x, z: profile(s.squared(s.embedded(x), s.embedded(z))))
    assert list(complaints(wrong)) == ["gradient"]


def test_every_check_is_seen_to_fail_and_skipped_by_name():
    assert {check.__name__ for check in KERNEL_CHECKS} == {*BROKEN, "vmap"}
    left = kernel_checks(of(RBF), skip=["vmap", "padding"])
    assert not {"vmap", "padding"} & {check.__name__ for check in left}
    with pytest.raises(ValueError, match="no check is called 'psd'"):
        kernel_checks(of(RBF), skip=["psd"])


def test_complaints_come_together_and_name_the_kernel():
    with pytest.raises(AssertionError, match=r"^Broken: diagonal: expected diagonal 1"):
        check_kernel(kind_of(diagonal=BROKEN["diagonal"][0]))
    assert np.isfinite(Good().gram(jnp.ones((2, 2)), jnp.ones((2, 2)))).all()
