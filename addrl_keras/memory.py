"""How much memory this process may have, and what matrices of items by items take of it."""

from __future__ import annotations

import os
import pathlib

# Matrices of items by items that are there at once while one is inverted or taken apart.
_DENSE_MATRICES = 4


def get_memory() -> int:
    """Gets the bytes of memory that this process may have: the machine's, or its container's."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = pathlib.Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return there
    return min(there, int(limit)) if limit.isdecimal() else there


def find_shortage(num_items: int) -> str:
    """Says why dense matrices of items by items cannot be held; "" where they can.

    Args:
        num_items: Size of the catalogue.

    Example:
        >>> find_shortage(1000)
        ''
    """
    needed, there = _DENSE_MATRICES * 4 * num_items**2, get_memory()
    if needed <= there:
        return ""
    return (
        f"matrices of items by items, of {num_items:,} items about {needed / 2**30:,.0f} GiB at "
        f"once, and the machine has {there / 2**30:,.0f}"
    )
