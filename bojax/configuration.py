"""How many CPU devices JAX shows, set in one place before JAX starts.

A vmapped population on one CPU device mostly uses one thread; with one device a core its
members are sharded over the cores. XLA reads the number once, when its backend starts.
"""

from __future__ import annotations

import os
import warnings


def configure(*, cpu_devices: int | str = "cores") -> int:
    """Ask JAX for several CPU devices; call it before anything is computed.

    Args:
        cpu_devices: how many, or "cores" for one a core this process may run on.

    Returns:
        The number of CPU devices JAX has. When a backend was started before the call, the
        number cannot change any more: a warning says so, and everything works, slower.

    Example:
        >>> import bojax
        >>> import warnings
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")  # a backend may be running already
        ...     bojax.configure(cpu_devices="cores") >= 1
        True
    """
    import jax

    wanted = cores() if cpu_devices == "cores" else int(cpu_devices)
    if wanted < 1:
        raise ValueError(f"configure: cpu_devices must be at least 1, got {cpu_devices!r}.")
    try:
        jax.config.update("jax_num_cpu_devices", wanted)
    except RuntimeError:
        present = len(jax.devices("cpu"))
        if present != wanted:
            warnings.warn(
                f"bojax.configure: JAX already runs with {present} CPU device(s), {wanted} "
                "wanted; call it before the first computation.",
                stacklevel=2,
            )
        return present
    return wanted


def cores() -> int:
    """Cores this process may run on (its affinity mask, where the system has one)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
