"""Quantisers of streams that torch code joins: side by side, or added.

A layer is made with the quantiser that makes its inputs. Where these come from several layers, :class:`Joined` stands for
``torch.cat`` and :class:`Summed` for ``+``; both own nothing and follow the quantisers that they are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from lutnet.errors import UserError
from lutnet.formats import MAX_FORMAT_BITS, CodeFormat, Format
from lutnet.nn.edge_tables import InputLevels
from lutnet.nn.quantize import EVERY, Quantizer, Selection

__all__ = ["ExactSum", "Joined", "Summed", "codes_of_values", "lowest_codes", "sum_format"]


class Joined(Quantizer):
    """The columns of several quantisers side by side.

    Attributes:
        sizes: Columns of each.
    """

    def __init__(self, parts: Sequence[Quantizer], sizes: Sequence[int]) -> None:
        """Join quantisers.

        Args:
            parts: The quantisers, in the order in which their values are concatenated.
            sizes: How many columns each of them makes.

        Raises:
            UserError: There is no part, there are more parts than sizes or fewer, or a part has another number of channels.
        """
        if not parts or len(parts) != len(sizes):
            raise UserError(
                f"expected at least one quantiser and a number of columns for each, got {len(parts)} and {len(sizes)}"
            )
        for part, size in zip(parts, sizes, strict=True):
            part.check_features(size)
        super().__init__(sum(sizes))
        self._parts = tuple(parts)
        self.sizes = tuple(sizes)
        ends = np.cumsum(self.sizes).tolist()
        for part, end, size in zip(self._parts, ends, self.sizes, strict=True):
            part.read_by(partial(self._read, end - size, end))

    @property
    def parts(self) -> tuple[Quantizer, ...]:
        """The quantisers."""
        return self._parts

    def formats(self) -> tuple[CodeFormat, ...]:
        return tuple(fmt for part, size in self._sized() for fmt in part.feature_formats(size))

    def value_table(self) -> Tensor:
        tables = [part.value_table().expand(size, -1) for part, size in self._sized()]
        longest = max(table.shape[1] for table in tables)
        last = [table[:, -1:].expand(-1, longest - table.shape[1]) for table in tables]
        return torch.cat([torch.cat(pair, dim=1) for pair in zip(tables, last, strict=True)])

    def soft_bits(self) -> Tensor:
        return torch.cat([part.soft_bits().expand(size) for part, size in self._sized()])

    def live_scale(self) -> Tensor:
        ones = [torch.ones(size, device=self._device()) for size in self.sizes]
        return torch.cat(
            [
                one if part.live_scale() is None else part.live_scale() * one
                for part, one in zip(self._parts, ones, strict=True)
            ]
        )

    def codes(self, x: Tensor, selected: Selection = EVERY) -> Tensor:
        """Codes of values that the parts make, the nearest ones."""
        return codes_of_values(self.value_table().to(x.device)[selected], x)

    def fake_quantize(self, x: Tensor) -> Tensor:
        """What the parts make is quantised already."""
        return x

    def settled(self, x: Tensor) -> Tensor:
        columns = x.split(self.sizes, dim=-1)
        return torch.cat([part.settled(own) for part, own in zip(self._parts, columns, strict=True)], dim=-1)

    def extra_repr(self) -> str:
        return " + ".join(f"{size} of {type(part).__name__}" for part, size in self._sized())

    def _sized(self) -> list[tuple[Quantizer, int]]:
        return list(zip(self._parts, self.sizes, strict=True))

    def _read(self, begin: int, end: int) -> Tensor:
        """Bits of a part's columns that are read behind the join."""
        return self.needed_bits(self.channels)[begin:end]

    def _device(self) -> torch.device:
        found = next((p.device for part in self._parts for p in [*part.parameters(), *part.buffers()]), None)
        return found if found is not None else torch.device("cpu")


class Summed(Quantizer):
    """The exact sums of the values of several quantisers, column by column, in a format of their own.

    The steps are equal or powers of two of each other: layers that share one quantiser have equal ones, and fixed-point quantisers
    (``lutnet.nn.FixedPoint``) powers of two.
    """

    def __init__(self, parts: Sequence[Quantizer]) -> None:
        """Add quantisers of the same number of columns.

        Raises:
            UserError: There are fewer than two, or their channels do not fit each other.
        """
        if len(parts) < 2:
            raise UserError(f"a sum is one of at least 2 quantisers, got {len(parts)}")
        channels = max(part.channels for part in parts)
        for part in parts:
            part.check_features(channels)
        super().__init__(channels)
        self._parts = tuple(parts)

    def formats(self) -> tuple[CodeFormat, ...]:
        columns = zip(*(part.feature_formats(self.channels) for part in self._parts), strict=True)
        return tuple(sum_format(column).format for column in columns)

    def live_scale(self) -> Tensor | None:
        return self._parts[0].live_scale()

    def codes(self, x: Tensor, selected: Selection = EVERY) -> Tensor:
        """Codes of sums of the parts' values, the nearest ones."""
        return codes_of_values(self.value_table().to(x.device)[EVERY if self.channels == 1 else selected], x)

    def fake_quantize(self, x: Tensor) -> Tensor:
        """Sums of quantised values are exact already."""
        return x

    def settled(self, x: Tensor) -> Tensor:
        """The value in the format of the sums: floating-point additions of two values may end one rounding beside it."""
        return self.values(self.codes(x))

    def extra_repr(self) -> str:
        return " + ".join(type(part).__name__ for part in self._parts)


@dataclass(frozen=True)
class ExactSum:
    """How codes of some formats are added.

    Attributes:
        format: Of the sum.
        factors: Power of two that the integers of each operand are multiplied by.
    """

    format: Format
    factors: tuple[int, ...]


def sum_format(formats: Sequence[CodeFormat]) -> ExactSum:
    """The narrowest format that holds every sum of values of some formats.

    Raises:
        UserError: Values are not equally spaced, steps are no powers of two of each other, or the sum is too wide.
    """
    found = [fmt for fmt in formats if isinstance(fmt, Format)]
    if len(found) != len(formats):
        raise UserError(
            "values that are not equally spaced cannot be added as integers; quantise them with 'fixed-point' or 'signed'"
        )
    step = min(fmt.scale for fmt in found)
    mantissas = [np.frexp(fmt.scale / step) for fmt in found]
    if any(mantissa != 0.5 for mantissa, _ in mantissas):
        raise UserError(
            f"values with steps of {' and '.join(f'{fmt.scale:.6g}' for fmt in found)} cannot be added as integers; let both layers share "
            "one quantiser, or choose 'fixed-point', whose steps are powers of two"
        )
    factors = tuple(1 << (int(exponent) - 1) for _, exponent in mantissas)
    lowest = [-(1 << (fmt.bits - 1)) if fmt.signed else 0 for fmt in found]
    low = sum(factor * least for factor, least in zip(factors, lowest, strict=True))
    high = sum(
        factor * (least + (1 << fmt.bits) - 1) for factor, least, fmt in zip(factors, lowest, found, strict=True)
    )
    bits = 1 + max(high.bit_length(), (-low - 1).bit_length()) if low < 0 else max(1, high.bit_length())
    if bits > MAX_FORMAT_BITS:
        raise UserError(f"a sum needs {bits} bits, a format has at most {MAX_FORMAT_BITS}; add narrower codes")
    return ExactSum(Format(bits, low < 0, step, sum(fmt.offset for fmt in found)), factors)


def lowest_codes(quantizer: Quantizer, codes: Tensor) -> Tensor:
    """The lowest code with the value of each code, which no layer tells from it; int64, shape of ``codes``."""
    if all(isinstance(fmt, Format) for fmt in quantizer.formats()):
        return codes
    return codes_of_values(quantizer.value_table().to(codes.device), quantizer.values(codes))


def codes_of_values(table: Tensor, x: Tensor) -> Tensor:
    """The lowest code of the value that is nearest, int64, shape of ``x``; ``table`` has the values of codes, a row a column or one."""
    levels = InputLevels(table)
    of_codes = levels.of_codes()
    codes = torch.arange(table.shape[1], device=table.device).expand_as(of_codes)
    by_level = torch.zeros_like(of_codes).scatter_reduce_(1, of_codes, codes, "amin", include_self=False)
    return by_level.expand(x.shape[-1], -1).gather(1, levels.indices(x.detach().double()).t()).t()
