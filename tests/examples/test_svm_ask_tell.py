"""The example runs, and its table is what it returns."""

import numpy as np
import pytest
from sklearn.svm import SVC


@pytest.fixture
def svm(example):
    return example("svm_ask_tell")


def test_quick_run(svm, capsys):
    (row,) = svm.main(splits=1, evaluations=12, folds=2, images=150)
    printed = capsys.readouterr().out
    assert svm.cells(row) in printed
    assert set(row) == {"gp", "random"}
    for validation, test in row.values():
        assert 0 <= validation < 0.5  # of ten classes, guessing errs nine times in ten
        assert 0 <= test < 0.5


def test_only_what_exists_reaches_the_machine(svm):
    for config in svm.SPACE.sample(50, seed=0):
        vector_machine = svm.machine(config)[-1]
        assert isinstance(vector_machine, SVC)
        assert vector_machine.kernel == config["kernel"]
        assert ("gamma" in config) == (config["kernel"] != "linear")
        assert ("degree" in config) == (config["kernel"] == "poly")
        assert config["C"] == vector_machine.C


def test_a_search_spends_what_it_may(svm, monkeypatch):
    seen = []
    monkeypatch.setattr(svm, "error", lambda config, *_: seen.append(config) or config["C"])
    best = svm.search("random", None, None, evaluations=10, folds=2, seed=0)
    assert len(seen) == 10
    assert best.value == np.min([config["C"] for config in seen])
