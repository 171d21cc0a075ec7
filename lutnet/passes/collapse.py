"""Small cones of tables become one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lutnet.cost.device import XCVU9P
from lutnet.errors import UserError
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node
from lutnet.passes.base import Pass, Steps
from lutnet.passes.compose import BitTable, bit_table, build_bit_table, composed, computing_readers, output_sources
from lutnet.passes.dce import Dce
from lutnet.passes.decompose.function import output_luts
from lutnet.passes.rebuild import copy_node, rebuild

__all__ = ["Collapse"]

_MOST_SWEEPS = 20


@dataclass(frozen=True)
class Collapse(Pass):
    """Moves a table into all the tables that read it, in the same stage, where every one of them keeps an address of at most
    ``max_bits`` and all together take no more lookup tables than before; the table itself then goes.

    Attributes:
        max_bits: Longest address of a table that took in another one, 2 to 12.
    """

    name: ClassVar[str] = "collapse"
    max_bits: int = 6

    def __post_init__(self) -> None:
        if not 2 <= self.max_bits <= 12:
            raise UserError(f"collapse.max_bits is a number of address bits from 2 to 12, got {self.max_bits}")

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        for _ in range(_MOST_SWEEPS):
            chosen = _Sweep(net, self.max_bits).chosen(steps)
            if not chosen:
                break
            net = _collapsed(net, chosen)
        return net


class _Sweep:
    """Producers that can go at once: no table takes part in two moves."""

    def __init__(self, net: Netlist, max_bits: int) -> None:
        self.net = net
        self.max_bits = max_bits
        self.tables: dict[int, BitTable] = {}
        self.readers = computing_readers(net)
        self.kept = output_sources(net)

    def chosen(self, steps: Steps) -> dict[int, int]:
        """The producer to move in, by reader."""
        found: dict[int, int] = {}
        touched: set[int] = set()
        for node in self.net.nodes():
            readers = self.readers.get(node.id, set())
            if node.table is None or node.id in self.kept or not readers or node.table.address_bits > self.max_bits:
                continue
            if ({node.id} | readers) & touched or not self._worth_it(node, readers) or not steps.take():
                continue
            found.update(dict.fromkeys(readers, node.id))
            touched |= {node.id} | readers
        return found

    def _worth_it(self, node: Node, readers: set[int]) -> bool:
        inner = self._table(node)
        before = _luts(inner)
        after = 0.0
        for row in sorted(readers):
            reader = self.net.node(row)
            if reader.table is None or reader.stage != node.stage:
                return False
            outer = self._table(reader)
            if len({bit for bit in outer.bits if bit.row != node.id} | set(inner.bits)) > self.max_bits:
                return False
            before += _luts(outer)
            after += _luts(composed(outer, node.id, inner))
        return after <= before

    def _table(self, node: Node) -> BitTable:
        if node.id not in self.tables:
            if node.table is None:
                raise AssertionError("only tables are asked for")
            self.tables[node.id] = bit_table(self.net.node, node.table, node.operands)
        return self.tables[node.id]


def _luts(table: BitTable) -> float:
    return output_luts(table.codes, table.width, XCVU9P)


def _collapsed(net: Netlist, chosen: dict[int, int]) -> Netlist:
    rows: dict[int, int] = {}

    def visit(builder: NetlistBuilder, node: Node, operands: tuple[int, ...]) -> int:
        row = copy_node(builder, node, operands)
        producer = chosen.get(node.id)
        if producer is not None and node.table is not None:
            made = builder.node(rows[producer])
            if made.table is None:
                raise AssertionError("a producer is a table")
            inner = bit_table(builder.node, made.table, made.operands)
            outer = bit_table(builder.node, node.table, operands)
            row = build_bit_table(builder, composed(outer, rows[producer], inner), signed=node.signed)
        rows[node.id] = row
        return row

    return Dce()(rebuild(net, visit))
