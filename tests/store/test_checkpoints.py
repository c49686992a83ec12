"""Checkpoint files: exact, whole or refused, and none left over."""

import ml_dtypes
import numpy as np
import pytest
from helpers_store import RUN

from bojax.errors import StoreError
from bojax.store import checkpoints, read_checkpoint, sweep_checkpoints, write_checkpoint

ARRAYS = {
    "bfloat16": np.arange(5).astype(ml_dtypes.bfloat16),
    "float32": np.array([[np.nan, np.inf], [-0.0, 1e-45]], np.float32),
    "scalar": np.array(7, np.int64),
    "empty": np.zeros((0, 3)),
    "transposed": np.arange(6.0).reshape(2, 3).T,
    "big endian": np.arange(3, dtype=">f8"),
    "bool": np.array([True, False]),
}


def test_arrays_come_back_to_the_bit(tmp_path):
    meta = {"step": 27, "text": "é", "nested": [1, {"a": None}]}
    path, checksum, size = write_checkpoint(tmp_path / "new", "a", ARRAYS, meta)
    assert path.stat().st_size == size
    arrays, found = read_checkpoint(path, checksum)
    assert found == meta and list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        expected = array.astype(array.dtype.newbyteorder("=")) if ">" in array.dtype.str else array
        assert arrays[name].dtype == expected.dtype and arrays[name].shape == expected.shape
        assert arrays[name].tobytes() == expected.tobytes()
        assert arrays[name].ctypes.data % 8 == 0
        arrays[name][...] = 0  # may be written to
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_nothing_but_plain_numbers(tmp_path):
    for wrong in (np.array([object()]), np.array(["text"]), np.zeros(2, [("a", "f8")])):
        with pytest.raises(StoreError, match=r"checkpoint 'a': array 'x' has dtype"):
            write_checkpoint(tmp_path, "a", {"x": wrong}, {})
    with pytest.raises(StoreError, match="meta must be plain JSON values"):
        write_checkpoint(tmp_path, "a", {}, {"x": object()})
    with pytest.raises(StoreError, match=r"checkpoint '\.\./a': expected"):
        write_checkpoint(tmp_path, "../a", {}, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "bit", "longer", "gone"])
def test_a_torn_or_altered_file_is_refused(tmp_path, damage):
    path, checksum, size = write_checkpoint(tmp_path, "a", ARRAYS, {})
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[size // 2 :]
    elif damage == "bit":
        data[size // 2] ^= 1
    elif damage == "longer":
        data += b"\0"
    path.write_bytes(data)
    if damage == "gone":
        path.unlink()
    with pytest.raises(StoreError, match=r"a-.*\.ckpt: "):
        read_checkpoint(path, checksum)


@pytest.mark.parametrize("content", [b"", b"x" * 100, checkpoints.MAGIC + b"\xff" * 8])
def test_a_file_that_is_no_checkpoint(tmp_path, content):
    path = tmp_path / "a.ckpt"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="a torn or altered checkpoint") as caught:
        read_checkpoint(path, "0" * 64)
    assert "restore the file" in str(caught.value)
    checksum = checkpoints.hashlib.blake2b(content, digest_size=32).hexdigest()
    with pytest.raises(StoreError, match="not a checkpoint of bojax"):
        read_checkpoint(path, checksum)


def test_a_new_version_does_not_touch_the_old(tmp_path):
    first = write_checkpoint(tmp_path, "a", {"x": np.zeros(2)}, {})
    second = write_checkpoint(tmp_path, "a", {"x": np.ones(2)}, {})
    assert first[0] != second[0]
    assert read_checkpoint(*first[:2])[0]["x"].tolist() == [0, 0]


def test_sweeping_keeps_what_is_named_and_what_is_not_ours(tmp_path):
    kept, dropped = (write_checkpoint(tmp_path, n, {}, {"n": n})[0] for n in "ab")
    torn = tmp_path / ".c.1.partial"
    other = tmp_path / "notes.txt"
    torn.touch()
    other.touch()
    assert sweep_checkpoints(tmp_path, [kept.name]) == [torn, dropped]
    assert sorted(tmp_path.iterdir()) == [kept, other]
    assert sweep_checkpoints(tmp_path / "none", []) == []


def test_a_row_names_a_file_and_the_superseded_goes_after_the_commit(store):
    folder = store.checkpoint_folder(RUN.id)
    with store.acquire(RUN.id) as lease:
        old = write_checkpoint(folder, "trial-0", {"x": np.zeros(2)}, {})
        with lease.transaction() as tx:
            tx.name_checkpoint("trial-0", *old, {"budget": 3})
        new = write_checkpoint(folder, "trial-0", {"x": np.ones(2)}, {})
        with pytest.raises(KeyError), lease.transaction() as tx:
            tx.name_checkpoint("trial-0", *new, {"budget": 9})
            raise KeyError
        (named,) = store.checkpoints(RUN.id)
        assert (named.path, named.checksum, named.size) == old and named.meta == {"budget": 3}
        with lease.transaction() as tx:
            tx.name_checkpoint("trial-0", *new, {"budget": 9})
            assert old[0].exists()
        assert not old[0].exists()
        (named,) = store.checkpoints(RUN.id)
        arrays, _ = read_checkpoint(named.path, named.checksum)
        assert arrays["x"].tolist() == [1, 1]
        with lease.transaction() as tx:
            tx.drop_checkpoint("trial-0")
            tx.drop_checkpoint("trial-1")
    assert store.checkpoints(RUN.id) == [] and list(folder.iterdir()) == []


def test_named_again_within_a_transaction_it_stays(store):
    folder = store.checkpoint_folder(RUN.id)
    written = write_checkpoint(folder, "a", {}, {})
    with store.acquire(RUN.id) as lease, lease.transaction() as tx:
        tx.name_checkpoint("a", *written, {})
        tx.drop_checkpoint("a")
        tx.name_checkpoint("a", *written, {})
    assert written[0].exists()


def test_only_complete_files_of_the_folder_are_named(store, tmp_path):
    path, checksum, size = write_checkpoint(tmp_path, "a", {}, {})
    inside = store.checkpoint_folder(RUN.id) / path.name
    with store.acquire(RUN.id) as lease:
        with pytest.raises(StoreError, match="is not in"), lease.transaction() as tx:
            tx.name_checkpoint("a", path, checksum, size, {})
        with pytest.raises(StoreError, match="write it first"), lease.transaction() as tx:
            tx.name_checkpoint("a", inside, checksum, size, {})


def test_the_lease_sweeps_what_no_row_names(store):
    folder = store.checkpoint_folder(RUN.id)
    named, loose = (write_checkpoint(folder, n, {}, {"n": n}) for n in "ab")
    with store.acquire(RUN.id) as lease:
        with lease.transaction() as tx:
            tx.name_checkpoint("a", *named, {})
        assert lease.sweep_checkpoints() == [loose[0]]
    assert list(folder.iterdir()) == [named[0]]
