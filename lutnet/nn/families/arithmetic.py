"""Dense layers of constant weights, in adders: integers in, exact integer sums, integer codes out.

Weights are binary, ternary, powers of two or fixed-point; a matrix of them is a shift-and-add graph (:mod:`lutnet.arith`, after Sun et
al., "da4ml", 2025). Batch norm, the scales of weights and inputs and the activation are streamlined into one step function of the
integer sum for every neuron: Umuroglu and Jahre, "Streamlined deployment for quantized neural networks", 2017 (arXiv 1709.04060), Section
3, where the activation becomes thresholds. Deviation: what takes the fewest lookup tables of comparisons, a table and a range of bits
(where the factor is a power of two) is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lutnet.arith import AdderGraph, Term, adder_graph, n_digits
from lutnet.cost import XCVU9P, Device
from lutnet.errors import UserError
from lutnet.formats import Format
from lutnet.nn.accumulator_bound import AccumulatorProof, BoundedWeights, prove_accumulator
from lutnet.nn.arithmetic_options import ArithmeticOptions
from lutnet.nn.arithmetic_weights import (
    BinaryWeights,
    FixedPointWeights,
    IntegerWeights,
    LearnedWidthWeights,
    PowerOfTwoWeights,
    TernaryWeights,
)
from lutnet.nn.cost import LayerCost
from lutnet.nn.edge_codes import ScoreCodes, SumCodes
from lutnet.nn.families.additive import adder_bit_luts
from lutnet.nn.integer_inputs import IntegerInputs
from lutnet.nn.layer import Layer, evaluating
from lutnet.nn.lut_layer import TableBudget
from lutnet.nn.neuron_norm import NeuronNorm
from lutnet.nn.quantize import Quantizer, UniformQuantizer, straight_through
from lutnet.nn.step_functions import StepFunction, find_steps
from lutnet.nn.width_options import WidthOptions
from lutnet.nn.wires import Wires

__all__ = ["ArithmeticNeurons"]

Integers = npt.NDArray[np.int64]

SHARED = 0.6
"""Adders of a matrix of fixed-point weights over its digits beyond the first of each column, for the closed form."""

DIGITS_A_BIT = 0.4
"""Signed digits of a weight for each bit of its magnitude."""

FIRST_SPREAD = 3.0
"""Standard deviation of the scores of exact sums at the start, about, in the unit of the loss."""


class ArithmeticNeurons(Layer):
    """``quantizer(norm(step_j * sum_i q_ij n_i))`` for integers n of the inputs and integer weights q.

    Attributes:
        weights: Makes the integer weights and their step.
        norm: Batch norm, folded into the step functions; unused where the scores are the sums.
        bias: Parameter, integers added to exact scores, shape ``(out_features,)``; ``None`` otherwise.
        wiring: Buffer, operands of every neuron where the layer is not dense, int64, shape ``(out_features, fan_in)``.
        options: See :class:`ArithmeticOptions`.
    """

    wiring: Tensor
    mask: Tensor

    def __init__(
        self,
        source: Quantizer,
        in_features: int,
        wiring: npt.ArrayLike,
        quantizer: Quantizer,
        *,
        options: ArithmeticOptions | None = None,
        budget: TableBudget | None = None,
        widths: WidthOptions | None = None,
    ) -> None:
        """Make the layer; weights come from torch's global generator.

        Args:
            source: The quantiser that makes the layer's inputs.
            in_features: Number of columns that the source makes.
            wiring: Integer array, shape ``(out_features, fan_in)``; a dense layer takes the number of its neurons from it only.
            quantizer: Output quantiser; :class:`ScoreCodes` for exact scores.
            options: Weights, bound and rescaling.
            budget: Taken for the interface of families with a wiring; adders have no tables to bound.
            widths: Whether and how the bits of fixed-point weights are learned: ``"element"`` for each, ``"channel"`` for a neuron's.

        Raises:
            UserError: Sizes, options or quantiser do not fit.
        """
        rows = torch.as_tensor(np.array(wiring, dtype=np.int64))
        super().__init__(source, in_features, len(rows), quantizer)
        self.options = options if options is not None else ArithmeticOptions()
        exact = isinstance(quantizer, SumCodes)
        if exact and not isinstance(quantizer, ScoreCodes):
            raise UserError(
                f"arithmetic layers quantise their sums or give them as ScoreCodes, got {type(quantizer).__name__}"
            )
        if self.options.rescale == "shift" and not exact and not isinstance(quantizer, UniformQuantizer):
            raise UserError(
                f"model.arithmetic.rescale = 'shift' needs equally spaced codes with a learned step, got {type(quantizer).__name__}; "
                "choose 'signed', 'unsigned', 'fixed-point' or 'unsigned-fixed-point' as activation"
            )
        self.inputs = IntegerInputs(source, in_features)
        self.register_buffer("wiring", rows)
        mask = torch.ones(in_features, len(rows))
        if not self.options.dense:
            mask = torch.zeros(in_features, len(rows)).scatter_(0, rows.t(), 1.0)
        self.register_buffer("mask", mask, persistent=False)
        self.weights = self._make_weights(widths, shared=exact)
        self.norm = None if exact else NeuronNorm(self.out_features)
        self.bias = nn.Parameter(torch.zeros(self.out_features)) if exact else None
        self._graph: tuple[bytes, AdderGraph] | None = None
        if isinstance(quantizer, ScoreCodes):
            quantizer.bind(self._score_range)
            self._start_scores(quantizer)

    # -- training ----------------------------------------------------------------------------------------------------

    def respond_training(self, x: Tensor) -> Tensor:
        sums = self.inputs.real(x) @ (self.weights() * self.mask)
        if isinstance(self.quantizer, ScoreCodes):
            assert self.bias is not None
            return self.quantizer.values_of_sums(sums + straight_through(self.bias, self.bias.round()))
        assert self.norm is not None
        response = self.norm(sums * self.weights.step())
        if self.options.rescale == "shift":
            response = (response - self.norm.bias) * self._to_powers().to(response) + self.norm.bias
        return self.quantizer(response)  # type: ignore[no-any-return]

    def start_from(self, weights: Tensor) -> None:
        """Takes the weights of a trained float layer, shape ``(in_features, out_features)``, in units of the inputs' integers."""
        self.weights.start_from(weights)

    def penalty(self) -> Tensor:
        """Norms of weights beyond the accumulator's bound."""
        return self.weights.penalty()

    def schedule(self, progress: float) -> None:
        """Moves and settles learned widths."""
        self.weights.schedule(progress)

    def after_step(self) -> None:
        self.weights.after_step()

    def cost(self, device: Device) -> Tensor:
        """Adders by their bits: digits of the weights, from their real-valued bits, times the bits of the inputs and two more."""
        bits = self.weights.soft_bits() * self.mask
        widths = torch.from_numpy(self.inputs.bits() + 2.0).to(bits)
        adders = (bits.sum(dim=1) * widths).sum() * (SHARED * DIGITS_A_BIT * adder_bit_luts(device))
        return adders + self._activation_estimate()

    # -- codes -------------------------------------------------------------------------------------------------------

    def codes(self, x: Tensor) -> Tensor:
        self.check_columns(x)
        with torch.no_grad():
            # float64 adds these integers exactly in any order
            sums = self.inputs.exact(x) @ self.integer_weights().double()
            return self._codes_of_sums(sums.to(torch.int64))

    def integer_weights(self) -> Tensor:
        """The weights q, int64, shape ``(in_features, out_features)``."""
        return self.weights.integers() * self.mask.to(torch.int64)

    def sum_ranges(self) -> tuple[Integers, Integers]:
        """Least and largest sum of every neuron over all inputs, exact, shape ``(out_features,)`` each."""
        weights = self.integer_weights().cpu().numpy()
        ends = np.stack([weights * self.inputs.lows()[:, None], weights * self.inputs.highs()[:, None]])
        return ends.min(axis=0).sum(axis=0), ends.max(axis=0).sum(axis=0)

    def prove_accumulator(self) -> AccumulatorProof:
        """The exact range of all sums, and whether it keeps the bound of the options."""
        bits = self.options.accumulator_bits if self.options.bound != "none" else 0
        lows, highs = torch.from_numpy(self.inputs.lows()), torch.from_numpy(self.inputs.highs())
        return prove_accumulator(self.integer_weights().cpu(), lows, highs, bits)

    def steps(self) -> list[StepFunction]:
        """The step function of every neuron from its sum to its code."""
        values = self.quantizer.value_table().cpu().numpy()
        ranks = np.stack([np.unique(row, return_inverse=True)[1].reshape(-1) for row in values]).astype(np.int64)
        order = np.broadcast_to(ranks, (self.out_features, ranks.shape[1]))
        device = self.wiring.device

        def codes_of(sums: Integers) -> Integers:
            return self._codes_of_sums(torch.from_numpy(np.ascontiguousarray(sums)).to(device)).cpu().numpy()

        return find_steps(codes_of, order, *self.sum_ranges())

    # -- hardware ----------------------------------------------------------------------------------------------------

    def graph(self) -> AdderGraph:
        """The adders, shared between the neurons; kept until a weight changes."""
        weights = self.integer_weights().cpu().numpy()
        lows, highs = self.inputs.lows(), self.inputs.highs()
        key = b"".join(array.tobytes() for array in (weights, lows, highs))
        if self._graph is None or self._graph[0] != key:
            depth = None if self.options.extra_depth < 0 else self.options.extra_depth
            self._graph = key, adder_graph(weights, lows, highs, extra_depth=depth)
        return self._graph[1]

    def lower(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        """Adds the adders, and what makes codes of sums."""
        terms = self.graph().lower(wires, self.inputs.rows(wires, rows))
        if isinstance(self.quantizer, ScoreCodes):
            return self._lower_scores(wires, terms)
        out = []
        formats = self.quantizer.feature_formats(self.out_features)
        for term, function, fmt in zip(terms, self.steps(), formats, strict=True):
            signed = isinstance(fmt, Format) and fmt.signed
            if not term.coef:
                out.append(wires.const(int(function(0)), fmt.bits, signed=signed))
                continue
            of_row = function.of_multiple(term.coef)
            out.append(of_row.lower(wires, term.row, fmt.bits, XCVU9P, signed=signed))
        return out

    def summary(self, name: str, device: Device) -> LayerCost:
        """Closed form: adders by the signed digits of the weights, a typical share of them saved, and the step functions."""
        weights = self.integer_weights().cpu().numpy()
        digits = n_digits(weights)
        widths = self.inputs.bits() + 1
        adder_bits = (digits * widths[:, None]).sum() - (digits.max(axis=0, initial=0) > 0).sum() * float(widths.mean())
        sharing = SHARED if self.out_features > 1 else 1.0
        n_luts = ceil(max(0.0, adder_bits) * sharing * adder_bit_luts(device)) + self._activation_luts(device)
        return LayerCost(
            name=name,
            kind=type(self).__name__,
            n_neurons=self.out_features,
            address_bits=int(self.inputs.bits().max()),
            out_bits=self.quantizer.bits,
            n_entries=0,
            n_luts=n_luts,
        )

    def extra_repr(self) -> str:
        return f"{self.in_features} -> {self.out_features}, weights={self.options.weights}"

    # -- inside ------------------------------------------------------------------------------------------------------

    def _make_weights(self, widths: WidthOptions | None, *, shared: bool) -> IntegerWeights:
        opt, size = self.options, (self.in_features, self.out_features)
        learned = widths is not None and widths.granularity != "none"
        if learned and (opt.weights != "fixed-point" or opt.bound != "none"):
            raise UserError(
                f"widths of weights are learned for fixed-point weights without a bound, got model.arithmetic.weights = '{opt.weights}' "
                f"and bound = '{opt.bound}'; leave model.widths out"
            )
        if opt.bound != "none":
            low, high = min(0, int(self.inputs.lows().min())), max(0, int(self.inputs.highs().max()))
            return BoundedWeights(*size, opt, low, high, shared=shared)
        if learned:
            assert widths is not None
            return LearnedWidthWeights(*size, opt, widths, shared=shared)
        kinds = {
            "binary": BinaryWeights,
            "ternary": TernaryWeights,
            "power-of-two": PowerOfTwoWeights,
            "fixed-point": FixedPointWeights,
        }
        return kinds[opt.weights](*size, opt, shared=shared)

    def _start_scores(self, quantizer: ScoreCodes) -> None:
        """What one integer of a score is worth, so that first scores are of the size that the loss expects."""
        weights = self.integer_weights().double()
        spread = torch.from_numpy((self.inputs.highs() - self.inputs.lows()) / 4.0)
        size = (weights.square() * spread.square()[:, None]).sum(dim=0).mean().sqrt().clamp_min(1.0)
        with torch.no_grad():
            quantizer.log_scale.copy_(torch.log(FIRST_SPREAD / size))

    def _to_powers(self) -> Tensor:
        """Factors that make ``gain * step / output step`` a power of two, float64, shape ``(out_features,)``."""
        assert self.norm is not None and isinstance(self.quantizer, UniformQuantizer)
        with torch.no_grad():
            ratio = self.norm.gain().abs() * self.weights.step().double() / self.quantizer.scale().double()
            return 2.0 ** torch.log2(ratio.clamp_min(1e-30)).round() / ratio.clamp_min(1e-30)

    def _codes_of_sums(self, sums: Tensor) -> Tensor:
        """Codes of exact sums, int64, shape ``(rows, out_features)``."""
        if isinstance(self.quantizer, ScoreCodes):
            return self.quantizer.codes_of_sums(sums + self._integer_bias())
        assert self.norm is not None
        with evaluating(self):
            gain = self.norm.gain()
            assert self.norm.running_mean is not None
            if self.options.rescale == "shift":
                gain = gain * self._to_powers()
            shift = self.norm.bias.double() - self.norm.running_mean.double() * gain
            response = sums.double() * (gain * self.weights.step().double()) + shift
            if not bool(torch.isfinite(response).all()):
                raise UserError(
                    f"{type(self).__name__} has outputs that are not finite: training diverged; lower the learning rate or go "
                    "back to an earlier checkpoint"
                )
            codes: Tensor = self.quantizer.codes(response)
            return codes

    def _integer_bias(self) -> Tensor:
        assert self.bias is not None
        return self.bias.detach().round().to(torch.int64)

    def _score_range(self) -> tuple[Tensor, Tensor]:
        low, high = self.sum_ranges()
        bias = self._integer_bias()
        return torch.from_numpy(low).to(bias) + bias, torch.from_numpy(high).to(bias) + bias

    def _lower_scores(self, wires: Wires, terms: Sequence[Term]) -> list[int]:
        assert isinstance(self.quantizer, ScoreCodes)
        bits = self.quantizer.bits
        offsets = (self._integer_bias() - self.quantizer.base()).tolist()
        _, high = self.sum_ranges()
        out = []
        for term, offset, largest in zip(terms, offsets, (high + np.asarray(offsets)).tolist(), strict=True):
            if not term.coef:
                out.append(wires.const(offset, bits))
                continue
            total = wires.sum([term.row], [term.coef], bias=offset)
            width = max(1, int(largest).bit_length())
            code = wires.slice(total, 0, width)
            out.append(code if width == bits else wires.concat([code, wires.const(0, bits - width)]))
        return out

    def _activation_luts(self, device: Device) -> int:
        if isinstance(self.quantizer, SumCodes):
            return 0
        widths = self.quantizer.feature_bits(self.out_features).tolist()
        return sum(function.luts(bits, device) for function, bits in zip(self.steps(), widths, strict=True))

    def _activation_estimate(self) -> Tensor:
        """Real-valued lookup tables of the step functions, by the bits of the codes that somebody reads."""
        if isinstance(self.quantizer, SumCodes):
            return self.weights.weight.new_zeros(())
        bits = self.quantizer.needed_bits(self.out_features).to(self.wiring.device)
        return (bits * (2.0 if self.options.rescale == "shift" else 4.0)).sum()
