"""Weights that are integers times a step: binary, ternary, powers of two, fixed-point with given or learned widths."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lutnet.errors import UserError
from lutnet.nn.arithmetic_options import ArithmeticOptions
from lutnet.nn.quantize import positive, straight_through
from lutnet.nn.width_options import WidthOptions
from lutnet.nn.width_phases import WidthPhases

__all__ = [
    "BinaryWeights",
    "FixedPointWeights",
    "IntegerWeights",
    "LearnedWidthWeights",
    "PowerOfTwoWeights",
    "TernaryWeights",
]

_TINY = 1e-12


class IntegerWeights(nn.Module, ABC):
    """``integers * step``, one step a neuron or one for all neurons.

    Attributes:
        weight: Parameter, real-valued weights, shape ``(in_features, out_features)``.
        shared: Whether all neurons have one step, so that their sums compare.
    """

    def __init__(self, in_features: int, out_features: int, options: ArithmeticOptions, *, shared: bool) -> None:
        super().__init__()
        self.options, self.shared = options, shared
        self.weight = nn.Parameter(torch.empty(in_features, out_features).uniform_(-1, 1) * in_features**-0.5)
        self.weight.lr_scale = options.lr_scale  # type: ignore[attr-defined]

    @abstractmethod
    def step(self) -> Tensor:
        """What one integer is worth, positive, shape ``(1,)`` or ``(out_features,)``."""

    @abstractmethod
    def relative(self) -> Tensor:
        """Weights in steps, real-valued, within the range of the integers or a little beyond it."""

    @abstractmethod
    def rounded(self, relative: Tensor) -> Tensor:
        """The integers as real numbers, without gradient, shape of ``relative``."""

    def forward(self) -> Tensor:
        """The integers as float32 with the gradient of the real-valued weights, shape ``(in_features, out_features)``."""
        relative = self.relative()
        return straight_through(relative, self.rounded(relative.detach()))

    @torch.no_grad()
    def integers(self) -> Tensor:
        """The integers, int64.

        Raises:
            UserError: A weight is not a finite number.
        """
        found = self.rounded(self.relative())
        if not bool(torch.isfinite(found).all()):
            raise UserError(
                f"weights of {type(self).__name__} are not finite: training diverged; lower the learning rate or go back to "
                "an earlier checkpoint"
            )
        return found.to(torch.int64)

    def soft_bits(self) -> Tensor:
        """Bits of every weight's magnitude, real-valued, differentiable, shape of the weights."""
        return torch.log2(1.0 + self.relative().abs())

    def penalty(self) -> Tensor:
        """Added to the training loss, a scalar."""
        return self.weight.new_zeros(())

    def schedule(self, progress: float) -> None:
        """Told how far the training is, 0 to below 1."""

    def after_step(self) -> None:
        """Called after every step of the optimiser."""

    def start_from(self, weights: Tensor) -> None:
        """Sets the weights to those of a trained layer in real numbers, shape ``(in_features, out_features)``."""
        with torch.no_grad():
            self.weight.copy_(weights)

    def _mean(self, size: Tensor) -> Tensor:
        """Mean over the inputs, and over the neurons too for a shared step."""
        return size.mean().reshape(1) if self.shared else size.mean(dim=0)


class BinaryWeights(IntegerWeights):
    """-1 and +1.

    Rastegari et al., "XNOR-Net", ECCV 2016 (arXiv 1603.05279), Eq. 6: the step is the mean magnitude. The gradient passes where a
    weight is within two steps of 0.
    """

    def step(self) -> Tensor:
        return self._mean(self.weight.detach().abs()).clamp_min(_TINY)

    def relative(self) -> Tensor:
        return (self.weight / self.step()).clamp(-2.0, 2.0)

    def rounded(self, relative: Tensor) -> Tensor:
        return torch.where(relative >= 0, 1.0, -1.0)


class TernaryWeights(IntegerWeights):
    """-1, 0 and +1.

    Li et al., "Ternary weight networks", 2016 (arXiv 1605.04711), Eq. 5-6: 0 below 0.7 of the mean magnitude, the step is the mean
    magnitude of the others. The gradient passes everywhere.
    """

    def step(self) -> Tensor:
        size = self.weight.detach().abs()
        kept = (size > 0.7 * self._mean(size)).to(size)
        return (self._mean(size * kept) / self._mean(kept).clamp_min(_TINY)).clamp_min(_TINY)

    def relative(self) -> Tensor:
        return self.weight / self.step()

    def rounded(self, relative: Tensor) -> Tensor:
        size = self.weight.detach().abs()
        return relative.sign() * (size > 0.7 * self._mean(size)).to(relative)


class PowerOfTwoWeights(IntegerWeights):
    """0 and plus or minus 1, 2, 4 ... ``2**(2**(bits - 1) - 2)``; rounded to the nearest exponent, below one half to 0.

    Zhou et al., "Incremental network quantization", ICLR 2017 (arXiv 1702.03044), Eq. 1-2: the largest magnitude of a weight
    decides the range. Deviations: all weights at once, with a straight-through gradient; the nearest exponent.
    """

    def step(self) -> Tensor:
        size = self.weight.detach().abs()
        largest = size.amax().reshape(1) if self.shared else size.amax(dim=0)
        return (largest / 2.0 ** self._top()).clamp_min(_TINY)

    def relative(self) -> Tensor:
        return self.weight / self.step()

    def rounded(self, relative: Tensor) -> Tensor:
        size = relative.abs()
        exponent = torch.log2(size.clamp_min(0.5)).round().clamp(0.0, float(self._top()))
        return relative.sign() * torch.where(size < 0.5, 0.0, 2.0**exponent)

    def _top(self) -> int:
        return int((1 << (self.options.weight_bits - 1)) - 2)


class FixedPointWeights(IntegerWeights):
    """Integers of ``weight_bits`` bits, the range symmetric, with a learned step.

    Esser et al., "Learned step size quantization", ICLR 2020, as in :class:`lutnet.nn.quantize.UniformQuantizer`, here of weights.

    Attributes:
        scale: Parameter, the step, shape ``(1,)`` or ``(out_features,)``.
    """

    def __init__(self, in_features: int, out_features: int, options: ArithmeticOptions, *, shared: bool) -> None:
        super().__init__(in_features, out_features, options, shared=shared)
        self.largest = float((1 << (options.weight_bits - 1)) - 1)
        self.scale = nn.Parameter(torch.ones(1 if shared else out_features))
        self._fit_scale()

    def start_from(self, weights: Tensor) -> None:
        super().start_from(weights)
        self._fit_scale()

    def step(self) -> Tensor:
        readers = self.weight.numel() if self.shared else len(self.weight)
        scale = positive(self.scale)
        return straight_through(scale * (readers * self.largest) ** -0.5, scale)

    def relative(self) -> Tensor:
        return (self.weight / self.step()).clamp(-self.largest, self.largest)

    def rounded(self, relative: Tensor) -> Tensor:
        return relative.round()

    @torch.no_grad()
    def _fit_scale(self) -> None:
        """The step of least squared error out of a grid."""
        size = self.weight.abs()
        top = size.amax().reshape(1) if self.shared else size.amax(dim=0)
        best, error = top.clone(), torch.full_like(top, torch.inf)
        for part in range(20, 0, -1):
            scale = (top * part / 20 / self.largest).clamp_min(_TINY)
            off = (self.weight / scale).round().clamp(-self.largest, self.largest) * scale - self.weight
            found = self._mean(off.square())
            best, error = torch.where(found < error, scale, best), torch.minimum(found, error)
        self.scale.copy_(best)


class LearnedWidthWeights(WidthPhases, FixedPointWeights):
    """Fixed-point weights whose number of bits is learned, alone, by neuron or for all: a weight of n bits is a multiple of
    ``2**(weight_bits - 1 - n)`` steps, and one of 0 bits is 0.

    Sun et al., "HGQ: high granularity quantization for real-time neural networks on FPGAs", 2024 (arXiv 2405.00645), Section III-B, as
    in :mod:`lutnet.nn.operand_widths`, here of weights, which it was made for. Deviation: the range of a neuron's weights is that of
    its step, and a width counts from its top.

    Attributes:
        width: Parameter, bits without the sign, shape ``(in_features, out_features)``, ``(out_features,)`` or ``(1,)``.
    """

    def __init__(
        self, in_features: int, out_features: int, options: ArithmeticOptions, widths: WidthOptions, *, shared: bool
    ) -> None:
        super().__init__(in_features, out_features, options, shared=shared)
        self.widths = widths
        self.most = float(options.weight_bits - 1)
        shape = {"layer": (1,), "channel": (out_features,), "element": (in_features, out_features)}[widths.granularity]
        self.width = nn.Parameter(torch.full(shape, float(min(self.most, widths.start_bits or self.most))))
        self.width.lr_scale = widths.lr_scale  # type: ignore[attr-defined]
        self.width.no_decay = True  # type: ignore[attr-defined]

    def forward(self) -> Tensor:
        relative = self.relative()
        if self.relaxed:
            return relative
        rounded = self.rounded(relative.detach())
        width = self.width if self.moving else self.width.detach()
        # the error of rounding halves with each bit
        slope = (width - width.detach()) * (-math.log(2.0) * (rounded - relative.detach()))
        return straight_through(relative, rounded) + slope

    def rounded(self, relative: Tensor) -> Tensor:
        bits = self.width.detach().round().clamp(0.0, self.most).expand_as(relative)
        unit = 2.0 ** (self.most - bits)
        most = 2.0**bits - 1.0
        return (relative / unit).round().maximum(-most).minimum(most) * unit

    def soft_bits(self) -> Tensor:
        bits = torch.log2(1.0 + self.relative().abs() * 2.0 ** (self.width - self.most))
        return bits.detach() + self.pressure * (bits - bits.detach())

    def schedule(self, progress: float) -> None:
        """Moves and settles the widths; see :class:`WidthOptions`."""
        self.enter_phase(self.widths, progress)

    def after_step(self) -> None:
        with torch.no_grad():
            self.width.clamp_(0.0, self.most)
