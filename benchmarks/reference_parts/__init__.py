"""Parts of `method_references.py`: each yields pairs of a value of ours and the reference's."""

from __future__ import annotations

from typing import NamedTuple


class Pair(NamedTuple):
    """One run of each side.

    Attributes:
        part, method, reference: of the script, and what is compared with what.
        problem, instance, seed: what both ran on.
        budget: evaluations, epochs or steps of a run.
        quantity: what `ours` and `theirs` are; above 0, less is better.
        versions: of the reference.
    """

    part: str
    method: str
    reference: str
    problem: str
    instance: int
    seed: int
    budget: int
    quantity: str
    ours: float
    theirs: float
    versions: str
