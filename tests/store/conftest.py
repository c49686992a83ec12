import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the tests' own helpers, in every import mode

from helpers_store import RUN

from bojax.store import open_store


@pytest.fixture
def file(tmp_path):
    return tmp_path / "runs.db"


@pytest.fixture
def store(file):
    with open_store(file) as store:
        store.create_run(RUN)
        yield store
