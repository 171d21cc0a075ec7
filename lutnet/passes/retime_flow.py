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

__all__ = ["SIMPLEX_ARCS", "Gap", "LabelProblem", "highs_flow", "simplex_flow"]

Ints = npt.NDArray[np.int64]

SIMPLEX_ARCS = 10_000
"""Most constraints that are left to the network simplex, which is written in Python and needs about the square of their number."""


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
            pair = place.get(gap.below, 0), place.get(gap.above, 0)
            need = gap.least + (0 if pair[0] else self.lower[gap.below]) - (0 if pair[1] else self.lower[gap.above])
            best[pair] = max(need, best.get(pair, need))
        arcs = np.array(list(best), dtype=np.int64)
        below, above = arcs[:, 0], arcs[:, 1]
        least = np.array(list(best.values()), dtype=np.int64)
        cost = np.array([-sum(self.cost[label] for label in part), *(self.cost[label] for label in part)])
        solve = simplex_flow if len(best) <= SIMPLEX_ARCS else highs_flow
        tight = solve(cost, below, above, least) > 0
        found = _longest_paths(
            np.concatenate([below, above[tight]]),
            np.concatenate([above, below[tight]]),
            np.concatenate([least, -least[tight]]),
            len(cost),
        )
        return [int(value) for value in found[1:]]


def simplex_flow(cost: Ints, below: Ints, above: Ints, least: Ints) -> Ints:
    """The best flow on every arc, by networkx's network simplex.

    Args:
        cost: Units that each place receives; they add up to 0.
        below: Where each arc starts; no two arcs join the same places in the same direction.
        above: Where each arc ends.
        least: Worth of a unit on each arc; no circle is worth more than 0.
    """
    import networkx as nx

    graph = nx.DiGraph()
    for i, wanted in enumerate(cost.tolist()):
        graph.add_node(i, demand=wanted)
    pairs = list(zip(below.tolist(), above.tolist(), strict=True))
    for (u, v), gap in zip(pairs, least.tolist(), strict=True):
        graph.add_edge(u, v, weight=-gap)
    _, flow = nx.network_simplex(graph)
    return np.array([flow[u][v] for u, v in pairs], dtype=np.int64)


def highs_flow(cost: Ints, below: Ints, above: Ints, least: Ints) -> Ints:
    """As :func:`simplex_flow`, by the linear-programming solver HiGHS on the labels; the flow is its multipliers."""
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    n_arcs = len(below)
    places = np.concatenate([below, above])
    signs = np.repeat([1.0, -1.0], n_arcs)
    matrix = coo_array((signs, (np.tile(np.arange(n_arcs), 2), places)), shape=(n_arcs, len(cost)))
    bounds = [(0, 0), *[(None, None)] * (len(cost) - 1)]
    result = linprog(cost, A_ub=matrix.tocsr(), b_ub=-least, bounds=bounds, method="highs")
    if result.x is None:
        raise AssertionError(f"labels exist whenever the bounds can be met, got {result.message}")
    return np.asarray(np.rint(-result.ineqlin.marginals), dtype=np.int64)


def _longest_paths(below: Ints, above: Ints, least: Ints, n: int) -> Ints:
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
