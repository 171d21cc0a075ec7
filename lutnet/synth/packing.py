"""What a network of single-output tables costs in lookup tables of an UltraScale+ device, as yosys counts them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lutnet.cost.device import XCVU9P
from lutnet.cost.luts import muxed_table_luts
from lutnet.tables import TruthTable

__all__ = ["packed_luts", "support", "table_cells"]


def packed_luts(cells: Mapping[int, int]) -> int:
    """Lookup tables with dual-output packing counted: yosys 0.70, ``stat -tech xilinx``, "estimated number of LCs".

    Two small functions share one lookup table: 5 or 4 inputs with 1, 4 with 2, 3 with 3, 2 or 1, and 2 with 2 or 1.

    Args:
        cells: Number of single-output tables of each number of inputs, 1 to 6.
    """
    left = {size: cells.get(size, 0) for size in range(1, 7)}

    def pair(large: int, small: int) -> None:
        n_pairs = min(left[large], left[small])
        left[large] -= n_pairs
        left[small] -= n_pairs

    total = left[6] + left[5] + left[4] + left[3]
    for large, small in ((5, 1), (4, 1), (4, 2), (3, 1), (3, 2)):
        pair(large, small)
    return total - left[3] // 2 + (left[2] + left[1] + 1) // 2


def support(table: TruthTable, bit: int) -> tuple[int, ...]:
    """Address bits that one bit of a table's result depends on."""
    column = ((table.codes >> bit) & 1).astype(np.bool_)
    found = []
    for place in range(table.address_bits):
        halves = column.reshape(-1, 2, 1 << place)
        if (halves[:, 0] != halves[:, 1]).any():
            found.append(place)
    return tuple(found)


def table_cells(table: TruthTable) -> dict[int, int]:
    """Single-output tables that a table takes with nothing shared: more than 6 inputs are leaves of 6 and multiplexers, see
    :func:`lutnet.cost.muxed_table_luts`; a wire, an inverter and a constant are free.
    """
    cells: dict[int, int] = {}
    for bit in range(table.out_width):
        size = len(support(table, bit))
        if size > 1:
            cells[min(size, 6)] = cells.get(min(size, 6), 0) + muxed_table_luts(size, 1, XCVU9P)
    return cells
