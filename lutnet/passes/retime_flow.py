"""Integer labels of least cost under difference constraints: the dual of a minimum-cost flow.

The sum of ``cost[v] * label[v]`` is to be as small as possible over labels with ``label[v] - label[u] >= gap`` for every constraint. The
dual is a flow along the constraints that brings ``cost[v]`` units to every ``v`` and is worth a constraint's gap for every unit on it.
Where the best flow is positive its constraint is tight, and longest paths over all constraints and the reversed tight ones
are best labels. Integer gaps give integer labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Gap", "LabelProblem"]


@dataclass(frozen=True)
class Gap:
    """``label[above] >= label[below] + least``."""

    below: int
    above: int
    least: int


class LabelProblem:
    """Labels between bounds, a linear cost, and gaps between pairs of labels. A label whose bounds meet is a constant."""

    def __init__(self) -> None:
        self.lower: list[int] = []
        self.upper: list[int] = []
        self.cost: list[int] = []
        self._gaps: dict[tuple[int, int], int] = {}

    def add_label(self, lower: int, upper: int) -> int:
        """A new label; its number."""
        if lower > upper:
            raise AssertionError(f"a label needs bounds in order, got {lower} and {upper}")
        self.lower.append(lower)
        self.upper.append(upper)
        self.cost.append(0)
        return len(self.lower) - 1

    def add_cost(self, label: int, weight: int) -> None:
        """Adds ``weight * label`` to the cost."""
        self.cost[label] += weight

    def add_gap(self, below: int, above: int, least: int) -> None:
        """Requires ``label[above] >= label[below] + least``; constants and bounds take in what they can."""
        if self.lower[above] >= self.upper[below] + least:
            return
        key = (below, above)
        self._gaps[key] = max(least, self._gaps.get(key, least))

    def solve(self) -> list[int]:
        """Labels of least cost; the lowest such labels of all, so that the answer does not depend on the solver."""
        import networkx as nx

        labels = list(self.lower)
        free = nx.Graph()
        free.add_nodes_from(i for i in range(len(labels)) if self.lower[i] < self.upper[i])
        free.add_edges_from(pair for pair in self._gaps if pair[0] in free and pair[1] in free)
        gaps: dict[int, list[Gap]] = {}
        part_of = {}
        parts = [sorted(part) for part in nx.connected_components(free)]
        for index, part in enumerate(parts):
            part_of.update(dict.fromkeys(part, index))
        for (below, above), least in self._gaps.items():
            index = part_of.get(below, part_of.get(above, -1))
            if index >= 0:
                gaps.setdefault(index, []).append(Gap(below, above, least))
        for index, part in enumerate(parts):
            for label, value in zip(part, self._solve_part(part, gaps.get(index, [])), strict=True):
                labels[label] = value
        return labels

    def _solve_part(self, part: list[int], gaps: Sequence[Gap]) -> list[int]:
        """Labels of one connected part. Place 0 stands for the constant 0, place ``i + 1`` for ``part[i]``."""
        place = {label: i + 1 for i, label in enumerate(part)}
        best: dict[tuple[int, int], int] = {}
        for label in part:
            best[0, place[label]] = self.lower[label]
            best[place[label], 0] = -self.upper[label]
        for gap in gaps:
            below, above = place.get(gap.below, 0), place.get(gap.above, 0)
            least = gap.least + (0 if below else self.lower[gap.below]) - (0 if above else self.lower[gap.above])
            best[below, above] = max(least, best.get((below, above), least))
        flow = _best_flow([0, *(self.cost[label] for label in part)], best)
        below = np.array([u for u, _ in best], dtype=np.int64)
        above = np.array([v for _, v in best], dtype=np.int64)
        least = np.array(list(best.values()), dtype=np.int64)
        tight = np.array([flow[u][v] > 0 for u, v in best])
        found = _longest_paths(
            np.concatenate([below, above[tight]]),
            np.concatenate([above, below[tight]]),
            np.concatenate([least, -least[tight]]),
            len(part) + 1,
        )
        return [int(value) for value in found[1:]]


def _best_flow(cost: list[int], best: dict[tuple[int, int], int]) -> dict[int, dict[int, int]]:
    import networkx as nx

    graph = nx.DiGraph()
    for i, wanted in enumerate(cost):
        graph.add_node(i, demand=wanted)
    graph.nodes[0]["demand"] = -sum(cost[1:])
    for (u, v), least in best.items():
        graph.add_edge(u, v, weight=-least)
    _, flow = nx.network_simplex(graph)
    return flow  # type: ignore[no-any-return]


def _longest_paths(
    below: npt.NDArray[np.int64], above: npt.NDArray[np.int64], least: npt.NDArray[np.int64], n: int
) -> npt.NDArray[np.int64]:
    """The least labels with label 0 at place 0 that keep every constraint; there is no positive cycle."""
    label = np.full(n, np.iinfo(np.int64).min // 2, dtype=np.int64)
    label[0] = 0
    for _ in range(n + 1):
        after = label.copy()
        np.maximum.at(after, above, label[below] + least)
        if np.array_equal(after, label):
            return label
        label = after
    raise AssertionError("gaps between bounds that can be met have no positive cycle")
