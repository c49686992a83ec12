import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # the guards' own helpers, in every import mode


@pytest.fixture(scope="session")
def root():
    """The repository."""
    return HERE.parents[1]


@pytest.fixture
def tree(tmp_path):
    """Write a small repository: `tree({"bojax/space/a.py": "import os"})` is its root."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write
