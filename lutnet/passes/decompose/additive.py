"""Finding the sum inside a table: which tables are thresholds of an addition.

A neuron that quantises a weighted sum is a table whose code grows with ``f(a) + g(b)``, where ``a`` and ``b`` are two parts of the
address. The integers f and g can be found from the table alone: with the steps of the code at multiples of ``2**k``, an entry of level
``c`` says ``c * 2**k <= f(a) + g(b) < (c + 1) * 2**k``, open below for the lowest level and above for the highest one. With ``u = -g``
every such line bounds a difference of two unknowns, so the least solution is a longest path, and a positive cycle says that
there is none (R. Bellman, "On a routing problem", Quarterly of Applied Mathematics 1958). What can be solved with
steps of ``2**k`` can be solved with finer ones, by doubling.

Tables of few address bits, a carry chain, and a small table that clips then replace one table of many address bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.passes.decompose.relaxation import real_parts

__all__ = ["Sum", "find_sum"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_FREE = 1 << 40
"""Stands for no bound: far beyond every bound and far inside int64."""

_FINEST = 10
"""Finest step tried: a level is ``2**10`` units of the sum."""


@dataclass(frozen=True)
class Sum:
    """``level = clip((parts[0][a] + parts[1][b] + ...) >> shift) - n_below, 0, highest)``.

    Attributes:
        parts: One array of unsigned integers a part of the address.
        shift: Low bits of the sum, which only carry.
        n_below: Steps of the sum below the lowest level.
    """

    parts: tuple[Ints, ...]
    shift: int
    n_below: int

    @property
    def width(self) -> int:
        """Bits of the sum."""
        return max(1, sum(int(part.max()) for part in self.parts).bit_length())


def find_sum(levels: Ints, care: Bools | None, highest: int) -> Sum | None:
    """The sum of functions of the axes that gives these levels with the coarsest step and the fewest bits.

    Args:
        levels: Level of every combination, 0 to ``highest``; one axis a part of the address, at least two axes.
        care: Combinations that matter, same shape; ``None`` for all.
        highest: Highest level: every larger sum means it too.

    Returns:
        ``None`` when there is none with at most ``2**10`` units a level.
    """
    bounds = _Bounds(levels, np.ones(levels.shape, dtype=np.bool_) if care is None else care, highest)
    if bounds.contradictory() or not bounds.relax() or bounds.solve(_FINEST) is None:
        return None
    coarse, fine = -1, _FINEST
    while fine - coarse > 1:
        middle = (coarse + fine) // 2
        if bounds.solve(middle) is None:
            coarse = middle
        else:
            fine = middle
    return bounds.narrowest(fine)


class _Bounds:
    """What the levels say about the sum."""

    def __init__(self, levels: Ints, care: Bools, highest: int) -> None:
        self.levels = levels
        self.highest = highest
        self.above = care & (levels > 0)
        self.below = care & (levels < highest)
        self.real: list[npt.NDArray[np.float64]] = []

    def relax(self) -> bool:
        """Settles the axes after the second one by a linear programme; whether that is possible."""
        if self.levels.ndim > 2:
            found = real_parts(self.levels, self.above, self.below)
            self.real = [] if found is None else found
        return self.levels.ndim == 2 or bool(self.real)

    def at(self, shift: int) -> tuple[Ints, Ints]:
        """Least and greatest sum of every combination."""
        low = np.where(self.above, self.levels << shift, -_FREE)
        high = np.where(self.below, ((self.levels + 1) << shift) - 1, _FREE)
        return low, high

    def contradictory(self) -> bool:
        """Whether some step along an axis goes up in one place and down in another, by values that matter."""
        for axis in range(self.levels.ndim):
            low, high = (np.moveaxis(bound, axis, 0).reshape(self.levels.shape[axis], -1) for bound in self.at(_FINEST))
            for row in range(len(low) - 1):
                least = (low[row] - high[row + 1 :]).max(axis=1)
                most = (high[row] - low[row + 1 :]).min(axis=1)
                if (least > most).any():
                    return True
        return False

    def solve(self, shift: int) -> list[Ints] | None:
        """Parts whose sum keeps all bounds."""
        return _solve(*self.at(shift), self._known(shift))

    def narrowest(self, shift: int) -> Sum | None:
        """The sum of the fewest bits at this step."""
        low, high = self.at(shift)
        n_levels = self.highest + 1
        for bits in range((n_levels - 1).bit_length(), (n_levels - 1).bit_length() + 5):
            for n_below in _places((1 << bits) - n_levels):
                floor, ceiling = -n_below << shift, (((1 << bits) - n_below) << shift) - 1
                parts = _solve(np.maximum(low, floor), np.minimum(high, ceiling), self._known(shift))
                if parts is not None:
                    return _unsigned(parts, shift, n_below)
        return None

    def _known(self, shift: int) -> list[Ints]:
        """Values of the axes after the second one, in units of ``2**-shift`` levels."""
        return [np.rint(values * (1 << shift)).astype(np.int64) for values in self.real[2:]]


def _places(spare: int) -> list[int]:
    """How many of the spare steps go below, the most even split first."""
    middle = spare // 2
    return sorted({0, spare, middle, spare // 4, spare - spare // 4}, key=lambda place: (abs(place - middle), place))


def _unsigned(parts: list[Ints], shift: int, n_below: int) -> Sum:
    """The same sum, raised by a whole number of steps so that no part is negative: every sum is at least ``-n_below`` steps."""
    lowest = [int(part.min()) for part in parts]
    rest = sum(lowest[1:])
    return Sum(
        (parts[0] + rest + (n_below << shift), *(part - low for part, low in zip(parts[1:], lowest[1:], strict=True))),
        shift,
        n_below,
    )


def _solve(low: Ints, high: Ints, known: Sequence[Ints]) -> list[Ints] | None:
    """Integers of which one an axis adds up to at least ``low`` and at most ``high``; ``None`` when there are none.

    The values of the axes after the second one are given; the answer for the first two is exact.
    """
    for values in reversed(known):
        low, high = (low - values).max(axis=-1), (high - values).min(axis=-1)
    pair = _least(low, high)
    return None if pair is None else [*pair, *known]


def _least(low: Ints, high: Ints) -> tuple[Ints, Ints] | None:
    """The exact answer for two axes: the least row values that go with the greatest column values."""
    rows, columns = low.shape
    f, u = np.zeros(rows, dtype=np.int64), np.zeros(columns, dtype=np.int64)
    for _ in range(rows + columns + 1):
        f_next = np.maximum(f, (low + u).max(axis=1))
        u_next = np.maximum(u, (f_next[:, None] - high).max(axis=0))
        if np.array_equal(f, f_next) and np.array_equal(u, u_next):
            return f, -u
        f, u = f_next, u_next
    return None
