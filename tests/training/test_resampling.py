"""Images of fewer pixels and shorter sequences, against averages by hand."""

import numpy as np
import pytest

import bojax
from bojax.errors import DataError
from bojax.training.resampling import area_weights, own_size, resampled, resampled_inputs


def images(*shape, dtype=np.float32, seed=0):
    values = np.random.default_rng(seed).uniform(0, 255, size=shape)
    return values.astype(dtype)


def test_where_sides_divide_a_pixel_is_the_mean_of_its_block():
    x = images(3, 6, 6, 2)
    expected = np.array([
        [[x[n, 3 * i : 3 * i + 3, 3 * j : 3 * j + 3].mean((0, 1)) for j in (0, 1)] for i in (0, 1)]
        for n in range(3)
    ])  # fmt: skip
    np.testing.assert_allclose(resampled_inputs(x, "resolution", 2), expected, rtol=1e-6)


def test_elsewhere_parts_of_pixels_count_in_proportion():
    """5 to 3: every pixel repeated thrice a side, then means of blocks of 5 by 5."""
    x = images(4, 5, 5)
    fine = x.repeat(3, axis=1).repeat(3, axis=2)
    expected = fine.reshape(4, 3, 5, 3, 5).mean(axis=(2, 4))
    small = resampled_inputs(x, "resolution", 3)
    np.testing.assert_allclose(small, expected, rtol=1e-6)
    np.testing.assert_allclose(small.mean((1, 2)), x.mean((1, 2)), rtol=1e-6)


@pytest.mark.parametrize(("before", "after"), [(28, 7), (28, 10), (5, 5), (3, 1), (1000, 999)])
def test_shares_are_whole(before, after):
    weights = area_weights(before, after)
    np.testing.assert_allclose(weights.sum(1), 1.0, rtol=1e-5)
    np.testing.assert_allclose(weights.sum(0), after / before, rtol=1e-5)
    if before == after:
        assert np.array_equal(weights, np.eye(5))


def test_bytes_stay_bytes_rounded():
    x = np.array([[[0, 1], [1, 1]], [[255, 255], [254, 255]]], np.uint8)
    small = resampled_inputs(x, "resolution", 1)
    assert small.dtype == np.uint8 and small.ravel().tolist() == [1, 255]  # 0.75, 254.75


def test_sides_keep_their_proportion_and_many_images_are_done_in_parts(monkeypatch):
    x = images(7, 4, 8, 3)
    whole = resampled_inputs(x, "resolution", 4)
    assert whole.shape == (7, 2, 4, 3)
    assert resampled_inputs(x, "resolution", 1).shape == (7, 1, 1, 3)
    monkeypatch.setattr("bojax.training.resampling._AT_ONCE", 2)
    np.testing.assert_allclose(resampled_inputs(x, "resolution", 4), whole, rtol=1e-6)


def test_the_parts_and_the_test_part_stay():
    data = bojax.ArrayData(images(50, 4, 4), np.arange(50) % 2, normalize=True)
    small = resampled(data, "resolution", 2)
    assert small.test is data.test
    assert np.array_equal(small.train, data.train)
    assert np.array_equal(small.validation, data.validation)
    assert resampled(data, "resolution", 4) is data
    pooled = data._raw.reshape(-1, 2, 2, 2, 2).mean(axis=(2, 4))
    train = pooled[data.train]
    expected = (pooled - train.mean((0, 1))) / train.std((0, 1))  # [N, H, W]: W is the last axis
    np.testing.assert_allclose(small.x, expected, atol=1e-5)


def test_sequences_are_cut_and_targets_of_time_with_them():
    x = np.arange(60 * 6).reshape(60, 6)
    timed = bojax.ArrayData(x, x + 1)
    short = resampled(timed, "length", 4)
    assert np.array_equal(short.x, timed.x[:, :4]) and np.array_equal(short.y, timed.x[:, :4] + 1)
    labelled = bojax.ArrayData(x, np.arange(60) % 2)
    assert np.array_equal(resampled(labelled, "length", 4).y, labelled.y)
    # `unit="resolution"` never cuts targets, whatever their shape.
    pixels = bojax.ArrayData(images(60, 6, 6), np.zeros((60, 6), np.float32))
    assert resampled(pixels, "resolution", 3).y.shape[1:] == (6,)


def test_what_has_no_such_axes_is_refused():
    table = bojax.ArrayData(np.zeros((30, 4)), np.arange(30) % 2)
    with pytest.raises(DataError, match=r"x must be images.*\(4,\)"):
        own_size(table, "resolution")
    with pytest.raises(DataError, match=r"x must be sequences.*\(30,\)"):
        own_size(bojax.ArrayData(np.zeros(30), np.arange(30.0), split=bojax.Holdout(test=0.0)),
                 "length")  # fmt: skip
    with pytest.raises(DataError, match=r"expected a bojax\.ArrayData, got ndarray"):
        own_size(np.zeros((3, 3, 3)), "resolution")
