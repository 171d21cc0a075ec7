"""Which bits of a pipelined netlist are registered: the edges between stages, seen through slices and concatenations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS, Node, OpCode, code_range

__all__ = ["Signal", "bits_read", "live_nodes", "register_bits", "signals"]


@dataclass(frozen=True)
class Signal:
    """Bits of one node that the same nodes read, so that they are delayed together.

    Attributes:
        source: Row of the input or computing node that makes the bits.
        readers: Rows of the computing nodes that read them through any wiring, ascending.
        is_output: Whether they leave the netlist.
        n_bits: Number of bits.
    """

    source: int
    readers: tuple[int, ...]
    is_output: bool
    n_bits: int


def bits_read(node: Node) -> tuple[int, ...]:
    """How many bits of each operand decide the node's code, counted from the lowest one; for a slice, from its lowest bit."""
    if node.op is OpCode.SLICE:
        return (node.width,)
    if node.op is OpCode.SUM:
        rooms = [max(0, node.width - abs(coef).bit_length() + 1) for coef in node.coefs]
        return tuple(min(width, room) for width, room in zip(node.operand_widths, rooms, strict=True))
    if node.op is OpCode.THRESHOLD and node.imm == code_range(node.operand_widths[0], node.operand_signed[0]).lo:
        return (0,)
    return node.operand_widths


def live_nodes(net: Netlist) -> npt.NDArray[np.bool_]:
    """Nodes that some output is reached from; bool, shape ``(n_nodes,)``."""
    live = np.zeros(net.n_nodes, dtype=np.bool_)
    live[net.outputs] = True
    for row in range(net.n_nodes - 1, -1, -1):
        if live[row]:
            live[list(net.operands(row))] = True
    return live


def signals(net: Netlist) -> tuple[Signal, ...]:
    """The bits of all live inputs and computing nodes that anything reads, grouped by their readers, in row order."""
    wiring = _Wiring(net)
    live = live_nodes(net)
    for node in net.nodes():
        wiring.add(node)
        if live[node.id] and not OPS[node.op].free:
            for row, count in zip(node.operands, bits_read(node), strict=True):
                wiring.read(row, count, node.id)
    for row in net.outputs.tolist():
        wiring.read(row, int(net.width[row]), net.n_nodes)
    return wiring.signals()


def register_bits(net: Netlist) -> int:
    """Flip-flops of the emitted design: one for every bit and every stage boundary that it crosses on its way to a reader.

    All readers of a bit share one delay chain; slices and concatenations are wiring, constants need no register, and bits that nobody reads
    have none. The Verilog registers whole codes, and a slice may delay bits that are delayed elsewhere too; every synthesiser drops
    unread registers and merges equal ones, which leaves this number. It may go below where it finds bits of tables that are constant,
    equal or without influence, and above where it takes a ``case`` table for a ROM and moves the registers of its address behind it. The
    chain of ``in_valid`` is not counted.
    """
    stage = [*net.stage.tolist(), net.latency_cycles]
    total = 0
    for signal in signals(net):
        ends = [stage[row] for row in signal.readers] + [net.latency_cycles] * signal.is_output
        total += signal.n_bits * (max(ends) - stage[signal.source])
    return total


class _Wiring:
    """Follows every bit of every node back to the input or computing node that makes it."""

    def __init__(self, net: Netlist) -> None:
        self.n_nodes = net.n_nodes
        self.bits: list[Sequence[tuple[int, int] | None]] = []
        self.readers: dict[tuple[int, int], list[int]] = {}

    def add(self, node: Node) -> None:
        """Takes the rows in order; a constant bit is ``None``, any other is a row and a place."""
        if node.op is OpCode.CONST:
            self.bits.append([None] * node.width)
        elif node.op is OpCode.SLICE:
            self.bits.append(self.bits[node.operands[0]][node.imm : node.imm + node.width])
        elif node.op is OpCode.CONCAT:
            self.bits.append([bit for row in node.operands for bit in self.bits[row]])
        else:
            self.bits.append([(node.id, place) for place in range(node.width)])

    def read(self, row: int, count: int, reader: int) -> None:
        """The reader of the lowest ``count`` bits of a node; row ``n_nodes`` stands for the outputs."""
        for bit in self.bits[row][:count]:
            if bit is not None:
                rows = self.readers.setdefault(bit, [])
                if not rows or rows[-1] != reader:
                    rows.append(reader)

    def signals(self) -> tuple[Signal, ...]:
        groups: dict[tuple[int, tuple[int, ...]], int] = {}
        for (source, _), rows in sorted(self.readers.items()):
            key = (source, tuple(rows))
            groups[key] = groups.get(key, 0) + 1
        return tuple(
            Signal(source, tuple(row for row in rows if row < self.n_nodes), rows[-1] == self.n_nodes, n_bits)
            for (source, rows), n_bits in groups.items()
        )
