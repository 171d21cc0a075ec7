"""Copying a netlist into a builder node by node, with some nodes replaced on the way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node, OpCode

__all__ = ["Visitor", "copy_node", "rebuild", "reorder_table_axes", "start"]

Visitor = Callable[[NetlistBuilder, Node, tuple[int, ...]], int]
"""Gives the new row of a node from its operands' new rows; width and signedness must stay the node's own."""


def start(net: Netlist) -> tuple[NetlistBuilder, list[int]]:
    """A builder with the inputs of a netlist in port order, and the map from old rows to new ones, -1 where not built."""
    builder = NetlistBuilder()
    rows = [-1] * net.n_nodes
    for row, name in zip(net.inputs.tolist(), net.input_names, strict=True):
        rows[row] = builder.input(net.node(row).width, name, signed=net.node(row).signed)
    return builder, rows


def copy_node(builder: NetlistBuilder, node: Node, operands: Sequence[int]) -> int:
    """The same node on new operands, which have the widths and signedness of the old ones."""
    if node.op is OpCode.CONST:
        return builder.const(node.imm, node.width, signed=node.signed)
    if node.op is OpCode.SUM:
        return builder.sum(operands, node.coefs, bias=node.imm, shape=(node.width, node.signed))
    if node.op is OpCode.THRESHOLD:
        return builder.threshold(operands[0], node.imm)
    if node.op is OpCode.ARGMAX:
        return builder.argmax(operands)
    if node.op is OpCode.SLICE:
        return builder.slice(operands[0], node.imm, node.width, signed=node.signed)
    if node.op is OpCode.CONCAT:
        return builder.concat(operands, signed=node.signed)
    if node.table is None:
        raise AssertionError("only a lut remains, and it has a table")
    return builder.lut(node.table, operands, signed=node.signed)


def rebuild(net: Netlist, visit: Visitor, keep: npt.NDArray[np.bool_] | None = None) -> Netlist:
    """The netlist with every node passed through ``visit``.

    Args:
        net: A verified netlist.
        visit: Builds the replacement of a node.
        keep: Nodes to build, bool, shape ``(n_nodes,)``; inputs are always kept. All of them when left out.
    """
    builder, rows = start(net)
    for node in net.nodes():
        if node.op is OpCode.INPUT or (keep is not None and not keep[node.id]):
            continue
        builder.stage = node.stage
        rows[node.id] = visit(builder, node, tuple(rows[j] for j in node.operands))
    for row, name in zip(net.outputs.tolist(), net.output_names, strict=True):
        builder.output(rows[row], name)
    return builder.build(latency_cycles=net.latency_cycles)


def reorder_table_axes(codes: npt.NDArray[Any], widths: Sequence[int], order: Sequence[int]) -> npt.NDArray[Any]:
    """Table contents after its operands are put into another order.

    Args:
        codes: One entry an address, shape ``(2**sum(widths),)``.
        widths: Bits of the operands, operand 0 least significant.
        order: New operand ``i`` is old operand ``order[i]``.
    """
    n = len(widths)
    shaped = codes.reshape([1 << w for w in reversed(widths)])
    axes = [n - 1 - order[n - 1 - axis] for axis in range(n)]
    return np.asarray(shaped.transpose(axes).reshape(-1))
