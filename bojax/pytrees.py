"""Frozen dataclasses as pytrees that are told apart by their class.

`jax.tree_util.register_dataclass` makes pytrees whose structures compare equal when the classes
differ but the fields are alike (JAX 0.10.2: a Matern 1/2 and a squared exponential kernel). Their
hashes differ, so a cache of compiled programs mostly keeps them apart, and now and then hands one
the other's program. Registered as general nodes they differ.
"""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

import jax

Class = TypeVar("Class", bound=type)


def pytree(cls: Class) -> Class:
    """Register a dataclass as a pytree; fields with `metadata={"static": True}` are structure.

    Example:
        >>> import jax
        >>> from dataclasses import dataclass
        >>> from bojax.pytrees import pytree
        >>> @pytree
        ... @dataclass(frozen=True)
        ... class Metres:
        ...     value: float
        >>> @pytree
        ... @dataclass(frozen=True)
        ... class Seconds:
        ...     value: float
        >>> jax.tree.structure(Metres(1.0)) == jax.tree.structure(Seconds(1.0))
        False
        >>> jax.tree.map(lambda x: 2 * x, Metres(1.0))
        Metres(value=2.0)
    """
    fields = [f for f in dataclasses.fields(cls) if f.init]
    static = tuple(f.name for f in fields if f.metadata.get("static"))
    data = tuple(f.name for f in fields if not f.metadata.get("static"))
    keys = tuple(jax.tree_util.GetAttrKey(name) for name in data)

    def structure(tree: Any) -> tuple:
        return tuple(getattr(tree, name) for name in static)

    def flatten(tree: Any) -> tuple:
        return tuple(getattr(tree, name) for name in data), structure(tree)

    def flatten_with_keys(tree: Any) -> tuple:
        children, meta = flatten(tree)
        return tuple(zip(keys, children, strict=True)), meta

    def unflatten(meta: tuple, children: Any) -> Any:
        return cls(**dict(zip(static, meta, strict=True)), **dict(zip(data, children, strict=True)))

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten, flatten)
    return cls
