"""Sparse linear neurons: LogicNets.

Umuroglu, Akhauri, Fraser, Blott, "LogicNets: co-designed neural networks and circuits for extreme-throughput
applications", FPL 2020 (arXiv 2004.03021): a neuron is a weighted sum of few quantised inputs, batch norm and a
quantised activation, and becomes one table.
"""

from __future__ import annotations

from typing import ClassVar

import numpy.typing as npt
import torch
from torch import Tensor, nn

from lutnet.nn.lut_layer import LutLayer, TableBudget
from lutnet.nn.neuron_norm import NeuronNorm
from lutnet.nn.quantize import Quantizer, Selection
from lutnet.nn.slopes import gates_of_slopes
from lutnet.nn.width_options import WidthOptions

__all__ = ["SparseLinear"]

DENSE_ELEMENTS = 1 << 22
"""Largest masked weight matrix that training multiplies densely; a wider layer gathers its operands."""


class SparseLinear(LutLayer):
    """``quantizer(norm(sum_k weight[j, k] * x[wiring[j, k]]))``, or with a bias in place of the batch norm.

    Attributes:
        weight: Parameter, shape ``(out_features, fan_in)``.
        norm: Batch norm over the neurons, folded into the tables, or ``None``.
        bias: Parameter, shape ``(out_features,)``; ``None`` with batch norm, whose shift takes its place.
    """

    quantizes_a_sum: ClassVar[bool] = True

    def __init__(
        self,
        source: Quantizer,
        in_features: int,
        wiring: npt.ArrayLike,
        quantizer: Quantizer,
        *,
        batch_norm: bool = True,
        budget: TableBudget | None = None,
        widths: WidthOptions | None = None,
    ) -> None:
        """Make the layer; arguments and errors as for :class:`LutLayer`. Weights come from torch's global generator."""
        super().__init__(source, in_features, wiring, quantizer, budget=budget, widths=widths)
        bound = self.fan_in**-0.5
        self.weight = nn.Parameter(torch.empty(self.out_features, self.fan_in).uniform_(-bound, bound))
        self.norm = NeuronNorm(self.out_features) if batch_norm else None
        self.bias = None if batch_norm else nn.Parameter(torch.empty(self.out_features).uniform_(-bound, bound))

    def respond(self, operands: Tensor, neurons: Selection) -> Tensor:
        if self.training:
            return self._shifted(torch.einsum("bnk,nk->bn", operands, self.weight))
        weight = self.weight.double()[neurons]
        total = operands[..., 0] * weight[:, 0]
        for k in range(1, self.fan_in):
            total = total + operands[..., k] * weight[:, k]
        if self.norm is None:
            return total + self.bias.double()[neurons]
        return self.norm.folded(total, neurons)

    def response(self, x: Tensor) -> Tensor:
        narrowed = self.widths is not None and not self.widths.relaxed
        if self.out_features * self.in_features > DENSE_ELEMENTS or (narrowed and not self.widths.shared):
            return super().response(x)
        if narrowed:
            x = self.widths.narrow_inputs(x)
        dense = torch.zeros(self.out_features, self.in_features, dtype=self.weight.dtype, device=self.weight.device)
        return self._shifted(x @ dense.scatter(1, self.wiring, self.weight).t())

    def gates(self) -> Tensor:
        """See :func:`gates_of_slopes`: the slopes are the weights' magnitudes."""
        return gates_of_slopes(self, self.weight.abs(), self.norm)

    def _shifted(self, total: Tensor) -> Tensor:
        return total + self.bias if self.norm is None else self.norm(total)
