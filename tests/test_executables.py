"""Executables on disk: found again by what they depend on, refused where that is not known."""

import subprocess
import sys
from typing import NamedTuple

import jax
import numpy as np
import pytest

from bojax import configuration, executables
from bojax.optimize import linalg


@pytest.fixture
def cache(tmp_path):
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    yield tmp_path / executables.FOLDER
    jax.config.update("jax_compilation_cache_dir", before)


def power(x, n):
    return jax.tree.map(lambda leaf: leaf**n, x)


power.__module__ = "bojax.somewhere"


def fresh():
    """As another process has it: nothing of it is in memory."""
    return configuration.jit(power, static_argnames="n")


def test_a_second_process_compiles_nothing(cache, count_compiles):
    x = np.arange(4.0, dtype=np.float32)
    first = fresh()(x, 2)
    with count_compiles() as programs:
        again = fresh()(x, n=2)
        assert np.array_equal(fresh()(x, 2), again)
    assert programs == [] and np.array_equal(first, again) and np.array_equal(again, x**2)
    assert len(list(cache.iterdir())) == 1


def test_another_shape_type_static_or_setting_is_another_program(cache):
    x = np.arange(4.0, dtype=np.float32)
    for arguments in ((x, 2), (x, 3), (x[:2], 2), (x.astype(np.int32), 2), ([x], 2), ((x,), 2)):
        fresh()(*arguments)
    assert len(list(cache.iterdir())) == 6
    with jax.enable_x64(True):
        assert fresh()(x, 2).dtype == np.float32
    with jax.default_matmul_precision("float32"):
        fresh()(x, 2)
    assert len(list(cache.iterdir())) == 8
    np.testing.assert_array_equal(fresh()([x], 3)[0], x**3)


def test_another_source_is_another_program(cache, monkeypatch):
    x = np.ones(3, np.float32)
    fresh()(x, 2)
    monkeypatch.setattr(executables, "surroundings", lambda: "changed")
    fresh()(x, 2)
    assert len(list(cache.iterdir())) == 2


class Pair(NamedTuple):
    a: object
    b: object


@pytest.mark.parametrize("x", [Pair(np.ones(2), 1.0), jax.random.key(0)])
def test_what_has_no_known_source_is_compiled_as_always(cache, x):
    def first(x, n):
        return jax.tree.leaves(x)[0]

    first.__module__, first.__qualname__ = "bojax.somewhere", "first"
    jitted = configuration.jit(first, static_argnames="n")
    jitted(x, 1)
    kept = list(cache.iterdir()) if cache.exists() else []
    assert len(kept) == (0 if isinstance(x, Pair) else 1)


def test_closures_and_functions_of_others_are_not_kept():
    n = 3
    for function in (lambda x: x + n, test_closures_and_functions_of_others_are_not_kept):
        assert not configuration.jit(function)._kept.can_be_kept
    assert configuration.jit(linalg.cholesky)._kept.can_be_kept
    assert not configuration.jit(linalg.cholesky, donate_argnums=0)._kept.can_be_kept


def test_static_data_of_the_users_own_has_no_name():
    class Two(int):
        """May do anything, and prints as an int does."""

    assert executables._plain((1, "a", None, 2.0)) == "(int 1,str 'a',NoneType None,float 2.0)"
    assert executables._plain(1) != executables._plain(True) != executables._plain(1.0)
    for value in (lambda: 1, Two(2), Two, object(), {"a": Two(1)}):
        with pytest.raises(executables.NotKept):
            executables._plain(value)


def test_a_broken_file_is_replaced(cache, count_compiles):
    x = np.ones(3, np.float32)
    fresh()(x, 2)
    (file,) = cache.iterdir()
    whole = file.stat().st_size
    file.write_bytes(file.read_bytes()[:100])
    assert np.array_equal(fresh()(x, 2), x)
    assert file.stat().st_size > whole / 2
    with count_compiles() as programs:
        fresh()(x, 2)
    assert programs == []


def test_a_folder_that_others_may_write_to_is_not_used(cache):
    assert executables.folder() == cache
    cache.chmod(0o777)
    assert executables.folder() is None
    assert fresh()(2.0, 2) == 4.0 and not list(cache.iterdir())


def test_nothing_is_kept_without_jaxs_own_cache(cache):
    jax.config.update("jax_compilation_cache_dir", None)
    assert executables.folder() is None


def test_a_fresh_process_finds_its_lapack(cache):
    """A loaded program calls LAPACK without anybody having lowered such a call."""
    code = (
        "import sys, jax, numpy as np\n"
        "from bojax import configuration\n"
        "from bojax.optimize import linalg\n"
        "jax.config.update('jax_compilation_cache_dir', sys.argv[1])\n"
        "print(configuration.jit(linalg.cholesky)(4.0 * np.eye(3, dtype=np.float32))[0, 0])\n"
    )
    command = [sys.executable, "-c", code, str(cache.parent)]
    for _ in range(2):
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        assert told.stdout.strip() == "2.0"
        assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize("before", ["", "jax.jit(lambda x: x + 1)(1.0)"])
def test_a_program_that_jaxs_cache_has_is_kept_whole(cache, before):
    """JAX's cache holds it, the folder does not: after an upgrade of this package, say.

    Whether JAX asks its cache it decides once, when it first compiles.
    """
    code = (
        "import sys, jax, numpy as np\n"
        "from bojax import configuration\n"
        "from bojax.optimize import linalg\n"
        "jax.config.update('jax_compilation_cache_dir', sys.argv[1])\n"
        "jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)\n"
        "jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)\n"
        f"{before}\n"
        "program = configuration.jit(linalg.inverse_transposed)\n"
        "if sys.argv[2] == 'jax': program.outermost(np.eye(60))\n"
        "else: print(program(np.eye(60))[0, 0])\n"
    )
    for who in ("jax", "bojax", "gone", "bojax", "bojax"):
        if who == "gone":
            for file in cache.iterdir():
                file.unlink()
            continue
        command = [sys.executable, "-c", code, str(cache.parent), who]
        told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "1.0"
