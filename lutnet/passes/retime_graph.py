"""The graph that registers are placed in: computing nodes with delays, seen through slices and concatenations."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS, OpCode
from lutnet.ir.registers import live_nodes

__all__ = ["StageGraph", "spread_stages", "stage_graph"]

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StageGraph:
    """Live computing nodes of a netlist. Whatever is indexed by row has an entry for every row of the netlist.

    Attributes:
        rows: Live computing nodes, ascending.
        before: For every row the computing nodes that it reads through any wiring.
        after: For every row the live computing nodes that read it through any wiring.
        delay: Delay of every node, int64.
    """

    rows: tuple[int, ...]
    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    delay: Labels

    @property
    def slowest(self) -> int:
        """Delay of the slowest node."""
        return max((int(self.delay[row]) for row in self.rows), default=0)

    def earliest(self, period: int, first: int) -> Labels:
        """The earliest stage of every node when no path within a stage is longer than the period; -1 where there is no node.

        Args:
            period: At least the slowest node's delay.
            first: Stage of the nodes that read inputs only.
        """
        return self._pushed(self.rows, self.before, period, first)

    def latest(self, period: int, last: int) -> Labels:
        """The latest stage of every node when nothing computes after stage ``last``; 0 where there is no node."""
        return last - self._pushed(self.rows[::-1], self.after, period, 0)

    def stages_needed(self, period: int) -> int:
        """Fewest stages without a path longer than the period; 0 without nodes."""
        return int(self.earliest(period, 0).max(initial=-1)) + 1

    def fastest(self, n_stages: int) -> int:
        """Shortest period for which so many stages suffice, at least one of them."""
        low, high = max(1, self.slowest), max(1, sum(int(self.delay[row]) for row in self.rows))
        while low < high:
            middle = (low + high) // 2
            if self.stages_needed(middle) <= n_stages:
                high = middle
            else:
                low = middle + 1
        return low

    def too_long(self, period: int, earliest: Labels, latest: Labels) -> list[tuple[int, int]]:
        """Pairs of nodes between which a path is longer than the period, so that the second one needs a later stage.

        Only pairs that neither another pair nor the bounds imply are given: neither end can be left out of the path, and the bounds let
        both be in one stage.
        """
        return [pair for start in self.rows for pair in self._too_long_from(start, period, earliest, latest)]

    def _too_long_from(self, start: int, period: int, earliest: Labels, latest: Labels) -> Iterator[tuple[int, int]]:
        longest = {start: int(self.delay[start])}
        queue = [start]
        while queue:
            row = heapq.heappop(queue)
            if longest[row] > period:
                if longest[row] - int(self.delay[start]) <= period:
                    yield start, row
                continue
            for reader in self.after[row]:
                if earliest[reader] > latest[start]:
                    continue
                if reader not in longest:
                    heapq.heappush(queue, reader)
                longest[reader] = max(longest.get(reader, 0), longest[row] + int(self.delay[reader]))

    def _pushed(self, rows: Sequence[int], before: Sequence[Sequence[int]], period: int, first: int) -> Labels:
        stage = np.full(len(self.before), -1, dtype=np.int64)
        used = [0] * len(self.before)
        for row in rows:
            own = int(self.delay[row])
            place = max((int(stage[j]) for j in before[row]), default=first)
            length = own + max((used[j] for j in before[row] if stage[j] == place), default=0)
            if length > period:
                place, length = place + 1, own
            stage[row], used[row] = place, length
        return stage


def stage_graph(net: Netlist, delay: npt.NDArray[np.integer]) -> StageGraph:
    """The graph of a netlist.

    Args:
        net: A verified netlist.
        delay: Delay of every node in whole units, at least 0, shape ``(n_nodes,)``.
    """
    live = live_nodes(net)
    seen: list[tuple[int, ...]] = []
    before: list[tuple[int, ...]] = []
    after: list[list[int]] = [[] for _ in range(net.n_nodes)]
    for node in net.nodes():
        reached = dict.fromkeys(row for operand in node.operands for row in seen[operand])
        before.append(tuple(reached))
        computes = not OPS[node.op].free
        seen.append((node.id,) if computes else tuple(reached))
        if computes and live[node.id]:
            for row in reached:
                after[row].append(node.id)
    rows = tuple(node.id for node in net.nodes() if live[node.id] and not OPS[node.op].free)
    return StageGraph(rows, tuple(before), tuple(map(tuple, after)), np.asarray(delay, dtype=np.int64))


def spread_stages(net: Netlist, stage: Labels, latency_cycles: int) -> Netlist:
    """The netlist with these stages of its live computing nodes; wiring and dead nodes follow from them.

    A concatenation stands as late as its readers allow, so that its operands are delayed and constants are not. A slice stands as late as
    its operand is delayed for other readers anyway, so that few bits are delayed twice.

    Args:
        net: A verified netlist.
        stage: A stage for every row; only those of live computing nodes count.
        latency_cycles: Registers from input to output.
    """
    live = live_nodes(net)
    found = np.zeros(net.n_nodes, dtype=np.int64)
    for node in net.nodes():
        fixed = live[node.id] and not OPS[node.op].free
        found[node.id] = stage[node.id] if fixed else max((int(found[j]) for j in node.operands), default=0)
    bound = np.full(net.n_nodes, latency_cycles, dtype=np.int64)
    delayed = found.copy()
    delayed[net.outputs] = latency_cycles
    for row in range(net.n_nodes - 1, -1, -1):
        node = net.node(row)
        if not live[row]:
            continue
        if node.op is OpCode.CONCAT:
            found[row] = bound[row]
        elif node.op is OpCode.SLICE:
            found[row] = min(bound[row], max(found[row], delayed[node.operands[0]]))
        for operand in node.operands:
            bound[operand] = min(bound[operand], found[row])
            if node.op is not OpCode.SLICE:
                delayed[operand] = max(delayed[operand], found[row])
    for node in net.nodes():
        if not live[node.id]:
            found[node.id] = max((int(found[j]) for j in node.operands), default=0)
    return net.with_stages(found, latency_cycles)
