"""Codes as integers that adders can read: the integers of equally spaced values, multiples of a step, or ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lutnet.formats import CodeFormat, Format
from lutnet.nn.edge_tables import InputLevels
from lutnet.nn.quantize import Quantizer, straight_through
from lutnet.nn.wires import Wires
from lutnet.tables import TruthTable

__all__ = ["IntegerInputs"]

_MOST_STEPS = 255
"""Largest integer of a codebook whose values count as multiples of a step."""

_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class _Integers:
    """What the codes of one format are to an adder.

    Attributes:
        of_codes: Integer of every code, int64, shape ``(2**bits,)``.
        scale: What one integer is worth.
        offset: Value of the integer 0.
        direct: Whether the code itself, read with the sign of the format, is the integer.
        signed: Whether a code of these integers has a sign.
    """

    of_codes: npt.NDArray[np.int64]
    scale: float
    offset: float
    direct: bool
    signed: bool


class IntegerInputs:
    """The integers of the inputs of one layer.

    Equally spaced values are ``scale * integer + offset`` by their format, and a code is its integer. The values of a codebook are
    multiples of their least distance, as ternary ones, powers of two and wrapped codes are, or else their rank stands for them; a
    table makes the integer of the code where both differ.
    """

    def __init__(self, source: Quantizer, in_features: int) -> None:
        self.source, self.in_features = source, in_features
        self._known: list[_Integers] = []
        self._levels: InputLevels | None = None
        self._of_levels = torch.empty(0)
        self._spaced = False

    def lows(self) -> npt.NDArray[np.int64]:
        """Least integer of every input, shape ``(in_features,)``."""
        return np.array([found.of_codes.min() for found in self._spread()], dtype=np.int64)

    def highs(self) -> npt.NDArray[np.int64]:
        """Largest integer of every input, shape ``(in_features,)``."""
        return np.array([found.of_codes.max() for found in self._spread()], dtype=np.int64)

    def bits(self) -> npt.NDArray[np.int64]:
        """Bits of every input's integer."""
        return np.array([_width(found.of_codes) for found in self._spread()], dtype=np.int64)

    def exact(self, x: Tensor) -> Tensor:
        """Integers of values that the source makes in evaluation, float64, shape of ``x``."""
        self._integers()
        assert self._levels is not None
        levels = self._levels.indices(x)
        flat = self._of_levels.to(x.device)
        if len(flat) == 1:
            return flat[0][levels]
        return flat.reshape(-1)[levels + torch.arange(len(flat), device=x.device) * flat.shape[1]]

    def real(self, x: Tensor) -> Tensor:
        """Integers of values in training, float32 with a gradient to ``x`` and to the scale of the source, shape of ``x``."""
        known = self._integers()
        scale = torch.tensor([found.scale for found in known], device=x.device)
        ratio = torch.tensor([found.offset / found.scale for found in known], device=x.device)
        live = self.source.live_scale()
        if live is not None:
            scale = live * (scale / live.detach())
        soft = x / scale - ratio
        if self._spaced or self.source.relaxed:
            return soft
        with torch.no_grad():
            hard = self.exact(x).to(soft)
        return straight_through(soft, hard)

    def rows(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        """Rows whose values are the integers, for rows that carry the codes."""
        made = []
        for row, found in zip(rows, self._spread(), strict=True):
            bits = (len(found.of_codes) - 1).bit_length()
            if found.direct:
                made.append(wires.slice(row, 0, bits, signed=found.signed))
                continue
            width = _width(found.of_codes)
            table = TruthTable((bits,), width, found.of_codes & ((1 << width) - 1))
            made.append(wires.lut(table, [row], signed=found.signed))
        return made

    def _spread(self) -> list[_Integers]:
        known = self._integers()
        return known * self.in_features if len(known) == 1 else known

    def _integers(self) -> list[_Integers]:
        table = self.source.value_table()
        if self._levels is None or not torch.equal(self._levels.table, table.double()):
            self._levels = InputLevels(table)
            formats = self.source.formats()
            self._known = [_integers_of(fmt) for fmt in formats]
            self._spaced = all(isinstance(fmt, Format) for fmt in formats)
            longest = table.shape[1]
            padded = [np.pad(found.of_codes, (0, longest - len(found.of_codes)), mode="edge") for found in self._known]
            by_code = torch.from_numpy(np.stack(padded).astype(np.float64)).to(table.device)
            self._of_levels = torch.zeros_like(by_code).scatter_(1, self._levels.of_codes(), by_code)
        return self._known


def _integers_of(fmt: CodeFormat) -> _Integers:
    if isinstance(fmt, Format):
        return _Integers(fmt.integers(), fmt.scale, fmt.offset, True, fmt.signed)
    values = fmt.values()
    levels, rank = np.unique(values, return_inverse=True)
    if len(levels) == 1:
        return _Integers(np.zeros(len(values), dtype=np.int64), 1.0, float(levels[0]), False, False)
    step = float(np.diff(levels).min())
    origin = 0.0 if _is_multiple(levels, step) and levels[0] <= 0 <= levels[-1] else float(levels[0])
    multiples = (values - origin) / step
    if not _is_multiple(levels - origin, step) or np.abs(multiples).max() > _MOST_STEPS:
        span = float(levels[-1] - levels[0]) / (len(levels) - 1)
        multiples, step, origin = rank.astype(np.float64), span, float(levels[0])
    found = np.rint(multiples).astype(np.int64)
    direct = bool(np.array_equal(found, np.arange(len(values))))
    return _Integers(found, step, origin, direct, bool(found.min() < 0))


def _is_multiple(values: npt.NDArray[np.float64], step: float) -> bool:
    multiples = values / step
    return bool(np.all(np.abs(multiples - np.rint(multiples)) <= _TOLERANCE * np.maximum(1.0, np.abs(multiples))))


def _width(integers: npt.NDArray[np.int64]) -> int:
    low, high = int(integers.min()), int(integers.max())
    if low >= 0:
        return max(1, high.bit_length())
    return 1 + max((-low - 1).bit_length(), high.bit_length() if high > 0 else 0)
