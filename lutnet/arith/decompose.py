"""Matrices as products of two, the first of which has fewer digits: columns as differences to similar columns."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

import numpy as np
import numpy.typing as npt

from lutnet.arith.digits import n_digits, trailing_zeros

__all__ = ["Product", "product_of"]

Integers = npt.NDArray[np.int64]

_NONE = 1 << 40


@dataclass(frozen=True, eq=False)
class Product:
    """``first @ second``.

    Attributes:
        first: int64, shape ``(n_in, n_inner)``.
        second: Entries -1, 0, +1 times a power of two for each column, int64, shape ``(n_inner, n_out)``.
    """

    first: Integers
    second: Integers


def product_of(matrix: Integers, levels: int) -> Product:
    """Columns as chains of differences, or of sums, to columns that are made already.

    Sun et al., "da4ml: distributed arithmetic for real-time neural networks on FPGAs", 2025 (arXiv 2507.04535), stage 1: a
    spanning tree of the columns and the zero column, by Prim's algorithm, where an edge weighs as many digits as the difference or the
    sum of two columns has, and the chains from the root are bounded in length. Takes ``n_in * n_out**2`` digit counts.

    Args:
        matrix: int64, shape ``(n_in, n_out)``.
        levels: Bounds the chains: a path of latency ``2**levels - 1`` beyond the deepest column's own, in the paper's terms; -1 for the
            matrix itself and the identity.
    """
    n_out = matrix.shape[1]
    if levels < 0 or not matrix.any():
        return Product(matrix, np.eye(n_out, dtype=np.int64))
    shifts = trailing_zeros(np.bitwise_or.reduce(matrix, axis=0))
    columns = np.concatenate([np.zeros_like(matrix[:, :1]), matrix >> shifts], axis=1)
    difference, total = columns[:, :, None] - columns[:, None], columns[:, :, None] + columns[:, None]
    weights = np.stack([n_digits(difference).sum(axis=0), n_digits(total).sum(axis=0)])
    sign = np.where(weights[1] < weights[0], -1, 1)
    first, chosen = [], np.zeros((0, n_out + 1), dtype=np.int64)
    for parent, child in _tree(weights.min(axis=0), levels):
        left = columns[:, child] - columns[:, parent] * sign[child, parent]
        chosen[:, child] = chosen[:, parent] * sign[child, parent]
        if left.any():
            first.append(left)
            chosen = np.concatenate([chosen, np.eye(1, n_out + 1, child, dtype=np.int64)])
    return Product(np.stack(first, axis=1), chosen[:, 1:] << shifts)


def _tree(weights: Integers, levels: int) -> list[tuple[int, int]]:
    """Edges from parent to child, parents first; node 0 is the root."""
    n_nodes = len(weights)
    latency = np.ceil(np.log2(np.maximum(weights, 1))).astype(np.int64)
    limit = (1 << levels) - 1 + ceil(log2(max(1, int(weights[0].max()))))
    reached = np.zeros(n_nodes, dtype=bool)
    reached[0] = True
    depth = np.zeros(n_nodes, dtype=np.int64)
    edges = []
    for _ in range(n_nodes - 1):
        after = np.maximum(latency, depth) + 1
        allowed = ~reached[:, None] & reached & ((after <= limit) | (np.arange(n_nodes) == 0))
        child, parent = divmod(int(np.argmin(np.where(allowed, weights, _NONE))), n_nodes)
        edges.append((parent, child))
        reached[child] = True
        depth[child] = after[child, parent]
    return edges
