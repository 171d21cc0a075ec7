"""Bits that carry nothing are dropped: constant, repeated, copied and unread bits of tables.

The pass sees a netlist bit by bit. Every code bit of an old node is a constant or a bit of a new node, and a table is rewritten
over the distinct bits that its wanted outputs depend on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Interval, Node, OpCode, bits_for, code_range, to_value
from lutnet.passes.base import Pass, Steps
from lutnet.passes.bits import ONE, ZERO, Bit, operands_of, wire
from lutnet.passes.rebuild import copy_node, start
from lutnet.tables import TruthTable

__all__ = ["Narrow", "read_as_value"]


@dataclass(frozen=True)
class Narrow(Pass):
    """Drops operand bits without influence and output bits that are constant, copies, or read by nobody.

    A table that is read as a value (by ``sum``, ``threshold`` or ``argmax``) keeps its bits in place and loses only the upper ones
    that repeat its sign, so that the range known of it never grows.
    """

    name: ClassVar[str] = "narrow"

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        return _Narrowing(net, steps).run()


def _wanted_bits(net: Netlist) -> list[int]:
    """A mask of the bits of every node that some output depends on."""
    wanted = [0] * net.n_nodes
    for row in net.outputs.tolist():
        wanted[row] = (1 << int(net.width[row])) - 1
    for row in range(net.n_nodes - 1, -1, -1):
        if not wanted[row]:
            continue
        node = net.node(row)
        for operand, mask in zip(node.operands, _wanted_of_operands(node, wanted[row]), strict=True):
            wanted[operand] |= mask
    return wanted


def _wanted_of_operands(node: Node, wanted: int) -> list[int]:
    if node.op is OpCode.SLICE:
        return [wanted << node.imm]
    masks = []
    if node.op is OpCode.CONCAT:
        low = 0
        for width in node.operand_widths:
            masks.append((wanted >> low) & ((1 << width) - 1))
            low += width
        return masks
    if node.table is None:
        return [(1 << width) - 1 for width in node.operand_widths]
    support = _support(node.table.codes & node.table.codes.dtype.type(wanted), node.table.address_bits)
    low = 0
    for width in node.operand_widths:
        masks.append(sum(1 << i for i in range(width) if support[low + i]))
        low += width
    return masks


def read_as_value(net: Netlist) -> npt.NDArray[np.bool_]:
    """Which nodes a ``sum``, ``threshold`` or ``argmax`` reads."""
    found = np.zeros(net.n_nodes, dtype=np.bool_)
    for node in net.nodes():
        if node.op in (OpCode.SUM, OpCode.THRESHOLD, OpCode.ARGMAX):
            found[list(node.operands)] = True
    return found


def _support(codes: npt.NDArray[np.unsignedinteger], n_bits: int) -> list[bool]:
    """Which address bits the codes depend on."""
    return [not np.array_equal(*_halves(codes, bit)) for bit in range(n_bits)]


def _halves(codes: npt.NDArray[Any], bit: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    pairs = codes.reshape(-1, 2, 1 << bit)
    return pairs[:, 0], pairs[:, 1]


@dataclass(frozen=True)
class _Shrunk:
    """A table over distinct bits.

    Attributes:
        sources: New address bits, bit 0 first.
        codes: Old output codes over the new address.
        care: Cared-for addresses, or ``None``.
        outputs: For each old output bit a source bit or constant, or ``None`` where the new table makes it.
    """

    sources: tuple[Bit, ...]
    codes: npt.NDArray[np.int64]
    care: npt.NDArray[np.bool_] | None
    outputs: tuple[Bit | None, ...]


def _shrink(table: TruthTable, address: Sequence[Bit], wanted: int) -> _Shrunk:
    """The table over the sorted distinct variable bits of its address that wanted outputs depend on."""
    variables = sorted({bit for bit in address if bit.row >= 0})
    new = np.arange(1 << len(variables), dtype=np.int64)
    old = np.zeros_like(new)
    for place, bit in enumerate(address):
        source = (new >> variables.index(bit)) & 1 if bit.row >= 0 else bit.place
        old |= np.int64(source) << place
    codes: npt.NDArray[np.int64] = table.codes[old].astype(np.int64) & wanted
    care = None if table.care is None else _care_without_idle(table, wanted)[old]
    variables, codes, care = _without_idle(variables, codes, care)
    outputs = tuple(_known_output(codes, bit, variables) for bit in range(table.out_width))
    return _Shrunk(tuple(variables), codes, care, outputs)


def _care_without_idle(table: TruthTable, wanted: int) -> npt.NDArray[np.bool_]:
    """The care set with an address in it when it is there for any value of the address bits without influence.

    Nobody may want such a bit of an operand, which then gives anything.
    """
    care = np.ones(table.n_entries, dtype=np.bool_) if table.care is None else table.care
    for place, matters in enumerate(_support(table.codes & table.codes.dtype.type(wanted), table.address_bits)):
        if not matters:
            halves = care.reshape(-1, 2, 1 << place)
            care = np.broadcast_to(halves.any(axis=1, keepdims=True), halves.shape).reshape(-1)
    return care


def _without_idle(
    variables: Sequence[Bit], codes: npt.NDArray[np.int64], care: npt.NDArray[np.bool_] | None
) -> tuple[list[Bit], npt.NDArray[np.int64], npt.NDArray[np.bool_] | None]:
    """The function without the address bits that it does not depend on; an address counts when one of those it stands for does."""
    kept = list(variables)
    for place in range(len(kept) - 1, -1, -1):
        low, high = _halves(codes, place)
        if np.array_equal(low, high):
            codes = low.reshape(-1)
            care = None if care is None else np.logical_or(*_halves(care, place)).reshape(-1)
            del kept[place]
    return kept, codes, care


def _known_output(codes: npt.NDArray[np.int64], bit: int, variables: Sequence[Bit]) -> Bit | None:
    column = (codes >> bit) & 1
    if column.min() == column.max():
        return ONE if column[0] else ZERO
    address = np.arange(len(codes))
    for place, variable in enumerate(variables):
        if np.array_equal(column, (address >> place) & 1):
            return variable
    return None


class _Narrowing:
    """One run of the pass."""

    def __init__(self, net: Netlist, steps: Steps) -> None:
        self.net = net
        self.steps = steps
        self.wanted = _wanted_bits(net)
        self.is_value = read_as_value(net)
        self.builder, rows = start(net)
        self.rows: list[int | None] = [None if row < 0 else row for row in rows]
        self.values: dict[int, int] = {}
        self.bits: list[tuple[Bit, ...]] = [(ZERO,) * width for width in net.width.tolist()]
        for row in net.inputs.tolist():
            self._set(net.node(row), rows[row])

    def run(self) -> Netlist:
        for node in self.net.nodes():
            if node.op is not OpCode.INPUT and self.wanted[node.id]:
                self.builder.stage = node.stage
                self._visit(node)
        for row, name in zip(self.net.outputs.tolist(), self.net.output_names, strict=True):
            self.builder.output(self._row(self.net.node(row)), name)
        return self.builder.build(latency_cycles=self.net.latency_cycles)

    def _visit(self, node: Node) -> None:
        if node.op is OpCode.CONST:
            self._set(node, copy_node(self.builder, node, ()))
            self.bits[node.id] = tuple(ONE if (node.imm >> i) & 1 else ZERO for i in range(node.width))
        elif node.op is OpCode.SLICE:
            self.bits[node.id] = self.bits[node.operands[0]][node.imm : node.imm + node.width]
        elif node.op is OpCode.CONCAT:
            self.bits[node.id] = self._address(node)
        elif node.table is not None:
            self._visit_table(node, node.table)
        elif node.op is OpCode.THRESHOLD:
            self._visit_threshold(node)
        else:
            self._set(node, copy_node(self.builder, node, [self._value_row(row) for row in node.operands]))

    def _visit_threshold(self, node: Node) -> None:
        operand = self._value_row(node.operands[0])
        source = self.builder.node(operand)
        allowed = code_range(source.width, source.signed)
        if allowed.lo <= node.imm <= allowed.hi:
            self._set(node, self.builder.threshold(operand, node.imm))
        else:
            self.bits[node.id] = (ONE if node.imm < allowed.lo else ZERO,)

    def _visit_table(self, node: Node, table: TruthTable) -> None:
        address = self._address(node)
        shrunk = _shrink(table, address, self.wanted[node.id])
        if self.is_value[node.id]:
            values = to_value(shrunk.codes, node.width, node.signed)
            width, _ = bits_for(Interval(int(values.min()), int(values.max())))
            smaller = len(shrunk.sources) < len(address) or width < node.width
        else:
            smaller = (
                len(shrunk.sources) < len(address) or any(bit is not None for bit in shrunk.outputs) or _repeats(shrunk)
            )
        if not smaller or not self.steps.take():
            operands = [self._row(self.net.node(row)) for row in node.operands]
            self._set(node, self.builder.lut(table, operands, signed=node.signed))
        elif self.is_value[node.id]:
            self._build_value(node, shrunk)
        else:
            self.bits[node.id] = self._build_bits(node, shrunk)

    def _build_value(self, node: Node, shrunk: _Shrunk) -> None:
        """Builds the table with the narrowest code of the same value."""
        values = to_value(shrunk.codes, node.width, node.signed)
        width, signed = bits_for(Interval(int(values.min()), int(values.max())))
        codes = values & ((1 << width) - 1)
        if not shrunk.sources:
            self.values[node.id] = self.builder.const(int(codes[0]), width, signed=signed)
            self.bits[node.id] = tuple(ONE if (int(shrunk.codes[0]) >> i) & 1 else ZERO for i in range(node.width))
            return
        row = self.values[node.id] = self._lut(shrunk, width, codes, signed)
        top = Bit(row, width - 1) if signed else ZERO
        self.bits[node.id] = tuple(Bit(row, place) if place < width else top for place in range(node.width))

    def _lut(self, shrunk: _Shrunk, width: int, codes: npt.NDArray[np.int64], signed: bool) -> int:
        operands = operands_of(self.builder, shrunk.sources)
        widths = tuple(self.builder.node(row).width for row in operands)
        return self.builder.lut(TruthTable(widths, width, codes, shrunk.care), operands, signed=signed)

    def _build_bits(self, node: Node, shrunk: _Shrunk) -> tuple[Bit, ...]:
        """Builds the table of the output bits that need one and gives the source of every output bit."""
        columns: dict[bytes, int] = {}
        found: list[Bit | int] = []
        codes = np.zeros_like(shrunk.codes)
        for bit, known in enumerate(shrunk.outputs):
            if known is not None:
                found.append(known)
                continue
            column = (shrunk.codes >> bit) & 1
            place = columns.setdefault(np.packbits(column.astype(np.uint8)).tobytes(), len(columns))
            codes |= column << place
            found.append(place)
        if not columns:
            return tuple(bit for bit in found if isinstance(bit, Bit))
        sources, codes, care = _without_idle(shrunk.sources, codes, shrunk.care)
        table = _Shrunk(tuple(sources), codes, care, ())
        row = self._lut(table, len(columns), codes, node.signed and len(columns) == node.width)
        return tuple(bit if isinstance(bit, Bit) else Bit(row, bit) for bit in found)

    # -- between bits and rows ---------------------------------------------------------------------------------------

    def _address(self, node: Node) -> tuple[Bit, ...]:
        return tuple(bit for row in node.operands for bit in self.bits[row])

    def _set(self, node: Node, row: int) -> None:
        self.rows[node.id] = row
        self.bits[node.id] = tuple(Bit(row, place) for place in range(node.width))

    def _row(self, node: Node) -> int:
        """A new node with the old node's width, signedness and wanted bits; the other bits are anything."""
        row = self.rows[node.id]
        if row is None and not self.wanted[node.id]:
            return self.builder.const(0, node.width, signed=node.signed)
        if row is None:
            stage, self.builder.stage = self.builder.stage, node.stage
            row = self.rows[node.id] = wire(self.builder, self.bits[node.id], node.signed)
            self.builder.stage = stage
        return row

    def _value_row(self, row: int) -> int:
        """A new node with the old node's value, perhaps of fewer bits."""
        return self.values[row] if row in self.values else self._row(self.net.node(row))


def _repeats(shrunk: _Shrunk) -> bool:
    columns = [((shrunk.codes >> bit) & 1).tobytes() for bit, known in enumerate(shrunk.outputs) if known is None]
    return len(set(columns)) < len(columns)
