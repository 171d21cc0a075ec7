"""From exact sums to codes: step functions of integers, and the netlists that they become."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.cost import Device, table_luts, threshold_luts
from lutnet.errors import UserError
from lutnet.nn.wires import Wires
from lutnet.tables import TruthTable

__all__ = ["StepFunction", "find_steps"]

Integers = npt.NDArray[np.int64]

_WIDEST_TABLE = 10
"""Address bits of one table that stands for a whole step function."""

_CLIP_BITS = 8
"""Bits above which the part of a sum that a code can be is clipped in two steps."""

_COUNTED = 6
"""Comparisons whose count is one table."""


def find_steps(
    codes_of: Callable[[Integers], Integers], order: Integers, lows: Integers, highs: Integers
) -> list[StepFunction]:
    """The step functions that monotone functions of integers are, by bisection.

    Args:
        codes_of: Codes of sums, ``(rows, n)`` to ``(rows, n)``, int64, one function a column; as the sum rises, the places of the
            codes in ``order`` never fall, or never rise.
        order: Rank of every code by its value, shape ``(n, n_codes)``.
        lows: Least sum of every function, shape ``(n,)``.
        highs: Largest sum.

    Raises:
        UserError: A function is not monotone between what was asked.
    """

    def ranks_of(sums: Integers) -> Integers:
        return np.take_along_axis(order, codes_of(sums).T, axis=1).T

    ends = ranks_of(np.stack([lows, highs]))
    direction = np.where(ends[1] < ends[0], -1, 1)
    goals = np.arange(1, order.max() + 1)[:, None]
    goals = np.where(direction > 0, goals, 1 - goals)
    below, above = np.broadcast_to(lows - 1, goals.shape).copy(), np.broadcast_to(highs + 1, goals.shape).copy()
    while np.any(above - below > 1):
        middle = np.clip((below + above) >> 1, lows, highs)
        reached = ranks_of(middle) * direction >= goals
        open_ = above - below > 1
        above = np.where(open_ & reached, middle, above)
        below = np.where(open_ & ~reached, middle, below)
    if np.any(np.diff(above, axis=0) * direction < 0):
        raise UserError(
            "a sum becomes a code by a monotone function; choose an activation whose values ascend with its input"
        )
    found = []
    for column, (low, high) in enumerate(zip(lows.tolist(), highs.tolist(), strict=True)):
        steps = np.unique(above[:, column])
        steps = steps[(steps > low) & (steps <= high)]
        probes = np.zeros((len(steps) + 1, len(lows)), dtype=np.int64) + lows
        probes[1:, column] = steps
        codes = codes_of(probes)[:, column]
        found.append(StepFunction(tuple(steps.tolist()), tuple(codes.tolist()), low, high))
    return found


@dataclass(frozen=True)
class StepFunction:
    """``codes[k]`` from ``steps[k - 1]`` up to below ``steps[k]``.

    Attributes:
        steps: Ascending integers, above ``low`` and up to ``high``.
        codes: One more than steps.
        low: Least integer that occurs.
        high: Largest integer that occurs.
    """

    steps: tuple[int, ...]
    codes: tuple[int, ...]
    low: int
    high: int

    def __call__(self, sums: npt.ArrayLike) -> Integers:
        """Codes of integers, any shape."""
        return np.asarray(self.codes, dtype=np.int64)[np.searchsorted(self.steps, sums, side="right")]

    def of_multiple(self, coef: int) -> StepFunction:
        """The function of x that is this one of ``coef * x``, for a plus or minus power of two."""
        size = abs(coef)
        if coef > 0:
            steps, codes = [-(-step // size) for step in self.steps], list(self.codes)
            low, high = -(-self.low // size), self.high // size
        else:
            steps, codes = [-step // size + 1 for step in self.steps[::-1]], list(self.codes[::-1])
            low, high = -(self.high // size), self.low // -size
        merged: list[int] = []
        kept = [codes[0]]
        for step, code in zip(steps, codes[1:], strict=True):
            if step <= low:
                kept = [code]
            elif merged and merged[-1] == step:
                kept[-1] = code
            elif step <= high:
                merged.append(step)
                kept.append(code)
        return StepFunction(tuple(merged), tuple(kept), low, high)

    @property
    def shift(self) -> int | None:
        """Exponent of the distance of the steps where that is a power of two and the codes follow each other; else ``None``."""
        distances = set(np.diff(self.steps).tolist())
        if len(self.steps) < 2 or len(distances) != 1:
            return None
        distance = distances.pop()
        return distance.bit_length() - 1 if distance & (distance - 1) == 0 else None

    def lower(self, wires: Wires, row: int, out_bits: int, device: Device, *, signed: bool = False) -> int:
        """Adds the function to a netlist in the form that takes the fewest lookup tables in closed form.

        Args:
            wires: Where to add it.
            row: Row of a sum whose values are ``low`` to ``high``, perhaps wider than they need.
            out_bits: Bits of the code.
            device: Whose lookup tables are counted.
            signed: Whether the code has a sign.

        Returns:
            The row of the code.
        """
        if not self.steps:
            return wires.const(self.codes[0], out_bits, signed=signed)
        row = wires.slice(row, 0, _width(self.low, self.high), signed=self.low < 0)
        form = min(self._forms(out_bits, device))[1]
        if form == "table":
            return self._lower_table(wires, row, out_bits, signed)
        if form == "shift":
            return self._lower_shift(wires, row, out_bits, signed)
        bits = [wires.threshold(row, step) for step in self.steps]
        if len(bits) <= _COUNTED:
            return wires.lut(self._table((1,) * len(bits), _ones(len(bits)), out_bits), bits, signed=signed)
        width = len(bits).bit_length()
        count = wires.sum(bits, shape=(width, False))
        place = np.minimum(np.arange(1 << width), len(bits))
        return wires.lut(self._table((width,), place, out_bits), [count], signed=signed)

    def luts(self, out_bits: int, device: Device) -> int:
        """Lookup tables in closed form."""
        return min(self._forms(out_bits, device))[0] if self.steps else 0

    # -- inside ------------------------------------------------------------------------------------------------------

    def _forms(self, out_bits: int, device: Device) -> list[tuple[int, str]]:
        """Lookup tables and name of the forms that are possible."""
        width, n_steps = _width(self.low, self.high), len(self.steps)
        count = out_bits if n_steps <= _COUNTED else n_steps + out_bits
        forms = [(n_steps * threshold_luts(width, device) + count, "thresholds")]
        if width <= _WIDEST_TABLE:
            forms.append((table_luts(width, out_bits, device), "table"))
        if self.shift is not None and n_steps + 1 == 1 << out_bits:
            forms.append((-(-width // 2) + out_bits + 2, "shift"))
        return forms

    def _lower_table(self, wires: Wires, row: int, out_bits: int, signed: bool) -> int:
        width = _width(self.low, self.high)
        values = np.arange(1 << width, dtype=np.int64)
        if self.low < 0:
            values -= (values >> (width - 1)) << width
        codes = self(np.clip(values, self.low, self.high))
        return wires.lut(TruthTable((width,), out_bits, codes), [row], signed=signed)

    def _lower_shift(self, wires: Wires, row: int, out_bits: int, signed: bool) -> int:
        """The bits of ``(sum - first step >> shift) + 1``, clipped, and the code that stands at this place."""
        shift = self.shift
        assert shift is not None
        bias = (1 << shift) - self.steps[0]
        low, high = (self.low + bias) >> shift, (self.high + bias) >> shift
        whole = _width(self.low + bias, self.high + bias)
        width = whole - shift
        place_of = np.arange(1 << width, dtype=np.int64) if width <= _CLIP_BITS else None
        total = wires.sum([row], bias=bias)
        part = wires.slice(total, shift, width, signed=low < 0)
        if place_of is not None:
            places = place_of - ((place_of >> (width - 1)) << width) if low < 0 else place_of
            return wires.lut(
                self._table((width,), np.clip(places, 0, len(self.steps)), out_bits), [part], signed=signed
            )
        inside = wires.slice(part, 0, out_bits)
        above = wires.slice(part, out_bits, width - out_bits, signed=low < 0)
        flags = [wires.threshold(above, 1)] if high >> out_bits >= 1 else []
        flags += [] if low >= 0 else [wires.slice(above, width - out_bits - 1, 1)]
        address = np.arange(1 << (out_bits + len(flags)), dtype=np.int64)
        places = address & ((1 << out_bits) - 1)
        if high >> out_bits >= 1:
            places = np.where((address >> out_bits) & 1, len(self.steps), places)
        if low < 0:
            places = np.where(address >> (out_bits + len(flags) - 1), 0, places)
        bits = [wires.slice(inside, k, 1) for k in range(out_bits)]
        return wires.lut(self._table((1,) * len([*bits, *flags]), places, out_bits), [*bits, *flags], signed=signed)

    def _table(self, widths: tuple[int, ...], places: npt.NDArray[np.integer], out_bits: int) -> TruthTable:
        return TruthTable(widths, out_bits, np.asarray(self.codes, dtype=np.int64)[places])


def _ones(n_bits: int) -> Integers:
    address = np.arange(1 << n_bits, dtype=np.int64)
    return np.asarray(sum((address >> bit) & 1 for bit in range(n_bits)))


def _width(low: int, high: int) -> int:
    if low >= 0:
        return max(1, high.bit_length())
    return 1 + max((-low - 1).bit_length(), high.bit_length() if high > 0 else 0)
