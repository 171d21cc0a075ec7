"""Which input codes a check tries: all of them when that is possible, corners and random ones otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.tables import unpack_address

__all__ = ["EXHAUSTIVE_BITS", "Vectors", "corner_codes", "make_vectors", "random_codes"]

EXHAUSTIVE_BITS = 14
"""Netlists with at most this many input bits in all are tried on every input."""


@dataclass(frozen=True, eq=False)
class Vectors:
    """Input codes for a check.

    Attributes:
        codes: int64, shape ``(n, n_inputs)``.
        exhaustive: Whether they are all inputs that exist.
    """

    codes: npt.NDArray[np.int64]
    exhaustive: bool


def make_vectors(widths: Sequence[int], *, n_random: int = 4096, seed: int = 0) -> Vectors:
    """Every input when there are at most ``2**EXHAUSTIVE_BITS``; otherwise corners and ``n_random`` random ones.

    Args:
        widths: Bits of each input, 1 to 62.
        n_random: Random rows behind the corners.
        seed: Seed of the random rows.
    """
    total = sum(widths)
    if total <= EXHAUSTIVE_BITS:
        address = np.arange(1 << total, dtype=np.int64)
        columns = unpack_address(address, widths)
        return Vectors(np.stack(columns, axis=1) if columns else np.zeros((1, 0), np.int64), True)
    return Vectors(np.concatenate([corner_codes(widths), random_codes(widths, n_random, seed)]), False)


def corner_codes(widths: Sequence[int]) -> npt.NDArray[np.int64]:
    """All zero, all one, both ends of two's complement, alternating bits, and each single bit set and cleared."""
    full = np.asarray([(1 << w) - 1 for w in widths], dtype=np.int64)
    top = np.asarray([1 << (w - 1) for w in widths], dtype=np.int64)
    checker = np.asarray([0x5555555555555555 & ((1 << w) - 1) for w in widths], dtype=np.int64)
    rows = [np.zeros_like(full), full, top, full ^ top, checker, full ^ checker]
    for column, width in enumerate(widths):
        for bit in range(width):
            single = np.zeros_like(full)
            single[column] = np.int64(1) << bit
            rows += [single, full ^ single]
    return np.stack(rows)


def random_codes(widths: Sequence[int], n_rows: int, seed: int) -> npt.NDArray[np.int64]:
    """Uniform random codes, int64, shape ``(n_rows, len(widths))``."""
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, 1 << w, n_rows, dtype=np.int64) for w in widths]
    return np.stack(columns, axis=1) if columns else np.zeros((n_rows, 0), np.int64)
