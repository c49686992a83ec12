"""The package's modules as files: what every guard walks over."""

import ast
import tomllib
from pathlib import Path

# Folder in the repository -> name of its package, as in pyproject.toml.
FOLDERS = {"bojax": "bojax", "kernels": "bojax.kernels", "acquisitions": "bojax.acquisitions"}


def modules(root):
    """Name of each module -> its file."""
    found = {}
    for folder, package in FOLDERS.items():
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root / folder).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join([package, *parts])] = path
    return found


def is_package(path):
    return path.name == "__init__.py"


def imports(name, path, known):
    """(imported module of bojax, line) of each import, at whatever depth of the file.

    `if TYPE_CHECKING:` counts as well: a type is a dependency too. `from p import x` is an
    import of `p.x` where that is a module.
    """
    package = name if is_package(path) else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            targets = [
                full if (full := f"{base}.{alias.name}") in known else base for alias in node.names
            ]
        else:
            continue
        for target in targets:
            if target.split(".")[0] == "bojax":
                yield target, node.lineno


def packages_in_pyproject(root: Path):
    text = (root / "pyproject.toml").read_text()
    return tomllib.loads(text)["tool"]["setuptools"]["packages"]
