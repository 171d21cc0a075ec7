"""Quantisers with few or unequal levels: binary, ternary, powers of two, rounded to the nearest level or at random; and the dictionary
of all kinds.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

import torch
from torch import Tensor, nn

from lutnet.errors import UserError
from lutnet.formats import Codebook, CodeFormat, Format
from lutnet.nn.quantize import (
    EVERY,
    MIN_SCALE,
    HardTanh,
    Quantizer,
    ScaledQuantizer,
    Selection,
    SignedUniform,
    UnsignedUniform,
    positive,
    straight_through,
)
from lutnet.nn.quantizer_kinds import ClippedReLU, FixedPoint, RandomRounding, StochasticFixedPoint, UnsignedFixedPoint

__all__ = [
    "QUANTIZERS",
    "Binary",
    "FixedQuantizer",
    "PowerOfTwo",
    "StochasticBinary",
    "StochasticTernary",
    "Ternary",
    "make_quantizer",
]


class FixedQuantizer(Quantizer):
    """The levels of one given format; nothing in it is learned.

    Layers whose outputs are bits or counts state with it what their codes stand for.
    """

    def __init__(self, fmt: Format) -> None:
        super().__init__()
        self.format = fmt

    def formats(self) -> tuple[CodeFormat, ...]:
        return (self.format,)

    def codes(self, x: Tensor, selected: Selection = EVERY) -> Tensor:
        return self._integers(x.detach().double()).to(torch.int64) & ((1 << self.format.bits) - 1)

    def fake_quantize(self, x: Tensor) -> Tensor:
        hard = self._integers(x.detach()) * self.format.scale + self.format.offset
        return straight_through(x, hard)

    def _integers(self, x: Tensor) -> Tensor:
        lowest = -(1 << (self.format.bits - 1)) if self.format.signed else 0
        highest = lowest + (1 << self.format.bits) - 1
        return ((x - self.format.offset) / self.format.scale).round().clamp(lowest, highest)

    def extra_repr(self) -> str:
        return f"{self.format}"


class LevelQuantizer(ScaledQuantizer):
    """``magnitude`` times fixed levels, the largest of which is 1.

    Attributes:
        magnitude: Parameter, the largest value that the quantiser makes, shape ``(channels,)``.
    """

    def __init__(self, bits: int, channels: int = 1) -> None:
        super().__init__(bits, channels)
        self.magnitude = nn.Parameter(torch.ones(channels))

    def scale(self) -> Tensor:
        return positive(self.magnitude)

    def set_scale(self, scale: Tensor) -> None:
        self.magnitude.data.copy_(scale)


class Binary(LevelQuantizer):
    """One bit, bipolar: code 1 is ``+s`` for ``x >= 0``, code 0 is ``-s``.

    Hubara et al., "Binarized neural networks", NeurIPS 2016, Eq. 1 and 4: sign with a clipped straight-through
    gradient.
    Deviations: s is learned, and the gradient passes in the two cells of width ``2 s`` around the levels, ``|x| <= 2
        s``.
    """

    max_bits = 1

    def __init__(self, bits: int = 1, channels: int = 1) -> None:
        super().__init__(bits, channels)

    def formats(self) -> tuple[CodeFormat, ...]:
        return tuple(Format(1, False, 2.0 * scale, -scale) for scale in self.finite_scales())

    def integers(self, x: Tensor, selected: Selection) -> Tensor:
        return (x >= 0).to(x.dtype)

    def fake_quantize(self, x: Tensor) -> Tensor:
        scale = self.scale()
        soft = (x / scale.detach()).clamp(-2.0, 2.0)
        return straight_through(soft, 2.0 * self.integers(x.detach(), EVERY) - 1.0) * scale


class Ternary(LevelQuantizer):
    """Two bits, three levels: codes 0, 1, 2 are ``-s``, ``0``, ``+s``; code 3 is never made and repeats ``+s``.

    ``x >= t`` gives ``+s`` and ``x <= -t`` gives ``-s``. Li et al., "Ternary weight networks", 2016 (arXiv 1605.04711),
    Eq. 5-6 set the first t and s (``t = 0.7 <|x|>``, s the mean magnitude beyond t). Deviation: both are learned
    afterwards; the gradient is that of the ramp ``s * clamp(x / (2 t), -1, 1)``.

    Attributes:
        threshold: Parameter t, shape ``(channels,)``.
    """

    min_bits = max_bits = 2

    def __init__(self, bits: int = 2, channels: int = 1) -> None:
        super().__init__(bits, channels)
        self.threshold = nn.Parameter(torch.full((channels,), 0.5))

    def formats(self) -> tuple[CodeFormat, ...]:
        return tuple(Codebook((-scale, 0.0, scale, scale)) for scale in self.finite_scales())

    def integers(self, x: Tensor, selected: Selection) -> Tensor:
        threshold = self.pick(positive(self.threshold), x, selected)
        return 1.0 + (x >= threshold).to(x.dtype) - (x <= -threshold).to(x.dtype)

    def fake_quantize(self, x: Tensor) -> Tensor:
        soft = (x / (2.0 * positive(self.threshold))).clamp(-1.0, 1.0)
        return straight_through(soft, self.integers(x.detach(), EVERY) - 1.0) * self.scale()

    def finite_scales(self) -> list[float]:
        if not bool(torch.isfinite(self.threshold).all()):
            raise UserError(
                f"a threshold of {type(self).__name__} is not finite: training diverged; lower the learning rate or go "
                "back to an earlier checkpoint"
            )
        return super().finite_scales()

    @torch.no_grad()
    def initialize(self, x: Tensor) -> None:
        """Set threshold and scale from data, shape ``(rows, n)``, finite."""
        size = self.initialization_sample(x).abs()
        threshold = (0.7 * self.per_channel(size)).clamp_min(MIN_SCALE)
        beyond = (size >= threshold).to(size.dtype)
        count = self.per_channel(beyond)
        scale = torch.where(count > 0, self.per_channel(size * beyond) / count.clamp_min(1e-12), threshold)
        self.threshold.data.copy_(threshold)
        self.set_scale(scale)
        self.initialized.fill_(True)


class StochasticBinary(RandomRounding, Binary):
    """:class:`Binary` that decides at random in training: ``+s`` with probability ``clamp((x / s + 1) / 2, 0, 1)``.

    Courbariaux, Bengio and David, "BinaryConnect", NeurIPS 2015 (arXiv 1511.00363), Eq. 2-3; ``stochastic_binary`` in QKeras. In
    evaluation the sign decides. Deviations: s is learned; the gradient is that of :class:`Binary`.
    """

    def __init__(self, bits: int = 1, channels: int = 1) -> None:
        super().__init__(bits, channels)
        self.register_random()

    def fake_quantize(self, x: Tensor) -> Tensor:
        scale = self.scale()
        soft = (x / scale.detach()).clamp(-2.0, 2.0)
        up = self.noise(x) < (soft.detach() + 1.0) / 2.0
        return straight_through(soft, 2.0 * up.to(x.dtype) - 1.0) * scale


class StochasticTernary(RandomRounding, Ternary):
    """:class:`Ternary` that decides at random in training, so that the mean is the ramp ``s * clamp(x / (2 t), -1, 1)``.

    Lin et al., "Neural networks with few multiplications", ICLR 2016 (arXiv 1510.03009), Section 4 (ternary connect): ``+s`` or
    ``-s`` by the sign of the ramp with a probability equal to its magnitude, else 0; ``stochastic_ternary`` in QKeras. In evaluation
    the threshold decides, where both are as probable. Deviation: t and s are learned.
    """

    def __init__(self, bits: int = 2, channels: int = 1) -> None:
        super().__init__(bits, channels)
        self.register_random()

    def fake_quantize(self, x: Tensor) -> Tensor:
        soft = (x / (2.0 * positive(self.threshold))).clamp(-1.0, 1.0)
        ramp = soft.detach()
        return straight_through(soft, (self.noise(x) < ramp.abs()).to(x.dtype) * ramp.sign()) * self.scale()


class PowerOfTwo(LevelQuantizer):
    """Zero and plus or minus ``s``, ``s / 2``, ``s / 4`` ...: relative precision where values are small.

    With ``m = 2**(bits-1) - 1`` magnitudes the codes ascend: ``0 .. m-1`` are ``-s .. -s / 2**(m-1)``, m is zero, ``m+1
    .. 2m`` are ``s / 2**(m-1) .. s``, and ``2m + 1`` is never made and repeats ``s``. A number goes to its nearest
    level (half way: upwards). Miyashita et al., "Convolutional neural networks using logarithmic data representation",
    2016 (arXiv 1603.01025). Deviations: nearest in the linear and not the logarithmic sense, s is learned with the
    gradient of learned step size quantisation.
    """

    min_bits = 2
    max_bits = 6

    def __init__(self, bits: int, channels: int = 1) -> None:
        super().__init__(bits, channels)
        magnitudes = [2.0**-k for k in range((1 << (bits - 1)) - 1)]
        levels = [-m for m in magnitudes] + [0.0] + magnitudes[::-1] + [1.0]
        self.levels = tuple(levels)
        self.midpoints = tuple((a + b) / 2 for a, b in pairwise(levels[:-1]))

    def formats(self) -> tuple[CodeFormat, ...]:
        return tuple(Codebook(tuple(scale * level for level in self.levels)) for scale in self.finite_scales())

    def integers(self, x: Tensor, selected: Selection) -> Tensor:
        midpoints = torch.tensor(self.midpoints, dtype=x.dtype, device=x.device)
        relative = (x / self.pick(self.scale(), x, selected)).contiguous()
        return torch.bucketize(relative, midpoints, right=True).to(x.dtype)

    def fake_quantize(self, x: Tensor) -> Tensor:
        scale = self.scale()
        factor = (x.shape[-1] if self.channels == 1 else 1) ** -0.5
        scale = straight_through(scale * factor, scale)
        levels = torch.tensor(self.levels, dtype=x.dtype, device=x.device)
        hard = levels[self.integers(x.detach(), EVERY).long()]
        return straight_through((x / scale).clamp(-1.0, 1.0), hard) * scale


QUANTIZERS: Mapping[str, type[ScaledQuantizer]] = MappingProxyType(
    {
        "binary": Binary,
        "clipped-relu": ClippedReLU,
        "fixed-point": FixedPoint,
        "hard-tanh": HardTanh,
        "power-of-two": PowerOfTwo,
        "signed": SignedUniform,
        "stochastic-binary": StochasticBinary,
        "stochastic-fixed-point": StochasticFixedPoint,
        "stochastic-ternary": StochasticTernary,
        "ternary": Ternary,
        "unsigned": UnsignedUniform,
        "unsigned-fixed-point": UnsignedFixedPoint,
    }
)
"""Every kind of quantiser by the name that configurations use; all are called as ``kind(bits, channels)``."""


def make_quantizer(kind: str, bits: int, channels: int = 1) -> ScaledQuantizer:
    """A quantiser by the name of its kind.

    Args:
        kind: A key of :data:`QUANTIZERS`.
        bits: Width of its codes.
        channels: 1 for one scale a layer, the number of neurons for one scale a neuron.

    Raises:
        UserError: The kind is unknown, or does not exist in this width.
    """
    if kind not in QUANTIZERS:
        raise UserError(f"expected a quantiser out of {', '.join(sorted(QUANTIZERS))}, got '{kind}'")
    return QUANTIZERS[kind](bits, channels)
