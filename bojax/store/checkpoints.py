"""Checkpoint files: named arrays and a little JSON, whole or not there at all.

A file is written under a temporary name, flushed to the disk, and only then gets its own
name, which holds its checksum: a new version never overwrites the one that a row names.
The layout: 8 bytes of magic, 8 bytes with the header's length (little-endian), the header
in JSON (`meta`, and of each array its name, dtype, shape and offset), then the arrays'
bytes, little-endian, each at a multiple of 64 bytes after the header. Reading one runs no
code: there is no pickle in it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes  # noqa: F401  (teaches NumPy the names bfloat16, float8_e4m3fn, ...)
import numpy as np

from bojax.errors import StoreError
from bojax.store import faults

MAGIC = b"bojaxck1"
ALIGNMENT = 64  # bytes; a view of the file's bytes is then as well aligned as a fresh array
SUFFIX, PARTIAL = ".ckpt", ".partial"
NAMES = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # a name may not leave its folder
DIGITS = 16  # of the checksum in a file's name: 64 bits tell versions of one name apart


def check_name(what: str, name: str) -> None:
    """Refuse a name that could not be a file's."""
    if not NAMES.fullmatch(name) or len(name) > 150:
        raise StoreError(
            f"{what} {name!r}: expected up to 150 letters, digits, '.', '_' or '-', the first "
            "a letter or digit."
        )


def write_checkpoint(
    folder: str | Path, name: str, arrays: Mapping[str, Any], meta: Mapping[str, Any]
) -> tuple[Path, str, int]:
    """Write arrays to a file of their own, on the disk when this returns.

    Args:
        folder: where; made if it is missing.
        name: letters, digits, ".", "_", "-".
        arrays: numbers and booleans of any shape; bfloat16 and the like included.
        meta: whatever JSON can hold.

    Returns:
        `(path, checksum, size in bytes)`, to be named by a row: see
        :meth:`Transaction.name_checkpoint`.

    Raises:
        StoreError: the name, an array or the meta cannot be written, or the disk refused.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from bojax.store import read_checkpoint, write_checkpoint
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path, checksum, size = write_checkpoint(
        ...         folder, "member-3", {"weights": np.ones(3)}, {"step": 27})
        ...     arrays, meta = read_checkpoint(path, checksum)
        >>> arrays["weights"], meta
        (array([1., 1., 1.]), {'step': 27})
    """
    check_name("checkpoint", name)
    plain = {key: _plain_array(name, key, array) for key, array in arrays.items()}
    head = _header(name, plain, meta)
    folder = Path(folder)
    temporary = folder / f".{name}.{os.getpid()}{PARTIAL}"
    digest = hashlib.blake2b(digest_size=32)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            for piece in _pieces(head, plain):
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        path = folder / f"{name}-{digest.hexdigest()[:DIGITS]}{SUFFIX}"
        os.replace(temporary, path)
        _flush_folder(folder)
    except OSError as error:
        raise StoreError(
            f"checkpoint {name!r}: cannot be written to {folder} ({error.strerror}); check "
            "that the disk has room and the folder may be written."
        ) from error
    faults.point("renamed")
    return path, digest.hexdigest(), size


def read_checkpoint(
    path: str | Path, checksum: str
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and meta of a checkpoint.

    Args:
        path: the file.
        checksum: what :func:`write_checkpoint` gave.

    Returns:
        `(arrays, meta)`; the arrays may be written to and share one block of memory.

    Raises:
        StoreError: the file is missing, cut short, or not what was written.

    Example:
        >>> import tempfile
        >>> from bojax.store import read_checkpoint, write_checkpoint
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path, checksum, size = write_checkpoint(folder, "a", {}, {"step": 27})
        ...     read_checkpoint(path, checksum)
        ({}, {'step': 27})
    """
    path = Path(path)
    try:
        data = bytearray(path.read_bytes())
    except OSError as error:
        raise StoreError(
            f"{path}: the checkpoint cannot be read ({error.strerror}); restore the folder "
            "beside the store, or train that trial again."
        ) from error
    found = hashlib.blake2b(data, digest_size=32).hexdigest()
    if found != checksum:
        raise StoreError(
            f"{path}: a torn or altered checkpoint: checksum {found[:12]}..., expected "
            f"{checksum[:12]}...; restore the file, or train that trial again."
        )
    try:
        return _parsed(data)
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path}: not a checkpoint of bojax ({error}); check the path.") from error


def sweep_checkpoints(folder: str | Path, keep: Iterable[str]) -> list[Path]:
    """Delete the checkpoint files in a folder that no row names.

    Args:
        folder: of one run; files that are not checkpoints stay.
        keep: names of the files to keep.

    Returns:
        What was deleted.

    Example:
        >>> import tempfile
        >>> from bojax.store import sweep_checkpoints, write_checkpoint
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path, checksum, size = write_checkpoint(folder, "a", {}, {})
        ...     sweep_checkpoints(folder, keep=[path.name])
        []
    """
    kept, removed = set(keep), []
    for path in sorted(Path(folder).glob("*")):
        if path.suffix in (SUFFIX, PARTIAL) and path.name not in kept:
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _plain_array(name: str, key: str, array: Any) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype.byteorder == ">":
        array = array.astype(array.dtype.newbyteorder("<"))
    numbers = array.dtype.kind in "biufcV" and array.dtype.names is None
    if not numbers or np.dtype(array.dtype.name) != array.dtype:
        raise StoreError(
            f"checkpoint {name!r}: array {key!r} has dtype {array.dtype}; expected numbers or "
            "booleans. Put text into meta."
        )
    return array


def _header(name: str, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> bytes:
    entries, offset = [], 0
    for key, array in arrays.items():
        entries.append([key, array.dtype.name, list(array.shape), offset])
        offset += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
    try:
        head = json.dumps({"meta": dict(meta), "arrays": entries, "size": offset}).encode()
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"checkpoint {name!r}: meta must be plain JSON values ({error})."
        ) from error
    padding = -(len(MAGIC) + 8 + len(head)) % ALIGNMENT
    head += b" " * padding
    return MAGIC + len(head).to_bytes(8, "little") + head


def _pieces(head: bytes, arrays: Mapping[str, np.ndarray]):
    yield head
    for i, array in enumerate(arrays.values()):
        if i == len(arrays) // 2:
            faults.point("checkpoint")
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        yield data
        yield b"\0" * (-array.nbytes % ALIGNMENT)


def _parsed(data: bytearray) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("no such magic")
    start = len(MAGIC) + 8
    length = int.from_bytes(data[len(MAGIC) : start], "little")
    head = json.loads(data[start : start + length])
    arrays = {}
    for key, kind, shape, offset in head["arrays"]:
        dtype = np.dtype(kind)
        if dtype.hasobject:
            raise ValueError(f"array {key!r} holds objects")
        flat = np.frombuffer(data, dtype, math.prod(shape), start + length + offset)
        arrays[key] = flat.reshape(shape)
    return arrays, head["meta"]


def _flush_folder(folder: Path) -> None:
    """Put a rename on the disk; systems whose folders cannot be opened do it by themselves."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
