"""Registers for a target with the fewest register bits: the stages of minimum-area retiming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lutnet.cost.delay import delays_of
from lutnet.cost.device import Device, device_named
from lutnet.errors import UserError
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS
from lutnet.ir.registers import Signal, signals
from lutnet.ir.timing import critical_path, node_delays_ps, stage_levels
from lutnet.passes.base import Pass, Steps
from lutnet.passes.retime_flow import LabelProblem
from lutnet.passes.retime_graph import Labels, StageGraph, spread_stages, stage_graph

__all__ = ["Retime"]


@dataclass(frozen=True)
class Retime(Pass):
    """Stages with the fewest register bits among all that meet a target, by minimum-cost flow.

    Leiserson and Saxe, "Retiming synchronous circuitry", Algorithmica 6 (1991): register minimisation under a clock period, all readers of
    a value sharing its registers. Deviations: a netlist has no loop, so registers are also added and the latency follows from the
    target; and registers are counted bit by bit, seen through wiring.

    At most one of ``every``, ``stages`` and ``period_ns`` is set. With none of them the netlist keeps its latency, its registered ports and
    its longest stage (in levels, or in the delay of ``device``), and only loses register bits.

    Attributes:
        every: Most logic levels between registers; the latency is the lowest possible. 0 for no such target.
        stages: Registers from input to output; the longest stage is the shortest possible. 0 for no such target.
        period_ns: Clock period under the delay model of ``device``; the latency is the lowest possible. 0 for no such target.
        device: Whose delay model measures a stage; empty to count logic levels.
        inputs: Whether the inputs are registered before the first level.
        outputs: Whether the outputs are registered after the last level.
    """

    name: ClassVar[str] = "retime"
    every: int = 0
    stages: int = 0
    period_ns: float = 0.0
    device: str = ""
    inputs: bool = False
    outputs: bool = True

    def __post_init__(self) -> None:
        targets = {"every": self.every, "stages": self.stages, "period_ns": self.period_ns}
        for option, value in targets.items():
            if not value >= 0 or value == float("inf"):
                raise UserError(f"retime.{option} is a number above 0, or 0 for no such target, got {value}")
        chosen = [f"{option}={value}" for option, value in targets.items() if value]
        if len(chosen) > 1:
            raise UserError(f"retime takes one target out of every, stages and period_ns, got {' and '.join(chosen)}")
        if self.device:
            delays_of(device_named(self.device))
        if self.period_ns and not self.device:
            raise UserError(
                f"retime.period_ns={self.period_ns} needs a delay model; add device=xcvu9p or another device"
            )
        if self.every and self.device:
            raise UserError(
                f"retime.every={self.every} counts logic levels, but device={self.device} measures delays; "
                "leave the device out, or give period_ns in place of every"
            )
        if self.stages and self.stages < self.inputs + self.outputs:
            raise UserError(
                f"retime.stages={self.stages} is less than the registers at the ports, inputs={self.inputs} and "
                f"outputs={self.outputs}; raise stages or leave ports unregistered"
            )

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        if not steps.take():
            return net
        device = device_named(self.device) if self.device else None
        delay = (
            np.array([not OPS[node.op].free for node in net.nodes()]) if device is None else node_delays_ps(net, device)
        )
        graph = stage_graph(net, delay)
        target = self._target(net, graph, device)
        return spread_stages(net, _best_stages(net, graph, target), target.latency_cycles)

    def _target(self, net: Netlist, graph: StageGraph, device: Device | None) -> _Target:
        first, end = int(self.inputs), int(self.outputs)
        if self.every or self.period_ns:
            period = self.every or self._budget_ps(graph, device)
            return _Target(period, first, first + max(1, graph.stages_needed(period)) - 1 + end, end)
        if self.stages:
            return _Target(graph.fastest(self.stages - first - end + 1), first, self.stages, end)
        return _present(net, graph, device)

    def _budget_ps(self, graph: StageGraph, device: Device | None) -> int:
        """What the period leaves for nodes between two registers."""
        if device is None:
            raise AssertionError("a period comes with a device")
        register = delays_of(device).register_ps
        budget = int(np.floor(self.period_ns * 1000 + 1e-6)) - register
        if budget < graph.slowest:
            row = max(graph.rows, key=lambda row: int(graph.delay[row]))
            raise UserError(
                f"retime.period_ns={self.period_ns} is shorter than {(graph.slowest + register) / 1000} ns, which node %{row} takes alone "
                f"on {device.name} ({graph.slowest / 1000} ns and {register / 1000} ns for its registers); ask for a longer period, "
                "or split the node with another pass first"
            )
        return budget


@dataclass(frozen=True)
class _Target:
    """What the stages have to keep.

    Attributes:
        period: Longest path within a stage, in units of the graph's delays.
        first: First stage in which something computes.
        latency_cycles: Registers from input to output.
        end: Registers that every output has at least behind it.
    """

    period: int
    first: int
    latency_cycles: int
    end: int


def _present(net: Netlist, graph: StageGraph, device: Device | None) -> _Target:
    """What the netlist's own stages keep."""
    if device is None:
        period = stage_levels(net)
    else:
        rows = critical_path(net, device).rows
        period = int(sum(int(graph.delay[row]) for row in rows))
    used = [int(net.stage[row]) for row in graph.rows]
    first = min(used, default=0)
    return _Target(max(1, period), first, net.latency_cycles, net.latency_cycles - max(used, default=0))


def _best_stages(net: Netlist, graph: StageGraph, target: _Target) -> Labels:
    """Stages of the computing nodes with the fewest register bits that meet the target; one for every row."""
    lower = graph.earliest(target.period, target.first)
    upper = graph.latest(target.period, target.latency_cycles - target.end)
    problem = LabelProblem()
    label = {row: problem.add_label(int(lower[row]), int(upper[row])) for row in graph.rows}
    for row in graph.rows:
        for reader in graph.after[row]:
            problem.add_gap(label[row], label[reader], 0)
    for row, reader in graph.too_long(target.period, lower, upper):
        problem.add_gap(label[row], label[reader], 1)
    for signal in signals(net):
        _add_registers(problem, label, signal, target.latency_cycles)
    found = problem.solve()
    stage = np.zeros(net.n_nodes, dtype=np.int64)
    for row, number in label.items():
        stage[row] = found[number]
    return stage


def _add_registers(problem: LabelProblem, label: dict[int, int], signal: Signal, latency_cycles: int) -> None:
    """The cost of a signal's delay chain: it starts at the signal's stage and ends at the last of its readers."""
    if signal.source in label:
        problem.add_cost(label[signal.source], -signal.n_bits)
    if signal.is_output:
        return
    readers = [label[row] for row in signal.readers]
    sure = max(problem.lower[reader] for reader in readers)
    late = [reader for reader in readers if problem.upper[reader] > sure]
    if len(late) == 1 and problem.lower[late[0]] == sure:
        problem.add_cost(late[0], signal.n_bits)
    elif late:
        end = problem.add_label(sure, max(problem.upper[reader] for reader in late))
        problem.add_cost(end, signal.n_bits)
        for reader in late:
            problem.add_gap(reader, end, 0)
