"""`import bojax` loads JAX and nothing heavy beside it: counted in modules, not in seconds."""

import json
import subprocess
import sys

import pytest

LIST = """
import json, sys
import jax
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
HEAVY = ("flax", "optax", "chex", "sqlalchemy", "matplotlib", "rich", "typer", "scipy")


def loaded(statement):
    """Modules that a statement loads beyond those of JAX, in a fresh process."""
    run = subprocess.run(
        [sys.executable, "-c", LIST.format(statement=statement)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


def foreign(modules):
    """Those that are neither ours nor Python's."""
    tops = {name.split(".")[0] for name in modules}
    return sorted(tops - {"bojax"} - set(sys.stdlib_module_names))


def test_import_bojax_loads_only_bojax():
    assert foreign(loaded("import bojax")) == []
    assert len(loaded("import bojax")) <= 3


@pytest.mark.parametrize(
    "statement",
    ["bojax.Space({'x': bojax.Float(0, 1)})", "bojax.Optimizer", "bojax.schedulers"],
)
def test_light_doors_load_nothing_heavy(statement):
    heavy = set(foreign(loaded(f"import bojax; {statement}"))) & set(HEAVY)
    assert heavy == set()


def test_the_guard_complains():
    assert "sqlalchemy" in foreign(loaded("import sqlalchemy"))
