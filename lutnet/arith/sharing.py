"""Sums of many signed digits in which pairs that occur more than once are added once."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutnet.arith.digits import signed_digits, trailing_zeros
from lutnet.arith.graph import AdderGraphBuilder, Term

__all__ = ["add_up", "share_pairs"]

Integers = npt.NDArray[np.int64]

_SHIFT_BITS = 6
_ROW_BITS = 24


def share_pairs(
    builder: AdderGraphBuilder, inputs: Sequence[Term], matrix: Integers, limits: Integers | None, *, weighted: bool
) -> list[Term]:
    """Adds the product of some terms and a matrix to a graph.

    The greedy two-term elimination of Sun et al. (``lutnet.arith.decompose``), stage 2: of all pairs of digits, up to a common shift and
    sign, the most frequent one becomes an adder, whose result is a digit in place of both, until no pair occurs twice. What is left of
    each column is added up, the shallowest terms first. Deviation: depth is bounded exactly. A column of terms of depth d can be added
    up in depth D if the sum of ``2**d`` is at most ``2**D``; a pair that would break this is not taken out of this column.

    With n digits in the fullest column, ``n**2 / 2`` pairs a column are counted at first, and up to ``3 * n`` counts of a column change
    with each digit that goes.

    Args:
        builder: Where to add it.
        inputs: One term a row of the matrix.
        matrix: int64, shape ``(len(inputs), n_out)``.
        limits: Largest depth of each output, or ``None``; at least what :func:`add_up` needs.
        weighted: Whether the frequency of a pair counts once for every bit in which its two operands overlap.

    Returns:
        A term for each output.
    """
    rows = sorted({term.row for term in inputs if term.coef})
    merged = np.zeros((len(rows), matrix.shape[1]), dtype=np.int64)
    place = {row: k for k, row in enumerate(rows)}
    for term, weights in zip(inputs, matrix, strict=True):
        if term.coef:
            merged[place[term.row]] += term.coef * weights
    if not merged.any():
        return [Term(-1, 0)] * matrix.shape[1]
    return _Sharing(builder, rows, merged, limits, weighted).run()


def add_up(builder: AdderGraphBuilder, terms: Sequence[Term]) -> Term:
    """The sum of terms as a tree of least depth."""
    if not terms:
        return Term(-1, 0)
    heap = [_ranked(builder, term) for term in terms]
    heapq.heapify(heap)
    while len(heap) > 1:
        first, second = heapq.heappop(heap), heapq.heappop(heap)
        total = builder.add(Term(*first[2:]), Term(*second[2:]))
        if total.coef or not heap:
            heapq.heappush(heap, _ranked(builder, total))
    return Term(*heap[0][2:])


def _ranked(builder: AdderGraphBuilder, term: Term) -> tuple[int, int, int, int]:
    if not term.coef:
        return 0, 0, term.row, term.coef
    span = max(abs(builder.lows[term.row]), abs(builder.highs[term.row]))
    return builder.depths[term.row], (span * abs(term.coef)).bit_length(), term.row, term.coef


class _Sharing:
    """One run. A digit has a place in its column; one that goes leaves its place empty (sign 0).

    Attributes:
        rows: Row in the graph of every local row.
        row: Local row of the digit at each place, shape ``(n_out, n_places)``; ``bit`` and ``sign`` likewise.
        places: For every local row where its digits are, shape ``(n_out, n_bits)`` each, -1 for nowhere.
        counts: Occurrences of pairs by key.
    """

    def __init__(
        self, builder: AdderGraphBuilder, rows: list[int], matrix: Integers, limits: Integers | None, weighted: bool
    ) -> None:
        self.builder, self.rows, self.weighted = builder, rows, weighted
        self.shifts = trailing_zeros(np.bitwise_or.reduce(matrix, axis=0))
        digits = signed_digits(matrix >> self.shifts).transpose(1, 0, 2)
        self.n_out, self.n_bits = digits.shape[0], digits.shape[2]
        n_places = int(np.count_nonzero(digits, axis=(1, 2)).max())
        self.row, self.bit, self.sign = (np.zeros((self.n_out, n_places), dtype=np.int64) for _ in range(3))
        self.places = [np.full((self.n_out, self.n_bits), -1, dtype=np.int64) for _ in rows]
        for column, own in enumerate(digits):
            row, bit = np.nonzero(own)
            n_own = len(row)
            self.row[column, :n_own], self.bit[column, :n_own], self.sign[column, :n_own] = row, bit, own[row, bit]
            for place, (r, b) in enumerate(zip(row.tolist(), bit.tolist(), strict=True)):
                self.places[r][column, b] = place
        self.room = self._room(limits)
        self.counts = self._first_counts()
        self.heap = [(-self._score(key, n), key) for key, n in self.counts.items() if n > 1]
        heapq.heapify(self.heap)

    def run(self) -> list[Term]:
        """Takes pairs out, adds up what is left, and returns the outputs."""
        while self.heap:
            score, key = heapq.heappop(self.heap)
            n = self.counts.get(key, 0)
            if n < 2:
                continue
            now = -self._score(key, n)
            if now != score:
                heapq.heappush(self.heap, (now, key))
            else:
                self._take(key)
        outputs = []
        for column, shift in enumerate(self.shifts.tolist()):
            left = np.flatnonzero(self.sign[column])
            parts = zip(self.row[column, left].tolist(), self.bit[column, left].tolist(), left.tolist(), strict=True)
            terms = [Term(self.rows[r], int(self.sign[column, place]) << (b + shift)) for r, b, place in parts]
            outputs.append(add_up(self.builder, terms))
        return outputs

    # -- one pair ----------------------------------------------------------------------------------------------------

    def _take(self, key: int) -> None:
        first, second, shift, differ = _split(key)
        columns, bits = self._occurrences(first, second, shift, differ)
        order = np.lexsort((bits, columns))
        columns, bits = columns[order], bits[order]
        starts = np.searchsorted(columns, columns)
        rank = np.arange(len(columns)) - starts
        grown = self._growth(first, second)
        if self.room is not None and grown:
            fits = rank < self.room[columns] // grown
            columns, bits, rank = columns[fits], bits[fits], rank[fits]
        if len(columns) < 2:
            self.counts.pop(key, None)
            return
        made = self.builder.add(Term(self.rows[first], 1), Term(self.rows[second], (-1 if differ else 1) << shift))
        self.rows.append(made.row)
        self.places.append(np.full((self.n_out, self.n_bits), -1, dtype=np.int64))
        assert abs(made.coef) == 1, "the operand with the lower bit is not shifted"
        for turn in range(int(rank.max()) + 1):
            now = rank == turn
            self._replace(columns[now], bits[now], first, second, shift, made.coef)
        if self.room is not None:
            np.subtract.at(self.room, columns, grown)

    def _occurrences(self, first: int, second: int, shift: int, differ: int) -> tuple[Integers, Integers]:
        """Column and bit of the first digit wherever a pair stands; no digit twice."""
        a, b = self.places[first][:, : self.n_bits - shift], self.places[second][:, shift:]
        columns = np.arange(self.n_out)[:, None]
        found = (a >= 0) & (b >= 0)
        found &= self.sign[columns, a] * self.sign[columns, b] == (-1 if differ else 1)
        if first == second:
            for bit in range(shift, found.shape[1]):
                found[:, bit] &= ~found[:, bit - shift]
        at = np.argwhere(found)
        return at[:, 0], at[:, 1]

    def _replace(self, columns: Integers, bits: Integers, first: int, second: int, shift: int, sign: int) -> None:
        """A digit of the newest row, of which the pair is plus or minus one, in place of two; once in each of some columns."""
        new = len(self.rows) - 1
        p, q = self.places[first][columns, bits], self.places[second][columns, bits + shift]
        gone = [self._pairs_with(columns, p), self._pairs_with(columns, q, but=p)]
        self.places[first][columns, bits] = -1
        self.places[second][columns, bits + shift] = -1
        self.places[new][columns, bits] = p
        self.sign[columns, q] = 0
        self.row[columns, p] = new
        self.sign[columns, p] *= sign
        come = self._pairs_with(columns, p)
        keys, turn = np.unique(np.concatenate([*gone, come]), return_inverse=True)
        change = np.bincount(turn[-len(come) :] if len(come) else [], minlength=len(keys))
        change -= np.bincount(turn[: len(turn) - len(come)], minlength=len(keys))
        for key, by in zip(keys.tolist(), change.tolist(), strict=True):
            n = self.counts.get(key, 0) + by
            if n > 0:
                self.counts[key] = n
            else:
                self.counts.pop(key, None)
            if by > 0 and n > 1:
                heapq.heappush(self.heap, (-self._score(key, n), key))

    def _pairs_with(self, columns: Integers, places: Integers, but: Integers | None = None) -> Integers:
        """Keys of the pairs of one digit of each column with all others of it."""
        others = self.sign[columns] != 0
        own = np.arange(len(columns))
        others[own, places] = False
        if but is not None:
            others[own, but] = False
        column, other = np.nonzero(others)
        place, column = places[column], columns[column]
        return _keys(
            (self.row[column, place], self.bit[column, place], self.sign[column, place]),
            (self.row[column, other], self.bit[column, other], self.sign[column, other]),
        )

    # -- bookkeeping -------------------------------------------------------------------------------------------------

    def _first_counts(self) -> dict[int, int]:
        found = []
        for column in range(self.n_out):
            n = int(np.count_nonzero(self.sign[column]))
            a, b = np.triu_indices(n, 1)
            row, bit, sign = self.row[column], self.bit[column], self.sign[column]
            found.append(_keys((row[a], bit[a], sign[a]), (row[b], bit[b], sign[b])))
        keys, counts = np.unique(np.concatenate(found), return_counts=True)
        return dict(zip(keys.tolist(), counts.tolist(), strict=True))

    def _score(self, key: int, n: int) -> int:
        if not self.weighted:
            return n
        first, second, *_ = _split(key)
        return n * min(self._bits(first), self._bits(second))

    def _bits(self, row: int) -> int:
        low, high = self.builder.lows[self.rows[row]], self.builder.highs[self.rows[row]]
        return (high - low).bit_length()

    def _room(self, limits: Integers | None) -> Integers | None:
        """How much the sum of ``2**depth`` may still grow in each column."""
        if limits is None:
            return None
        depths = np.array([self.builder.depths[row] for row in self.rows], dtype=np.int64)
        taken = np.where(self.sign != 0, 1 << depths[self.row], 0).sum(axis=1)
        room: Integers = (1 << limits) - taken
        return room

    def _growth(self, first: int, second: int) -> int:
        a, b = (self.builder.depths[self.rows[row]] for row in (first, second))
        return int((2 << max(a, b)) - (1 << a) - (1 << b))


def _keys(a: tuple[Integers, Integers, Integers], b: tuple[Integers, Integers, Integers]) -> Integers:
    """Keys of pairs of digits (row, bit, sign): the lower one first, their distance, and whether their signs differ."""
    swap = (a[1] > b[1]) | ((a[1] == b[1]) & (a[0] > b[0]))
    first, second = np.where(swap, b[0], a[0]), np.where(swap, a[0], b[0])
    shift = np.abs(a[1] - b[1])
    keys: Integers = (((first << _ROW_BITS | second) << _SHIFT_BITS) | shift) << 1 | (a[2] != b[2])
    return keys


def _split(key: int) -> tuple[int, int, int, int]:
    """First row, second row, distance, and whether the signs differ."""
    rows = key >> (_SHIFT_BITS + 1)
    return rows >> _ROW_BITS, rows & ((1 << _ROW_BITS) - 1), key >> 1 & ((1 << _SHIFT_BITS) - 1), key & 1
