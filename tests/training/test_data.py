"""Splits are exact, honest and checked."""

import numpy as np
import pytest

import bojax
from bojax.errors import DataError, TestDataTouched


def numbered(n=100, classes=4, **settings):
    """Data whose x is the example's own number."""
    y = np.arange(n) % classes
    return bojax.ArrayData(np.arange(float(n))[:, None], y, **settings), y


def test_parts_are_disjoint_complete_and_of_the_asked_size():
    data, _ = numbered(split=bojax.Holdout(validation=0.3, test=0.1))
    x, y = data.test.take()
    parts = [data.x[data.train][:, 0], data.x[data.validation][:, 0], x[:, 0]]
    assert [len(p) for p in parts] == [60, 30, 10] == [60, 30, len(y)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(100))


def test_the_test_part_is_the_same_for_every_split_and_taken_once():
    data, _ = numbered()
    other = data.resplit(5)
    assert other.test is data.test
    assert not np.array_equal(other.validation, data.validation)
    assert len(other.validation) == len(data.validation)
    assert np.array_equal(data.resplit(5).validation, other.validation)
    first, _ = other.test.take()
    with pytest.raises(TestDataTouched):
        data.test.take()
    again, _ = numbered()[0].test.take()
    assert np.array_equal(first, again)
    assert not np.isin(first[:, 0], other.x[:, 0]).any()


def test_a_store_hears_of_the_touch_first_and_can_restore_it():
    data, _ = numbered()
    data.test.on_touch = lambda: (_ for _ in ()).throw(RuntimeError("disk full"))
    with pytest.raises(RuntimeError):
        data.test.take()
    assert not data.test.touched  # nothing was handed out
    data.test.touched = True
    with pytest.raises(TestDataTouched):
        data.test.take()


def test_stratification_keeps_shares_and_can_be_left_out():
    y = np.array([0] * 80 + [1] * 20)
    x = np.zeros((100, 1))
    data = bojax.ArrayData(x, y)
    assert data.y[data.validation].sum() == 4 and data.test.take()[1].sum() == 4
    counts = {
        bojax.ArrayData(x, y, split=bojax.Holdout(seed=s, stratify=False)).test.take()[1].sum()
        for s in range(20)
    }
    assert len(counts) > 1


def test_normalisation_uses_the_training_part_only():
    generator = np.random.default_rng(0)
    x = generator.normal(5.0, 3.0, (200, 3))
    x[:, 2] = 7.0  # constant
    data = bojax.ArrayData(x, np.zeros(200), normalize=True)
    part = data.x[data.train]
    np.testing.assert_allclose(part.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(part.std(0)[:2], 1, atol=1e-5)
    assert not data.x[:, 2].any() and data.x.dtype == np.float32
    assert abs(data.x[data.validation].mean(0)[0]) > 1e-4
    moved = data.resplit(3)
    np.testing.assert_allclose(moved.x[moved.train].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(data.transform(data._raw), data.x)
    plain = bojax.ArrayData(x, np.zeros(200))
    assert plain.x.mean() > 4


def test_images_of_bytes_are_normalised_by_channel_or_left_alone():
    x = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 2)).astype(np.uint8)
    y = np.zeros(50, int)
    assert bojax.ArrayData(x, y).x.dtype == np.uint8
    data = bojax.ArrayData(x, y, normalize=True)
    np.testing.assert_allclose(data.x[data.train].mean((0, 1, 2)), 0, atol=1e-5)


X = np.ones((10, 2))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, np.zeros(9), "x has 10 examples, y has 9"),
        (np.where(np.eye(10)[:, :2] > 0, np.nan, 1.0), np.zeros(10), "x: 2 values are NaN"),
        (X, np.array([0, 1, -1] + [0] * 7), "labels start at 0, got -1 .first at example 2"),
        (X, np.array(["a"] * 10), "y: expected numbers"),
        (X[:2], np.zeros(2), "nothing is left to train on|too few"),
        (np.float64(1.0), np.zeros(1), "x: expected an array"),
    ],
)
def test_data_that_cannot_be_used_says_why(x, y, message):
    with pytest.raises(DataError, match=message):
        bojax.ArrayData(x, y, split=bojax.Holdout(validation=0.5, test=0.4))


@pytest.mark.parametrize(
    "shares", [(0.7, 0.6), (0.5, 0.5), (0.0, 0.1), (-0.1, 0.1), (0.1, 1.0), ("a", 0.1)]
)
def test_shares_that_leave_nothing_are_refused(shares):
    with pytest.raises(DataError, match="Holdout"):
        bojax.Holdout(*shares)


def test_without_a_test_part_there_is_nothing_to_take():
    data, _ = numbered(split=bojax.Holdout(test=0.0))
    with pytest.raises(DataError, match="no test part"):
        data.test.take()


def test_a_test_part_that_is_given_is_the_test_part_and_no_other_is_cut():
    x, y = np.arange(40.0).reshape(20, 2), np.arange(20) % 2
    ours = np.full((3, 2), 7.0), np.array([0, 1, 2])
    for split in (None, bojax.Holdout(0.25, 0.4), bojax.CrossValidation(4)):
        data = bojax.ArrayData(x, y, split=split, test=ours, normalize=True)
        assert len(data.y) == 20 and len(data.test) == 3 and data.classes == 3
        assert all(len(train) + len(judged) == 20 for train, judged in data.folds)
    again = data.resplit(3)
    np.testing.assert_array_equal(again.test.take()[0], ours[0])
    with pytest.raises(bojax.TestDataTouched):
        data.test.take()


@pytest.mark.parametrize(
    ("test", "words"),
    [
        (np.zeros((3, 2)), ("pair (x, y)", "ndarray")),
        ((np.zeros((3, 5)), np.zeros(3, int)), ("test x", "float32(5,)", "float32(2,)")),
        ((np.zeros((3, 2)), np.zeros(3)), ("test y", "float32", "int32")),
        ((np.zeros((3, 2)), np.zeros(4, int)), ("3 examples", "4")),
    ],
)
def test_a_test_part_of_another_kind_is_refused(test, words):
    with pytest.raises(bojax.DataError) as error:
        bojax.ArrayData(np.zeros((20, 2)), np.arange(20) % 2, test=test)
    assert all(word in str(error.value) for word in words), error.value
