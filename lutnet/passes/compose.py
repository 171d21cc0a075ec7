"""Tables as functions of single bits, and one table put into another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node, OpCode
from lutnet.passes.bits import ONE, ZERO, Bit, operands_of
from lutnet.tables import TruthTable

__all__ = ["BitTable", "bit_table", "build_bit_table", "composed", "computing_readers", "output_sources", "source_bits"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
NodeOf = Callable[[int], Node]


@dataclass(frozen=True, eq=False)
class BitTable:
    """A table over distinct bits that are not constant.

    Attributes:
        bits: The address, bit 0 first.
        codes: Code of every address, int64, shape ``(2**len(bits),)``.
        width: Bits of the code.
        care: Addresses that matter, bool, same shape, or ``None`` for all.
    """

    bits: tuple[Bit, ...]
    codes: Ints
    width: int
    care: Bools | None = None

    def without_idle(self) -> BitTable:
        """The same function without address bits that it does not depend on."""
        bits, codes, care = list(self.bits), self.codes, self.care
        for place in reversed(range(len(bits))):
            pairs = codes.reshape(-1, 2, 1 << place)
            if np.array_equal(pairs[:, 0], pairs[:, 1]):
                codes = pairs[:, 0].reshape(-1)
                care = None if care is None else care.reshape(-1, 2, 1 << place).any(axis=1).reshape(-1)
                del bits[place]
        return BitTable(tuple(bits), codes, self.width, care)

    def column(self, place: int) -> BitTable:
        """One bit of the code, over the bits that it depends on."""
        return BitTable(self.bits, (self.codes >> place) & 1, 1, self.care).without_idle()


def source_bits(node_of: NodeOf, row: int) -> tuple[Bit, ...]:
    """The bits of a node, traced through slices and concatenations to computing nodes, inputs and constants."""
    node = node_of(row)
    if node.op is OpCode.CONST:
        return tuple(ONE if (node.imm >> place) & 1 else ZERO for place in range(node.width))
    if node.op is OpCode.CONCAT:
        return tuple(bit for operand in node.operands for bit in source_bits(node_of, operand))
    if node.op is OpCode.SLICE:
        return source_bits(node_of, node.operands[0])[node.imm : node.imm + node.width]
    return tuple(Bit(row, place) for place in range(node.width))


def computing_readers(net: Netlist) -> dict[int, set[int]]:
    """The computing nodes that read each computing node or input, directly or through wiring."""
    found: dict[int, set[int]] = {}
    for node in net.nodes():
        if node.op in (OpCode.SLICE, OpCode.CONCAT):
            continue
        for source in {bit.row for row in node.operands for bit in source_bits(net.node, row)} - {-1}:
            found.setdefault(source, set()).add(node.id)
    return found


def output_sources(net: Netlist) -> set[int]:
    """The computing nodes and inputs whose bits leave the netlist, directly or through wiring."""
    return {bit.row for row in net.outputs.tolist() for bit in source_bits(net.node, row)}


def bit_table(node_of: NodeOf, table: TruthTable, operands: tuple[int, ...]) -> BitTable:
    """A table over the sorted distinct bits behind its operands."""
    address = [bit for row in operands for bit in source_bits(node_of, row)]
    return _over(
        sorted({bit for bit in address if bit.row >= 0}),
        address,
        table.codes.astype(np.int64),
        table.out_width,
        table.care,
    )


def composed(outer: BitTable, producer: int, inner: BitTable) -> BitTable:
    """The outer table with the bits of one producer replaced by the table that makes them.

    An address matters when the inner table is cared for there, and the outer one at what follows from it.
    """
    bits = sorted({bit for bit in outer.bits if bit.row != producer} | set(inner.bits))
    place_of = {bit: place for place, bit in enumerate(bits)}
    new = np.arange(1 << len(bits), dtype=np.int64)
    inner_address = _gathered(new, [place_of[bit] for bit in inner.bits])
    made = inner.codes[inner_address]
    outer_address = np.zeros_like(new)
    for place, bit in enumerate(outer.bits):
        value = made >> bit.place if bit.row == producer else new >> place_of[bit]
        outer_address |= (value & 1) << place
    care = None
    if inner.care is not None or outer.care is not None:
        care = np.ones(len(new), dtype=np.bool_)
        if inner.care is not None:
            care &= inner.care[inner_address]
        if outer.care is not None:
            care &= outer.care[outer_address]
    return BitTable(tuple(bits), outer.codes[outer_address], outer.width, care)


def build_bit_table(builder: NetlistBuilder, table: BitTable, *, signed: bool = False) -> int:
    """One node with the whole code; a constant where there is no address."""
    if not table.bits:
        return builder.const(int(table.codes[0]), table.width, signed=signed)
    operands = operands_of(builder, table.bits)
    widths = tuple(builder.node(row).width for row in operands)
    return builder.lut(TruthTable(widths, table.width, table.codes, table.care), operands, signed=signed)


def _over(bits: list[Bit], address: list[Bit], codes: Ints, width: int, care: Bools | None) -> BitTable:
    new = np.arange(1 << len(bits), dtype=np.int64)
    old = np.zeros_like(new)
    for place, bit in enumerate(address):
        value = (new >> bits.index(bit)) & 1 if bit.row >= 0 else np.int64(bit.place)
        old |= value << place
    return BitTable(tuple(bits), codes[old], width, None if care is None else care[old])


def _gathered(address: Ints, places: list[int]) -> Ints:
    found = np.zeros_like(address)
    for new, place in enumerate(places):
        found |= ((address >> place) & 1) << new
    return found
