"""Building a table of single bits with nothing in it that wiring can do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutnet.ir.builder import NetlistBuilder
from lutnet.passes.bits import ONE, ZERO, Bit, operands_of
from lutnet.tables import TruthTable

__all__ = ["build_table"]

Ints = npt.NDArray[np.int64]


def build_table(builder: NetlistBuilder, codes: Ints, width: int, bits: tuple[Bit, ...]) -> tuple[Bit, ...]:
    """The bits of a table, bit 0 first; constants, copies of address bits and equal columns are wires.

    Args:
        builder: Where the table is built.
        codes: Code of every address, shape ``(2**len(bits),)``.
        width: Bits of the code.
        bits: The address, bit 0 first; constant bits are allowed.
    """
    for place in reversed(range(len(bits))):
        if bits[place].row < 0:
            codes = codes.reshape(-1, 2, 1 << place)[:, bits[place].place].reshape(-1)
    bits = tuple(bit for bit in bits if bit.row >= 0)
    places: dict[bytes, int] = {}
    found: list[Bit | int] = []
    kept = np.zeros_like(codes)
    for bit in range(width):
        column = (codes >> bit) & 1
        known = _known(column, bits)
        if known is not None:
            found.append(known)
            continue
        place = places.setdefault(np.packbits(column.astype(np.uint8)).tobytes(), len(places))
        kept |= column << place
        found.append(place)
    if not places:
        return tuple(bit for bit in found if isinstance(bit, Bit))
    operands = operands_of(builder, bits)
    widths = tuple(builder.node(row).width for row in operands)
    row = builder.lut(TruthTable(widths, len(places), kept), operands)
    return tuple(bit if isinstance(bit, Bit) else Bit(row, bit) for bit in found)


def _known(column: Ints, bits: tuple[Bit, ...]) -> Bit | None:
    """The constant or address bit that a column is."""
    address = np.arange(len(column))
    if column.min() == column.max():
        return ONE if column[0] else ZERO
    for place, bit in enumerate(bits):
        if np.array_equal(column, (address >> place) & 1):
            return bit
    return None
