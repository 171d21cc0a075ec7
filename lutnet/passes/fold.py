"""Constant folding and wiring that says less than it costs to read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS, Interval, Node, OpCode, code_range
from lutnet.passes.base import Pass, Steps
from lutnet.passes.rebuild import copy_node, rebuild

__all__ = ["Fold"]


@dataclass(frozen=True)
class Fold(Pass):
    """Replaces nodes that are known without hardware.

    A node whose operands are constants, whose table has one value, or whose operand's range decides it becomes a constant; constants move
    into the bias of a sum; slices of slices and of concatenations read the source; wiring that changes nothing disappears.
    """

    name: ClassVar[str] = "fold"

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        def visit(builder: NetlistBuilder, node: Node, operands: tuple[int, ...]) -> int:
            found = _simpler(builder, node, operands)
            if found is None or not steps.take():
                return copy_node(builder, node, operands)
            return found.build(builder, node)

        return rebuild(net, visit)


@dataclass(frozen=True)
class _Constant:
    code: int

    def build(self, builder: NetlistBuilder, node: Node) -> int:
        return builder.const(self.code, node.width, signed=node.signed)


@dataclass(frozen=True)
class _Same:
    row: int

    def build(self, builder: NetlistBuilder, node: Node) -> int:
        return self.row


@dataclass(frozen=True)
class _Sum:
    operands: tuple[int, ...]
    coefs: tuple[int, ...]
    bias: int

    def build(self, builder: NetlistBuilder, node: Node) -> int:
        return builder.sum(self.operands, self.coefs, bias=self.bias, shape=(node.width, node.signed))


@dataclass(frozen=True)
class _Slice:
    row: int
    low: int

    def build(self, builder: NetlistBuilder, node: Node) -> int:
        return builder.slice(self.row, self.low, node.width, signed=node.signed)


@dataclass(frozen=True)
class _Concat:
    parts: tuple[int, ...]

    def build(self, builder: NetlistBuilder, node: Node) -> int:
        return builder.concat(self.parts, signed=node.signed)


_Simpler = _Constant | _Same | _Sum | _Slice | _Concat


def _simpler(builder: NetlistBuilder, node: Node, operands: tuple[int, ...]) -> _Simpler | None:
    """A simpler form of the node, or ``None``; nothing is built yet."""
    if node.op in (OpCode.INPUT, OpCode.CONST):
        return None
    code = _known_code(builder, node, operands)
    if code is not None:
        return _Constant(code)
    if node.op is OpCode.SUM:
        return _simpler_sum(builder, node, operands)
    if node.op is OpCode.SLICE:
        return _simpler_slice(builder, node, operands[0])
    if node.op is OpCode.CONCAT:
        return _simpler_concat(builder, node, operands)
    return None


def _known_code(builder: NetlistBuilder, node: Node, operands: tuple[int, ...]) -> int | None:
    sources = [builder.node(row) for row in operands]
    if all(source.op is OpCode.CONST for source in sources):
        codes = [np.asarray(source.imm, dtype=np.int64) for source in sources]
        return int(OPS[node.op].kernel(node, codes))
    reached = OPS[node.op].range(node, [builder.range(row) for row in operands])
    if reached.lo == reached.hi:
        return reached.lo & ((1 << node.width) - 1)
    if node.op is OpCode.ARGMAX:
        return _decided_argmax([builder.range(row) for row in operands])
    return None


def _decided_argmax(ranges: list[Interval]) -> int | None:
    for place, candidate in enumerate(ranges):
        before = all(other.hi < candidate.lo for other in ranges[:place])
        if before and all(other.hi <= candidate.lo for other in ranges[place + 1 :]):
            return place
    return None


def _simpler_sum(builder: NetlistBuilder, node: Node, operands: tuple[int, ...]) -> _Simpler | None:
    constant = [builder.range(row).lo == builder.range(row).hi for row in operands]
    if any(constant):
        bias = node.imm + sum(
            c * builder.range(r).lo for r, c, known in zip(operands, node.coefs, constant, strict=True) if known
        )
        rest = [(r, c) for r, c, known in zip(operands, node.coefs, constant, strict=True) if not known]
        if code_range(62, True).lo <= bias <= code_range(62, True).hi:
            return _Sum(tuple(r for r, _ in rest), tuple(c for _, c in rest), bias)
    alone = len(operands) == 1 and node.coefs == (1,) and node.imm == 0
    if alone and (node.width, node.signed) == (builder.node(operands[0]).width, builder.node(operands[0]).signed):
        return _Same(operands[0])
    return None


def _simpler_slice(builder: NetlistBuilder, node: Node, operand: int) -> _Simpler | None:
    row, low = operand, node.imm
    while (inner := _slice_source(builder.node(row), low, node.width)) is not None:
        row, low = inner.row, inner.low
    source = builder.node(row)
    if low == 0 and (node.width, node.signed) == (source.width, source.signed):
        return _Same(row)
    return _Slice(row, low) if row != operand else None


def _slice_source(source: Node, low: int, width: int) -> _Slice | None:
    """Where the bits come from that are read from a slice or from one part of a concatenation."""
    if source.op is OpCode.SLICE:
        return _Slice(source.operands[0], source.imm + low)
    if source.op is OpCode.CONCAT:
        start = 0
        for part, part_width in zip(source.operands, source.operand_widths, strict=True):
            if start <= low and low + width <= start + part_width:
                return _Slice(part, low - start)
            start += part_width
    return None


def _simpler_concat(builder: NetlistBuilder, node: Node, operands: tuple[int, ...]) -> _Simpler | None:
    if len(operands) == 1:
        source = builder.node(operands[0])
        return _Same(operands[0]) if source.signed == node.signed else None
    flat: list[int] = []
    for row in operands:
        source = builder.node(row)
        flat += source.operands if source.op is OpCode.CONCAT else (row,)
    if tuple(flat) != operands:
        return _Concat(tuple(flat))
    sources = [builder.node(row) for row in operands]
    if all(source.op is OpCode.SLICE and source.operands == sources[0].operands for source in sources):
        ends = [source.imm + source.width for source in sources]
        if all(end == source.imm for end, source in zip(ends, sources[1:], strict=False)):
            return _Slice(sources[0].operands[0], sources[0].imm)
    return None
