"""A wheel built from a copy of a tree, so that nothing is left in the tree itself."""

import shutil
import subprocess
import sys

from modules import FOLDERS

BUILD = "from setuptools.build_meta import build_wheel; print(build_wheel('dist'))"


def built_wheel(root, scratch):
    """The file, in a copy below `scratch` of what the wheel of `root` is made from."""
    for name in ("pyproject.toml", "README.md", "LICENSE", *FOLDERS):
        if (root / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(root / name, scratch / name, ignore=ignored)
        elif (root / name).exists():
            shutil.copy(root / name, scratch / name)
    (scratch / "README.md").touch()
    run = subprocess.run([sys.executable, "-c", BUILD], cwd=scratch, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (wheel,) = (scratch / "dist").glob("*.whl")
    return wheel
