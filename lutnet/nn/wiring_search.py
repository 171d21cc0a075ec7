"""Learning which inputs a neuron reads: a stand-in network of weighted sums, dense at first, that is trained and thinned out.

The stand-in has the layer sizes, quantisers and input codes of the network to be, and one weight for each pair of a neuron and an
input, whatever the family. What it keeps is the wiring with which the network is then made. Three ways to thin it out:

* ``group``: Andronic and Constantinides, "NeuraLUT-Assemble", 2025 (arXiv 2504.00592), learned mappings: a dense phase whose loss has the
  term ``penalty * sum_j (2**(rate * |w_j|_1) - 1)``, w_j being the weights of neuron j, and then the inputs with the largest weights.
  Deviation: a dense neuron is a weighted sum; there the weights are those of the skip connection beside a perceptron.
* ``prune``: Zhu and Gupta, "To prune, or not to prune", 2017 (arXiv 1710.01878), Eq. 1: the smallest weights are set to 0 for good, what
  is left falling with the third power of time. Deviations: each neuron falls to its fan-in; activations are quantised all along, so
  that pruning sees what quantisation costs.
* ``regrow``: Lou, Wu and Leong, "SparseLUT", 2025 (arXiv 2503.12829): connections are pruned and grown again while the network learns.
  Neurons read the inputs of their largest weights; a weight that is not read goes on learning with the gradient that it would have, and
  its connection comes back when it outgrows another (Guo, Yao and Chen, "Dynamic network surgery", NeurIPS 2016, Eq. 2). Deviation:
  this in place of connections drawn at random, in every step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lutnet.cost.device import Device
from lutnet.errors import UserError
from lutnet.nn.heads import ClassHead, Head
from lutnet.nn.inputs import InputQuantizer
from lutnet.nn.quantize import Quantizer, straight_through
from lutnet.nn.wiring import Wiring
from lutnet.nn.wiring_options import WiringOptions

__all__ = ["DenseNeurons", "WiringSearch"]

EXPONENT_LIMIT = 30.0
"""Doublings beyond which the exponential penalty goes on linearly, so that it stays finite."""


class DenseNeurons(nn.Module):
    """``quantizer(norm(weight @ x))``, the weights of connections that are not there being 0.

    Attributes:
        weight: Parameter, shape ``(n_out, n_in)``.
        mask: bool buffer, the connections that are there, same shape.
        fan_in: Inputs that each neuron keeps in the end.
        given: The wiring, where it is not to be learned.
    """

    mask: Tensor

    def __init__(self, n_in: int, n_out: int, fan_in: int, quantizer: Quantizer, given: Wiring | None = None) -> None:
        """Make the neurons; weights come from torch's global generator.

        Raises:
            UserError: A neuron is to read more inputs than there are.
        """
        super().__init__()
        if fan_in > n_in:
            raise UserError(
                f"a learned wiring gives each neuron {fan_in} different inputs, got {n_in} to choose from; lower the fan-in or "
                "widen the layer before"
            )
        self.fan_in = fan_in
        self.given = given
        mask = torch.ones(n_out, n_in, dtype=torch.bool)
        if given is not None:
            mask = torch.zeros_like(mask).scatter_(
                1, torch.from_numpy(given), torch.ones(given.shape, dtype=torch.bool)
            )
        self.register_buffer("mask", mask)
        bound = (3.0 / mask.sum(dim=1, keepdim=True)) ** 0.5
        self.weight = nn.Parameter((torch.rand(n_out, n_in) * 2.0 - 1.0) * bound * mask)
        self.norm = nn.BatchNorm1d(n_out)
        self.quantizer = quantizer

    def forward(self, x: Tensor) -> Tensor:
        """Quantised values, float32, ``(batch, n_in)`` to ``(batch, n_out)``; connections that are not there get a gradient too."""
        weight = straight_through(self.weight, self.weight * self.mask)
        found: Tensor = self.quantizer(self.norm(x @ weight.t()))
        return found.float()

    def largest(self) -> Wiring:
        """The inputs with the largest weights of each neuron, rows ascending."""
        if self.given is not None:
            return self.given
        size = self.weight.detach().abs().masked_fill(~self.mask, -1.0)
        chosen: Wiring = size.topk(self.fan_in, dim=1).indices.sort(dim=1).values.cpu().numpy()
        return chosen

    @torch.no_grad()
    def keep_largest(self, count: int, *, for_good: bool) -> None:
        """Leaves each neuron that many connections, those with its largest weights.

        Args:
            count: How many.
            for_good: Whether the weights of the others become 0 and stay so; else they may come back.
        """
        self.mask.zero_().scatter_(1, self.weight.abs().topk(count, dim=1).indices, True)
        if for_good:
            self.weight.mul_(self.mask)

    def penalty(self, rate: float) -> Tensor:
        """``sum_j (2**(rate * |w_j|_1) - 1)``."""
        if self.given is not None:
            return self.weight.new_zeros(())
        doublings = rate * self.weight.abs().sum(dim=1)
        inside = doublings.clamp_max(EXPONENT_LIMIT)
        return (torch.exp2(inside) * (1.0 + math.log(2.0) * (doublings - inside)) - 1.0).sum()


class WiringSearch(nn.Module):
    """The stand-in network, to be trained like any other.

    Attributes:
        input_quantizer: Of the network to be; it belongs to it.
        layers: The stand-ins of its layers.
        options: How to thin out.
        head: What the scores are for.
    """

    def __init__(
        self,
        input_quantizer: InputQuantizer,
        layers: Sequence[DenseNeurons],
        options: WiringOptions,
        head: Head | None = None,
    ) -> None:
        """Join the parts; the head is one of classes when left out."""
        super().__init__()
        self.head = ClassHead() if head is None else head
        self._input_quantizer = (input_quantizer,)
        self.layers = nn.ModuleList(layers)
        self.options = options
        self._left = 1.0
        self.schedule(0.0)

    @property
    def input_quantizer(self) -> InputQuantizer:
        """The quantiser of the features."""
        return self._input_quantizer[0]

    def prepare(self, x: Tensor) -> Tensor:
        """Values of the features' codes."""
        found: Tensor = self.input_quantizer.to(x.device)(x)
        return found

    def run(self, prepared: Tensor) -> Tensor:
        """Scores of prepared rows, float32."""
        values = prepared.float()
        for layer in self.layers:
            values = layer(values)
        return values

    def forward(self, x: Tensor) -> Tensor:
        """Scores of raw features."""
        return self.run(self.prepare(x))

    def cost(self, device: Device) -> Tensor:
        """Zero: it is no hardware."""
        return torch.zeros(())

    def penalty(self) -> Tensor:
        """The exponential penalty of the method ``group``."""
        opt = self.options
        learned = self.learned()
        if opt.method != "group" or not learned:
            return torch.zeros(())
        return opt.penalty * torch.stack([layer.penalty(opt.penalty_rate) for layer in learned]).sum()

    def schedule(self, progress: float) -> None:
        """Says how much beyond the fan-in is left: all of it at first, nothing from ``prune_until`` on."""
        opt = self.options
        if progress >= opt.prune_until:
            self._left = 0.0
        elif progress > opt.prune_from:
            self._left = (1.0 - (progress - opt.prune_from) / (opt.prune_until - opt.prune_from)) ** 3
        else:
            self._left = 1.0

    def after_step(self) -> None:
        """Thins out."""
        if self.options.method == "group":
            return
        for layer in self.learned():
            spare = layer.weight.shape[1] - layer.fan_in
            layer.keep_largest(layer.fan_in + round(spare * self._left), for_good=self.options.method == "prune")

    def learned(self) -> list[DenseNeurons]:
        """The layers whose wiring is learned."""
        return [layer for layer in self.layers if isinstance(layer, DenseNeurons) and layer.given is None]

    def wirings(self) -> list[Wiring]:
        """What was found, one wiring a layer."""
        return [layer.largest() for layer in self.layers if isinstance(layer, DenseNeurons)]
