"""Polynomial neurons joined by an adder: PolyLUT-Add.

Lou, Rademacher, Boland and Leong, "PolyLUT-Add: FPGA-based LUT inference with wide inputs", FPL 2024 (arXiv 2406.04910): a neuron is
the sum of A sub-neurons, each a polynomial of F operands of its own, followed by batch norm and a quantised activation. The results of
the sub-neurons have one bit more than the neuron's code. A second level of tables adds and quantises, so that ``A * F`` operands of
b bits take A tables of ``F * b`` address bits and one of ``A * (b + 1)``, in place of one of ``A * F * b``. Deviations: each
sub-neuron has a batch norm of its own, and all of a layer share one learned step, so that their sum is one of integers; it may be
made by an adder with a table of its result behind it, which has the same function.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lutnet.cost import Device, adder_luts, smooth_table_luts, table_luts
from lutnet.errors import UserError
from lutnet.formats import Format
from lutnet.nn.cost import LayerCost
from lutnet.nn.families.polynomial import PolynomialNeurons
from lutnet.nn.layer import Layer, evaluating
from lutnet.nn.levels import make_quantizer
from lutnet.nn.lut_layer import TableBudget
from lutnet.nn.multi_input_options import AdderOptions, PolynomialOptions
from lutnet.nn.neuron_norm import NeuronNorm
from lutnet.nn.quantize import Quantizer
from lutnet.nn.width_options import WidthOptions
from lutnet.nn.wires import Wires
from lutnet.tables import TruthTable, unpack_address

__all__ = ["AdderNeurons"]


class AdderNeurons(Layer):
    """``quantizer(norm(sum_a terms[j, a](x)))``.

    Attributes:
        terms: The sub-neurons, ``out_features * options.terms`` of them; those of neuron j follow each other.
        norm: Batch norm over the neurons, folded into the second tables.
        options: Number, degree and bits of the terms, and what joins them.
    """

    def __init__(
        self,
        source: Quantizer,
        in_features: int,
        wiring: npt.ArrayLike,
        quantizer: Quantizer,
        *,
        options: AdderOptions | None = None,
        budget: TableBudget | None = None,
        widths: WidthOptions | None = None,
    ) -> None:
        """Make the layer; weights come from torch's global generator.

        Args:
            source: The quantiser that makes the layer's inputs.
            in_features: Number of columns that the source makes.
            wiring: Integer array, shape ``(out_features, options.terms * fan_in)``: the operands of the first term, of the second ...
            quantizer: Output quantiser of 1 or ``out_features`` channels.
            options: Number, degree and bits of the terms, and what joins them.
            budget: What the tables of the terms and of the joints may take, each.
            widths: Whether and how the bits of the operands are learned.

        Raises:
            UserError: Wiring, channels or budget do not fit.
        """
        chosen = options if options is not None else AdderOptions()
        rows = _rows_of_terms(wiring, chosen.terms)
        super().__init__(source, in_features, len(rows) // chosen.terms, quantizer)
        self.options = chosen
        self.inner_bits = chosen.inner_bits or quantizer.bits + 1
        limits = budget if budget is not None else TableBudget()
        joints = np.full(self.out_features, sum(self.joint_widths()), dtype=np.int64)
        limits.check(joints, f"the second level of {type(self).__name__}")
        inner = make_quantizer("signed", self.inner_bits)
        polynomial = PolynomialOptions(chosen.degree)
        self.terms = PolynomialNeurons(
            source, in_features, rows, inner, options=polynomial, budget=limits, widths=widths
        )
        self.norm = NeuronNorm(self.out_features)

    @property
    def wiring(self) -> Tensor:
        """Operands of all terms of each neuron, int64, shape ``(out_features, options.terms * fan_in)``."""
        return self.terms.wiring.view(self.out_features, -1)

    def response(self, x: Tensor) -> Tensor:
        """Outputs before quantisation in training, ``(batch, in_features)`` to ``(batch, out_features)``."""
        total = self.terms(x).view(len(x), self.out_features, self.options.terms).sum(dim=2)
        return self.norm(total)

    def respond_training(self, x: Tensor) -> Tensor:
        return self.quantizer(self.response(x))  # type: ignore[no-any-return]

    def codes(self, x: Tensor) -> Tensor:
        codes = self.terms.codes(x)
        integers = codes - (codes >> (self.inner_bits - 1) << self.inner_bits)
        return self._codes_of_sums(integers.view(len(x), self.out_features, self.options.terms).sum(dim=2))

    def joint_widths(self) -> tuple[int, ...]:
        """Operand widths of a table of the second level."""
        n_terms = self.options.terms
        if self.options.join == "table":
            return (self.inner_bits,) * n_terms
        return (self.inner_bits + (n_terms - 1).bit_length(),)

    def joints(self) -> list[TruthTable]:
        """The tables of the second level, one a neuron: of the codes of its terms, or of their sum.

        Raises:
            UserError: An output is not a finite number.
        """
        half = 1 << (self.inner_bits - 1)
        lowest, highest = -half * self.options.terms, (half - 1) * self.options.terms
        sums = torch.arange(lowest, highest + 1, device=self.wiring.device)
        codes = self._codes_of_sums(sums[:, None].expand(-1, self.out_features)).cpu().numpy()
        widths = self.joint_widths()
        parts = unpack_address(np.arange(1 << sum(widths), dtype=np.int64), widths)
        reached = sum(part - (part >> (width - 1) << width) for part, width in zip(parts, widths, strict=True))
        place = np.minimum(reached, highest) - lowest
        return [TruthTable(widths, int(bits), codes[place, j]) for j, bits in enumerate(self.out_bits())]

    def lower(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        n_terms, widths = self.options.terms, self.joint_widths()
        terms = self.terms.lower(wires, rows)
        out = []
        for j, (table, fmt) in enumerate(
            zip(self.joints(), self.quantizer.feature_formats(self.out_features), strict=True)
        ):
            parts = terms[j * n_terms : (j + 1) * n_terms]
            if self.options.join == "sum":
                parts = [wires.sum(parts, shape=(widths[0], True))]
            out.append(wires.lut(table, parts, signed=isinstance(fmt, Format) and fmt.signed))
        return out

    def cost(self, device: Device) -> Tensor:
        out_bits = self.quantizer.needed_bits(self.out_features).to(self.wiring.device)
        address_bits = torch.full_like(out_bits, float(sum(self.joint_widths())))
        joints = smooth_table_luts(address_bits, out_bits, device).sum()
        return self.terms.cost(device) + joints + self._adders()

    def summary(self, name: str, device: Device) -> LayerCost:
        terms = self.terms.summary(name, device)
        bits = sum(self.joint_widths())
        out_bits = [round(width) for width in self.quantizer.needed_bits(self.out_features).tolist()]
        return LayerCost(
            name=name,
            kind=type(self).__name__,
            n_neurons=self.out_features,
            address_bits=max(terms.address_bits, bits),
            out_bits=max(out_bits),
            n_entries=terms.n_entries + (self.out_features << bits),
            n_luts=terms.n_luts + sum(table_luts(bits, out, device) for out in out_bits) + self._adders(),
        )

    def schedule(self, progress: float) -> None:
        self.terms.schedule(progress)
        self.quantizer.relaxed = self.terms.quantizer.relaxed

    def after_step(self) -> None:
        self.terms.after_step()

    def extra_repr(self) -> str:
        return f"{self.in_features} -> {self.out_features}, terms={self.options.terms}, join={self.options.join}"

    def _codes_of_sums(self, sums: Tensor) -> Tensor:
        """Codes of the neurons for exact sums of the integers of their terms, int64, shape ``(rows, out_features)``."""
        with evaluating(self):
            step = self.terms.quantizer.finite_scales()[0]
            response = self.norm.folded(sums.double() * step, slice(None))
            if not bool(torch.isfinite(response).all()):
                raise UserError(
                    f"{type(self).__name__} has outputs that are not finite: training diverged; lower the learning rate or "
                    "go back to an earlier checkpoint"
                )
            codes: Tensor = self.quantizer.codes(response)
            return codes

    def _adders(self) -> int:
        """Lookup tables of the adders, if there are any."""
        if self.options.join == "table":
            return 0
        return self.out_features * adder_luts(self.joint_widths()[0], self.options.terms)


def _rows_of_terms(wiring: npt.ArrayLike, n_terms: int) -> npt.NDArray[np.int64]:
    """One row a term, of the rows of neurons."""
    rows = np.asarray(wiring.cpu().numpy() if isinstance(wiring, Tensor) else wiring)
    if rows.ndim != 2 or not rows.shape[1] or rows.shape[1] % n_terms:
        raise UserError(
            f"a wiring of neurons of {n_terms} terms has shape (neurons, {n_terms} * fan-in), got {rows.shape}; a row holds "
            "the operands of the first term, then those of the second"
        )
    return rows.reshape(len(rows) * n_terms, -1)
