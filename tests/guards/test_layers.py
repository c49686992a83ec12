"""Imports point down the list of layers, and never to another part of the same layer."""

import pytest
from modules import imports, modules

# From the bottom up. A part is a module or package below `bojax`; the parts of one layer do
# not know each other.
LAYERS = (
    ("executables", "plugins"),
    ("errors", "configuration", "pytrees"),
    ("space",),
    ("kernels", "optimize", "stats"),
    ("history",),
    ("surrogates", "acquisitions", "objectives"),
    ("strategies", "schedulers", "training", "store"),
    ("analysis", "coordinate", "study", "words"),
    ("optimizer", "loop", "sweep"),
    ("benchmark", "testing"),
    ("console", "shell"),
    ("cli",),
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
PUBLIC_FACE = "bojax"  # loads everything lazily; only what is above all layers may import it
# (importing module, imported part) -> why it may, although it points up or sideways.
EXCEPTIONS: dict[tuple[str, str], str] = {}


def complaints(root):
    """What in a repository breaks the rule, one line each."""
    known = modules(root)
    found = []
    for name, path in known.items():
        if name == PUBLIC_FACE:
            continue
        part = name.split(".")[1]
        if part not in LEVEL:
            found.append(f"{name}: {part} has no layer")
            continue
        for target, line in imports(name, path, known):
            other = target.split(".")[1] if "." in target else "bojax itself"
            if other == part or (name, other) in EXCEPTIONS:
                continue
            if target == PUBLIC_FACE and LEVEL[part] == len(LAYERS) - 1:
                continue
            if LEVEL.get(other, len(LAYERS)) >= LEVEL[part]:
                found.append(f"{name}:{line}: {part} may not import {other}")
    return found


def test_imports_point_down(root):
    assert complaints(root) == []


def test_exceptions_are_needed(root):
    known = modules(root)
    for name, other in EXCEPTIONS:
        assert other in {t.split(".")[1] for t, _ in imports(name, known[name], known)}


@pytest.mark.parametrize(
    ("file", "text", "complaint"),
    [
        ("bojax/space/a.py", "from bojax.store import x", "space may not import store"),
        ("bojax/space/a.py", "from bojax import store", "space may not import store"),
        ("bojax/space/a.py", "import bojax.store.lease as l", "space may not import store"),
        ("bojax/space/a.py", "from ..store import x", "space may not import store"),
        ("bojax/space/a.py", "def f():\n  import bojax.cli", "space may not import cli"),
        ("bojax/space/a.py", "import bojax", "space may not import bojax itself"),
        ("kernels/a.py", "import bojax.optimize", "kernels may not import optimize"),
        ("bojax/strategies/a.py", "from bojax import training", "may not import training"),
        ("bojax/new.py", "", "new has no layer"),
    ],
)
def test_the_guard_complains(tree, file, text, complaint):
    root = tree({"bojax/store/__init__.py": "", "bojax/training/__init__.py": "", file: text})
    (found,) = complaints(root)
    assert complaint in found


def test_the_guard_lets_pass_what_points_down(tree):
    root = tree(
        {
            "bojax/__init__.py": "from bojax.store import anything",
            "bojax/store/__init__.py": "from bojax.store.b import x",
            "bojax/store/b.py": "import sqlalchemy\nfrom bojax.errors import E\nfrom . import c",
            "acquisitions/__init__.py": "from bojax.kernels.rbf import RBF",
            "bojax/cli.py": "import bojax",
        }
    )
    assert complaints(root) == []
