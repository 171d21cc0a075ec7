"""Batch norm of neurons that tables absorb."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lutnet.errors import UserError
from lutnet.nn.quantize import Selection

__all__ = ["NeuronNorm"]


class NeuronNorm(nn.BatchNorm1d):
    """Batch norm with one gain and one shift a neuron outside training.

    Ioffe and Szegedy, "Batch normalization", ICML 2015, Algorithm 2. Outside training the running mean and variance are folded into
    ``total * gain + shift`` in float64, which the exactness rules of ``lutnet.nn.lut_layer`` allow.
    """

    def forward(self, total: Tensor) -> Tensor:
        """Normalised sums in training, shape ``(batch, n)``.

        Raises:
            UserError: The batch has fewer than 2 rows.
        """
        if len(total) < 2:
            raise UserError(
                f"batch norm needs at least 2 rows in a training batch, got {len(total)}; raise the batch size"
            )
        if total.stride(0) == 1:
            # neuron by neuron in memory: as channels of a sequence, whose numbers are next to each other
            return super().forward(total.t()[None])[0].t()
        return super().forward(total)

    def gain(self) -> Tensor:
        """What evaluation multiplies each neuron's sum with, float64, shape ``(n,)``."""
        assert self.running_var is not None
        return self.weight.double() / torch.sqrt(self.running_var.double() + self.eps)

    def folded(self, total: Tensor, neurons: Selection) -> Tensor:
        """Normalised sums of some neurons outside training, float64, shape ``(rows, n)``."""
        assert self.running_mean is not None
        gain = self.gain()
        shift = self.bias.double() - self.running_mean.double() * gain
        return total * gain[neurons] + shift[neurons]
