"""Simple disjoint decompositions: ``F(x) = G(h(bound), free)`` by column multiplicity.

For a bound set of address bits the columns are the functions of the free bits that remain when the bound bits are fixed. With ``m``
different columns, ``ceil(log2(m))`` bits of h tell them apart (R. L. Ashenhurst, "The decomposition of switching functions",
1959; H. A. Curtis, 1962, for more than one bit). Where addresses do not matter, columns that agree wherever both
matter are one column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from lutnet.passes.decompose.function import Function

__all__ = ["Cut", "bound_sets", "cut_at", "n_columns"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cut:
    """``outer(inner(bound), free)``; the bits of ``inner`` are the low address bits of ``outer``."""

    bound: tuple[int, ...]
    free: tuple[int, ...]
    inner: Function
    outer: Function


def bound_sets(function: Function, k: int, n_tries: int, seed: int) -> Iterator[tuple[int, ...]]:
    """Bound sets worth a look: all of at most ``n_tries`` of a size, else neighbours in the address and random ones."""
    n = function.n_bits
    rng = np.random.default_rng(seed)
    for size in range(min(k, n - 1), 2, -1):
        every = list(combinations(range(n), size)) if _n_choose(n, size) <= n_tries else None
        if every is None:
            runs = {tuple(sorted((start + i) % n for i in range(size))) for start in range(n)}
            others = (tuple(sorted(rng.choice(n, size, replace=False).tolist())) for _ in range(n_tries - len(runs)))
            every = sorted(runs | set(others))
        yield from every


def n_columns(function: Function, bound: Sequence[int]) -> int:
    """Different columns of a bound set, by 64-bit digests: too few by a collision only with probability ``2**-50``."""
    free = [place for place in range(function.n_bits) if place not in bound]
    rows = function.matrix(function.codes, [list(bound), free]).astype(np.uint64)
    weights = np.random.default_rng(len(free)).integers(1, 1 << 63, rows.shape[1], dtype=np.uint64)
    return len(np.unique((rows * weights).sum(axis=1, dtype=np.uint64)))


def cut_at(function: Function, bound: Sequence[int]) -> Cut | None:
    """The decomposition at a bound set, or ``None`` when it saves no address bit."""
    free = tuple(place for place in range(function.n_bits) if place not in bound)
    codes = function.matrix(function.codes, [list(bound), free]).astype(np.int64)
    care = None if function.care is None else function.matrix(function.care, [list(bound), free]).astype(np.bool_)
    columns, classes, cared = _merged(codes, care)
    n_bits = max(1, (len(columns) - 1).bit_length())
    if n_bits >= len(bound):
        return None
    order = np.lexsort((np.arange(len(columns)), columns.sum(axis=1)))
    place_of = np.empty(len(columns), dtype=np.int64)
    place_of[order] = np.arange(len(columns))
    outer = np.repeat(columns[order[-1:]], 1 << n_bits, axis=0)
    outer[: len(columns)] = columns[order]
    matters = np.zeros(outer.shape, dtype=np.bool_)
    matters[: len(columns)] = True if cared is None else cared[order]
    inner_care = None if care is None else np.asarray(care.any(axis=1), dtype=np.bool_)
    return Cut(
        tuple(bound),
        free,
        Function(place_of[classes], n_bits, None if inner_care is None or inner_care.all() else inner_care),
        Function(outer.T.reshape(-1), function.width, None if matters.all() else matters.T.reshape(-1)),
    )


def _merged(codes: Ints, care: npt.NDArray[np.bool_] | None) -> tuple[Ints, Ints, npt.NDArray[np.bool_] | None]:
    """Distinct columns, the number of the column of every row, and where each column matters."""
    if care is None:
        columns, classes = np.unique(codes, axis=0, return_inverse=True)
        return columns, classes.reshape(-1), None
    order = np.argsort(-care.sum(axis=1), kind="stable")
    merged: list[Ints] = []
    cared: list[npt.NDArray[np.bool_]] = []
    classes = np.zeros(len(codes), dtype=np.int64)
    for row in order.tolist():
        for number, (column, where) in enumerate(zip(merged, cared, strict=True)):
            both = where & care[row]
            if np.array_equal(column[both], codes[row][both]):
                column[care[row]] = codes[row][care[row]]
                where |= care[row]
                classes[row] = number
                break
        else:
            classes[row] = len(merged)
            merged.append(codes[row].copy())
            cared.append(care[row].copy())
    return np.stack(merged), classes, np.stack(cared)


def _n_choose(n: int, size: int) -> int:
    total = 1
    for i in range(size):
        total = total * (n - i) // (i + 1)
    return total
