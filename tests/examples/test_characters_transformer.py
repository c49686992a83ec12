"""The example runs; its counts are those of the text, and it writes what the model prefers."""

from collections import Counter

import numpy as np
import pytest


@pytest.fixture
def text(example):
    return example("characters_transformer")


def test_the_validation_part_comes_after_the_training_part(text):
    data = text.windows()
    whole = text.TEXT.read_text()
    assert max(data.train) < min(data.validation)
    first = "".join(text.VOCABULARY[i] for i in data.x[data.validation[0]])
    assert whole.index(first) == text.LENGTH * data.validation[0]


def test_counts_are_those_of_the_text(text, monkeypatch):
    for name in ("X", "Y"):
        monkeypatch.setattr(text, name, getattr(text, name)[:200])
    data, letters = text.windows(), len(text.VOCABULARY)
    pairs = Counter(zip(data.x[data.train].flat, data.y[data.train].flat, strict=True))
    before, after = Counter(), Counter()
    for (x, y), count in pairs.items():
        before[x] += count
        after[y] += count
    total = sum(after.values())
    bits = {True: [], False: []}
    for x, y in zip(data.x[data.validation].flat, data.y[data.validation].flat, strict=True):
        bits[True].append(-np.log2((pairs[x, y] + 1) / (before[x] + letters)))
        bits[False].append(-np.log2((after[y] + letters) / (total + letters**2)))
    for looking_back, cost in bits.items():
        assert text.counted(data, looking_back) == pytest.approx(np.mean(cost))


def test_it_writes_what_is_likeliest_unless_it_is_warm(text, monkeypatch):
    """A model that always prefers the next letter of the alphabet, and looks at one window."""

    def predict(x):
        assert x.shape == (1, text.LENGTH)
        return np.eye(len(text.VOCABULARY))[(x + 1) % len(text.VOCABULARY)]

    monkeypatch.setattr(text, "WARMTH", 0.0)
    assert text.written(predict, "a" * text.LENGTH, 4) == "a" * text.LENGTH + "bcde"
    monkeypatch.setattr(text, "WARMTH", 1.0)
    drawn = {text.written(predict, "a" * text.LENGTH, 4, seed)[-4:] for seed in range(5)}
    assert len(drawn) == 5


def test_a_small_run(text, monkeypatch, capsys):
    small = {"TRIALS": 1, "MAX_BUDGET": 1, "DEPTH": 1, "WRITTEN": 5}
    small |= {"X": text.X[:400], "Y": text.Y[:400]}
    for name, value in small.items():
        monkeypatch.setattr(text, name, value)
    bits, written = text.main()
    assert written.startswith(text.BEGINNING) and len(written) == len(text.BEGINNING) + 5
    printed = capsys.readouterr().out
    assert written in printed
    assert all(f"{cost:.3f} bits" in printed for cost in bits.values())
    assert 0 < bits["transformer"] < np.log2(len(text.VOCABULARY))
    assert bits["the letter before"] < bits["frequencies"] < np.log2(len(text.VOCABULARY))


@pytest.mark.slow
def test_the_model_beats_the_letter_before(text):
    bits, _ = text.main()
    assert bits["transformer"] < bits["the letter before"] - 0.3
    assert abs(bits["on the test part"] - bits["transformer"]) < 0.2
