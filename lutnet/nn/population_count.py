"""From bits to scores: population counts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lutnet.cost import Device, adder_luts
from lutnet.errors import UserError
from lutnet.formats import Format
from lutnet.nn.cost import LayerCost
from lutnet.nn.layer import Layer
from lutnet.nn.levels import FixedQuantizer
from lutnet.nn.quantize import Quantizer
from lutnet.nn.wires import Wires

__all__ = ["GroupSum"]


class GroupSum(Layer):
    """The score of class c is the number of ones among the bits ``c * group`` to ``(c + 1) * group - 1``.

    Petersen et al., "Deep differentiable logic gate networks", NeurIPS 2022 (arXiv 2210.08277), Sec. 3: sums over groups
    of outputs, divided by a temperature tau. The temperature only acts on the training loss: hardware compares counts.

    Attributes:
        group: Bits of a class.
    """

    def __init__(self, source: Quantizer, in_features: int, n_classes: int, *, tau: float = 5.0) -> None:
        """Make the layer.

        Args:
            source: Makes bits: one bit, values ascending with the code.
            in_features: Number of bits, a multiple of ``n_classes``.
            n_classes: Number of scores.
            tau: Count that makes one unit of a score, positive.

        Raises:
            UserError: The source makes wider codes, the bits cannot be shared out equally, or tau is not positive.
        """
        if in_features < 1 or in_features % n_classes:
            raise UserError(
                f"{in_features} bits cannot be shared out equally among {n_classes} classes; make the last hidden layer a "
                f"multiple of {n_classes}"
            )
        if source.bits != 1:
            raise UserError(f"a population count needs a source of 1 bit, got {source.bits} bits")
        if not tau > 0:
            raise UserError(f"tau must be positive, got {tau}")
        self.group = in_features // n_classes
        fmt = Format(self.group.bit_length(), False, 1.0 / tau)
        super().__init__(source, in_features, n_classes, FixedQuantizer(fmt))
        self.tau = tau

    def respond_training(self, x: Tensor) -> Tensor:
        levels = self.source.value_table().to(x)
        ones = (x - levels[:, 0]) / (levels[:, 1] - levels[:, 0])
        return ones.view(len(x), self.out_features, self.group).sum(dim=2) / self.tau

    def codes(self, x: Tensor) -> Tensor:
        self.check_columns(x)
        bits = self.source.codes(x)
        return bits.view(len(x), self.out_features, self.group).sum(dim=2)

    def lower(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        width = self.quantizer.bits
        starts = range(0, self.in_features, self.group)
        return [wires.sum(list(rows[start : start + self.group]), shape=(width, False)) for start in starts]

    def cost(self, device: Device) -> Tensor:
        """The closed form."""
        return torch.tensor(float(self.lut_cost(device)))

    def summary(self, name: str, device: Device) -> LayerCost:
        """A population count is a tree of full adders: one fewer than bits, each a dual-output lookup table."""
        return LayerCost(
            name=name,
            kind=type(self).__name__,
            n_neurons=self.out_features,
            address_bits=self.group,
            out_bits=self.quantizer.bits,
            n_entries=0,
            n_luts=self.out_features * adder_luts(1, self.group),
        )

    def extra_repr(self) -> str:
        return f"{self.in_features} bits -> {self.out_features} counts, tau={self.tau}"
