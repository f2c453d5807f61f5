"""
Who runs what in a cluster: a name belongs to one partition of `mlife.log`, and a partition to one worker.

Each partition holds the whole log, so that any of them feeds any name; partitions are only what a bus knows how to deal
out among processes, and to deal out anew when one of them is gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable


def partition_of(name: str, partitions: int) -> int:
    """
    Where *name* belongs among *partitions*, the same in every process and version.

    SHA-1, because of the usual hashes it spreads the built-in names best over eight.
    """
    return int.from_bytes(hashlib.sha1(name.encode(), usedforsecurity=False).digest()[:8]) % partitions


def assigned(names: Iterable[str], held: Collection[int], partitions: int) -> frozenset[str]:
    """Those of *names* that belong to the partitions *held*."""
    return frozenset(name for name in names if partition_of(name, partitions) in held)
