"""What the integer sum of a neuron becomes: a hidden code without saturation, or a score.

Both leave the constant part of a sum out of the hardware. The tables of a neuron are stored without sign, each lowered
by its smallest entry; what that takes from the sum is a constant, and only says which code stands for which value.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor, nn

from lutnet.errors import UserError
from lutnet.formats import MAX_FORMAT_BITS, Codebook, CodeFormat, Format
from lutnet.nn.quantize import EVERY, Quantizer, Selection, straight_through

__all__ = ["ScoreCodes", "SumCodes", "WrappedCodes"]


class SumCodes(Quantizer):
    """Base: codes of exact integer sums."""

    @abstractmethod
    def settle(self, lowest: Tensor, highest: Tensor) -> None:
        """Told which sums are possible; decides which code stands for which sum.

        Args:
            lowest: Smallest sum that each neuron's tables allow, int64, shape ``(n,)``.
            highest: Largest one.
        """

    @abstractmethod
    def remainders(self, lowest: Tensor) -> Tensor:
        """What is left to add to each sum when every table is lowered to 0, at least 0; arguments as for :meth:`settle`."""

    @abstractmethod
    def codes_of_sums(self, sums: Tensor) -> Tensor:
        """Codes of exact sums, int64, shape ``(batch, n)``, as the last :meth:`settle` has decided."""

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
        first: Buffer, code of the lowest level of each channel, int64, shape ``(channels,)``.
        fraction_bits: Low bits of the sum that are dropped.
    """

    first: Tensor

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
        self.register_buffer("first", torch.full((channels,), 1 << (bits - 1), dtype=torch.int64))

    @property
    def sum_bits(self) -> int:
        return self.n_bits + self.fraction_bits

    @property
    def dropped_bits(self) -> int:
        return self.fraction_bits

    @property
    def bits(self) -> int:
        return self.n_bits

    def settle(self, lowest: Tensor, highest: Tensor) -> None:
        begin = lowest >> self.fraction_bits
        self.first.copy_((-begin - (1 << (self.n_bits - 1))) & self._mask)

    def remainders(self, lowest: Tensor) -> Tensor:
        return lowest & ((1 << self.fraction_bits) - 1)

    def codes_of_sums(self, sums: Tensor) -> Tensor:
        return (self._levels(sums >> self.fraction_bits) + self.first) & self._mask

    def value_table(self) -> Tensor:
        codes = torch.arange(1 << self.n_bits, device=self.first.device)
        return self._values((codes - self.first[:, None]) & self._mask)

    def formats(self) -> tuple[CodeFormat, ...]:
        return tuple(Codebook(tuple(row)) for row in self.value_table().tolist())

    def soft_bits(self) -> Tensor:
        return torch.full((self.channels,), float(self.n_bits), device=self.first.device)

    def codes(self, x: Tensor, selected: Selection = EVERY) -> Tensor:
        half = 1 << (self.n_bits - 1)
        level = self._levels((x.detach().double() * half).floor().to(torch.int64))
        return (level + (self.first if self.channels == 1 else self.first[selected])) & self._mask

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
        base: Buffer, sum of code 0.
        width: Buffer, bits of the code.
    """

    base: Tensor
    width: Tensor

    def __init__(self, temperature: float) -> None:
        super().__init__(1)
        if not temperature > 0:
            raise UserError(f"scores need a positive temperature, got {temperature}")
        self.log_scale = nn.Parameter(torch.tensor(float(np.log(temperature))))
        self.register_buffer("base", torch.zeros((), dtype=torch.int64))
        self.register_buffer("width", torch.ones((), dtype=torch.int64))

    @property
    def sum_bits(self) -> None:
        return None

    @property
    def dropped_bits(self) -> int:
        return 0

    @property
    def bits(self) -> int:
        return int(self.width)

    def settle(self, lowest: Tensor, highest: Tensor) -> None:
        base = lowest.min()
        bits = int(highest.max() - base).bit_length()
        if bits > MAX_FORMAT_BITS:
            raise UserError(
                f"the scores need {bits} bits, a format has at most {MAX_FORMAT_BITS}: training diverged; lower the "
                "learning rate or go back to an earlier checkpoint"
            )
        self.base.copy_(base)
        self.width.fill_(max(1, bits))

    def remainders(self, lowest: Tensor) -> Tensor:
        return lowest - self.base

    def codes_of_sums(self, sums: Tensor) -> Tensor:
        return sums - self.base

    def formats(self) -> tuple[CodeFormat, ...]:
        scale = float(self.log_scale.detach().double().exp())
        return (Format(int(self.width), False, scale, float(self.base) * scale),)

    def codes(self, x: Tensor, selected: Selection = EVERY) -> Tensor:
        fmt = self.formats()[0]
        assert isinstance(fmt, Format)
        return ((x.detach().double() - fmt.offset) / fmt.scale).round().to(torch.int64) & ((1 << fmt.bits) - 1)

    def fake_quantize(self, x: Tensor) -> Tensor:
        scale = self.log_scale.exp()
        return straight_through(x / scale, (x.detach() / scale.detach()).round()) * scale

    def values_of_sums(self, sums: Tensor) -> Tensor:
        return sums * self.log_scale.exp()
