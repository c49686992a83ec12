"""Which configurations share a program, and where each member sits.

A bucket is what a program is compiled for: static values and ceilings. Inside a bucket,
`pack` lays jobs out as chunks of members over the devices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from bojax.training.hyper import Schema, Structure
from bojax.training.task import Task

# Members a device trains at once (vmapped), by measurement on two CPU cores: 4 to 16 are
# within 5 % of each other, and a small chunk wastes least when few members are left: the 8
# survivors of a halving are two chunks of 4, one a core, and would be one of 8.
CPU_CHUNK = 4
ACCELERATOR_CHUNK = 64
# (least members of the largest rung, members a device trains at once). A chunk trains whole:
# rungs of few members, spread over buckets, waste what a large chunk leaves idle (a halving
# sweep in brackets of 9 took 13.5 s of training in chunks of 8, 7.2 of 4, 4.5 of 2).
CHUNKS = ((32, CPU_CHUNK), (0, 2))
# The largest intermediate of a whole chunk is to stay in a core's second cache. Convolutions of
# 28 x 28 images, 3.6 MB a member, are a fifth faster one by one than vmapped; perceptrons, at
# most 130 kB, are not.
CACHE = 2**20
# Members one call of a program holds; more are trained in several calls. It bounds memory,
# and a call costs about a millisecond.
SLOTS = 64


class Layout(NamedTuple):
    """How one call is filled: D devices, K chunks each, C members a chunk.

    Attributes:
        jobs: int `[D * K, C]`, the job in each slot, -1 where idle.
        filled: int `[D * K, C]`, the same with a job of the same chunk where idle.
        spans: int32 `[D * K, 3]`, what a chunk trains: see :class:`population.Span`.
        active: int32 `[D]`, chunks in use on each device.
    """

    jobs: np.ndarray
    filled: np.ndarray
    spans: np.ndarray
    active: np.ndarray


def pack(spans: np.ndarray, *, chunk: int, chunks: int, devices: int) -> list[Layout]:
    """Lay jobs out, one layout a call.

    Members of a chunk train the same span; long ones come first and are dealt to the devices
    in turn.

    Args:
        spans: int `[N, 3]`, first step, last step and limit of each job.
        chunk, chunks, devices: C, K and D.

    Example:
        >>> import numpy as np
        >>> from bojax.training.plan import pack
        >>> spans = np.array([[0, 1, 9], [0, 3, 9], [0, 3, 9]])
        >>> (layout,) = pack(spans, chunk=2, chunks=1, devices=2)
        >>> layout.jobs.tolist(), layout.spans[:, 1].tolist()
        ([[1, 2], [0, -1]], [3, 1])
    """
    if not len(spans):
        return []
    keys = np.column_stack([spans[:, 0] - spans[:, 1], spans[:, 0], spans[:, 2]])
    _, group = np.unique(keys, axis=0, return_inverse=True)
    group = group.reshape(-1)
    order = np.argsort(group, kind="stable")
    ordered, group = spans[order], group[order]
    sizes = np.bincount(group)
    starts, chunks_of = np.cumsum(sizes) - sizes, -(-sizes // chunk)
    first_chunk = np.cumsum(chunks_of) - chunks_of
    rank = np.arange(len(order)) - starts[group]
    number, lane = first_chunk[group] + rank // chunk, rank % chunk
    layouts = []
    for begin in range(0, int(chunks_of.sum()), devices * chunks):
        mine = (number >= begin) & (number < begin + devices * chunks)
        local = number[mine] - begin
        row = (local % devices) * chunks + local // devices
        jobs = np.full((devices * chunks, chunk), -1)
        jobs[row, lane[mine]] = order[mine]
        planned = np.zeros((devices * chunks, 3), np.int32)
        planned[row] = ordered[mine]
        used = jobs[:, 0].reshape(devices, chunks) >= 0
        filled = np.where(jobs >= 0, jobs, np.maximum(jobs[:, :1], 0))
        layouts.append(Layout(jobs, filled, planned, used.sum(1).astype(np.int32)))
    return layouts


def chunk_for(platform: str, members: int | None, largest: int) -> int:
    """Members a device trains at once, from a table: the same everywhere, so runs repeat.

    Args:
        platform: of the devices.
        members: of the largest rung, or None for many.
        largest: bytes of the largest intermediate of one member's prediction of a batch.

    Example:
        >>> from bojax.training.plan import chunk_for
        >>> [chunk_for("cpu", members, size) for members, size in
        ...  ((256, 30_000), (9, 30_000), (256, 4_000_000))]
        [4, 2, 1]
    """
    if platform != "cpu":
        return ACCELERATOR_CHUNK
    chunk = next(size for least, size in CHUNKS if members is None or members >= least)
    while chunk > 1 and chunk * largest > CACHE:
        chunk //= 2
    return chunk


@dataclass(frozen=True)
class PlannedBucket:
    """What shares its programs: static values, ceilings, and whose they are."""

    static: Mapping[str, Any]
    ceiling: Mapping[str, int]
    trials: tuple[int, ...]
    member_bytes: int | None = None  # parameters, other collections, optimiser state
    shape: tuple[int, int] | None = None  # chunks a device, members a chunk; None for the plan's


@dataclass(frozen=True)
class Plan:
    """Buckets of a list of configurations, and the shape of every call.

    Example:
        >>> import bojax, optax
        >>> from bojax.training import Plan
        >>> from bojax.training.models import MLP
        >>> task = bojax.Task.linen(
        ...     lambda hp: MLP(10, hp["width"], max_width=hp.ceiling["width"]),
        ...     optimizer=lambda hp: optax.adam(1e-3), padded=["width"], batch_size=32)
        >>> space = bojax.Space({"width": bojax.Int(8, 64)})
        >>> plan = Plan.of(task, space, [{"width": 9}, {"width": 16}, {"width": 40}], devices=2)
        >>> [(bucket.ceiling["width"], bucket.trials) for bucket in plan.buckets]
        [(16, (0, 1)), (64, (2,))]
    """

    buckets: tuple[PlannedBucket, ...]
    devices: int
    chunk: int
    chunks: int  # a device
    replicas: int = 1  # members a trial: folds and seeds

    @classmethod
    def of(
        cls,
        task: Task,
        space: Any,
        configs: Sequence[Mapping] | Mapping[int, Mapping],
        *,
        devices: int = 1,
        chunk: int = CPU_CHUNK,
        slots: int = SLOTS,
        member_bytes: Any = None,
        shape: Any = None,
        replicas: int = 1,
    ) -> Plan:
        """Sort configurations into buckets; nothing is compiled.

        Args:
            task, space: what is trained, over what.
            configs: dicts of active parameters, as a list or by trial number.
            devices: how many share the members.
            chunk: members a device trains at once.
            slots: members one call holds, at least.
            member_bytes: `structure -> bytes` of one member's state, or None.
            shape: `structure -> (chunks, chunk)` of its calls, or None.
            replicas: members a trial.
        """
        if not isinstance(configs, Mapping):
            configs = dict(enumerate(configs))
        schema = Schema.of(space, static=task.static, padded=task.padded)
        members: dict[Structure, list[int]] = {}
        structures = schema.structures(list(configs.values()))
        for trial, structure in zip(configs, structures, strict=True):
            members.setdefault(structure, []).append(trial)
        buckets = tuple(
            PlannedBucket(
                structure.static,
                structure.ceiling,
                tuple(trials),
                None if member_bytes is None else member_bytes(structure),
                None if shape is None else shape(structure),
            )
            for structure, trials in members.items()
        )
        return cls(buckets, devices, chunk, chunks_for(devices, chunk, slots), replicas)

    @property
    def slots(self) -> int:
        """Members one call holds."""
        return self.devices * self.chunk * self.chunks

    def memory(self, bucket: PlannedBucket) -> int | None:
        """Bytes a bucket takes, estimated: states of all its members, those of a call and half
        as much again for what the call computes, 10 MB."""
        if bucket.member_bytes is None:
            return None
        chunks, chunk = bucket.shape or (self.chunks, self.chunk)
        kept = len(bucket.trials) * self.replicas
        called = 1.5 * self.devices * chunks * chunk
        return int((kept + called) * bucket.member_bytes) + 10_000_000

    def describe(self) -> str:
        """A printable table: a line a bucket."""
        lines = [
            f"{len(self.buckets)} bucket(s), at most {3 * len(self.buckets)} programs; "
            f"{self.devices} device(s), each so many chunks x members a call",
            f"{'members':>7}  {'memory':>8}  {'calls':>9}  bucket",
        ]
        for bucket in self.buckets:
            memory = self.memory(bucket)
            shown = "?" if memory is None else f"{memory / 1e6:.0f} MB"
            chunks, chunk = bucket.shape or (self.chunks, self.chunk)
            fixed = [f"{name}={value}" for name, value in bucket.static.items()]
            fixed += [f"{name}<={value}" for name, value in bucket.ceiling.items()]
            calls = f"{chunks} x {chunk}"
            lines.append(
                f"{len(bucket.trials):>7}  {shown:>8}  {calls:>9}  {', '.join(fixed) or 'all'}"
            )
        return "\n".join(lines)


def chunks_for(devices: int, chunk: int, slots: int) -> int:
    """Chunks a device needs to hold so many members."""
    return max(-(-slots // (devices * chunk)), 1)
