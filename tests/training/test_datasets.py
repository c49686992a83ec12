"""Files of Fashion-MNIST and texts: what is read is what was written, what is broken is named."""

import gzip
import struct
import tomllib
from pathlib import Path

import numpy as np
import pytest

import bojax
from bojax.errors import DataError
from bojax.training import LocalExecutor, datasets
from bojax.training.datasets import characters, fashion_mnist, fashion_mnist_sample
from bojax.training.models import CharTransformer

ROOT = Path(__file__).parents[2]
IMAGES, NUMBERS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx(array, *, kind=8):
    """An array of bytes in the published format: magic number, sizes, contents."""
    head = bytes((0, 0, kind, array.ndim))
    return head + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()


def drawn(count=5):
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 28, 28)), rng.integers(0, 10, count)


def written(folder, images, labels, prefix="train", packed=False):
    """Both files, images and labels as bytes or arrays."""
    for name, content in (("images-idx3", images), ("labels-idx1", labels)):
        content = content if isinstance(content, bytes) else idx(content)
        path = folder / f"{prefix}-{name}-ubyte{'.gz' if packed else ''}"
        path.write_bytes(gzip.compress(content) if packed else content)
    return folder


# ------------------------------------------------------------------ Fashion-MNIST


def test_the_sample_is_real():
    x, y = fashion_mnist_sample()
    assert np.bincount(y).tolist() == [20] * 10 == [20] * len(datasets.LABELS)
    assert y[:10].tolist() == [9, 0, 0, 3, 0, 2, 7, 2, 5, 5]  # as the published file begins
    assert x.min() == 0 and x.max() == 255
    assert len(np.unique(x.reshape(200, -1), axis=0)) == 200
    # Clothes, not noise: trousers and dresses are narrow, bags and pullovers fill the picture.
    ink = [(x[y == label] > 0).mean() for label in range(10)]
    assert max(ink[1], ink[3]) < min(ink[2], ink[8])


def test_the_sample_goes_with_the_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folder = ROOT / "bojax/training"
    kept = {
        path for glob in settings["package-data"]["bojax.training"] for path in folder.glob(glob)
    }
    assert {f"{name}.gz" for name in (IMAGES, NUMBERS)} | {"README.md"} <= {p.name for p in kept}
    assert sum(path.stat().st_size for path in kept) < 150_000


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("part", "prefix"), [("train", "train"), ("test", "t10k")])
def test_what_is_written_is_read(tmp_path, packed, part, prefix):
    images, labels = drawn()
    x, y = fashion_mnist(written(tmp_path, images, labels, prefix, packed), part=part)
    np.testing.assert_array_equal(x[..., 0], images)
    np.testing.assert_array_equal(y, labels)
    assert (x.dtype, y.dtype) == (np.uint8, np.int32)
    other = {"train": "test", "test": "train"}[part]
    with pytest.raises(DataError, match="no such file"):
        fashion_mnist(tmp_path, part=other)


def test_without_a_folder_debians_is_read(tmp_path, monkeypatch):
    images, labels = drawn()
    monkeypatch.setattr(datasets, "FASHION_MNIST", str(written(tmp_path, images, labels)))
    np.testing.assert_array_equal(fashion_mnist()[1], labels)


def test_a_missing_file_is_named_with_the_remedy(tmp_path):
    images, labels = drawn()
    written(tmp_path, images, labels)
    (tmp_path / NUMBERS).unlink()
    remedy = f"{NUMBERS}: no such file, nor with .gz; .*apt install dataset-fashion-mnist.*folder"
    with pytest.raises(DataError, match=remedy):
        fashion_mnist(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: b"", "no idx file of bytes in 3 dimensions, it begins with nothing"),
        (lambda c: b"<html>" + c, "no idx file of bytes in 3 dimensions, it begins with 3c 68"),
        (lambda c: idx(drawn()[1]), "no idx file of bytes in 3 dimensions, .* 00 00 08 01"),
        (lambda c: idx(drawn()[0], kind=0x0D), "no idx file of bytes"),
        (lambda c: c[:9], "cut short in its header"),
        (lambda c: c[:-1], r"cut short, 3919 bytes instead of the 3920 of \(5, 28, 28\)"),
        (lambda c: c + b"1", "longer than its header says, 3921 bytes"),
        (lambda c: idx(np.zeros((5, 28, 27))), r"28 x 28 pixels, got \(28, 27\)"),
        (lambda c: idx(drawn(4)[0]), "4 images and 5 labels of 'train'"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_files_of_something_else_are_refused(tmp_path, change, message, packed):
    images, labels = drawn()
    written(tmp_path, change(idx(images)), labels, packed=packed)
    with pytest.raises(DataError, match=message) as refusal:
        fashion_mnist(tmp_path)
    assert str(tmp_path) in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c[: len(c) // 2], r"images-idx3-ubyte.gz: cut short; install it"),
        (lambda c: b"not gzip", r"images-idx3-ubyte.gz: no gzip file \(Not a gzipped file"),
        (lambda c: c[:40] + bytes(len(c) - 40), "images-idx3-ubyte.gz: "),
        (lambda c: c[:-8] + bytes(8), r"no gzip file \(CRC check failed"),
    ],
)
def test_broken_gzip_files_are_refused(tmp_path, change, message):
    images, labels = drawn()
    path = written(tmp_path, images, labels, packed=True) / f"{IMAGES}.gz"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=message):
        fashion_mnist(tmp_path)


def test_labels_beyond_nine_and_other_parts_are_refused(tmp_path):
    images, labels = drawn()
    with pytest.raises(DataError, match="labels from 0 to 9, got 10"):
        fashion_mnist(written(tmp_path, images, np.full_like(labels, 10)))
    with pytest.raises(DataError, match="expected 'train' or 'test', got 'valid'"):
        fashion_mnist(tmp_path, part="valid")


# ------------------------------------------------------------------ texts

TEXT = "It is a truth universally acknowledged, that a single man in possession\nof \u00e9lan"


def text_file(folder, text=TEXT):
    path = folder / "text.txt"
    path.write_text(text, encoding="utf-8")
    return path


def joined(rows, vocabulary):
    return ["".join(vocabulary[i] for i in row) for row in rows]


@pytest.mark.parametrize(("length", "step"), [(8, None), (8, 3), (5, 11), (len(TEXT) - 1, 1)])
def test_windows_are_pieces_of_the_text(tmp_path, length, step):
    x, y, vocabulary = characters(text_file(tmp_path), length=length, step=step)
    starts = range(0, len(TEXT) - length, step or length)
    assert joined(x, vocabulary) == [TEXT[s : s + length] for s in starts]
    assert joined(y, vocabulary) == [TEXT[s + 1 : s + length + 1] for s in starts]
    assert vocabulary == "".join(sorted(set(TEXT)))
    assert (x.dtype, y.dtype) == (np.uint8, np.int32)


def test_more_letters_than_bytes(tmp_path):
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    x, _, vocabulary = characters(text_file(tmp_path, text), length=299)
    assert x.dtype == np.int32
    assert joined(x, vocabulary) == [text[:299]]


def test_another_texts_vocabulary_keeps_its_numbers(tmp_path):
    given = "ZY" + "".join(sorted(set(TEXT), reverse=True))
    x, _, vocabulary = characters(text_file(tmp_path), length=8, vocabulary=given)
    assert vocabulary == given
    assert joined(x[:1], given) == [TEXT[:8]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"length": 0}, "length is a positive integer, got 0"),
        ({"length": 2.0}, "length is a positive integer, got 2.0"),
        ({"step": True}, "step is a positive integer, got True"),
        ({"length": len(TEXT)}, f"{len(TEXT)} letters are too few for a window of {len(TEXT)}"),
        ({"vocabulary": "Its "}, "text.txt: the vocabulary lacks 'i', letter 3 of the text"),
        ({"vocabulary": TEXT}, "has a letter twice"),
        ({"vocabulary": ""}, "the vocabulary is empty"),
    ],
)
def test_what_gives_no_windows_is_refused(tmp_path, settings, message):
    with pytest.raises(DataError, match=message):
        characters(text_file(tmp_path), **({"length": 8} | settings))


def test_files_that_are_no_text_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"gone.txt: cannot be read \(No such file"):
        characters(tmp_path / "gone.txt")
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory"):
        characters(tmp_path)
    (tmp_path / "latin").write_bytes("caf\u00e9".encode("latin-1"))
    with pytest.raises(DataError, match="latin: not UTF-8 at byte 3"):
        characters(tmp_path / "latin", length=1)


def test_they_fit_the_letter_model_and_it_learns(tmp_path):
    x, y, vocabulary = characters(text_file(tmp_path, "abcd" * 120), length=8)
    data = bojax.ArrayData(x, y, split=bojax.Holdout(time=True))
    assert data.x.dtype == np.uint8
    task = bojax.Task.linen(
        lambda hp: CharTransformer(len(vocabulary), 8, 1), optimizer=adam, batch_size=8
    )
    space = bojax.Space({"lr": bojax.Float(1e-3, 1.0, log=True)})
    executor = LocalExecutor(task, space, data, max_budget=8, chunk=1, slots=1)
    (report,) = executor.run([bojax.history.Job(0, 0, 8)], {0: {"lr": 0.03}})
    assert report.metrics["accuracy"] > 0.9


def adam(hp):
    import optax

    return optax.adam(hp["lr"])
