"""What the integer sum of a neuron becomes: a hidden code without saturation, or a score.

Both leave the constant part of a sum out of the hardware. The tables of a neuron are stored without sign, each lowered
by its smallest entry; what that takes from the sum is a constant, and only says which code stands for which value.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from lutnet.errors import UserError
from lutnet.formats import MAX_FORMAT_BITS, Codebook, CodeFormat, Format
from lutnet.nn.quantize import EVERY, Quantizer, Selection, straight_through

__all__ = ["ScoreCodes", "SumCodes", "WrappedCodes"]

SumRange: TypeAlias = Callable[[], tuple[Tensor, Tensor]]
"""Gives the smallest and the largest possible sum of each neuron."""


class SumCodes(Quantizer):
    """Base: codes of exact integer sums."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self._range: tuple[SumRange, ...] = ()

    def bind(self, sum_range: SumRange) -> None:
        """Told by its layer how to ask for the smallest and largest sum that the tables allow now.

        Which code stands for which sum follows from them, so that it is never out of step with the tables.
        """
        self._range = (sum_range,)

    def sum_range(self) -> tuple[Tensor, Tensor]:
        """Smallest and largest possible sum of each neuron, int64, shape ``(n,)``.

        Raises:
            UserError: No layer has been made with this quantiser.
        """
        if not self._range:
            raise UserError(
                f"{type(self).__name__} has no layer whose sums it could code; make an AdditiveEdges with it"
            )
        return self._range[0]()

    @abstractmethod
    def remainders(self) -> Tensor:
        """What is left to add to each sum when every table is lowered to 0, at least 0, int64, shape ``(n,)``."""

    @abstractmethod
    def codes_of_sums(self, sums: Tensor) -> Tensor:
        """Codes of exact sums, int64, shape ``(batch, n)``."""

    @abstractmethod
    def values_of_sums(self, sums: Tensor) -> Tensor:
        """Values in training of integer sums, float32 with a straight-through gradient, shape ``(batch, n)``."""

    @property
    @abstractmethod
    def sum_bits(self) -> int | None:
        """Low bits of the sum that the code depends on; ``None`` for all."""

    @property
    @abstractmethod
    def dropped_bits(self) -> int:
        """Low bits of the sum that the code leaves out."""


class WrappedCodes(SumCodes):
    """Codes of ``bits`` bits of a sum, from bit ``fraction_bits`` upwards; the sum wraps around.

    The value of a code is the middle of its cell, on the scale from -1 to 1 of all levels. A sum outside of the range
    enters it at the other end, as two's complement does, so that no saturation is built; training sees the same. Which
    code is the lowest value differs from neuron to neuron.

    Attributes:
        fraction_bits: Low bits of the sum that are dropped.
    """

    def __init__(self, bits: int, channels: int, fraction_bits: int = 0) -> None:
        """Make the quantiser.

        Raises:
            UserError: Bits are outside of their range.
        """
        super().__init__(channels)
        if not 1 <= bits <= MAX_FORMAT_BITS or fraction_bits < 0:
            raise UserError(
                f"wrapped codes have 1 to {MAX_FORMAT_BITS} bits and at least 0 fraction bits, got {bits} and "
                f"{fraction_bits}"
            )
        self.n_bits, self.fraction_bits = bits, fraction_bits

    def first(self) -> Tensor:
        """Code of the lowest level of each channel, int64, shape ``(channels,)``."""
        begin = self.sum_range()[0] >> self.fraction_bits
        return (-begin - (1 << (self.n_bits - 1))) & self._mask

    @property
    def sum_bits(self) -> int:
        return self.n_bits + self.fraction_bits

    @property
    def dropped_bits(self) -> int:
        return self.fraction_bits

    @property
    def bits(self) -> int:
        return self.n_bits

    def remainders(self) -> Tensor:
        return self.sum_range()[0] & ((1 << self.fraction_bits) - 1)

    def codes_of_sums(self, sums: Tensor) -> Tensor:
        return (self._levels(sums >> self.fraction_bits) + self.first()) & self._mask

    def value_table(self) -> Tensor:
        first = self.first()
        codes = torch.arange(1 << self.n_bits, device=first.device)
        return self._values((codes - first[:, None]) & self._mask)

    def formats(self) -> tuple[CodeFormat, ...]:
        return tuple(Codebook(tuple(row)) for row in self.value_table().tolist())

    def soft_bits(self) -> Tensor:
        return torch.full((self.channels,), float(self.n_bits))

    def codes(self, x: Tensor, selected: Selection = EVERY) -> Tensor:
        half = 1 << (self.n_bits - 1)
        level, first = self._levels((x.detach().double() * half).floor().to(torch.int64)), self.first()
        return (level + (first if self.channels == 1 else first[selected])) & self._mask

    def fake_quantize(self, x: Tensor) -> Tensor:
        half = 1 << (self.n_bits - 1)
        return straight_through(x, self._values(self._levels((x.detach() * half).floor().to(torch.int64))).to(x.dtype))

    def values_of_sums(self, sums: Tensor) -> Tensor:
        return self.fake_quantize(sums * 2.0 ** (1 - self.n_bits - self.fraction_bits))

    @property
    def _mask(self) -> int:
        return (1 << self.n_bits) - 1

    def _levels(self, shifted: Tensor) -> Tensor:
        return (shifted + (1 << (self.n_bits - 1))) & self._mask

    def _values(self, levels: Tensor) -> Tensor:
        half = 1 << (self.n_bits - 1)
        return (levels.double() + (0.5 - half)) / half

    def extra_repr(self) -> str:
        return f"bits={self.n_bits}, channels={self.channels}, fraction_bits={self.fraction_bits}"


class ScoreCodes(SumCodes):
    """All of the sum, without sign, in one format for all neurons: the smallest possible sum has code 0.

    Attributes:
        log_scale: Parameter, logarithm of what one integer is worth in the training loss.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__(1)
        if not temperature > 0:
            raise UserError(f"scores need a positive temperature, got {temperature}")
        self.log_scale = nn.Parameter(torch.tensor(float(np.log(temperature))))

    @property
    def sum_bits(self) -> None:
        return None

    @property
    def dropped_bits(self) -> int:
        return 0

    @property
    def bits(self) -> int:
        return self.formats()[0].bits

    def base(self) -> Tensor:
        """The sum that has code 0, int64."""
        return self.sum_range()[0].min()

    def remainders(self) -> Tensor:
        return self.sum_range()[0] - self.base()

    def codes_of_sums(self, sums: Tensor) -> Tensor:
        return sums - self.base()

    def formats(self) -> tuple[Format]:
        lowest, highest = self.sum_range()
        base = int(lowest.min())
        bits = (int(highest.max()) - base).bit_length()
        if bits > MAX_FORMAT_BITS:
            raise UserError(
                f"the scores need {bits} bits, a format has at most {MAX_FORMAT_BITS}: training diverged; lower the "
                "learning rate or go back to an earlier checkpoint"
            )
        scale = float(self.log_scale.detach().double().exp())
        return (Format(max(1, bits), False, scale, base * scale),)

    def codes(self, x: Tensor, selected: Selection = EVERY) -> Tensor:
        fmt = self.formats()[0]
        return ((x.detach().double() - fmt.offset) / fmt.scale).round().to(torch.int64) & ((1 << fmt.bits) - 1)

    def fake_quantize(self, x: Tensor) -> Tensor:
        scale = self.log_scale.exp()
        return straight_through(x / scale, (x.detach() / scale.detach()).round()) * scale

    def values_of_sums(self, sums: Tensor) -> Tensor:
        return sums * self.log_scale.exp()
