"""Constant matrices as shift-and-add graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, log2

import numpy as np
import numpy.typing as npt

from lutnet.arith.decompose import Product, product_of
from lutnet.arith.digits import n_digits
from lutnet.arith.graph import AdderGraph, AdderGraphBuilder, Term
from lutnet.arith.sharing import add_up, share_pairs
from lutnet.errors import UserError

__all__ = ["adder_graph", "least_depth"]

Integers = npt.NDArray[np.int64]

MAX_PAIRS = 3_000_000
"""Pairs of digits that one block of inputs may have; a larger matrix is cut into blocks."""

_MAX_WEIGHT = 1 << 31
_MAX_INPUT = 1 << 24


def least_depth(matrix: npt.ArrayLike) -> int:
    """Depth of adders that no graph of digit-by-digit sums is below: ``ceil(log2(digits))`` of the fullest column."""
    return int(
        _depths(np.asarray(matrix, dtype=np.int64), np.zeros(len(np.asarray(matrix)), dtype=np.int64)).max(initial=0)
    )


def adder_graph(
    matrix: npt.ArrayLike, lows: npt.ArrayLike, highs: npt.ArrayLike, *, extra_depth: int | None = None
) -> AdderGraph:
    """A graph of adders that multiplies with a constant matrix.

    Sun et al., "da4ml: distributed arithmetic for real-time neural networks on FPGAs", 2025 (arXiv 2507.04535): the matrix becomes a
    product of two (:mod:`lutnet.arith.decompose`), each of which shares its two-term sub-expressions (:mod:`lutnet.arith.sharing`); of
    several lengths of the chains in the first step the best result is taken. Deviations: pairs are weighted by frequency as well as by
    overlapping bits, whichever gives fewer adders; the bound on depth is exact.

    A matrix of 64 x 64 numbers of 8 bits takes half a minute of one core; time grows with the square of the digits of a column, and
    a matrix with more than :data:`MAX_PAIRS` pairs is cut into blocks of inputs, whose results are added.

    Args:
        matrix: Integers below 2**31 in magnitude, shape ``(n_in, n_out)``.
        lows: Least integer of every input, shape ``(n_in,)``.
        highs: Largest integer of every input, at least ``lows``.
        extra_depth: Adders on a path beyond :func:`least_depth`; ``None`` for no bound.

    Raises:
        UserError: Shapes do not fit, a number is no integer or too large, or the bound is negative.
    """
    weights, low, high = _checked(matrix, lows, highs, extra_depth)
    limit = None if extra_depth is None else least_depth(weights) + extra_depth
    best: AdderGraph | None = None
    for graph in _candidates(weights, low, high, limit):
        if best is None or (graph.adders, graph.adder_bits().sum()) < (best.adders, best.adder_bits().sum()):
            best = graph
    assert best is not None
    return best


def _candidates(weights: Integers, low: Integers, high: Integers, limit: int | None) -> Iterator[AdderGraph]:
    """Graphs by length of the chains and by weight of the pairs."""
    if not weights.size or not weights.any():
        yield AdderGraphBuilder(low, high).build([Term(-1, 0)] * weights.shape[1])
        return
    blocks = _blocks(weights)
    longest = ceil(log2(max(2, len(weights) // len(blocks))))
    known: set[bytes] = set()
    for levels in range(-1, longest + 1):
        products = [product_of(weights[rows], levels) for rows in blocks]
        key = b"".join(product.first.tobytes() for product in products)
        if key in known:
            continue
        known.add(key)
        for weighted in (True, False):
            builder = AdderGraphBuilder(low, high)
            parts = [
                _block(builder, rows, product, limit, len(blocks), weighted)
                for rows, product in zip(blocks, products, strict=True)
            ]
            if any(part is None for part in parts):
                continue
            outputs = [
                add_up(builder, [t for t in terms if t.coef]) for terms in zip(*[p for p in parts if p], strict=True)
            ]
            graph = builder.build(outputs)
            if limit is None or graph.depth <= limit:
                yield graph


def _block(
    builder: AdderGraphBuilder, rows: Integers, product: Product, limit: int | None, n_blocks: int, weighted: bool
) -> list[Term] | None:
    """The outputs of some inputs; ``None`` where this length of the chains breaks the bound on depth."""
    terms: Sequence[Term] = [Term(int(row), 1) for row in rows]
    limits = None if limit is None else _inner_limits(product.second, limit - ceil(log2(n_blocks)))
    if limits is not None and np.any(_depths(product.first, np.zeros(len(rows), dtype=np.int64)) > limits):
        return None
    terms = share_pairs(builder, terms, product.first, limits, weighted=weighted)
    depths = np.array([builder.depths[term.row] if term.coef else 0 for term in terms], dtype=np.int64)
    outer = None if limit is None else np.maximum(_depths(product.second, depths), limit - ceil(log2(n_blocks)))
    return share_pairs(builder, terms, product.second, outer, weighted=weighted)


def _depths(matrix: Integers, depths: Integers) -> Integers:
    """Least depth of every column's sum of digits, for rows of given depths."""
    taken = (n_digits(matrix) << depths[:, None]).sum(axis=0)
    depths_of_sums: Integers = np.ceil(np.log2(np.maximum(taken, 1))).astype(np.int64)
    return depths_of_sums


def _inner_limits(second: Integers, limit: int) -> Integers:
    """Depth that every inner column may have so that the columns behind it still fit."""
    behind = np.ceil(np.log2(np.maximum(1, n_digits(second).sum(axis=0)))).astype(np.int64)
    limits: Integers = limit - np.where(second != 0, behind, 0).max(axis=1)
    return limits


def _blocks(weights: Integers) -> list[Integers]:
    """Inputs in blocks of equal size, few enough pairs of digits in each."""
    n_blocks = 1
    while n_blocks < len(weights):
        digits = n_digits(weights).sum(axis=0) / n_blocks
        if (digits**2).sum() / 2 <= MAX_PAIRS:
            break
        n_blocks += 1
    return [np.asarray(rows, dtype=np.int64) for rows in np.array_split(np.arange(len(weights)), n_blocks)]


def _checked(
    matrix: npt.ArrayLike, lows: npt.ArrayLike, highs: npt.ArrayLike, extra_depth: int | None
) -> tuple[Integers, Integers, Integers]:
    arrays = [np.asarray(array) for array in (matrix, lows, highs)]
    for name, array in zip(("matrix", "lows", "highs"), arrays, strict=True):
        if array.size and not np.issubdtype(array.dtype, np.integer) and not np.all(array == np.rint(array)):
            raise UserError(f"a shift-and-add graph is made of integers, got {name} of {array.dtype} with fractions")
    weights, low, high = (array.astype(np.int64) for array in arrays)
    if weights.ndim != 2 or low.shape != (len(weights),) or high.shape != low.shape:
        raise UserError(
            f"expected a matrix of shape (n_in, n_out) and n_in lows and highs, got {weights.shape}, {low.shape} and {high.shape}"
        )
    if (
        np.abs(weights).max(initial=0) >= _MAX_WEIGHT
        or max(np.abs(low).max(initial=0), np.abs(high).max(initial=0)) >= _MAX_INPUT
    ):
        raise UserError(f"weights are below {_MAX_WEIGHT} and inputs below {_MAX_INPUT} in magnitude; use fewer bits")
    if np.any(low > high):
        raise UserError("every input needs a low that is at most its high")
    if extra_depth is not None and extra_depth < 0:
        raise UserError(f"extra_depth is at least 0, or None for no bound, got {extra_depth}")
    return weights, low, high
