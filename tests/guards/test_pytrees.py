"""Pytrees of the package are registered by `bojax.pytrees`, which tells classes apart."""

from modules import modules


def complaints(root):
    """Modules that register dataclasses with JAX's own decorator."""
    return [
        f"{name}: use bojax.pytrees.pytree, JAX's register_dataclass confuses classes"
        for name, path in modules(root).items()
        if name != "bojax.pytrees" and "register_dataclass" in path.read_text()
    ]


def test_pytrees(root):
    assert complaints(root) == []


def test_the_guard_sees_one(tmp_path, root):
    (tmp_path / "bojax").mkdir()
    (tmp_path / "bojax" / "__init__.py").write_text("")
    (tmp_path / "bojax" / "bad.py").write_text("@jax.tree_util.register_dataclass\nclass A: ...\n")
    assert len(complaints(tmp_path)) == 1
