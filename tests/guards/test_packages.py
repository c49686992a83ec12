"""The list of packages is the folders, and a built wheel holds every file of them."""

import zipfile
from importlib.metadata import version

import pytest
from modules import is_package, modules, packages_in_pyproject
from wheels import built_wheel

needs_setuptools = pytest.mark.skipif(
    int(version("setuptools").split(".")[0]) < 77, reason="pip install setuptools>=77"
)


def complaints(root):
    """Where the list in pyproject.toml and the folders differ."""
    folders = {name for name, path in modules(root).items() if is_package(path)}
    listed = set(packages_in_pyproject(root))
    found = [f"{name}: a package that pyproject.toml does not list" for name in folders - listed]
    found += [f"{name}: listed in pyproject.toml, but no package" for name in listed - folders]
    for name, path in modules(root).items():
        if not (path.parent / "__init__.py").exists():
            found.append(f"{name}: its folder has no __init__.py")
    return sorted(found)


def test_packages_are_listed(root):
    assert complaints(root) == []


def test_the_guard_complains(tree):
    root = tree(
        {
            "pyproject.toml": '[tool.setuptools]\npackages = ["bojax", "bojax.gone"]',
            "bojax/__init__.py": "",
            "bojax/new/__init__.py": "",
            "bojax/loose/a.py": "",
        }
    )
    assert complaints(root) == [
        "bojax.gone: listed in pyproject.toml, but no package",
        "bojax.loose.a: its folder has no __init__.py",
        "bojax.new: a package that pyproject.toml does not list",
    ]


def wheel_complaints(root, scratch):
    """Files of the tree that a wheel built from a copy of it lacks, and the reverse."""
    names = zipfile.ZipFile(built_wheel(root, scratch)).namelist()
    built = {name for name in names if name.endswith(".py")}
    expected = set()
    for name, path in modules(root).items():
        inside = name.replace(".", "/")
        expected.add(inside + ("/__init__.py" if is_package(path) else ".py"))
    return [f"{name}: not in the wheel" for name in sorted(expected - built)] + [
        f"{name}: only in the wheel" for name in sorted(built - expected)
    ]


@needs_setuptools
def test_the_wheel_is_the_tree(root, tmp_path):
    assert wheel_complaints(root, tmp_path) == []


@needs_setuptools
def test_the_wheel_guard_complains(tree, tmp_path):
    root = tree(
        {
            "tree/pyproject.toml": '[project]\nname = "bojax"\nversion = "1"\n'
            '[tool.setuptools]\npackages = ["bojax"]',
            "tree/bojax/__init__.py": "",
            "tree/bojax/new/__init__.py": "",
        }
    )
    (root / "copy").mkdir()
    found = wheel_complaints(root / "tree", root / "copy")
    assert found == ["bojax/new/__init__.py: not in the wheel"]
