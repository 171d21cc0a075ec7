"""What a netlist takes on a part with six-input tables, counted from its nodes in the way synthesis will count it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lutnet.cost.device import XCVU9P
from lutnet.cost.luts import muxed_table_luts
from lutnet.cost.packing import packed_luts
from lutnet.ir.cells import Cells
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node, OpCode
from lutnet.ir.registers import live_nodes
from lutnet.tables import TruthTable

__all__ = ["LutEstimate", "estimate_luts", "table_cells"]


@dataclass(frozen=True)
class LutEstimate:
    """Lookup tables of a netlist.

    Attributes:
        luts: With dual-output packing, as :func:`lutnet.cost.packing.packed_luts` counts.
        lut_cells: One-bit functions.
        cells: One-bit functions by number of inputs, 1 to 6.
    """

    luts: int
    lut_cells: int
    cells: dict[int, int]


def estimate_luts(net: Netlist) -> LutEstimate:
    """Lookup tables of all nodes that an output depends on; equal one-bit functions of the same bits are counted once.

    A table's output bit counts by the address bits it depends on, more than six as leaves behind the dedicated multiplexers.
    Comparisons of one code share what they have in common (:func:`lutnet.cost.comparisons.comparison_cells`). A function of at most five
    inputs that one such function of the same stage reads, and nothing else, joins it where six inputs suffice
    (:class:`lutnet.ir.cells.Cells`). A bit of a two-operand sum is a function of two inputs before the carry chain, where both
    operands have that bit; a single bit more goes in as carry; every further operand is a row of full adders first. An argmax is a
    tournament: two bits a table to compare, and a multiplexer a bit of the winner, which synthesis joins with the next comparison
    and so counts whole.
    """
    live = live_nodes(net)
    functions = Cells(net)
    cells: Counter[int] = Counter()
    for node in net.nodes():
        if not live[node.id]:
            continue
        if node.table is not None:
            for column in _columns(node.table):
                if len(column.places) > 6:
                    cells[6] += muxed_table_luts(len(column.places), 1, XCVU9P)
                functions.add_bit(node, column.out_bits, column.places)
        elif node.op is OpCode.THRESHOLD:
            functions.add_threshold(node)
        elif node.op is OpCode.SUM:
            functions.pin(node.operands)
            cells.update(_sum_cells(node))
        elif node.op is OpCode.ARGMAX:
            functions.pin(node.operands)
            cells.update(_argmax_cells(node))
    functions.pin(net.outputs.tolist())
    cells.update(functions.joined())
    counts = {size: n for size, n in sorted(cells.items()) if n}
    return LutEstimate(packed_luts(counts), sum(counts.values()), counts)


@dataclass(frozen=True)
class _Column:
    """Output bits of a table that are equal or complements, and the address bits that they depend on."""

    out_bits: tuple[int, ...]
    places: tuple[int, ...]


@lru_cache(maxsize=1 << 16)
def _columns(table: TruthTable) -> tuple[_Column, ...]:
    found: dict[bytes, list[int]] = {}
    places: dict[bytes, tuple[int, ...]] = {}
    for bit in range(table.out_width):
        column = ((table.codes >> bit) & 1).astype(np.uint8)
        key = np.packbits(column ^ column[0]).tobytes()
        if key not in found:
            places[key] = _inputs(column)
        found.setdefault(key, []).append(bit)
    return tuple(_Column(tuple(bits), places[key]) for key, bits in found.items())


def table_cells(table: TruthTable) -> tuple[tuple[int, int], ...]:
    """Pairs of inputs and number of one-bit functions of a table; constants, copies and complements of an input are free."""
    found: Counter[int] = Counter()
    for column in _columns(table):
        size = len(column.places)
        if size > 1:
            found[min(size, 6)] += muxed_table_luts(size, 1, XCVU9P)
    return tuple(sorted(found.items()))


def _inputs(column: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> tuple[int, ...]:
    """Address bits that a one-bit table depends on."""
    found = []
    for place in range((len(column) - 1).bit_length()):
        pair = column.reshape(-1, 2, 1 << place)
        if not np.array_equal(pair[:, 0], pair[:, 1]):
            found.append(place)
    return tuple(found)


def _sum_cells(node: Node) -> Counter[int]:
    """Bits where at least two terms meet, from the lowest one up."""
    spans = []
    for coef, width, signed in zip(node.coefs, node.operand_widths, node.operand_signed, strict=True):
        low = abs(coef).bit_length() - 1
        if low < node.width:
            spans.append((low, node.width if signed or coef < 0 else min(node.width, low + width)))
    if len(spans) > 2 and (0, 1) in spans and not node.imm:
        spans.remove((0, 1))  # a single bit goes in as the carry
    found: Counter[int] = Counter()
    for place in range(node.width):
        terms = sum(low <= place < high for low, high in spans) + bool((node.imm >> place) & 1 and len(spans) < 2)
        if terms >= 2:
            found[2] += 1
            found[3] += 2 * (terms - 2)
    return found


def _argmax_cells(node: Node) -> Counter[int]:
    width, n_values = max(node.operand_widths), len(node.operands)
    found: Counter[int] = Counter()
    matches = n_values - 1
    found[4] += matches * (-(-width // 2))
    found[5] += max(0, matches - 1) * width
    players = n_values
    bits = 0
    while players > 1:
        found[3] += (players // 2) * bits
        players -= players // 2
        bits += 1
    return found
