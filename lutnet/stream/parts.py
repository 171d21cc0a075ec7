"""Some outputs of a netlist as a netlist of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.passes.rebuild import copy_node

__all__ = ["Part", "part_of"]


@dataclass(frozen=True)
class Part:
    """Some outputs of a netlist and what they depend on.

    Attributes:
        columns: Inputs of the whole netlist that they depend on, ascending.
        net: A netlist of these inputs; two parts of one form have equal ones.
    """

    columns: tuple[int, ...]
    net: Netlist


def part_of(net: Netlist, outputs: Sequence[int]) -> Part:
    """The part of some outputs, given by their numbers; without registers."""
    wanted = [int(net.outputs[output]) for output in outputs]
    live = np.zeros(net.n_nodes, dtype=np.bool_)
    waiting = list(wanted)
    while waiting:
        row = waiting.pop()
        if not live[row]:
            live[row] = True
            waiting += net.operands(row)
    columns = tuple(column for column, row in enumerate(net.inputs.tolist()) if live[row])
    builder = NetlistBuilder()
    rows = {}
    for row in [int(net.inputs[column]) for column in columns]:
        rows[row] = builder.input(net.node(row).width, signed=net.node(row).signed)
    for row in np.flatnonzero(live).tolist():
        if row not in rows:
            rows[row] = copy_node(builder, net.node(row), [rows[j] for j in net.operands(row)])
    for row in wanted:
        builder.output(rows[row])
    return Part(columns, builder.build())
