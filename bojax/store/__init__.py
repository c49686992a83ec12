"""Where runs are kept: one SQLite file (or a database by URL) and checkpoints beside it."""

from bojax.store.checkpoints import read_checkpoint, sweep_checkpoints, write_checkpoint
from bojax.store.lease import Lease
from bojax.store.store import Checkpoint, Store, open_store
from bojax.store.transaction import Transaction

__all__ = [
    "Checkpoint",
    "Lease",
    "Store",
    "Transaction",
    "open_store",
    "read_checkpoint",
    "sweep_checkpoints",
    "write_checkpoint",
]
