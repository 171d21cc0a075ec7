"""The longest path between registers of a pipelined netlist under the delay model of a device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.cost.delay import adder_delay_ps, argmax_delay_ps, delays_of, table_delay_ps, threshold_delay_ps
from lutnet.cost.device import Device
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS, Node, OpCode
from lutnet.ir.registers import live_nodes

__all__ = ["CriticalPath", "critical_path", "node_delays_ps", "stage_levels"]


@dataclass(frozen=True)
class CriticalPath:
    """The slowest path from register to register; ports count as registers.

    Attributes:
        period_ns: Its delay with the registers at both ends: the shortest clock period of the model.
        rows: Computing nodes on it, first one first.
        stage: The stage that it lies in.
    """

    period_ns: float
    rows: tuple[int, ...]
    stage: int


def node_delays_ps(net: Netlist, device: Device) -> npt.NDArray[np.int64]:
    """Delay of every node with the nets in front of its cells, in picoseconds; int64, shape ``(n_nodes,)``; wiring takes none."""
    return np.array([_delay_ps(node, device) for node in net.nodes()], dtype=np.int64)


def critical_path(net: Netlist, device: Device) -> CriticalPath:
    """The slowest path of a netlist with its present stages; nodes that no output is reached from do not count."""
    arrival, before = _arrivals(net, node_delays_ps(net, device))
    rows: list[int] = []
    row = int(np.argmax(arrival)) if net.n_nodes else -1
    stage = int(net.stage[row]) if row >= 0 else 0
    while row >= 0:
        if not OPS[net.node(row).op].free:
            rows.append(row)
        row = before[row]
    delays = delays_of(device)
    longest = int(arrival.max(initial=0))
    return CriticalPath((delays.register_ps + max(longest, delays.net_ps)) / 1000, tuple(reversed(rows)), stage)


def stage_levels(net: Netlist) -> int:
    """Most logic levels between two registers with the present stages; nodes that no output is reached from do not count."""
    levels = np.array([0 if OPS[node.op].free else 1 for node in net.nodes()], dtype=np.int64)
    return int(_arrivals(net, levels)[0].max(initial=0))


def _arrivals(net: Netlist, delay: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], list[int]]:
    """Longest delay from a register to each node's output, and the operand that it comes through, -1 for none."""
    live = live_nodes(net)
    arrival = np.zeros(net.n_nodes, dtype=np.int64)
    before = [-1] * net.n_nodes
    for node in net.nodes():
        if not live[node.id]:
            continue
        for row in node.operands:
            if net.stage[row] == node.stage and arrival[row] > arrival[node.id]:
                arrival[node.id] = arrival[row]
                before[node.id] = row
        arrival[node.id] += delay[node.id]
    return arrival, before


def _delay_ps(node: Node, device: Device) -> int:
    if node.table is not None:
        return table_delay_ps(node.table.address_bits, device)
    if node.op is OpCode.SUM:
        negated = len(node.operands) == 1 and node.coefs[0] < 0
        return adder_delay_ps(node.width, len(node.operands) + bool(node.imm or negated), device)
    if node.op is OpCode.THRESHOLD:
        return threshold_delay_ps(node.operand_widths[0], device)
    if node.op is OpCode.ARGMAX:
        return argmax_delay_ps(len(node.operands), max(node.operand_widths), device)
    return 0
