"""Pairs of terms that several sums have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

__all__ = ["SharedPairs", "Term", "shared_pairs"]

_MOST_TERMS = 64
"""Sums of more terms are left alone: their pairs are too many to count."""


@dataclass(frozen=True, order=True)
class Term:
    """``coef``, plus or minus a power of two, times the value of a row, or of pair ``-row - 1`` where the row is negative."""

    row: int
    coef: int


@dataclass
class SharedPairs:
    """Sums in terms of shared pairs.

    Attributes:
        terms: New terms of every sum that uses a pair.
        pairs: The two terms of each pair; a pair may use earlier pairs.
    """

    terms: dict[int, tuple[Term, ...]] = field(default_factory=dict)
    pairs: list[tuple[Term, Term]] = field(default_factory=list)


def shared_pairs(sums: Mapping[int, tuple[Term, ...]], take: Callable[[], bool]) -> SharedPairs:
    """The most frequent pair is taken out as long as two sums have one, the lowest rows first among equals.

    Args:
        sums: Terms by row of the sum.
        take: Whether one more pair is allowed.
    """
    found = SharedPairs()
    left = {row: list(terms) for row, terms in sums.items() if 2 < len(terms) <= _MOST_TERMS}
    counts: Counter[tuple[Term, Term]] = Counter()
    for terms in left.values():
        counts.update(_pairs(terms))
    while counts:
        best, n = min(counts.items(), key=lambda item: (-item[1], item[0]))
        if n < 2 or not take():
            break
        number = -len(found.pairs) - 1
        found.pairs.append(best)
        for row, terms in left.items():
            hit = _find(terms, best)
            if hit is None or len(terms) < 3:
                continue
            counts.subtract(_pairs(terms))
            first, second, unit = hit
            terms = [term for term in terms if term not in (first, second)] + [Term(number, unit)]
            left[row] = terms
            found.terms[row] = tuple(terms)
            counts.update(_pairs(terms))
        counts = +counts
        counts.pop(best, None)
    return found


def _pairs(terms: list[Term]) -> set[tuple[Term, Term]]:
    """Every pair of different rows, divided by what both have in common."""
    return {_normal(a, b)[0] for a, b in combinations(sorted(terms), 2) if a.row != b.row}


def _normal(a: Term, b: Term) -> tuple[tuple[Term, Term], int]:
    """A pair with the first coefficient positive and the smaller one of magnitude 1, and what it was divided by."""
    unit = min(abs(a.coef), abs(b.coef)) * (1 if a.coef > 0 else -1)
    return (Term(a.row, a.coef // unit), Term(b.row, b.coef // unit)), unit


def _find(terms: list[Term], pair: tuple[Term, Term]) -> tuple[Term, Term, int] | None:
    """The two terms that are a multiple of the pair, and which multiple."""
    ordered = sorted(terms)
    for a, b in combinations(ordered, 2):
        if (a.row, b.row) == (pair[0].row, pair[1].row):
            normal, unit = _normal(a, b)
            if normal == pair:
                return a, b, unit
    return None
