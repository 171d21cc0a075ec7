"""How many lookup tables small functions take when two of them share one."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["packed_luts"]

_PAIRS = ((5, 1), (4, 1), (4, 2), (3, 1), (3, 2))
"""Inputs of two functions that share a table, in the order in which they are paired; what is left of 2 and 1 comes after."""


def packed_luts(cells: Mapping[int, int]) -> int:
    """Lookup tables with dual-output packing counted, as yosys 0.70 does for AMD parts (``stat -tech xilinx``, "estimated number of LCs").

    Two functions of 5 and 1, 4 and 1, 4 and 2, 3 and 1, or 3 and 2 inputs share a table, and so do two of at most 2. Two of 3 inputs
    could share one, but yosys does not count that.

    Args:
        cells: Number of one-bit functions of each number of inputs, 1 to 6.
    """
    left = {size: cells.get(size, 0) for size in range(1, 7)}
    total = left[6] + left[5] + left[4] + left[3]
    for large, small in _PAIRS:
        n_pairs = min(left[large], left[small])
        left[large] -= n_pairs
        left[small] -= n_pairs
    return total + (left[2] + left[1] + 1) // 2
