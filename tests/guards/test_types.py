"""The package's types hold, checked on an installed copy as `make check` does."""

import subprocess
import sys
import zipfile

import pytest
from wheels import built_wheel


def complaints(root, scratch):
    """What mypy says of a wheel built from the tree, one line each, without its notes."""
    (scratch / "copy").mkdir()
    installed = scratch / "installed"
    zipfile.ZipFile(built_wheel(root, scratch / "copy")).extractall(installed)
    command = ["-m", "mypy", "--config-file", str(root / "pyproject.toml"), "-p", "bojax"]
    run = subprocess.run([sys.executable, *command], cwd=installed, capture_output=True, text=True)
    lines = [line for line in run.stdout.splitlines() if ": error: " in line]
    assert run.returncode == (1 if lines else 0), run.stdout + run.stderr
    return lines


@pytest.mark.slow
def test_types_hold(root, tmp_path):
    assert complaints(root, tmp_path) == []


@pytest.mark.slow
def test_the_guard_complains(root, tree, tmp_path):
    settings = (root / "pyproject.toml").read_text().partition("[tool.mypy]")[2].partition("\n[")[0]
    broken = tree(
        {
            "tree/pyproject.toml": '[project]\nname = "bojax"\nversion = "1"\n[tool.setuptools]\n'
            'packages = ["bojax", "bojax.kernels"]\n[tool.setuptools.package-dir]\n'
            f'"bojax" = "bojax"\n"bojax.kernels" = "kernels"\n[tool.mypy]{settings}',
            "tree/bojax/__init__.py": "",
            "tree/bojax/user.py": "from bojax.kernels.family import order\n\nhalf: int = order()\n",
            "tree/bojax/silent.py": 'count: int = "one"  # type: ignore\n',
            "tree/kernels/__init__.py": "",
            "tree/kernels/family.py": "def order() -> float:\n    return 2.5\n",
        }
    )
    silent, user = sorted(complaints(broken / "tree", tmp_path))
    assert silent.startswith("bojax/silent.py:1") and "[ignore-without-code]" in silent
    assert user.startswith("bojax/user.py:3") and "[assignment]" in user
