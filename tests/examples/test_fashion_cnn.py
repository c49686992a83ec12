"""The example runs on the sample; with the files, its test part is the published one."""

import struct

import numpy as np
import pytest

from bojax.training.datasets import fashion_mnist_sample


@pytest.fixture
def fashion(example, monkeypatch, tmp_path):
    module = example("fashion_cnn")
    small = {"FOLDER": tmp_path, "TRIALS": 2, "MAX_BUDGET": 1, "FEATURES": (2,)}
    for name, value in small.items():
        monkeypatch.setattr(module, name, value)
    return module


def files(folder):
    """The sample as if it were the whole: 150 images to train on and 50 to test on."""
    x, y = fashion_mnist_sample()
    for prefix, part in (("train", slice(150)), ("t10k", slice(150, None))):
        for name, array in (("images-idx3", x[part, :, :, 0]), ("labels-idx1", y[part])):
            head = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
            contents = head + array.astype(np.uint8).tobytes()
            (folder / f"{prefix}-{name}-ubyte").write_bytes(contents)
    return x, y


@pytest.mark.parametrize(("images", "tests"), [(None, None), (100, 40)])
def test_the_test_part_is_the_published_one(fashion, tmp_path, monkeypatch, images, tests):
    x, y = files(tmp_path)
    monkeypatch.setattr(fashion, "IMAGES", images)
    monkeypatch.setattr(fashion, "TEST_IMAGES", tests)
    data, which = fashion.images()
    images, tests = images or 150, tests or 50
    assert which == f"Fashion-MNIST, {images} images and {tests} to test on"
    assert len(data.validation) == 0.2 * images
    np.testing.assert_array_equal(data.x, x[:images])
    assert len(data.train) + len(data.validation) == images
    test_x, test_y = data.test.take()
    np.testing.assert_array_equal(test_x, x[150 : 150 + tests])
    np.testing.assert_array_equal(test_y, y[150 : 150 + tests])


def test_a_small_run_on_the_sample(fashion, capsys):
    result, score = fashion.main()
    printed = capsys.readouterr().out
    assert printed.startswith("a sample of 200 images only: ")
    assert "apt install dataset-fashion-mnist" in printed
    assert str(score) in printed and str(result.best.config) in printed
    assert len(result.trials) == fashion.TRIALS
    assert result.trials[0].config == fashion.DEFAULT
    assert 0 < score["accuracy"] < 1


@pytest.mark.slow
def test_it_learns_from_200_images(fashion, monkeypatch):
    for name, value in {"TRIALS": 4, "MAX_BUDGET": 9, "FEATURES": (8, 16)}.items():
        monkeypatch.setattr(fashion, name, value)
    result, _ = fashion.main()
    assert result.reports[-1].metrics["accuracy"] > 0.4  # guessing: 0.1
