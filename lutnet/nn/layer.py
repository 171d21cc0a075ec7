"""The base of every layer: values in, codes out, and how it is said as hardware.

A layer reads the codes of the quantiser before it and makes codes with its own. :class:`LutLayer` is the base of families
whose neurons are one table each; other families (edge tables and a sum, thermometer codes, population counts) derive
from :class:`Layer` and say themselves what they are made of.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lutnet.cost import Device
from lutnet.errors import UserError
from lutnet.nn.cost import LayerCost
from lutnet.nn.quantize import Quantizer
from lutnet.nn.wires import Wires

__all__ = ["Layer", "evaluating"]


@contextmanager
def evaluating(*modules: nn.Module) -> Iterator[None]:
    """Run a block with modules in evaluation mode and without gradients; every submodule gets its own mode back."""
    modes = [(module, module.training) for root in modules for module in root.modules()]
    try:
        for module, _ in modes:
            module.training = False
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


class Layer(nn.Module, ABC):
    """Something that maps codes to codes.

    A subclass writes :meth:`respond_training`, :meth:`codes`, :meth:`lower`, :meth:`cost` and :meth:`summary`. Outside
    training, codes are exact: they depend neither on the batch size nor on the other rows, and the netlist that
    :meth:`lower` adds makes the same ones.

    A parameter may carry three attributes that the trainer reads: ``lr_scale``, a factor on its learning rate,
    ``no_decay``, whether weight decay leaves it alone, and ``beta2``, the optimiser's memory of its gradients' size.

    Attributes:
        in_features: Number of columns that the layer reads.
        out_features: Number of columns that it makes.
        quantizer: What its output codes stand for.
    """

    def __init__(self, source: Quantizer, in_features: int, out_features: int, quantizer: Quantizer) -> None:
        """Make the layer.

        Args:
            source: The quantiser that makes the layer's inputs. It belongs to somebody else: it is not a submodule.
            in_features: Number of columns that the source makes.
            out_features: Number of columns of this layer.
            quantizer: Output quantiser of 1 or ``out_features`` channels.

        Raises:
            UserError: The channels of a quantiser do not fit.
        """
        super().__init__()
        source.check_features(in_features)
        quantizer.check_features(out_features)
        self.in_features = in_features
        self.out_features = out_features
        self._source = (source,)
        self.quantizer = quantizer

    @property
    def source(self) -> Quantizer:
        """The quantiser that makes the layer's inputs."""
        return self._source[0]

    @abstractmethod
    def respond_training(self, x: Tensor) -> Tensor:
        """Values in training: float32 with gradient, ``(batch, in_features)`` to ``(batch, out_features)``."""

    @abstractmethod
    def codes(self, x: Tensor) -> Tensor:
        """Output codes, int64, shape ``(batch, out_features)``, exact in any mode.

        Args:
            x: Values that the source makes in evaluation, shape ``(batch, in_features)``.
        """

    @abstractmethod
    def lower(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        """Adds the layer to a netlist.

        Args:
            wires: Where to add it.
            rows: The rows that carry the codes of its inputs, ``in_features`` of them.

        Returns:
            The rows of its output codes, ``out_features`` of them.

        Raises:
            UserError: The layer cannot become hardware as it is; the message says why.
        """

    @abstractmethod
    def cost(self, device: Device) -> Tensor:
        """Differentiable estimate of the layer's lookup tables, a scalar; see ``lutnet.nn.cost``."""

    @abstractmethod
    def summary(self, name: str, device: Device) -> LayerCost:
        """Closed-form cost of the layer.

        Args:
            name: Name of the row.
            device: Whose lookup tables are counted.
        """

    def lut_cost(self, device: Device) -> int:
        """Lookup tables of the layer in closed form."""
        return self.summary("", device).n_luts

    def penalty(self) -> Tensor:
        """What the layer adds to the training loss, a scalar; nothing unless a family says so."""
        return torch.zeros((), device=next((p.device for p in self.parameters()), None))

    def schedule(self, progress: float) -> None:
        """Told before every training step how far the training is.

        Args:
            progress: Fraction of all steps that are done, 0 to below 1.
        """

    def after_step(self) -> None:
        """Called after every step of the optimiser, to bring parameters back where they belong."""

    def forward(self, x: Tensor) -> Tensor:
        """Quantised values.

        Args:
            x: Values that the source makes, shape ``(batch, in_features)``.

        Returns:
            Shape ``(batch, out_features)``: float32 with gradient in training; in evaluation exactly the float64 values
            of :meth:`codes`.
        """
        self.check_columns(x)
        if self.training:
            return self.respond_training(x)
        return self.quantizer.values(self.codes(self.source.settled(x)))

    def out_bits(self) -> npt.NDArray[np.int64]:
        """Bits of each output code, shape ``(out_features,)``."""
        return self.quantizer.feature_bits(self.out_features)

    def check_columns(self, x: Tensor) -> None:
        """Refuse values of another shape than ``(batch, in_features)``."""
        if x.ndim != 2 or x.shape[1] != self.in_features:
            raise UserError(
                f"{type(self).__name__} expected values of shape (batch, {self.in_features}), got {tuple(x.shape)}"
            )
