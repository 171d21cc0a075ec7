"""Putting mapped cones back into their netlist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS, Node, OpCode, bits_for, code_range
from lutnet.passes.bits import Bit, operands_of, wire
from lutnet.passes.rebuild import copy_node, reorder_table_axes, start
from lutnet.synth.blif_reader import MappedLut, MappedNetwork
from lutnet.synth.cones import WIRES, Cone, Wiring, needed_rows
from lutnet.tables import MAX_TABLE_WIDTH, TruthTable

__all__ = ["splice"]


def splice(net: Netlist, wiring: Wiring, cones: Sequence[Cone], mapped: Mapping[int, MappedNetwork]) -> Netlist:
    """The netlist with some cones replaced.

    Args:
        net: A verified netlist.
        wiring: Its wiring.
        cones: Cones as :func:`lutnet.synth.cones.find_cones` orders them.
        mapped: Replacements by position in ``cones``.
    """
    return _Splicer(net, wiring).run(cones, mapped)


class _Splicer:
    def __init__(self, net: Netlist, wiring: Wiring) -> None:
        self.net = net
        self.wiring = wiring
        self.builder, rows = start(net)
        self.bits: dict[Bit, Bit] = {Bit(-1, value): Bit(-1, value) for value in (0, 1)}
        for row in net.inputs.tolist():
            self._made(net.node(row), rows[row])

    def run(self, cones: Sequence[Cone], mapped: Mapping[int, MappedNetwork]) -> Netlist:
        in_cones = {row for cone in cones for row in cone.rows}
        jobs: list[tuple[tuple[int, int], int, int]] = []
        for row in needed_rows(self.net):
            if self.net.node(row).op not in (OpCode.INPUT, *WIRES) and row not in in_cones:
                jobs.append((self.wiring.order[row], 0, row))
        jobs += [(self.wiring.order[cone.rows[0]], 1, place) for place, cone in enumerate(cones)]
        for _, is_cone, place in sorted(jobs):
            if not is_cone:
                self._copy(self.net.node(place))
            elif place in mapped:
                self._replace(cones[place], mapped[place])
            else:
                for row in cones[place].rows:
                    self._copy(self.net.node(row))
        self.builder.stage = 0
        for row, name in zip(self.net.outputs.tolist(), self.net.output_names, strict=True):
            self.builder.output(self._word(row), name)
        return self.builder.build(latency_cycles=self.net.latency_cycles)

    def _word(self, row: int) -> int:
        """A new row with the code of an old one."""
        return wire(self.builder, [self.bits[bit] for bit in self.wiring.words[row]], self.net.node(row).signed)

    def _made(self, node: Node, row: int) -> None:
        self.bits |= {Bit(node.id, place): Bit(row, place) for place in range(node.width)}

    def _copy(self, node: Node) -> None:
        self.builder.stage = node.stage
        operands = [self._word(row) for row in node.operands]
        if node.op is OpCode.SUM:
            self._made(node, self._sum(node, operands))
        else:
            self._made(node, copy_node(self.builder, node, operands))

    def _sum(self, node: Node, operands: list[int]) -> int:
        """A sum whose operands may have lost their ranges is as wide as they ask for; its low bits are the old code."""
        reach = OPS[OpCode.SUM].range(node, [self.builder.range(row) for row in operands])
        if reach.within(code_range(node.width, node.signed)):
            return copy_node(self.builder, node, operands)
        width, signed = bits_for(reach)
        return self.builder.sum(operands, node.coefs, bias=node.imm, shape=(max(width, node.width), signed))

    def _replace(self, cone: Cone, network: MappedNetwork) -> None:
        self.builder.stage = cone.stage
        signals = {name: self.bits[leaf] for name, leaf in zip(network.inputs, cone.leaves, strict=True)}
        signals[""] = Bit(-1, 0)
        literals = _literals(network)
        groups: dict[tuple[str, ...], list[MappedLut]] = {}
        for lut in network.luts:
            if literals[lut.name].root == lut.name:
                groups.setdefault(tuple(sorted({literals[name].root for name in lut.operands})), []).append(lut)
        for roots, luts in groups.items():
            for first in range(0, len(luts), MAX_TABLE_WIDTH):
                self._table(roots, luts[first : first + MAX_TABLE_WIDTH], literals, signals)
        for name, root in zip(network.outputs, cone.roots, strict=True):
            self.bits[root] = self._output(literals[name], signals)

    def _table(
        self, roots: tuple[str, ...], luts: list[MappedLut], literals: dict[str, _Literal], signals: dict[str, Bit]
    ) -> None:
        """Tables of one bit with the same operands as one table."""
        address = np.arange(1 << len(roots))
        codes = np.zeros(1 << len(roots), dtype=np.int64)
        for place, lut in enumerate(luts):
            own = np.zeros_like(address)
            for pin, name in enumerate(lut.operands):
                literal = literals[name]
                own |= (((address >> roots.index(literal.root)) & 1) ^ literal.inverted) << pin
            codes |= lut.codes[own].astype(np.int64) << place
        bits = [signals[name] for name in roots]
        order = sorted(range(len(bits)), key=lambda i: bits[i])
        codes = reorder_table_axes(codes, (1,) * len(bits), order)
        operands = operands_of(self.builder, [bits[i] for i in order])
        widths = tuple(self.builder.node(row).width for row in operands)
        row = self.builder.lut(TruthTable(widths, len(luts), codes), operands)
        signals |= {lut.name: Bit(row, place) for place, lut in enumerate(luts)}

    def _output(self, literal: _Literal, signals: dict[str, Bit]) -> Bit:
        bit = signals[literal.root]
        if not literal.inverted:
            return bit
        if bit.row < 0:
            return Bit(-1, 1 - bit.place)
        return Bit(self.builder.lut(TruthTable((1,), 1, np.array([1, 0])), operands_of(self.builder, [bit])), 0)


@dataclass(frozen=True)
class _Literal:
    """Signal ``root`` or its complement; the empty name is the constant 0."""

    root: str
    inverted: int


def _literals(network: MappedNetwork) -> dict[str, _Literal]:
    """Every signal by the input or table that decides it, wires and inverters seen through."""
    found = {name: _Literal(name, 0) for name in network.inputs}
    for lut in network.luts:
        if len(lut.operands) == 0 or lut.column in (0, (1 << (1 << len(lut.operands))) - 1):
            found[lut.name] = _Literal("", lut.column & 1)
        elif len(lut.operands) == 1:
            below = found[lut.operands[0]]
            found[lut.name] = _Literal(below.root, below.inverted ^ (lut.column & 1))
        else:
            found[lut.name] = _Literal(lut.name, 0)
    return found
