"""Codes and values: the only place where an integer on a wire becomes a real number.

A *code* is an unsigned integer of ``bits`` bits. A *value* is the real number that it stands for. Two kinds of format
exist: :class:`Format` for equally spaced values and :class:`Codebook` for values given one by one (bipolar, power of two,
quantiles). :class:`InputEncoder` turns raw features into codes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError

__all__ = [
    "MAX_FORMAT_BITS",
    "CodeFormat",
    "Codebook",
    "Format",
    "InputEncoder",
    "format_from_json",
    "format_to_json",
]

MAX_FORMAT_BITS = 24
"""Widest format whose values may be listed: 2**24 values of 8 bytes are 128 MiB."""


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= MAX_FORMAT_BITS:
        raise UserError(f"a format has 1 to {MAX_FORMAT_BITS} bits, got {bits}; choose a smaller bit width")


@dataclass(frozen=True)
class Format:
    """Equally spaced values: ``value = offset + scale * integer``.

    The integer is the code itself, or, when ``signed``, the code read as two's complement of ``bits`` bits.

    Attributes:
        bits: Width of the code, 1 to 24.
        signed: Whether the code is two's complement.
        scale: Distance between neighbouring values; finite and positive.
        offset: Value of the integer 0; finite.
    """

    bits: int
    signed: bool = False
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        _check_bits(self.bits)
        if not (np.isfinite(self.scale) and self.scale > 0 and np.isfinite(self.offset)):
            raise UserError(
                f"a format needs a finite positive scale and a finite offset, got scale {self.scale}, offset {self.offset}"
            )

    def integers(self) -> npt.NDArray[np.int64]:
        """The integer of every code, shape ``(2**bits,)``, in code order."""
        codes = np.arange(1 << self.bits, dtype=np.int64)
        if self.signed:
            codes[codes >= (1 << (self.bits - 1))] -= 1 << self.bits
        return codes

    def values(self) -> npt.NDArray[np.float64]:
        """The value of every code, shape ``(2**bits,)``, in code order."""
        return self.offset + self.scale * self.integers().astype(np.float64)


@dataclass(frozen=True)
class Codebook:
    """Values given one by one: code ``c`` stands for ``levels[c]``.

    Attributes:
        levels: One finite value a code; the number of levels is a power of two from 2 to 2**24. Codes that the
            quantiser never produces (a ternary format has three values in two bits) repeat another level.
    """

    levels: tuple[float, ...]

    def __post_init__(self) -> None:
        n_levels = len(self.levels)
        if n_levels < 2 or n_levels & (n_levels - 1):
            raise UserError(f"a codebook needs a power of two of levels, at least 2, got {n_levels}")
        _check_bits(self.bits)
        if not np.all(np.isfinite(self.levels)):
            raise UserError("a codebook needs finite levels; find the layer whose parameters became NaN or infinite")

    @property
    def bits(self) -> int:
        """Width of the code."""
        return (len(self.levels) - 1).bit_length()

    def values(self) -> npt.NDArray[np.float64]:
        """The value of every code, shape ``(2**bits,)``, in code order."""
        return np.asarray(self.levels, dtype=np.float64)


CodeFormat: TypeAlias = Format | Codebook


def format_to_json(fmt: CodeFormat) -> dict[str, Any]:
    """A format as JSON data; :func:`format_from_json` is the inverse."""
    if isinstance(fmt, Codebook):
        return {"levels": list(fmt.levels)}
    return {"bits": fmt.bits, "signed": fmt.signed, "scale": fmt.scale, "offset": fmt.offset}


def format_from_json(item: Mapping[str, Any]) -> CodeFormat:
    """The format that JSON data describe.

    Raises:
        KeyError: A field is missing.
        UserError: The format is none.
    """
    if "levels" in item:
        return Codebook(tuple(float(level) for level in item["levels"]))
    return Format(int(item["bits"]), bool(item["signed"]), float(item["scale"]), float(item["offset"]))


@dataclass(frozen=True, eq=False)
class InputEncoder:
    """Raw features to codes by comparison: the code of a feature is the number of its thresholds that it reaches.

    Uniform, quantile and binary input quantisers are all of this form, so that torch, numpy and hardware decide with the
    same exact comparisons ``x >= threshold`` in float64.

    Attributes:
        thresholds: One float64 array a feature, non-decreasing, with ``2**bits - 1`` entries.
        formats: One format a feature: what its codes stand for inside the network.
        feature_names: One name a feature, in the order of the columns.
    """

    thresholds: tuple[npt.NDArray[np.float64], ...]
    formats: tuple[CodeFormat, ...]
    feature_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.thresholds) == len(self.formats) == len(self.feature_names):
            raise UserError(
                "an input encoder needs as many threshold arrays as formats and names, got "
                f"{len(self.thresholds)}, {len(self.formats)} and {len(self.feature_names)}"
            )
        for name, levels, fmt in zip(self.feature_names, self.thresholds, self.formats, strict=True):
            if levels.shape != ((1 << fmt.bits) - 1,):
                raise UserError(
                    f"feature '{name}' of {fmt.bits} bits needs {(1 << fmt.bits) - 1} thresholds, got {levels.shape}"
                )
            if not np.all(np.isfinite(levels)) or np.any(np.diff(levels) < 0):
                raise UserError(
                    f"the thresholds of feature '{name}' must be finite and non-decreasing; fit the quantiser again"
                )

    @property
    def n_features(self) -> int:
        """Number of raw features."""
        return len(self.formats)

    @property
    def widths(self) -> tuple[int, ...]:
        """Bits of each feature's code."""
        return tuple(fmt.bits for fmt in self.formats)

    def encode(self, x: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Codes of raw features.

        Args:
            x: Real numbers, shape ``(batch, n_features)``, finite.

        Returns:
            Codes, int64, same shape.

        Raises:
            UserError: The shape is another or a value is not finite.
        """
        raw = np.asarray(x)
        if raw.ndim != 2 or raw.shape[1] != self.n_features:
            raise UserError(
                f"expected features of shape (batch, {self.n_features}), got {raw.shape}; check the data set's columns"
            )
        raw = raw.astype(np.float64, copy=False)
        finite = np.isfinite(raw)
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise UserError(
                f"feature '{self.feature_names[column]}' of row {row} is {raw[row, column]}, expected a finite number; "
                "clean the data or drop the row"
            )
        out = np.empty(raw.shape, dtype=np.int64)
        for column, levels in enumerate(self.thresholds):
            out[:, column] = np.searchsorted(levels, raw[:, column], side="right")
        return out

    def select(self, columns: Sequence[int]) -> InputEncoder:
        """The encoder of some of the features, in the given order."""
        return InputEncoder(
            tuple(self.thresholds[i] for i in columns),
            tuple(self.formats[i] for i in columns),
            tuple(self.feature_names[i] for i in columns),
        )
