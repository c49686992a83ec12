"""Folds partition what they should, keep shares, groups and time apart, and say what is wrong."""

import numpy as np
import pytest
from sklearn import model_selection

import bojax
from bojax import CrossValidation, Holdout
from bojax.errors import DataError


def numbered(split, n=103, classes=3, **settings):
    """Data whose x is the example's own number."""
    y = np.arange(n) % classes
    return bojax.ArrayData(np.arange(float(n))[:, None], y, split=split, **settings)


def numbers(data, part):
    return data.x[part][:, 0].astype(int)


@pytest.mark.parametrize("settings", [{}, {"stratify": False}, {"test": 0.0, "folds": 7}])
def test_every_example_validates_once_and_never_trains_in_that_fold(settings):
    data = numbered(CrossValidation(**settings))
    judged = np.concatenate([numbers(data, validation) for _, validation in data.folds])
    rest = numbers(data, slice(None))
    assert sorted(judged) == sorted(rest) and len(data.folds) == settings.get("folds", 5)
    for train, validation in data.folds:
        assert not set(train) & set(validation) and len(train) + len(validation) == len(rest)
    sizes = [len(validation) for _, validation in data.folds]
    assert max(sizes) - min(sizes) <= 1
    if len(data.test):
        x, _ = data.test.take()
        assert len(x) == 21 and not set(x[:, 0].astype(int)) & set(rest)


def test_classes_keep_their_shares_in_every_fold():
    y = np.array([0] * 80 + [1] * 20)
    data = bojax.ArrayData(np.zeros((100, 1)), y, split=CrossValidation(4))
    assert [int(data.y[v].sum()) for _, v in data.folds] == [4, 4, 4, 4]
    loose = CrossValidation(4, stratify=False)
    shares = {
        tuple(int(data.resplit(s).y[v].sum()) for _, v in data.resplit(s).folds) for s in range(5)
    }
    assert shares == {(4, 4, 4, 4)}
    data = bojax.ArrayData(np.zeros((100, 1)), y, split=loose)
    assert any(data.resplit(s).y[v].sum() != 4 for s in range(5) for _, v in data.resplit(s).folds)


@pytest.mark.parametrize("make", [Holdout, CrossValidation])
def test_groups_stay_together_in_the_test_part_too(make):
    groups = np.random.default_rng(0).integers(0, 15, 103)
    data = numbered(make(groups=groups))
    kept = numbers(data, slice(None))
    x, _ = data.test.take()
    assert not set(groups[x[:, 0].astype(int)]) & set(groups[kept]) and 10 <= len(x) <= 32
    for train, validation in data.folds:
        assert not set(groups[kept[train]]) & set(groups[kept[validation]])
        assert 8 <= len(validation) <= 32
    other = data.resplit(1)
    assert not np.array_equal(other.validation, data.validation)


def test_time_goes_forward_as_in_scikit_learn():
    data = numbered(CrossValidation(4, time=True))
    expected = model_selection.TimeSeriesSplit(4).split(np.zeros(len(data.y)))
    for (train, validation), (their_train, their_validation) in zip(
        data.folds, expected, strict=True
    ):
        assert np.array_equal(train, their_train) and np.array_equal(validation, their_validation)
    x, _ = data.test.take()
    assert x[:, 0].min() > numbers(data, slice(None)).max()
    single = numbered(Holdout(time=True))
    assert single.train.max() < single.validation.min() and len(single.validation) == 21


def test_a_splitter_of_scikit_learns_is_taken_as_it_is():
    groups = np.arange(103) % 10
    splitter = model_selection.GroupKFold(3)
    data = numbered(CrossValidation(splitter, groups=groups, test=0.0))
    expected = splitter.split(np.zeros((103, 1)), data.y, groups)
    for mine, theirs in zip(data.folds, expected, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))


def test_each_fold_is_normalised_by_what_it_trains_on():
    rng = np.random.default_rng(0)
    raw = rng.normal(4.0, 2.0, (60, 2))
    data = bojax.ArrayData(raw, np.zeros(60), split=CrossValidation(3, test=0.0), normalize=True)
    np.testing.assert_allclose(data.x, raw.astype(np.float32))  # programs normalise
    for fold, (train, _) in enumerate(data.folds):
        seen = data.transform(data.x[train], fold)
        np.testing.assert_allclose(seen.mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(seen.std(0), 1, atol=1e-5)
    assert np.abs(data.shift[0] - data.shift[1]).max() > 1e-3


class Overlapping:
    def split(self, x, y, groups):
        yield np.arange(5), np.arange(4, 9)


class Empty:
    def split(self, x, y, groups):
        yield np.arange(5), np.arange(0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CrossValidation(1), "an integer from 2 up"),
        (lambda: CrossValidation(True), "an integer from 2 up"),
        (lambda: CrossValidation(3, test=1.0), "test is a share"),
        (lambda: CrossValidation(3, groups=np.zeros(103), time=True), "either groups or time"),
        (lambda: numbered(CrossValidation(3, groups=np.zeros(5))), "one label an example, 103"),
        (lambda: numbered(CrossValidation(200)), "too few for 200 folds"),
        (lambda: numbered(CrossValidation(4, groups=np.arange(103) % 3)), "3 groups|2 groups"),
        (lambda: numbered(Holdout(groups=np.zeros(103))), "1 groups cannot give"),
        (lambda: numbered(CrossValidation(Overlapping())), "fold 0: its parts overlap"),
        (lambda: numbered(CrossValidation(Empty())), "fold 0: a part is empty"),
    ],
)
def test_what_cannot_be_split_says_why(make, message):
    with pytest.raises(DataError, match=message):
        make()


def test_a_bare_splitter_is_refused_with_the_way_to_give_it():
    with pytest.raises(TypeError, match="CrossValidation\\(splitter\\)"):
        numbered(model_selection.KFold(3))
