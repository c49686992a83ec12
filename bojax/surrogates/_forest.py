"""A random forest of regression trees, grown by scikit-learn, walked by JAX.

    mean(x)     = mean over trees of m_t(x)
    variance(x) = mean over trees of s_t^2(x)  +  variance over trees of m_t(x)

with m_t and s_t^2 the weighted mean and variance of the observations in the leaf of x: the
law of total variance (F. Hutter, L. Xu, H. Hoos and K. Leyton-Brown, Artificial Intelligence
206 (2014), section 4.3.2). After the same paper (4.3.1), and unlike in scikit-learn's own
forest, a threshold is drawn uniformly between the two observations it parts, so that many
trees interpolate between them and disagree most in the middle.

Trees grow on the host, through a callback when traced. What they leave are arrays, so a
prediction is traceable and belongs into any program. Its slope is 0 everywhere.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bojax.configuration import jit
from bojax.pytrees import pytree
from bojax.space import table as tables
from bojax.surrogates import _mixture
from bojax.surrogates._lines import (
    INACTIVE,
    WORTHLESS,
    at_own_precision,
    features_of,
    host_data,
    is_traced,
    lines_of,
)
from bojax.surrogates.data import Data
from bojax.surrogates.transforms import standardize

# SMAC 2.4.1, facade for hyperparameter optimisation: ten trees, bootstrap, all features.
TREES, FEATURES, LEAF, SPLIT = 10, 1.0, 1, 2
# Of standardised values, the smallest that a prediction may have: SMAC 2.4.1 has 1e-10, which
# is below the rounding of float32.
LEAST_VARIANCE = 1e-6
# Values are rounded to this grid, so that equal splits stay equal when values are scaled.
GRID = 2.0**-20
LEAST_WORTH = 0.01  # of a line that takes part where there is no bootstrap to leave it out
NUMBER = -1  # in `choice`: the node asks for a number


class Trees(NamedTuple):
    """T trees of at most M nodes.

    Attributes:
        column: `[T, M]` int32, the column a node asks.
        choice: `[T, M]` int32, the code it compares a category with, or -1 for a number.
        threshold: `[T, M]` float32; at most this, or another category, goes left.
        left, right: `[T, M]` int32; of a leaf, itself.
        mean, variance: `[T, M]` float32, of the standardised values in a node.
        depth: int32, of the deepest tree.

    Example:
        >>> import bojax
        >>> bojax.surrogates.Trees._fields[:2]
        ('column', 'choice')
    """

    column: Any
    choice: Any
    threshold: Any
    left: Any
    right: Any
    mean: Any
    variance: Any
    depth: Any


class ForestInfo(NamedTuple):
    """How a fit went.

    Attributes:
        depth: int32, of the deepest tree.
        observed: int32, lines it was fitted to.

    Example:
        >>> import bojax
        >>> bojax.surrogates.ForestInfo._fields
        ('depth', 'observed')
    """

    depth: Any
    observed: Any


@pytree
@dataclass(frozen=True)
class ForestPosterior:
    """Trees, and the scale of the values.

    Attributes:
        trees: :class:`Trees`.
        shift, scale: value = shift + scale * standardised.
        table: the space's table, or None.
        noise: 0: the variance is that of an observation, scatter within leaves included.

    Example:
        >>> import jax, numpy as np
        >>> import bojax
        >>> rows = np.linspace(0, 1, 8)[:, None]
        >>> posterior, _ = bojax.surrogates.forest().fit(
        ...     jax.random.key(0), bojax.surrogates.Data(rows, rows[:, 0]))
        >>> mean, variance = posterior.mean_and_variance(rows)
        >>> bool(mean[0] < mean[-1]), bool((variance > 0).all())
        (True, True)
    """

    trees: Trees
    shift: Any
    scale: Any
    table: Any
    noise: float = field(default=0.0, metadata={"static": True})

    @at_own_precision
    def mean_and_variance(self, rows):
        """Of an observation at `[..., D]` rows: two arrays `[...]`, values' unit."""
        mean, variance = _mixture.moments(*self.leaves(rows), LEAST_VARIANCE)
        return self.shift + self.scale * mean, self.scale**2 * variance

    @at_own_precision
    def joint(self, rows):
        """Mean `[Q]` and covariance `[Q, Q]` of observations at `[Q, D]` rows, values' unit.

        Rows covary as the trees' predictions do; what is within leaves is on the diagonal.
        """
        mean, covariance = _mixture.joint(*self.leaves(rows), LEAST_VARIANCE)
        return self.shift + self.scale * mean, self.scale**2 * covariance

    @at_own_precision
    def sample(self, key, rows, n: int):
        """`[n, Q]` draws of observations at `[Q, D]` rows, a tree each."""
        means, variances = self.leaves(rows)
        drawn = _mixture.sample(key, means, variances, LEAST_VARIANCE, n)
        return self.shift + self.scale * drawn

    def leaves(self, rows):
        """Standardised mean and variance of every tree's leaf, `[..., D]` -> `[T, ...]` twice."""
        dtype = self.scale.dtype
        # A tree has no slope; told so, the loop below need not be differentiated.
        rows = jax.lax.stop_gradient(jnp.asarray(rows, dtype))
        features = features_of(self.table, rows)
        shown = jnp.where(features.active > 0, features.coordinate, INACTIVE)
        flat = shown.astype(jnp.float32).reshape(-1, shown.shape[-1])
        trees = jax.lax.stop_gradient(self.trees)
        line = jnp.arange(flat.shape[0], dtype=jnp.int32)

        def walk(tree):
            def down(_, node):
                asked = flat[line, tree.column[node]]
                choice = tree.choice[node]
                other = asked != choice.astype(jnp.float32)
                low = jnp.where(choice == NUMBER, asked <= tree.threshold[node], other)
                return jnp.where(low, tree.left[node], tree.right[node])

            leaf = jax.lax.fori_loop(0, trees.depth, down, jnp.zeros_like(line))
            return tree.mean[leaf], tree.variance[leaf]

        means, variances = jax.vmap(walk, in_axes=(Trees(*[0] * 7, None),))(trees)
        shape = (means.shape[0], *rows.shape[:-1])
        return means.reshape(shape).astype(dtype), variances.reshape(shape).astype(dtype)


@pytree
@dataclass(frozen=True)
class Forest:
    """Random forest, after SMAC; needs the extra `sklearn`.

    A bootstrap draws a line in proportion to what it is worth: its count, over one plus its
    known variance in units of that of all values.

    Attributes:
        trees: how many.
        features: share of the columns a split chooses from, in (0, 1].
        leaf: least distinct lines in a leaf.
        split: least distinct lines in a node that is split.
        bootstrap: whether each tree has a sample of its own, drawn with replacement.
        extra_trees: split at random thresholds (P. Geurts, D. Ernst and L. Wehenkel,
            Machine Learning 63, 2006) instead of the best ones.
        interpolate: draw a threshold uniformly between the two values it parts; False
            takes their middle, as scikit-learn does. Nothing to extra trees.

    Example:
        >>> import bojax
        >>> bojax.surrogates.forest(trees=30).trees
        30
    """

    trees: int = field(default=TREES, metadata={"static": True})
    features: float = field(default=FEATURES, metadata={"static": True})
    leaf: int = field(default=LEAF, metadata={"static": True})
    split: int = field(default=SPLIT, metadata={"static": True})
    bootstrap: bool = field(default=True, metadata={"static": True})
    extra_trees: bool = field(default=False, metadata={"static": True})
    interpolate: bool = field(default=True, metadata={"static": True})

    def __post_init__(self) -> None:
        for name, least in (("trees", 1), ("leaf", 1), ("split", 2)):
            if getattr(self, name) < least:
                raise ValueError(
                    f"forest: {name} must be at least {least}, got {getattr(self, name)}."
                )
        if not 0 < self.features <= 1:
            raise ValueError(f"forest: features must be in (0, 1], got {self.features}.")

    def fit(self, key, data: Data, warm=None) -> tuple[ForestPosterior, ForestInfo]:
        """Fit to observations, on the host or under `jit`.

        Args:
            key: `jax.random.key`, for bootstraps and thresholds.
            data: :class:`Data`.
            warm: ignored; trees start anew.

        Returns:
            `(ForestPosterior, ForestInfo)`. Lines are sorted first, so that their order does
            not matter.

        Raises:
            ImportError: scikit-learn is not installed.
            DataError: as for :meth:`GP.fit` (host only).
        """
        _load()
        if is_traced(key, data):
            return self.fit_pure(key, data)
        padded = host_data(data)
        with jax.enable_x64(True):
            told, shift, scale = _told_program(key, padded)
            trees = jax.tree.map(jnp.asarray, self.grow(*told))
            posterior, info = _result(trees, told, shift, scale, padded.table)
            return posterior, jax.tree.map(np.asarray, info)

    def fit_pure(self, key, data: Data) -> tuple[ForestPosterior, ForestInfo]:
        """The traceable fit, in the trace's precision; trees grow in a callback."""
        told, shift, scale = _told(key, data)
        # A tree of n distinct lines has at most 2 n - 1 nodes.
        shape = (self.trees, 2 * data.rows.shape[0])
        types = ["int32", "int32", "float32", "int32", "int32", "float32", "float32"]
        wanted = [jax.ShapeDtypeStruct(shape, dtype) for dtype in types]
        out = Trees._make([*wanted, jax.ShapeDtypeStruct((), "int32")])
        trees = jax.pure_callback(self.grow, out, *told, vmap_method="sequential")
        return _result(trees, told, shift, scale, data.table)

    def grow(self, words, shown, kind, values, worth, mask) -> Trees:
        """The trees, on the host: NumPy in, NumPy out, no call of JAX."""
        words, shown, kind, values, worth, mask = (
            np.asarray(x) for x in (words, shown, kind, values, worth, mask)
        )
        size = 2 * len(mask)
        rng = np.random.default_rng(words.astype(np.uint64).tolist())
        rows = shown[mask].astype(np.float32)
        y = np.round(values[mask].astype(float) / GRID) * GRID
        weight = np.round(worth[mask].astype(float), 9)
        order = np.lexsort([weight, y, *rows.T])
        rows, y, weight = rows[order], y[order], weight[order]
        asked = _questions(kind, rows)
        grown = [self._tree(rng, asked, rows, y, weight, size) for _ in range(self.trees)]
        columns = [np.stack(column) for column in zip(*(tree[:7] for tree in grown), strict=True)]
        depth = np.int32(max(tree[7] for tree in grown))
        columns[5:] = [column.astype(np.float32) for column in columns[5:]]
        return Trees._make([*columns, depth])

    def _tree(self, rng, asked, rows, y, weight, size) -> Trees:
        """One tree: a sample of the lines, splits by scikit-learn, then its nodes as arrays."""
        from sklearn.tree import DecisionTreeRegressor, ExtraTreeRegressor

        seed = int(rng.integers(2**31))
        n = len(y)
        if n == 0:
            return _stump(size)
        share = weight / weight.sum()
        drawn = rng.multinomial(n, share).astype(float) if self.bootstrap else weight
        kept = drawn > (0.5 if self.bootstrap else min(LEAST_WORTH, 0.5 * weight.max()))
        x = np.where(
            asked[1] == NUMBER, rows[:, asked[0]], (rows[:, asked[0]] == asked[1]).astype(float)
        )[kept].astype(np.float32)
        y, drawn = y[kept], drawn[kept]
        grower = ExtraTreeRegressor if self.extra_trees else DecisionTreeRegressor
        model = grower(
            max_features=self.features,
            min_samples_leaf=self.leaf,
            min_samples_split=self.split,
            random_state=seed,
        )
        model.fit(x, y, sample_weight=drawn)
        tree = model.tree_
        nodes = tree.node_count
        threshold = tree.threshold.copy()
        if self.interpolate and not self.extra_trees:
            _move_thresholds(rng, tree, x, threshold)
        inner = tree.children_left >= 0
        out, own = _stump(size), np.arange(nodes)
        question = np.where(inner, tree.feature, 0)
        out.column[:nodes], out.choice[:nodes] = asked[0][question], asked[1][question]
        out.threshold[:nodes] = _below(threshold)
        # A node about a category asks "is it": yes is above the threshold, so to the right.
        out.left[:nodes] = np.where(inner, tree.children_left, own)
        out.right[:nodes] = np.where(inner, tree.children_right, own)
        out.mean[:nodes], out.variance[:nodes] = tree.value[:, 0, 0], np.maximum(tree.impurity, 0)
        return out._replace(depth=tree.max_depth)


def _told(key, data: Data) -> tuple[Any, Any, Any]:
    """What trees grow from, and the shift and scale of the values; traceable."""
    lines = lines_of(data)
    values, shift, scale = standardize(lines.values, lines.mask)
    features = features_of(data.table, lines.rows)
    shown = jnp.where(features.active > 0, features.coordinate, INACTIVE)
    tiny = jnp.finfo(scale.dtype).tiny  # the square of a scale of 1e-300 is 0
    variance = jnp.minimum(lines.variance / jnp.maximum(scale**2, tiny), WORTHLESS)
    worth = lines.count / (1.0 + variance)
    words = jax.random.bits(key, (2,), jnp.uint32)
    # A callback leaves the scope of `enable_x64`: there is no float64 on its way in or out.
    shown, values, worth = (x.astype(jnp.float32) for x in (shown, values, worth))
    return (words, shown, features.kind, values, worth, lines.mask), shift, scale


_told_program = jit(_told)


def _result(trees: Trees, told, shift, scale, table) -> tuple[ForestPosterior, ForestInfo]:
    observed = jnp.sum(told[-1], dtype=jnp.int32)
    return ForestPosterior(trees, shift, scale, table), ForestInfo(trees.depth, observed)


def _questions(kind, rows) -> np.ndarray:
    """`[2, F]` column and code of everything a node may ask: numbers, and codes that occur."""
    found = []
    for column in range(rows.shape[1]):
        if kind[column] == tables.CATEGORY:
            codes = np.unique(rows[:, column])
            found += [(column, int(code)) for code in codes if code >= 0]
        elif kind[column] != tables.UNUSED:
            found.append((column, NUMBER))
    return np.array(found or [(0, NUMBER)], np.int32).T


def _stump(size: int) -> Trees:
    """A tree of one leaf, standard normal: what is known without an observation."""
    integers, zeros = np.zeros(size, np.int32), np.zeros(size)
    numbers = np.full(size, NUMBER, np.int32)
    return Trees(
        integers.copy(), numbers, np.zeros(size, np.float32), integers.copy(), integers.copy(),
        zeros.copy(), np.ones(size), 0,
    )  # fmt: skip


def _move_thresholds(rng, tree, x, threshold) -> None:
    """Each threshold to a uniform place between the two values that it parts."""
    places = rng.random(tree.node_count)
    members = {0: np.arange(len(x))}
    for node in range(tree.node_count):  # parents come before their children
        left = tree.children_left[node]
        lines = members.pop(node)
        if left < 0:
            continue
        column = x[lines, tree.feature[node]].astype(float)
        low = column <= threshold[node]
        members[left], members[tree.children_right[node]] = lines[low], lines[~low]
        bottom, top = column[low].max(), column[~low].min()
        threshold[node] = bottom + places[node] * (top - bottom)


def _below(threshold) -> np.ndarray:
    """The largest float32 not above each: a float32 is at most the one iff at most the other."""
    nearest = threshold.astype(np.float32)
    return np.where(nearest > threshold, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def _load() -> None:
    """Load scikit-learn before a callback needs it.

    Raises:
        ImportError: it is not installed; names the extra.
    """
    try:
        importlib.import_module("sklearn.tree")
    except ImportError as error:
        raise ImportError(
            "forest: needs scikit-learn; install it with: pip install bojax[sklearn]."
        ) from error


def forest(
    *,
    trees: int = TREES,
    features: float = FEATURES,
    leaf: int = LEAF,
    split: int = SPLIT,
    bootstrap: bool = True,
    extra_trees: bool = False,
    interpolate: bool = True,
) -> Forest:
    """A random forest as a surrogate; see :class:`Forest` for the settings.

    Example:
        >>> import bojax
        >>> bojax.surrogates.forest().trees
        10
    """
    return Forest(trees, features, leaf, split, bootstrap, extra_trees, interpolate)


__all__ = ["Forest", "ForestInfo", "ForestPosterior", "Trees", "forest"]
