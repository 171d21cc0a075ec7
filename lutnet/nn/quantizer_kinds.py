"""More kinds of quantisers: a learned clip, fixed point, whose step is a power of two, and rounding at random while training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lutnet.formats import CodeFormat, Format
from lutnet.nn.quantize import (
    EVERY,
    Quantizer,
    ScaledQuantizer,
    Selection,
    SignedUniform,
    UnsignedUniform,
    positive,
    straight_through,
)

__all__ = ["ClippedReLU", "FixedPoint", "RandomRounding", "StochasticFixedPoint", "UnsignedFixedPoint"]

_HALF_OCTAVE = 0.5**0.5
_SEEDS = 1 << 31


def nearest_power_of_two(x: Tensor) -> Tensor:
    """The power of two that is nearest on a logarithmic scale, exact; shape and dtype of ``x``, positive and normal."""
    mantissa, _ = torch.frexp(x)
    above = x / mantissa
    return torch.where(mantissa < _HALF_OCTAVE, above / 2, above)


class ClippedReLU(ScaledQuantizer):
    """Unsigned codes over ``0 .. clip`` with a learned clip.

    Choi et al., "PACT", 2018 (arXiv 1805.06085), Eq. 1-3: ``y = clip(x, 0, alpha)`` rounded to ``2**bits - 1`` steps,
    the gradient to alpha is 1 where x is clipped and 0 elsewhere. Deviation: the first clip is the one of least squared
        error.
    """

    def __init__(self, bits: int, channels: int = 1) -> None:
        super().__init__(bits, channels)
        self.highest = (1 << bits) - 1
        self.clip = nn.Parameter(torch.full((channels,), 2.0))

    def scale(self) -> Tensor:
        return positive(self.clip) / self.highest

    def set_scale(self, scale: Tensor) -> None:
        self.clip.data.copy_(scale * self.highest)

    def formats(self) -> tuple[CodeFormat, ...]:
        return tuple(Format(self.n_bits, False, scale) for scale in self.finite_scales())

    def integers(self, x: Tensor, selected: Selection) -> Tensor:
        return (x / self.pick(self.scale(), x, selected)).round().clamp(0, self.highest)

    def fake_quantize(self, x: Tensor) -> Tensor:
        clipped = torch.minimum(x.clamp_min(0), positive(self.clip))
        return straight_through(clipped, self.integers(x.detach(), EVERY) * self.scale())


class FixedPoint(SignedUniform):
    """Two's complement numbers with a binary point: the step is a power of two, whose exponent is learned.

    The format of ``quantized_bits`` in QKeras (Coelho et al., "Automatic heterogeneous quantization of deep neural networks for
    low-latency inference on the edge for particle detectors", Nature Machine Intelligence 3, 2021). Deviation: the place of the
    point is not given but follows a real-valued step, of which the nearest power of two on a logarithmic scale is taken, with the
    gradient of :class:`lutnet.nn.quantize.UniformQuantizer` passed straight through.
    """

    def scale(self) -> Tensor:
        step = positive(self.step)
        return straight_through(step, nearest_power_of_two(step))


class UnsignedFixedPoint(UnsignedUniform):
    """Unsigned numbers with a binary point: a rectifier, ``quantized_relu`` in QKeras; otherwise as :class:`FixedPoint`."""

    def scale(self) -> Tensor:
        step = positive(self.step)
        return straight_through(step, nearest_power_of_two(step))


class RandomRounding(Quantizer):
    """Uniform random numbers for quantisers that round at random in training; codes and evaluation stay deterministic.

    The numbers depend on a seed, drawn from torch's global generator when the quantiser is made, and on how many training batches
    it has seen. Both are buffers, so that a resumed training draws on as an uninterrupted one.

    Attributes:
        seed: Buffer, int64.
        n_draws: Buffer, batches so far, int64.
    """

    seed: Tensor
    n_draws: Tensor

    def register_random(self) -> None:
        """Makes the buffers; to be called once by the constructor."""
        self.register_buffer("seed", torch.randint(_SEEDS, ()))
        self.register_buffer("n_draws", torch.zeros((), dtype=torch.int64))

    def noise(self, x: Tensor) -> Tensor:
        """The next uniform numbers from 0 to below 1, shape, dtype and device of ``x``."""
        generator = torch.Generator(x.device).manual_seed(int(self.seed) * _SEEDS + int(self.n_draws))
        self.n_draws += 1
        return torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)


class StochasticFixedPoint(RandomRounding, FixedPoint):
    """:class:`FixedPoint` that rounds at random in training: up with a probability equal to the distance from the level below.

    Gupta et al., "Deep learning with limited numerical precision", ICML 2015 (arXiv 1502.02551), Section 3.1, "Stochastic
    rounding". Deviation: in evaluation, and so in hardware, to the nearest level.
    """

    def __init__(self, bits: int, channels: int = 1) -> None:
        super().__init__(bits, channels)
        self.register_random()

    def fake_quantize(self, x: Tensor) -> Tensor:
        scale = self.scaled_gradient(x.shape[-1])
        clamped = (x / scale).clamp(self.lowest, self.highest)
        rounded = (clamped.detach() + self.noise(x)).floor().clamp(self.lowest, self.highest)
        return straight_through(clamped, rounded) * scale
