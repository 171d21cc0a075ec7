"""Real numbers whose sums lie between given levels, by linear programming."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

__all__ = ["real_parts"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_LEAST_MARGIN = 2.0**-10


def real_parts(levels: Ints, above: Bools, below: Bools) -> list[npt.NDArray[np.float64]] | None:
    """One value a place of every axis with ``level <= sum`` and ``sum <= level + 1 - margin``, and the widest margin.

    A linear programme, solved by HiGHS through SciPy. Bounds that a neighbour implies are left out, see :func:`_corners`.

    Args:
        levels: Level of every combination, one axis a part.
        above: Combinations whose lower bound counts, same shape.
        below: Combinations whose upper bound counts, same shape.

    Returns:
        One array an axis, or ``None`` when the margin is below ``2**-10`` of a level.
    """
    from scipy.optimize import linprog
    from scipy.sparse import coo_array

    orders = [_orders(levels, axis) for axis in range(levels.ndim)]
    lower = np.flatnonzero(_corners(levels, above, orders, 1).ravel())
    upper = np.flatnonzero(_corners(levels, below, orders, -1).ravel())
    offsets = np.cumsum([0, *levels.shape])
    margin = int(offsets[-1])
    system = _System()
    for cells, sign in ((lower, -1.0), (upper, 1.0)):
        places = np.unravel_index(cells, levels.shape)
        columns = np.stack([place + offset for place, offset in zip(places, offsets[:-1], strict=True)], axis=1)
        bounds = np.asarray(sign * levels.ravel()[cells] + (sign > 0), dtype=np.float64)
        if sign > 0:
            columns = np.concatenate([columns, np.full((len(cells), 1), margin)], axis=1)
        system.add(columns, np.full(columns.shape, sign), bounds)
    for axis, pairs in enumerate(orders):
        system.add(pairs + offsets[axis], np.tile([1.0, -1.0], (len(pairs), 1)), np.zeros(len(pairs)))
    goal = np.zeros(margin + 1)
    goal[margin] = -1.0
    matrix = coo_array(system.entries(), shape=(system.n_rows, margin + 1)).tocsr()
    limits = [(None, None)] * margin + [(0.0, 1.0)]
    found = linprog(goal, A_ub=matrix, b_ub=np.concatenate(system.right), bounds=limits, method="highs")
    if found.status != 0 or found.x[margin] < _LEAST_MARGIN:
        return None
    return [found.x[start:stop] for start, stop in pairwise(offsets)]


class _System:
    """Rows of ``A x <= b`` as they are collected."""

    def __init__(self) -> None:
        self.n_rows = 0
        self.values: list[npt.NDArray[np.float64]] = []
        self.rows: list[Ints] = []
        self.columns: list[Ints] = []
        self.right: list[npt.NDArray[np.float64]] = []

    def add(self, columns: Ints, values: npt.NDArray[np.float64], right: npt.NDArray[np.float64]) -> None:
        """Rows of one shape: ``columns`` and ``values`` have shape ``(rows, entries)``."""
        self.rows.append(np.repeat(np.arange(self.n_rows, self.n_rows + len(columns)), columns.shape[1]))
        self.columns.append(columns.ravel())
        self.values.append(values.ravel())
        self.right.append(np.asarray(right, dtype=np.float64))
        self.n_rows += len(columns)

    def entries(self) -> tuple[npt.NDArray[np.float64], tuple[Ints, Ints]]:
        """What a sparse matrix is made of."""
        return np.concatenate(self.values), (np.concatenate(self.rows), np.concatenate(self.columns))


def _orders(levels: Ints, axis: int) -> Ints:
    """Pairs of places of an axis of which the second has no lower level anywhere, shape ``(pairs, 2)``."""
    flat = np.moveaxis(levels, axis, 0).reshape(levels.shape[axis], -1)
    order = np.argsort(flat.sum(axis=1), kind="stable")
    pairs = [(a, b) for a, b in pairwise(order) if (flat[a] <= flat[b]).all()]
    return np.asarray(pairs, dtype=np.int64).reshape(-1, 2)


def _corners(levels: Ints, mask: Bools, orders: list[Ints], side: int) -> Bools:
    """Bounds that no other one implies: values grow from the first to the second place of every pair of an axis, so a lower bound
    (``side`` 1) of the second follows from an equal one of the first, and an upper bound (-1) of the first from the second's.
    """
    kept: Bools = mask.copy()
    for axis, pairs in enumerate(orders):
        level, marked, out = (np.moveaxis(array, axis, 0) for array in (levels, mask, kept))
        for first, second in pairs[:, ::side]:
            out[second] &= ~((level[first] == level[second]) & marked[first])
    return kept
