"""Single bits of netlist nodes, and wiring made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.ops import OpCode

__all__ = ["ONE", "ZERO", "Bit", "bits_of", "groups", "operands_of", "source_bits", "wire"]


@dataclass(frozen=True, order=True)
class Bit:
    """Bit ``place`` of node ``row``; a constant has row -1 and the bit itself as place."""

    row: int
    place: int


ZERO, ONE = Bit(-1, 0), Bit(-1, 1)


def bits_of(builder: NetlistBuilder, row: int) -> tuple[Bit, ...]:
    """The bits of a node, bit 0 first."""
    return tuple(Bit(row, place) for place in range(builder.node(row).width))


def source_bits(builder: NetlistBuilder, row: int) -> tuple[Bit, ...]:
    """The bits of a node, traced through slices and concatenations to computing nodes, inputs and constants."""
    node = builder.node(row)
    if node.op is OpCode.CONST:
        return tuple(ONE if (node.imm >> place) & 1 else ZERO for place in range(node.width))
    if node.op is OpCode.CONCAT:
        return tuple(bit for operand in node.operands for bit in source_bits(builder, operand))
    if node.op is OpCode.SLICE:
        return source_bits(builder, node.operands[0])[node.imm : node.imm + node.width]
    return bits_of(builder, row)


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
