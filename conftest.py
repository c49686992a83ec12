"""What every test and doctest runs under, wherever pytest was told to look."""

import gc
import importlib
import os
import sys
from pathlib import Path

import jax
import pytest

import bojax

ROOT = Path(__file__).parent
# Folders that install under another name (pyproject.toml, package-dir).
MAPPED = {"kernels": "bojax.kernels", "acquisitions": "bojax.acquisitions"}

# Compiling is most of what the suite does, and LLVM's optimisations are a third of that; hardly a
# program of the tests runs long enough to earn them back. BOJAX_TEST_OPTIMISED=1 (`make
# test-all`) keeps them, as every user has them. Splitting a program between threads costs a fifth
# more processor time, and the processes of the suite keep every core busy without it.
if not os.environ.get("BOJAX_TEST_OPTIMISED"):
    flags = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    flags += " --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()

# Linux gives a process 65,530 memory maps unless told otherwise. A compiled program holds about
# ten of them, and past the last one the next compilation is a segmentation fault.
MAPS = Path("/proc/self/maps")
MAPS_KEPT = 35_000

bojax.configure(cpu_devices=2)  # before JAX starts: sharded code is tested everywhere
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_traceback_in_locations_limit", 0)  # stack frames in programs no test reads

# Tracing makes objects by the million and few cycles: a collection in ten finds what ten find.
gc.set_threshold(10_000, 10, 10)


def pytest_collect_file(file_path):
    """Doctests of a mapped folder run in the module the users import, not in a second copy."""
    try:
        folder, *parts = file_path.relative_to(ROOT).with_suffix("").parts
    except ValueError:
        return
    if folder in MAPPED and file_path.suffix == ".py":
        parts = [part for part in parts if part != "__init__"]
        module = importlib.import_module(".".join([MAPPED[folder], *parts]))
        sys.modules[".".join([folder, *parts])] = module


def pytest_collection_finish(session):
    """What was imported and collected stays to the end: no collection need look at it."""
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Between two files, the programs of the last go where there are too many."""
    if (nextitem is None or nextitem.path != item.path) and _maps() > MAPS_KEPT:
        jax.clear_caches()
        gc.collect()


def _maps() -> int:
    return MAPS.read_bytes().count(b"\n") if MAPS.exists() else 0
