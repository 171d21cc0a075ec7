"""Polynomial neurons: PolyLUT.

Andronic and Constantinides, "PolyLUT: learning piecewise polynomials for ultra-low latency FPGA LUT-based inference", FPT 2023
(arXiv 2309.02334): a neuron is a weighted sum of the ``M = C(F + D, D)`` monomials of its F operands up to degree D, batch
norm and a quantised activation, and becomes one table, which costs what the table of a weighted sum costs. Deviation: the
monomial of degree 0 is the shift of the batch norm, or the bias.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lutnet.errors import UserError
from lutnet.nn.address_lookup import table_response
from lutnet.nn.lut_layer import LutLayer, TableBudget
from lutnet.nn.multi_input_options import PolynomialOptions
from lutnet.nn.neuron_norm import NeuronNorm
from lutnet.nn.quantize import Quantizer, Selection
from lutnet.nn.slopes import gates_of_slopes
from lutnet.nn.width_options import WidthOptions

__all__ = ["PolynomialNeurons", "exponents", "n_monomials"]

MAX_MONOMIALS = 4096
"""Most monomials of one neuron."""


class PolynomialNeurons(LutLayer):
    """``quantizer(norm(sum_m weight[j, m] * prod_k x[wiring[j, k]]**exponents[m, k]))``, or with a bias.

    Attributes:
        weight: Parameter, shape ``(out_features, n_monomials)``, in the order of :func:`exponents`.
        norm: Batch norm over the neurons, folded into the tables, or ``None``.
        bias: Parameter, shape ``(out_features,)``; ``None`` with batch norm, whose shift takes its place.
    """

    def __init__(
        self,
        source: Quantizer,
        in_features: int,
        wiring: npt.ArrayLike,
        quantizer: Quantizer,
        *,
        options: PolynomialOptions | None = None,
        budget: TableBudget | None = None,
        widths: WidthOptions | None = None,
    ) -> None:
        """Make the layer; arguments and errors as for :class:`LutLayer`. Weights come from torch's global generator.

        Raises:
            UserError: Too many monomials.
        """
        super().__init__(source, in_features, wiring, quantizer, budget=budget, widths=widths)
        self.options = options if options is not None else PolynomialOptions()
        count = n_monomials(self.fan_in, self.options.degree)
        if count > MAX_MONOMIALS:
            raise UserError(
                f"a polynomial of degree {self.options.degree} in {self.fan_in} operands has {count:,} monomials, at most "
                f"{MAX_MONOMIALS:,} are allowed; lower model.polynomial.degree or the fan-in"
            )
        bound = count**-0.5
        self.weight = nn.Parameter(torch.empty(self.out_features, count).uniform_(-bound, bound))
        norm = self.options.batch_norm
        self.norm = NeuronNorm(self.out_features) if norm else None
        self.bias = None if norm else nn.Parameter(torch.empty(self.out_features).uniform_(-bound, bound))

    @property
    def scratch(self) -> int:
        return self.fan_in + self.weight.shape[1]

    def response(self, x: Tensor) -> Tensor:
        total = table_response(self, x, self._totals)
        return super().response(x) if total is None else self._shifted(total)

    def respond(self, operands: Tensor, neurons: Selection) -> Tensor:
        x = operands.permute(1, 2, 0).contiguous()
        if self.training:
            return self._shifted(self._totals(x).t())
        monomials = _Monomials.apply(x, self.options.degree)
        weight = self.weight.double()[neurons]
        total = monomials[:, 0] * weight[:, :1]
        for m in range(1, weight.shape[1]):
            total = total + monomials[:, m] * weight[:, m : m + 1]
        if self.norm is None:
            return total.t() + self.bias.double()[neurons]
        return self.norm.folded(total.t(), neurons)

    def gates(self) -> Tensor:
        """See :func:`gates_of_slopes`: a monomial is steepest where all operands are largest."""
        with torch.no_grad():
            largest = self.source.value_table().to(self.weight).abs().amax(dim=1).clamp_min(1e-12)
            reach = largest.expand(self.in_features)[self.wiring]
            monomials = _Monomials.apply(reach[..., None].contiguous(), self.options.degree)[..., 0]
            powers = torch.from_numpy(exponents(self.fan_in, self.options.degree)).to(self.weight)
        return gates_of_slopes(self, (self.weight.abs() * monomials) @ powers / reach, self.norm)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, degree={self.options.degree}"

    def _totals(self, x: Tensor) -> Tensor:
        """Polynomials of all neurons in training, ``(out_features, fan_in, rows)`` to ``(out_features, rows)``."""
        total: Tensor = torch.bmm(self.weight[:, None], _Monomials.apply(x, self.options.degree))[:, 0]
        return total

    def _shifted(self, total: Tensor) -> Tensor:
        return total + self.bias if self.norm is None else self.norm(total)


def n_monomials(fan_in: int, degree: int) -> int:
    """Monomials of degree 1 to ``degree`` in ``fan_in`` operands."""
    return math.comb(fan_in + degree, degree) - 1


def exponents(fan_in: int, degree: int) -> npt.NDArray[np.int64]:
    """Powers of the operands in each monomial, shape ``(n_monomials, fan_in)``.

    Degrees ascend, the operands themselves come first; within a degree the last operand that occurs ascends.
    """
    powers = np.zeros((n_monomials(fan_in, degree), fan_in), dtype=np.int64)
    powers[:fan_in] = np.eye(fan_in, dtype=np.int64)
    for block in _blocks(fan_in, degree):
        powers[block.products] = powers[block.factors]
        powers[block.products, block.operand] += 1
    return powers


@dataclass(frozen=True)
class _Block:
    """Monomials that are one operand times monomials of one degree less in it and the operands before it."""

    products: slice
    factors: slice
    operand: int


def _blocks(fan_in: int, degree: int) -> Iterator[_Block]:
    """All monomials of degree 2 and more, in order; a block's factors are a prefix of the degree before."""
    before, place = 0, fan_in
    for d in range(2, degree + 1):
        first = place
        for operand in range(fan_in):
            size = math.comb(operand + d - 1, d - 1)
            yield _Block(slice(place, place + size), slice(before, before + size), operand)
            place += size
        before = first


class _Monomials(torch.autograd.Function):
    """All monomials of the operands up to a degree, one product each."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, degree: int) -> Tensor:
        """``(n, fan_in, rows)`` to ``(n, n_monomials, rows)``."""
        n, fan_in, rows = x.shape
        out = x.new_empty(n, n_monomials(fan_in, degree), rows)
        out[:, :fan_in] = x
        for block in _blocks(fan_in, degree):
            factor = x[:, block.operand : block.operand + 1]
            torch.mul(out[:, block.factors], factor, out=out[:, block.products])
        ctx.save_for_backward(out)
        ctx.fan_in, ctx.degree = fan_in, degree
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        """The product rule, the highest degree first."""
        (monomials,) = ctx.saved_tensors
        grad = grad.clone()
        for block in reversed(list(_blocks(ctx.fan_in, ctx.degree))):
            of_products, k = grad[:, block.products], block.operand
            grad[:, k] += (of_products * monomials[:, block.factors]).sum(dim=1)
            grad[:, block.factors].addcmul_(of_products, monomials[:, k : k + 1])
        return grad[:, : ctx.fan_in], None
