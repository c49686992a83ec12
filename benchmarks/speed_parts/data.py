"""The observations every contender is given."""

import numpy as np

WELLS = 4
NEAR = 0.1  # standard deviation of the points near the best one, in the unit cube
NOISE = 0.05  # standard deviation of the noise, of that of the values


def observations(seed, n, d):
    """`rows [n, d]` in the unit cube and noisy values `[n]` of four wells.

    The wells' places and their widths, one a column, are the set's own, so that length scales
    differ between columns and sets. Half of the rows are drawn evenly, half near the best of
    these, as late in a run.
    """
    draw = np.random.default_rng([seed, n, d])
    centres = draw.random((WELLS, d))
    widths = draw.uniform(0.5, 8.0, (WELLS, d)) * 6 / d
    depths = np.array([1.0, 1.2, 3.0, 3.2])

    def function(x):
        return -np.exp(-0.5 * ((x[:, None] - centres) ** 2 * widths).sum(-1)) @ depths

    even = draw.random((n - n // 2, d))
    best = even[np.argmin(function(even))]
    near = np.clip(best + NEAR * draw.normal(size=(n // 2, d)), 0, 1)
    rows = np.concatenate([even, near])
    values = function(rows)
    return rows, values + NOISE * values.std() * draw.normal(size=n)
