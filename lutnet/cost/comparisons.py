"""Comparisons of one code with several constants, as the lookup tables that synthesis makes of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["ComparisonCell", "comparison_cells"]

Name = tuple[str, int, int]

_INPUTS = 6
_SHARED = 3
"""Comparisons from which on a gate of its own pays off."""


@dataclass(frozen=True)
class ComparisonCell:
    """One lookup table.

    Attributes:
        name: What it computes: ``("all" or "any", low, high)`` of bits ``low`` to ``high - 1``, or ``("at least", n_bits, constant)`` of
            the lowest bits.
        inputs: Places of bits, and names of other cells.
    """

    name: Name
    inputs: tuple[int | Name, ...]


@lru_cache(maxsize=1 << 12)
def comparison_cells(width: int, constants: tuple[int, ...]) -> tuple[ComparisonCell, ...]:
    """Cells for ``x >= constant`` of an unsigned code and all constants; the one named ``("at least", width, constant)`` is the result.

    A comparison is a chain from the lowest set bit of the constant upwards: a bit joins by "and" where the constant has a 1, by "or"
    where it has a 0. Neighbours that join alike, and do so in at least three comparisons, are one shared gate; the upper five inputs and
    the comparison of the bits below them are one cell, and comparisons that agree below share that.

    Args:
        width: Bits of the code.
        constants: The constants, sorted; 0 and what needs more bits are constant results, a power of two at the top is a wire.
    """
    chosen = [constant for constant in constants if 0 < constant < 1 << width]
    times = Counter(run for constant in chosen for run in _runs(constant, width))
    found: dict[Name, ComparisonCell] = {}
    for constant in chosen:
        n_bits, name = width, ("at least", width, constant)
        while name not in found:
            units = _units(constant, n_bits, times)
            below: tuple[Name, ...] = ()
            if len(units) > _INPUTS:
                units = units[: _INPUTS - 1]
                n_bits = _lowest(units[-1])
                constant &= (1 << n_bits) - 1
                below = (("at least", n_bits, constant),)
            found.update({unit: _gate(unit) for unit in units if isinstance(unit, tuple)})
            if units != [width - 1]:
                found[name] = ComparisonCell(name, (*units, *below))
            if not below:
                break
            name = below[0]
    return tuple(found.values())


def _runs(constant: int, n_bits: int) -> list[Name]:
    """Neighbouring bits that join alike, from the top down to the lowest set bit, at most as many as a cell has inputs."""
    end = (constant & -constant).bit_length() - 1
    found = []
    while n_bits > end:
        low = n_bits - 1
        while low > max(end, n_bits - _INPUTS) and (constant >> (low - 1)) & 1 == (constant >> (n_bits - 1)) & 1:
            low -= 1
        found.append(("all" if (constant >> low) & 1 else "any", low, n_bits))
        n_bits = low
    return found


def _units(constant: int, n_bits: int, times: Mapping[Name, int]) -> list[int | Name]:
    """What a comparison of the lowest ``n_bits`` bits reads, highest bits first: shared gates and single bits."""
    found: list[int | Name] = []
    for run in _runs(constant, n_bits):
        _, low, high = run
        found += [run] if high - low > 1 and times[run] >= _SHARED else range(high - 1, low - 1, -1)
    return found


def _lowest(unit: int | Name) -> int:
    return unit[1] if isinstance(unit, tuple) else unit


def _gate(run: Name) -> ComparisonCell:
    return ComparisonCell(run, tuple(range(run[1], run[2])))
