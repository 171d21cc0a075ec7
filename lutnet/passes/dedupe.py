"""Nodes that compute the same with their operands in another order become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node, OpCode
from lutnet.passes.base import Pass, Steps
from lutnet.passes.rebuild import copy_node, rebuild, reorder_table_axes
from lutnet.tables import TruthTable

__all__ = ["Dedupe"]


@dataclass(frozen=True)
class Dedupe(Pass):
    """Sorts the operands of every ``lut`` and ``sum`` by row, so that the builder merges what is then equal."""

    name: ClassVar[str] = "dedupe"

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        def visit(builder: NetlistBuilder, node: Node, operands: tuple[int, ...]) -> int:
            order = sorted(range(len(operands)), key=lambda i: (operands[i], node.coefs[i]))
            if node.op not in (OpCode.LUT, OpCode.SUM) or order == list(range(len(order))) or not steps.take():
                return copy_node(builder, node, operands)
            ordered = [operands[i] for i in order]
            if node.table is None:
                coefs = [node.coefs[i] for i in order]
                return builder.sum(ordered, coefs, bias=node.imm, shape=(node.width, node.signed))
            return builder.lut(_reordered(node.table, order), ordered, signed=node.signed)

        return rebuild(net, visit)


def _reordered(table: TruthTable, order: list[int]) -> TruthTable:
    widths = tuple(table.in_widths[i] for i in order)
    care = None if table.care is None else reorder_table_axes(table.care, table.in_widths, order)
    return TruthTable(widths, table.out_width, reorder_table_axes(table.codes, table.in_widths, order), care)
