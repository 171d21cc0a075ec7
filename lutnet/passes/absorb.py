"""Tables move into the tables that read them where these do not grow, and equal bits are made once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node, OpCode
from lutnet.passes.base import Pass, Steps
from lutnet.passes.bits import Bit, wire
from lutnet.passes.compose import BitTable, bit_table, build_bit_table, composed
from lutnet.passes.narrow import read_as_value
from lutnet.passes.rebuild import copy_node, rebuild

__all__ = ["Absorb"]


@dataclass(frozen=True)
class Absorb(Pass):
    """Composes tables with the tables that they read, and merges neurons that are equal up to order and negation.

    A producer moves into a reader when the reader's address has no more bits afterwards than before; one-input tables and constant
    operands always do. An output bit that is equal to a bit of an earlier table of the same stage, over the same bits in any order,
    becomes a wire, and the complement of one a table of one input, which its readers absorb. Tables read as values keep their codes.
    """

    name: ClassVar[str] = "absorb"

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        is_value = read_as_value(net)
        columns = _Columns()

        def visit(builder: NetlistBuilder, node: Node, operands: tuple[int, ...]) -> int:
            if node.table is None:
                return copy_node(builder, node, operands)
            before = bit_table(builder.node, node.table, operands)
            after = _absorbed(builder, before, steps)
            row = (
                build_bit_table(builder, after, signed=node.signed)
                if after is not before
                else copy_node(builder, node, operands)
            )
            return row if is_value[node.id] else columns.merged(builder, node, after, row, steps)

        return rebuild(net, visit)


def _absorbed(builder: NetlistBuilder, table: BitTable, steps: Steps) -> BitTable:
    """The table after every producer has moved in that does not make its address longer."""
    refused: set[int] = set()
    while True:
        rows = sorted({bit.row for bit in table.bits} - refused, reverse=True)
        for row in rows:
            producer = builder.node(row)
            if producer.table is None:
                continue
            inner = bit_table(builder.node, producer.table, producer.operands)
            others = {bit for bit in table.bits if bit.row != row}
            if len(others | set(inner.bits)) <= len(table.bits) and steps.take():
                table = composed(table, row, inner)
                break
            refused.add(row)
        else:
            return table


class _Columns:
    """Output bits built so far, by the bits that they read and their contents."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, tuple[Bit, ...], bytes], tuple[Bit, int]] = {}

    def merged(self, builder: NetlistBuilder, node: Node, table: BitTable, row: int, steps: Steps) -> int:
        """The node of a table, or wiring that takes some of its bits from earlier ones."""
        if builder.node(row).op is not OpCode.LUT:
            return row
        found: list[tuple[Bit, bool] | None] = []
        for place in range(table.width):
            column = table.column(place)
            if len(column.bits) < 2:
                found.append(None)
                continue
            flip = int(column.codes[0])
            key = (node.stage, column.bits, np.packbits((column.codes ^ flip).astype(np.uint8)).tobytes())
            earlier = self.known.get(key)
            if earlier is None or earlier[0].row == row:
                self.known.setdefault(key, (Bit(row, place), flip))
                found.append(None)
            else:
                found.append((earlier[0], earlier[1] != flip))
        if all(item is None for item in found) or not steps.take():
            return row
        return wire(builder, self._bits(builder, table, found), node.signed)

    def _bits(self, builder: NetlistBuilder, table: BitTable, found: list[tuple[Bit, bool] | None]) -> list[Bit]:
        """Bits from elsewhere, and a smaller table for the rest."""
        rest = [place for place, item in enumerate(found) if item is None]
        row = -1
        if rest:
            codes = sum(
                (((table.codes >> place) & 1) << new for new, place in enumerate(rest)), np.zeros_like(table.codes)
            )
            row = build_bit_table(builder, BitTable(table.bits, codes, len(rest), table.care).without_idle())
        bits = []
        for place, item in enumerate(found):
            if item is None:
                bits.append(Bit(row, rest.index(place)))
            elif item[1]:
                bits.append(Bit(build_bit_table(builder, BitTable((item[0],), np.asarray([1, 0]), 1)), 0))
            else:
                bits.append(item[0])
        return bits
