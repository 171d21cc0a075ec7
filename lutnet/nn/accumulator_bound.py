"""Weights whose sums stay within a given number of bits on every input: A2Q and A2Q+; and the proof that they do."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lutnet.errors import UserError
from lutnet.nn.arithmetic_options import ArithmeticOptions
from lutnet.nn.arithmetic_weights import IntegerWeights

__all__ = ["AccumulatorProof", "BoundedWeights", "projected", "prove_accumulator"]

_FIRST_STEPS = 16
"""Steps of which a start from trained weights takes the best."""

_MARGIN = 1.0 - 1e-5
"""Keeps float32 norms on the right side of the bound."""


@dataclass(frozen=True)
class AccumulatorProof:
    """The exact range of the sums of a layer, over every combination of input codes.

    Attributes:
        low: Least sum of any neuron.
        high: Largest sum of any neuron.
        low_part: Least sum of any part of a neuron's products, in any order of adding.
        high_part: Largest sum of any part.
        bits: Two's complement bits that hold every sum of every part.
        bound_bits: Bits that were to be kept; 0 for no bound.
    """

    low: int
    high: int
    low_part: int
    high_part: int
    bits: int
    bound_bits: int

    @property
    def holds(self) -> bool:
        """Whether the bound is kept."""
        return not self.bound_bits or self.bits <= self.bound_bits


def prove_accumulator(weights: Tensor, lows: Tensor, highs: Tensor, bound_bits: int = 0) -> AccumulatorProof:
    """Interval analysis of integer sums; every product is independent of the others, so that the ends are reached.

    Args:
        weights: int64, shape ``(in_features, out_features)``.
        lows: Least integer of every input, int64, shape ``(in_features,)``; at most its high.
        highs: Largest integer of every input.
        bound_bits: Bits that the sums are to keep; 0 for none.
    """
    ends = torch.stack([weights * lows[:, None], weights * highs[:, None]])
    least, most = ends.amin(dim=0), ends.amax(dim=0)
    low, high = int(least.sum(dim=0).min()), int(most.sum(dim=0).max())
    low_part, high_part = int(least.clamp_max(0).sum(dim=0).min()), int(most.clamp_min(0).sum(dim=0).max())
    bits = 1 + max((-low_part - 1).bit_length() if low_part < 0 else 0, high_part.bit_length())
    return AccumulatorProof(low, high, low_part, high_part, bits, bound_bits)


def projected(weights: Tensor, radius: Tensor) -> Tensor:
    """The nearest columns whose magnitudes add up to at most a radius.

    Duchi et al., "Efficient projections onto the l1-ball for learning in high dimensions", ICML 2008, Figure 1.

    Args:
        weights: Shape ``(n, columns)``.
        radius: Positive, shape ``(columns,)``.
    """
    size = weights.abs()
    ordered = size.sort(dim=0, descending=True).values
    count = torch.arange(1, len(size) + 1, dtype=size.dtype, device=size.device)[:, None]
    excess = (ordered.cumsum(dim=0) - radius) / count
    last = (ordered > excess).sum(dim=0, keepdim=True).clamp_min(1) - 1
    cut = excess.gather(0, last).clamp_min(0.0)
    inside = size.sum(dim=0) <= radius
    return torch.where(inside, weights, weights.sign() * (size - cut).clamp_min(0.0))


class BoundedWeights(IntegerWeights):
    """Fixed-point weights ``v / |v|_1 * norm``, rounded towards 0, whose norm is limited so that sums fit P bits.

    Colbert, Pappalardo and Petri-Koenig, "A2Q: accumulator-aware quantization with guaranteed overflow avoidance", ICCV 2023 (arXiv
    2308.13504), Eq. 15-23: ``|q|_1 <= (2**(P-1) - 1) / max|x|``, norm and step learned as powers of two, a penalty on norms beyond the
    bound. Colbert et al., "A2Q+: improving accumulator-aware weight quantization", 2024 (arXiv 2401.10432): weights centred around 0
    may have ``|q|_1 <= (2**P - 2) / (max x - min x)``, because the positive and the negative ones each have half of it; and a start
    from a float model by projection onto the ball of that norm. Rounding towards 0 keeps both halves. Deviations: the ranges of the
    input's integers take the place of its bits; a start by projection for both and with the step of
    least squared error, so that the bounds alone differ.

    Attributes:
        norm: Parameter, logarithm to base 2 of the norm of each neuron's weights, shape ``(out_features,)``.
        scale: Parameter, logarithm to base 2 of the step, shape ``(1,)`` or ``(out_features,)``.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        options: ArithmeticOptions,
        low: int,
        high: int,
        *,
        shared: bool,
    ) -> None:
        """Make the weights.

        Args:
            in_features: Number of inputs.
            out_features: Number of neurons.
            options: Kind and bits of the bound.
            low: Least integer of any input, at most 0.
            high: Largest integer of any input, at least 0.
            shared: Whether all neurons have one step.

        Raises:
            UserError: The bound leaves no weight of 1.
        """
        super().__init__(in_features, out_features, options, shared=shared)
        self.largest = float((1 << (options.weight_bits - 1)) - 1)
        bits = options.accumulator_bits
        if options.bound == "a2q+":
            self.most = ((1 << bits) - 2) / (high - low)
        else:
            self.most = ((1 << (bits - 1)) - 1) / max(high, -low)
        if self.most < 2:
            raise UserError(
                f"accumulators of {bits} bits leave weights of norm {self.most:.2f} for inputs of {low} to {high}, expected at least 2; "
                "raise model.arithmetic.accumulator_bits or use narrower inputs"
            )
        self.out_features = out_features
        self.norm = nn.Parameter(torch.zeros(out_features))
        self.scale = nn.Parameter(torch.zeros(1 if shared else out_features))
        for parameter in (self.norm, self.scale):
            parameter.no_decay = True  # type: ignore[attr-defined]
        self.start_from(self.weight.detach().clone())

    def start_from(self, weights: Tensor) -> None:
        """Takes trained weights: centred where the bound says so, projected onto the ball that it allows, with the step of least error."""
        with torch.no_grad():
            centred = self._centred(weights)
            size = centred.abs()
            top = size.amax().reshape(1) if self.shared else size.amax(dim=0)
            best, error = torch.zeros_like(self.scale), torch.full_like(self.scale, torch.inf)
            for k in range(_FIRST_STEPS):
                step = (top * self.largest ** (k / (_FIRST_STEPS - 1) - 1.0)).clamp_min(2.0**-20)
                ball = projected(centred, self.most * _MARGIN * step.expand(self.out_features))
                rounded = (ball / step).trunc().clamp(-self.largest, self.largest) * step
                off = (rounded - centred).square()
                found = off.sum().reshape(1) if self.shared else off.sum(dim=0)
                best, error = torch.where(found < error, torch.log2(step), best), torch.minimum(found, error)
            self.scale.copy_(best)
            ball = projected(centred, self._limit().expand(self.out_features))
            self.weight.copy_(ball)
            self.norm.copy_(torch.log2(self._centred(ball).abs().sum(dim=0).clamp_min(2.0**-20)))

    def step(self) -> Tensor:
        return 2.0**self.scale

    def relative(self) -> Tensor:
        direction = self._centred(self.weight)
        norm = torch.minimum(2.0**self.norm, self._limit())
        unit = direction / direction.abs().sum(dim=0).clamp_min(2.0**-30)
        return (unit * (norm / self.step())).clamp(-self.largest, self.largest)

    def rounded(self, relative: Tensor) -> Tensor:
        return relative.trunc()

    def penalty(self) -> Tensor:
        """How many powers of two the norms are beyond the bound, summed."""
        return self.options.bound_weight * (self.norm - torch.log2(self._limit())).clamp_min(0.0).sum()

    def _limit(self) -> Tensor:
        return self.most * _MARGIN * self.step()

    def _centred(self, weights: Tensor) -> Tensor:
        return weights - weights.mean(dim=0) if self.options.bound == "a2q+" else weights
