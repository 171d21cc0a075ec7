"""Quantisers: real numbers to codes, with gradients that pass through.

In training a quantiser returns float32 values and a straight-through gradient. In evaluation it returns exactly
``Format.values()[codes]`` in float64. Codes are always computed in float64 with elementwise operations, so that they
depend neither on the batch size nor on the mode.

Channels are the last dimension. A quantiser has one channel (per layer) or as many as its layer has neurons (per
channel).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lutnet.errors import UserError
from lutnet.formats import MAX_FORMAT_BITS, CodeFormat, Format

__all__ = [
    "HardTanh",
    "Quantizer",
    "ScaledQuantizer",
    "Selection",
    "SignedUniform",
    "UniformQuantizer",
    "UnsignedUniform",
]

Selection: TypeAlias = slice | Tensor
"""Channels or neurons: a slice, or int64 indices of shape ``(n,)``."""

EVERY = slice(None)

MIN_SCALE = 2.0**-20
"""Smallest magnitude of a learned scale parameter; a smaller one acts as this and still receives its gradient."""

INITIALIZATION_ROWS = 1024
"""Rows of the first training batch that the initialisation looks at."""


def straight_through(soft: Tensor, hard: Tensor) -> Tensor:
    """The value of ``hard`` with the gradient of ``soft``."""
    return soft + (hard - soft).detach()


def positive(parameter: Tensor) -> Tensor:
    """The magnitude of a parameter, at least :data:`MIN_SCALE`, with the gradient of the magnitude."""
    magnitude = parameter.abs()
    return straight_through(magnitude, magnitude.clamp_min(MIN_SCALE))


class Quantizer(nn.Module, ABC):
    """Base of everything that makes codes.

    Attributes:
        channels: 1, or the size of the last dimension of what it quantises.
        relaxed: Whether training clips to the range of the values and does not round: the first phase of a training in which
            bit widths are learned.
    """

    def __init__(self, channels: int = 1) -> None:
        super().__init__()
        if channels < 1:
            raise UserError(f"a quantiser needs at least 1 channel, got {channels}")
        self.channels = channels
        self.relaxed = False
        self._readers: tuple[Callable[[], Tensor], ...] = ()

    @abstractmethod
    def formats(self) -> tuple[CodeFormat, ...]:
        """What the codes of each channel stand for now, ``channels`` of them."""

    @abstractmethod
    def codes(self, x: Tensor, selected: Selection = EVERY) -> Tensor:
        """Codes of real numbers.

        Args:
            x: Shape ``(..., n)``; n is the number of selected channels, or anything for a quantiser of one channel.
            selected: Channels that the columns belong to.

        Returns:
            int64 codes of the same shape, identical in training and in evaluation.
        """

    @abstractmethod
    def fake_quantize(self, x: Tensor) -> Tensor:
        """Values for training, shape of ``x``, with a straight-through gradient."""

    @property
    def bits(self) -> int:
        """Bits of the widest channel."""
        return max(fmt.bits for fmt in self.formats())

    def feature_formats(self, n_features: int) -> tuple[CodeFormat, ...]:
        """One format for each of ``n_features`` columns.

        Raises:
            UserError: The quantiser has another number of channels, and more than one.
        """
        self.check_features(n_features)
        formats = self.formats()
        return formats * n_features if self.channels == 1 else formats

    def feature_bits(self, n_features: int) -> npt.NDArray[np.int64]:
        """Bits of each of ``n_features`` columns, int64, shape ``(n_features,)``."""
        return np.array([fmt.bits for fmt in self.feature_formats(n_features)], dtype=np.int64)

    def soft_bits(self) -> Tensor:
        """Real-valued bits of each channel, shape ``(channels,)``: the cost model's way to learned widths."""
        return torch.tensor([float(fmt.bits) for fmt in self.formats()])

    def read_by(self, demand: Callable[[], Tensor]) -> None:
        """Told by a layer how to ask how many bits of each column it reads now, shape ``(n_features,)``, differentiable."""
        self._readers += (demand,)

    def needed_bits(self, n_features: int) -> Tensor:
        """Bits of each column that somebody reads, real-valued, shape ``(n_features,)``: all of them unless a reader says less."""
        all_bits = self.soft_bits().expand(n_features)
        if not self._readers:
            return all_bits
        return torch.stack([demand() for demand in self._readers]).amax(dim=0).minimum(all_bits)

    def live_scale(self) -> Tensor | None:
        """The learned distance of levels with its gradient, shape ``(channels,)``; ``None`` where nothing is learned."""
        return None

    def settled(self, x: Tensor) -> Tensor:
        """Values of this quantiser in evaluation that user code has handed on, exactly as :meth:`values` gives them."""
        return x

    def check_features(self, n_features: int) -> None:
        """Refuse a column count that the channels do not fit."""
        if self.channels not in (1, n_features):
            raise UserError(
                f"a quantiser of {self.channels} channels cannot serve {n_features} columns; give it 1 or {n_features} "
                "channels"
            )

    def value_table(self) -> Tensor:
        """Values of all codes, float64, ``(channels, 2**bits)``; a narrower channel's row repeats its last value."""
        tables = [fmt.values() for fmt in self.formats()]
        out = np.empty((self.channels, max(map(len, tables))), dtype=np.float64)
        for row, values in zip(out, tables, strict=True):
            row[: len(values)] = values
            row[len(values) :] = values[-1]
        return torch.from_numpy(out)

    def values(self, codes: Tensor, selected: Selection = EVERY) -> Tensor:
        """Values of codes, float64; shapes as for :meth:`codes`."""
        table = self.value_table().to(codes.device)
        if self.channels == 1:
            return table[0][codes]
        chosen = table[selected]
        first = torch.arange(len(chosen), device=codes.device) * chosen.shape[1]
        return chosen.reshape(-1)[codes + first]

    def forward(self, x: Tensor) -> Tensor:
        """Quantised values of ``x``, shape ``(batch, n)``: float32 with gradient in training, float64 in evaluation."""
        self.check_features(x.shape[-1])
        if not self.training:
            return self.values(self.codes(x))
        return self.clipped(x) if self.relaxed else self.fake_quantize(x)

    def clipped(self, x: Tensor) -> Tensor:
        """``x`` within the range of the values, not rounded."""
        table = self.value_table().to(x)
        return x.maximum(table.amin(dim=1)).minimum(table.amax(dim=1))


class ScaledQuantizer(Quantizer):
    """A quantiser ``scale * Q(x / scale)`` whose scale is learned, initialised on the first training batch.

    Subclasses own the parameter that the scale is made of.

    Attributes:
        initialized: Buffer, whether the data have set the scale.
    """

    initialized: Tensor
    min_bits = 1
    max_bits = 16

    def __init__(self, bits: int, channels: int = 1) -> None:
        super().__init__(channels)
        if not self.min_bits <= bits <= min(self.max_bits, MAX_FORMAT_BITS):
            span = str(self.min_bits) if self.min_bits == self.max_bits else f"{self.min_bits} to {self.max_bits}"
            raise UserError(f"{type(self).__name__} has {span} bits, got {bits}")
        self.n_bits = bits
        self.register_buffer("initialized", torch.zeros((), dtype=torch.bool))

    @abstractmethod
    def scale(self) -> Tensor:
        """Distance of neighbouring levels (or largest level), positive, shape ``(channels,)``, differentiable."""

    @abstractmethod
    def set_scale(self, scale: Tensor) -> None:
        """Set the parameter so that :meth:`scale` gives this, shape ``(channels,)``."""

    @abstractmethod
    def integers(self, x: Tensor, selected: Selection) -> Tensor:
        """The integer of each code as a real number, in the dtype of ``x``."""

    @property
    def bits(self) -> int:
        """Bits of every channel."""
        return self.n_bits

    def soft_bits(self) -> Tensor:
        return torch.full((self.channels,), float(self.n_bits), device=self.initialized.device)

    def live_scale(self) -> Tensor:
        return self.scale()

    def pick(self, parameter: Tensor, x: Tensor, selected: Selection) -> Tensor:
        """A per-channel tensor for the selected columns in the dtype of ``x``, without gradient."""
        chosen = parameter.detach().to(x.dtype)
        return chosen if self.channels == 1 else chosen[selected]

    def codes(self, x: Tensor, selected: Selection = EVERY) -> Tensor:
        with torch.no_grad():
            return self.integers(x.detach().double(), selected).to(torch.int64) & ((1 << self.n_bits) - 1)

    def finite_scales(self) -> list[float]:
        """The scale of each channel.

        Raises:
            UserError: One is not finite.
        """
        scales: list[float] = self.scale().detach().double().tolist()
        for channel, scale in enumerate(scales):
            if not np.isfinite(scale):
                raise UserError(
                    f"the scale of channel {channel} of {type(self).__name__} is {scale}, expected a finite number: "
                    "training diverged; lower the learning rate or go back to an earlier checkpoint"
                )
        return scales

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Choose each channel's scale by least squared error over a geometric grid.

        Args:
            x: Real numbers, shape ``(rows, n)``; the first :data:`INITIALIZATION_ROWS` rows are used.

        Raises:
            UserError: A number is not finite or there is no row.
        """
        sample = self.initialization_sample(x)
        rms = self.per_channel(sample.square()).sqrt().clamp_min(MIN_SCALE)
        best_error = torch.full_like(rms, torch.inf)
        best_scale = rms.clone()
        for quarter in range(-4 * (self.n_bits + 2), 13):
            candidate = rms * 2.0 ** (quarter / 4)
            self.set_scale(candidate)
            error = self.per_channel((self.values(self.codes(sample)) - sample).square())
            best_scale = torch.where(error < best_error, candidate, best_scale)
            best_error = torch.minimum(error, best_error)
        self.set_scale(best_scale)
        self.initialized.fill_(True)

    def initialization_sample(self, x: Tensor) -> Tensor:
        """The checked rows, float64, that an initialisation looks at."""
        self.check_features(x.shape[-1])
        sample = x.detach()[:INITIALIZATION_ROWS].double()
        if sample.numel() == 0 or not bool(torch.isfinite(sample).all()):
            raise UserError(
                f"{type(self).__name__} needs a first batch of finite numbers, got shape {tuple(x.shape)} with "
                f"{int((~torch.isfinite(sample)).sum())} numbers that are not finite; check the data and the learning "
                "rate"
            )
        return sample

    def per_channel(self, x: Tensor) -> Tensor:
        """Mean over the rows, and over the columns too for one channel; shape ``(channels,)``."""
        return x.mean().reshape(1) if self.channels == 1 else x.mean(dim=0)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and not bool(self.initialized):
            self.initialize(x)
        return super().forward(x)

    def extra_repr(self) -> str:
        return f"bits={self.n_bits}, channels={self.channels}"


class UniformQuantizer(ScaledQuantizer):
    """Equally spaced levels with a learned step size, codes clamped to ``lowest .. highest``.

    Esser et al., "Learned step size quantization", ICLR 2020, Eq. 1-3 (values and gradients, by automatic
    differentiation of the rounding with a straight-through estimator) and Section 2.2 (the step's gradient times ``1 /
    sqrt(N * Q_P)``, N the features that share the step). Deviation: the first step is the one of least squared error,
    not ``2 <|v|> / sqrt(Q_P)``.
    """

    lowest: int
    highest: int
    signed: bool

    def __init__(self, bits: int, channels: int = 1) -> None:
        super().__init__(bits, channels)
        self.step = nn.Parameter(torch.full((channels,), 3.0 / 2**bits))

    def scale(self) -> Tensor:
        return positive(self.step)

    def set_scale(self, scale: Tensor) -> None:
        self.step.data.copy_(scale)

    def formats(self) -> tuple[CodeFormat, ...]:
        return tuple(Format(self.n_bits, self.signed, scale) for scale in self.finite_scales())

    def integers(self, x: Tensor, selected: Selection) -> Tensor:
        return (x / self.pick(self.scale(), x, selected)).round().clamp(self.lowest, self.highest)

    def scaled_gradient(self, n_columns: int) -> Tensor:
        """The scale with its gradient times ``1 / sqrt(N * Q_P)``."""
        shared = n_columns if self.channels == 1 else 1
        scale = self.scale()
        return straight_through(scale * (shared * max(1, self.highest)) ** -0.5, scale)

    def fake_quantize(self, x: Tensor) -> Tensor:
        scale = self.scaled_gradient(x.shape[-1])
        clamped = (x / scale).clamp(self.lowest, self.highest)
        return straight_through(clamped, clamped.round()) * scale


class SignedUniform(UniformQuantizer):
    """Two's complement codes, ``-2**(bits-1) .. 2**(bits-1) - 1`` steps."""

    min_bits = 2
    signed = True

    def __init__(self, bits: int, channels: int = 1) -> None:
        super().__init__(bits, channels)
        self.lowest, self.highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1


class UnsignedUniform(UniformQuantizer):
    """Unsigned codes, ``0 .. 2**bits - 1`` steps: a rectifier with a learned step."""

    signed = False

    def __init__(self, bits: int, channels: int = 1) -> None:
        super().__init__(bits, channels)
        self.lowest, self.highest = 0, (1 << bits) - 1


class HardTanh(UniformQuantizer):
    """Two's complement codes over the symmetric range of ``2**(bits-1)`` steps to either side of zero.

    The activation of LogicNets (Umuroglu et al., FPL 2020), its scale learned. The range is cut into ``2**bits`` equal
    cells and a code stands for the middle of its cell, so that the levels are symmetric, none is zero and no code is
    wasted: integer i has the value ``(i + 1/2) * step``. Deviations: the original's quantiser has a level at zero; the
    step has the gradient of :class:`UniformQuantizer`.
    """

    signed = True

    def __init__(self, bits: int, channels: int = 1) -> None:
        super().__init__(bits, channels)
        self.lowest, self.highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    def formats(self) -> tuple[CodeFormat, ...]:
        return tuple(Format(self.n_bits, True, scale, scale / 2) for scale in self.finite_scales())

    def integers(self, x: Tensor, selected: Selection) -> Tensor:
        return (x / self.pick(self.scale(), x, selected)).floor().clamp(self.lowest, self.highest)

    def fake_quantize(self, x: Tensor) -> Tensor:
        scale = self.scaled_gradient(x.shape[-1])
        clamped = (x / scale).clamp(self.lowest, -self.lowest)
        return straight_through(clamped, self.integers(x.detach(), EVERY) + 0.5) * scale
