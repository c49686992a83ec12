"""The same numbers as BoTorch where the definition is the same; data/make_acquisitions.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax import acquisitions

LEAVES = ("beta", "tau_max", "tau_relu", "minima")


@pytest.fixture(scope="module")
def posteriors(botorch, numbered):
    """The objective, and both constraints."""
    constraints = [
        numbered(mean, np.diag(variance))
        for mean, variance in zip(
            botorch["constraint_mean"], botorch["constraint_variance"], strict=True
        )
    ]
    return (numbered(botorch["mean"], botorch["covariance"], botorch["noise"]), *constraints)


@pytest.fixture(scope="module")
def ours(botorch, posteriors):
    """Our value of an entry of the file."""

    def value(entry):
        name, rows = entry["name"], entry.get("rows")
        rows = np.arange(len(botorch["mean"]))[:, None] if rows is None else np.array(rows)
        settings = {k: entry[k] for k in LEAVES if k in entry}
        before = 0
        for leaf in ("baseline", "pending"):
            if entry.get(leaf):
                settings[leaf] = np.array(entry[leaf], float)[:, None]
                before += len(entry[leaf])
        kind = getattr(acquisitions, name)
        if name in ("QLogEI", "QLogNEI", "QUCB"):
            # BoTorch's function is turned, and its groups come after the other rows.
            z = -botorch["samples"]
            z = np.concatenate([z, -z]) if name == "QUCB" else z
            q = rows.shape[1]
            settings["samples"] = np.concatenate([z[:, before : before + q], z[:, :before]], 1)
        if name in ("LogFeasibility", "ConstrainedLogEI"):
            settings["thresholds"] = botorch["thresholds"]
        few = posteriors if "thresholds" in settings else posteriors[:1]
        if name == "LogEI":
            with jax.enable_x64(True):
                return kind()(few, rows[..., None], entry["incumbent"])
        return kind(**settings)(few, rows[..., None].astype(float), entry.get("incumbent"))

    return value


NAMES = (
    "EI", "LogEI", "PI", "LogPI", "UCB", "ConstrainedLogEI", "LogFeasibility", "QLogEI",
    "QLogNEI", "QUCB", "Gibbon",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_value(botorch, ours, name):
    entries = [entry for entry in botorch["values"] if entry["name"] == name]
    assert entries
    for entry in entries:
        np.testing.assert_allclose(ours(entry), entry["value"], rtol=1e-8, atol=1e-12)


def test_every_value_is_tested(botorch):
    assert {entry["name"] for entry in botorch["values"]} == {*NAMES, "gumbel_minima"}


def test_gumbel_minima(botorch):
    (entry,) = (entry for entry in botorch["values"] if entry["name"] == "gumbel_minima")
    mean, variance = botorch["mean"], np.diag(botorch["covariance"])
    with jax.enable_x64(True):
        uniforms = jnp.asarray(entry["uniforms"])
        found = acquisitions.gumbel_minima(jnp.asarray(mean), jnp.asarray(variance), uniforms)
    np.testing.assert_allclose(found, entry["value"], rtol=1e-8)
