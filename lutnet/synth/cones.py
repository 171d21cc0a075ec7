"""Cones of tables: which tables may be rewritten together, as netlists of their own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node, OpCode
from lutnet.passes.bits import Bit, operands_of
from lutnet.tables import TruthTable

__all__ = ["WIRES", "Cone", "Wiring", "find_cones", "needed_rows"]

WIRES = (OpCode.CONST, OpCode.SLICE, OpCode.CONCAT)
"""Ops that are wiring only, inputs aside."""


@dataclass(frozen=True)
class Wiring:
    """A netlist bit by bit, wiring seen through.

    Attributes:
        words: For every row the bits that its code consists of: bits of inputs, of tables, sums and the like, and constants.
        order: ``(stage, rank)`` of every row; the rank counts the ops on a path that are neither wiring nor tables of cones.
        in_cones: Whether a row is a table that may stand in a cone.
    """

    words: tuple[tuple[Bit, ...], ...]
    order: tuple[tuple[int, int], ...]
    in_cones: tuple[bool, ...]

    @classmethod
    def of(cls, net: Netlist, max_address_bits: int) -> Wiring:
        """The wiring of a verified netlist; tables with a longer address stay out of cones."""
        words: list[tuple[Bit, ...]] = []
        in_cones: list[bool] = []
        order: list[tuple[int, int]] = []
        for node in net.nodes():
            operands = [words[row] for row in node.operands]
            if node.op is OpCode.CONST:
                words.append(tuple(Bit(-1, (node.imm >> place) & 1) for place in range(node.width)))
            elif node.op is OpCode.SLICE:
                words.append(operands[0][node.imm : node.imm + node.width])
            elif node.op is OpCode.CONCAT:
                words.append(tuple(bit for word in operands for bit in word))
            else:
                words.append(tuple(Bit(node.id, place) for place in range(node.width)))
            rank = max((order[row][1] for row in node.operands), default=0)
            in_cones.append(node.table is not None and node.table.address_bits <= max_address_bits)
            order.append((node.stage, rank + (node.op not in (OpCode.INPUT, *WIRES) and not in_cones[-1])))
        return cls(tuple(words), tuple(order), tuple(in_cones))

    def address(self, node: Node) -> list[Bit]:
        """The bits that a node reads, operand 0 first."""
        return [bit for row in node.operands for bit in self.words[row]]


@dataclass(frozen=True)
class Cone:
    """Tables that are rewritten together.

    Attributes:
        rows: Rows of the tables, rising.
        stage: Pipeline stage of all of them.
        leaves: Bits that they read and that others make.
        roots: Bits that they make and that others read.
        netlist: The tables alone: one input a leaf, one output a root.
    """

    rows: tuple[int, ...]
    stage: int
    leaves: tuple[Bit, ...]
    roots: tuple[Bit, ...]
    netlist: Netlist


def find_cones(net: Netlist, wiring: Wiring, *, across: bool, max_entries: int) -> list[Cone]:
    """Splits the tables of a netlist into cones; every order of rewriting them gives a netlist without cycles.

    All tables of a cone have one stage, and no path leaves a cone through a sum, a comparison or another cone and comes back: cones are
    runs of a topological order in which tables of one stage and one rank stand together.

    Args:
        net: A verified netlist.
        wiring: Its wiring.
        across: Whether a cone may hold more than one table.
        max_entries: Most table entries, counted by output bit, of a cone of several tables.
    """
    groups: dict[tuple[int, int], list[int]] = {}
    for row in needed_rows(net):
        if wiring.in_cones[row]:
            groups.setdefault(wiring.order[row], []).append(row)
    readers = _readers(net, wiring)
    cones = []
    for key in sorted(groups):
        for rows in _runs(net, groups[key], max_entries if across else 0):
            cone = _cone(net, wiring, readers, rows)
            if cone is not None:
                cones.append(cone)
    return cones


def needed_rows(net: Netlist) -> list[int]:
    """Rows that an output needs, in postorder: a topological order in which the rows of one fan-in cone stand together."""
    done: set[int] = set()
    order: list[int] = []
    stack = [(row, False) for row in reversed(net.outputs.tolist())]
    while stack:
        row, left = stack.pop()
        if left:
            order.append(row)
        elif row not in done:
            done.add(row)
            stack.append((row, True))
            stack += [(operand, False) for operand in reversed(net.operands(row)) if operand not in done]
    return order


def _runs(net: Netlist, rows: list[int], max_entries: int) -> Iterable[list[int]]:
    run: list[int] = []
    size = 0
    for row in rows:
        entries = _entries(net.node(row))
        if run and size + entries > max_entries:
            yield run
            run, size = [], 0
        run.append(row)
        size += entries
    if run:
        yield run


def _entries(node: Node) -> int:
    return 0 if node.table is None else node.table.n_entries * node.width


def _readers(net: Netlist, wiring: Wiring) -> dict[Bit, set[int]]:
    """Rows that read each bit, wiring left out; -1 for an output port."""
    readers: dict[Bit, set[int]] = {}
    for node in net.nodes():
        if node.op not in WIRES:
            for bit in wiring.address(node):
                readers.setdefault(bit, set()).add(node.id)
    for row in net.outputs.tolist():
        for bit in wiring.words[row]:
            readers.setdefault(bit, set()).add(-1)
    return readers


def _cone(net: Netlist, wiring: Wiring, readers: dict[Bit, set[int]], rows: list[int]) -> Cone | None:
    inside = set(rows)
    rows = sorted(rows)
    address = {row: wiring.address(net.node(row)) for row in rows}
    leaves = sorted({bit for bits in address.values() for bit in bits if bit.row >= 0 and bit.row not in inside})
    made = [Bit(row, place) for row in rows for place in range(net.node(row).width)]
    roots = [bit for bit in made if readers.get(bit, set()) - inside]
    if not leaves or not roots:
        return None
    builder = NetlistBuilder()
    bits = {leaf: Bit(builder.input(1), 0) for leaf in leaves}
    bits |= {Bit(-1, value): Bit(-1, value) for value in (0, 1)}
    for row in rows:
        node = net.node(row)
        if node.table is None:
            raise AssertionError("a cone is made of tables")
        operands = operands_of(builder, [bits[bit] for bit in address[row]])
        widths = tuple(builder.node(operand).width for operand in operands)
        new = builder.lut(TruthTable(widths, node.width, node.table.codes), operands)
        bits |= {Bit(row, place): Bit(new, place) for place in range(node.width)}
    for place, root in enumerate(roots):
        builder.output(operands_of(builder, [bits[root]])[0], f"y{place}")
    return Cone(tuple(rows), net.node(rows[0]).stage, tuple(leaves), tuple(roots), builder.build())
