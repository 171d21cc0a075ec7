"""Single bits of netlist nodes, and wiring made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lutnet.ir.builder import NetlistBuilder

__all__ = ["ONE", "ZERO", "Bit", "bits_of", "groups", "operands_of", "wire"]


@dataclass(frozen=True, order=True)
class Bit:
    """Bit ``place`` of node ``row``; a constant has row -1 and the bit itself as place."""

    row: int
    place: int


ZERO, ONE = Bit(-1, 0), Bit(-1, 1)


def bits_of(builder: NetlistBuilder, row: int) -> tuple[Bit, ...]:
    """The bits of a node, bit 0 first."""
    return tuple(Bit(row, place) for place in range(builder.node(row).width))


def groups(bits: Sequence[Bit]) -> list[list[Bit]]:
    """Runs of neighbouring bits of one node, and runs of constants."""
    found: list[list[Bit]] = []
    for bit in bits:
        last = found[-1][-1] if found else None
        joins = last is not None and bit.row == last.row and (bit.row < 0 or bit.place == last.place + 1)
        if joins:
            found[-1].append(bit)
        else:
            found.append([bit])
    return found


def operands_of(builder: NetlistBuilder, bits: Sequence[Bit]) -> list[int]:
    """Rows that together are the bits, bit 0 first: one row a run of neighbours."""
    return [_run(builder, group, False) for group in groups(bits)]


def wire(builder: NetlistBuilder, bits: Sequence[Bit], signed: bool = False) -> int:
    """One node that has these bits, bit 0 first."""
    runs = groups(bits)
    if len(runs) == 1:
        return _run(builder, bits, signed)
    return builder.concat([_run(builder, group, False) for group in runs], signed=signed)


def _run(builder: NetlistBuilder, bits: Sequence[Bit], signed: bool) -> int:
    """A node for neighbouring bits of one node, or for constants."""
    first = bits[0]
    if first.row < 0:
        return builder.const(sum(bit.place << i for i, bit in enumerate(bits)), len(bits), signed=signed)
    source = builder.node(first.row)
    if first.place == 0 and len(bits) == source.width and source.signed == signed:
        return first.row
    return builder.slice(first.row, first.place, len(bits), signed=signed)
