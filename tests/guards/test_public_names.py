"""Every public name is there and has a docstring with an example that runs as a doctest."""

import importlib
import inspect

from modules import is_package, modules

import bojax


def public_packages(root):
    """Packages whose names are public: none of their path begins with an underscore."""
    return [
        name
        for name, path in modules(root).items()
        if is_package(path) and not any(part.startswith("_") for part in name.split("."))
    ]


def complaints(module):
    """What a module's `__all__` promises and does not keep."""
    where, found = module.__name__, []
    if not (module.__doc__ or "").strip():
        found.append(f"{where}: no docstring")
    for name in getattr(module, "__all__", ()):
        try:
            value = getattr(module, name)
        except (AttributeError, ImportError) as error:
            found.append(f"{where}.{name}: cannot be had: {error}")
            continue
        if inspect.ismodule(value):
            if not (value.__doc__ or "").strip():
                found.append(f"{where}.{name}: a module without a docstring")
        elif callable(value) and ">>>" not in (inspect.getdoc(value) or ""):
            found.append(f"{where}.{name}: no docstring with an example")
    return found


def test_public_names(root):
    packages = [importlib.import_module(name) for name in public_packages(root)]
    assert [line for module in packages for line in complaints(module)] == []


def test_no_name_is_written_twice(root):
    for name in public_packages(root):
        names = list(getattr(importlib.import_module(name), "__all__", ()))
        assert len(names) == len(set(names)), name


def test_every_name_is_offered_to_completion():
    assert set(bojax.__all__) <= set(dir(bojax))


def test_the_guard_complains():
    module = type(bojax)("bojax.broken")
    module.__all__ = ["gone", "bare", "plain", "good", "VALUE", "sub"]
    exec("def bare(): pass\ndef plain():\n  'Text.'\ndef good():\n  '>>> 1'", module.__dict__)
    module.VALUE, module.sub = 3, type(bojax)("bojax.broken.sub")
    assert [line.partition(": ")[::2] for line in complaints(module)] == [
        ("bojax.broken", "no docstring"),
        ("bojax.broken.gone", "cannot be had: module 'bojax.broken' has no attribute 'gone'"),
        ("bojax.broken.bare", "no docstring with an example"),
        ("bojax.broken.plain", "no docstring with an example"),
        ("bojax.broken.sub", "a module without a docstring"),
    ]
