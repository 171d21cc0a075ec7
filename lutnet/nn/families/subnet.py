"""Sub-networks inside tables: NeuraLUT.

Andronic and Constantinides, "NeuraLUT: hiding neural network density in Boolean synthesizable functions", FPL 2024 (arXiv
2403.00849), Section III: a neuron is a perceptron of L affine layers ``A`` of width N with rectifiers between them, cut into blocks
of S layers, each bridged by an affine skip ``R``:

    ``h_i = A_iS(relu(... relu(A_(i-1)S+1(u_i)))) + R_i(u_i)``,    ``u_1 = x``,    ``u_(i+1) = relu(h_i)``,    ``y = h_(L/S)``

followed by batch norm and a quantised activation. Only the operands and the result are quantised; the neuron becomes one table.
Deviation: the constants of R and of the last layer are left to A and to the batch norm, which have the same effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy.typing as npt
import torch
from torch import Tensor, nn

from lutnet.nn.address_lookup import table_response
from lutnet.nn.lut_layer import LutLayer, TableBudget
from lutnet.nn.multi_input_options import SubnetOptions
from lutnet.nn.neuron_norm import NeuronNorm
from lutnet.nn.quantize import Quantizer, Selection
from lutnet.nn.slopes import gates_of_slopes
from lutnet.nn.width_options import WidthOptions

__all__ = ["SubnetNeurons"]


class SubnetNeurons(LutLayer):
    """A perceptron a neuron, all of a layer computed together.

    Attributes:
        weights: Parameters of A, each of shape ``(out_features, units, units before)``.
        biases: Parameters of A, each of shape ``(out_features, units)``; the last layer has one only without batch norm.
        skips: Parameters of R, one a block; shape ``(out_features, units, units before the block)``; none for ``skip = 0``.
        norm: Batch norm over the neurons, folded into the tables, or ``None``.
    """

    def __init__(
        self,
        source: Quantizer,
        in_features: int,
        wiring: npt.ArrayLike,
        quantizer: Quantizer,
        *,
        options: SubnetOptions | None = None,
        budget: TableBudget | None = None,
        widths: WidthOptions | None = None,
    ) -> None:
        """Make the layer; arguments and errors as for :class:`LutLayer`. Weights come from torch's global generator."""
        super().__init__(source, in_features, wiring, quantizer, budget=budget, widths=widths)
        self.options = options if options is not None else SubnetOptions()
        depth = self.options.depth
        units = [self.fan_in, *[self.options.width] * (depth - 1), 1]
        # bounds that keep the variance of what is weighed; a rectifier halves it
        self.weights = nn.ParameterList(
            self._uniform((6.0 if i else 3.0) / units[i], units[i + 1], units[i]) for i in range(depth)
        )
        n_biases = depth - 1 if self.options.batch_norm else depth
        self.biases = nn.ParameterList(self._uniform(1.0 / units[i], units[i + 1]) for i in range(n_biases))
        for bias in self.biases:
            bias.no_decay = True
        ends = [(units[b.stop], units[b.start]) for b in self._blocks()] if self.options.skip else []
        self.skips = nn.ParameterList(self._uniform(3.0 / before, after, before) for after, before in ends)
        self.norm = NeuronNorm(self.out_features) if self.options.batch_norm else None

    @property
    def scratch(self) -> int:
        return self.fan_in + 4 * self.options.width

    def response(self, x: Tensor) -> Tensor:
        total = table_response(self, x, self._totals)
        if total is None:
            return super().response(x)
        return total if self.norm is None else self.norm(total)

    def respond(self, operands: Tensor, neurons: Selection) -> Tensor:
        x = operands.permute(1, 2, 0).contiguous()
        if self.training:
            total = self._totals(x).t()
            return total if self.norm is None else self.norm(total)
        weights, biases, skips = (
            [p.double()[neurons] for p in parameters] for parameters in (self.weights, self.biases, self.skips)
        )
        total = self._perceptron(x, weights, biases, skips, _ordered_product)[:, 0].t()
        return total if self.norm is None else self.norm.folded(total, neurons)

    def gates(self) -> Tensor:
        """See :func:`gates_of_slopes`: a slope is at most the weights' magnitudes along all paths from the operand."""
        one = torch.eye(self.fan_in, device=self.wiring.device).expand(self.out_features, -1, -1)
        weights, skips = ([p.abs() for p in parameters] for parameters in (self.weights, self.skips))
        return gates_of_slopes(
            self, self._perceptron(one.to(weights[0]), weights, [], skips, _product)[:, 0], self.norm
        )

    def extra_repr(self) -> str:
        opt = self.options
        return f"{super().extra_repr()}, width={opt.width}, depth={opt.depth}, skip={opt.skip}"

    def _totals(self, x: Tensor) -> Tensor:
        """Results of all neurons before the batch norm in training, ``(out_features, fan_in, rows)`` to ``(out_features, rows)``."""
        return self._perceptron(x, list(self.weights), list(self.biases), list(self.skips), _product)[:, 0]

    def _perceptron(
        self,
        x: Tensor,
        weights: list[Tensor],
        biases: list[Tensor],
        skips: list[Tensor],
        product: Callable[[Tensor, Tensor, Tensor | None], Tensor],
    ) -> Tensor:
        """The equations above, ``(n, fan_in, rows)`` to ``(n, 1, rows)``; ``product(weight, x, start)`` multiplies and adds."""
        for number, block in enumerate(self._blocks()):
            inputs = hidden = torch.relu_(x) if number else x
            for layer in block:
                if layer > block.start:
                    hidden = torch.relu_(hidden)
                bias = biases[layer][..., None] if layer < len(biases) else None
                hidden = product(weights[layer], hidden, bias)
            x = product(skips[number], inputs, hidden) if skips else hidden
        return x

    def _blocks(self) -> Iterator[range]:
        """The affine layers of each block."""
        size = self.options.skip or self.options.depth
        return (range(first, first + size) for first in range(0, self.options.depth, size))

    def _uniform(self, square_of_bound: float, *shape: int) -> nn.Parameter:
        bound = square_of_bound**0.5
        return nn.Parameter(torch.empty(self.out_features, *shape).uniform_(-bound, bound))


def _product(weight: Tensor, x: Tensor, start: Tensor | None) -> Tensor:
    """``start + weight @ x`` for each neuron, ``(n, units, before)`` and ``(n, before, rows)`` to ``(n, units, rows)``."""
    total = torch.bmm(weight, x)
    return total if start is None else total.add_(start)


def _ordered_product(weight: Tensor, x: Tensor, start: Tensor | None) -> Tensor:
    """The same one input after the other, elementwise, as evaluation has to."""
    total = weight[:, :, :1] * x[:, :1]
    for k in range(1, x.shape[1]):
        total = total + weight[:, :, k : k + 1] * x[:, k : k + 1]
    return total if start is None else start + total
