"""What every test and doctest runs under, wherever pytest was told to look."""

import importlib
import sys
from pathlib import Path

import jax

import bojax

ROOT = Path(__file__).parent
# Folders that install under another name (pyproject.toml, package-dir).
MAPPED = {"kernels": "bojax.kernels", "acquisitions": "bojax.acquisitions"}

bojax.configure(cpu_devices=2)  # before JAX starts: sharded code is tested everywhere
jax.config.update("jax_numpy_dtype_promotion", "strict")


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
