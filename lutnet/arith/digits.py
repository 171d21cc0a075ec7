"""Canonical signed digits: integers as sums of few powers of two, each added or subtracted."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["n_digits", "signed_digits", "trailing_zeros"]

Integers = npt.NDArray[np.int64]


def signed_digits(numbers: npt.ArrayLike) -> npt.NDArray[np.int8]:
    """Digits -1, 0, +1 of which no two neighbours are both different from 0: the fewest digits that a number has.

    Reitwiesner, "Binary arithmetic", Advances in Computers 1, 1960.

    Args:
        numbers: Integers of any shape, magnitudes below 2**60.

    Returns:
        int8, the shape of ``numbers`` and one dimension more: digit k, of weight ``2**k``, stands at index k of the last
        dimension, which is as long as the widest number needs, at least 1.
    """
    rest: Integers = np.array(numbers, dtype=np.int64)
    found: list[npt.NDArray[np.int8]] = []
    while np.any(rest) or not found:
        odd = rest & 1
        # of the two digits that make the rest even, the one that leaves a multiple of 4
        digit = odd * (2 - (rest & 3))
        found.append(digit.astype(np.int8))
        rest = (rest - digit) >> 1
    return np.stack(found, axis=-1)


def n_digits(numbers: npt.ArrayLike) -> Integers:
    """How many canonical signed digits of each number are not 0, int64, shape of ``numbers``, magnitudes below 2**60."""
    size: Integers = np.abs(np.asarray(numbers, dtype=np.int64))
    # the digits of x are those of 3x minus those of x, shifted by one place
    return _ones(np.bitwise_xor(3 * size, size))


def trailing_zeros(numbers: npt.ArrayLike) -> Integers:
    """The largest power of two that divides each number, as its exponent; 0 for the number 0. Shape of ``numbers``."""
    whole: Integers = np.asarray(numbers, dtype=np.int64)
    lowest = whole & -whole
    return np.where(whole == 0, 0, np.log2(np.maximum(lowest, 1)).astype(np.int64))


def _ones(numbers: Integers) -> Integers:
    rest, count = numbers.astype(np.uint64), np.zeros(numbers.shape, dtype=np.int64)
    while np.any(rest):
        count += (rest & np.uint64(1)).astype(np.int64)
        rest = rest >> np.uint64(1)
    return count
