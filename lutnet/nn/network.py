"""Networks: an input quantiser and layers, each fed by the one before; the class is the largest score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lutnet.cost import Device, argmax_luts
from lutnet.errors import UserError
from lutnet.formats import CodeFormat, Format, InputEncoder
from lutnet.nn.cost import LayerCost, NetworkCost
from lutnet.nn.inputs import InputQuantizer
from lutnet.nn.layer import Layer

__all__ = ["LutNetwork", "lowest_argmax"]


class LutNetwork(nn.Module):
    """A classifier made of tables.

    The hardware compares the integers of the last layer's codes and breaks ties towards the lowest class, so that all
    classes share one format whose values ascend with these integers.

    Attributes:
        input_quantizer: Raw features to codes and values.
        layers: Each one's source is the quantiser before it.
        feature_names: One name an input column.
        class_names: One name a neuron of the last layer.
    """

    def __init__(
        self,
        input_quantizer: InputQuantizer,
        layers: Sequence[Layer],
        *,
        feature_names: Sequence[str] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        """Join the parts.

        Raises:
            UserError: A layer's source or size does not fit the part before it, the scores of two classes cannot be
                compared, or the number of names is wrong.
        """
        super().__init__()
        if not layers:
            raise UserError("a network needs at least one layer, got none")
        _check_chain(input_quantizer, layers)
        _check_scores(layers[-1])
        self.input_quantizer = input_quantizer
        self.layers = nn.ModuleList(layers)
        self.feature_names = _names("feature", feature_names, layers[0].in_features)
        self.class_names = _names("class", class_names, layers[-1].out_features)

    @property
    def n_features(self) -> int:
        """Number of raw features."""
        return len(self.feature_names)

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def forward(self, x: Tensor) -> Tensor:
        """Scores: values of the last layer.

        Args:
            x: Raw features, shape ``(batch, n_features)``, finite.

        Returns:
            Shape ``(batch, n_classes)``: float32 with gradient in training, exact float64 in evaluation.
        """
        return self.run(self.prepare(x))

    def prepare(self, x: Tensor) -> Tensor:
        """Values of the features' codes, as the first layer reads them: the part of :meth:`forward` that is never trained."""
        return self.input_quantizer(x)

    def run(self, prepared: Tensor) -> Tensor:
        """Scores of prepared rows; see :meth:`forward`."""
        values = prepared
        for layer in self.layers:
            values = layer(values)
        return values

    def predict_codes(self, x: Tensor) -> Tensor:
        """Codes of the last layer, int64, shape ``(batch, n_classes)``, exact in any mode."""
        quantizer, codes = self.input_quantizer, self.input_quantizer.codes(x)
        for layer in self.layers:
            codes = layer.codes(quantizer.values(codes))
            quantizer = layer.quantizer
        return codes

    def predict(self, x: Tensor) -> Tensor:
        """Class of each row, int64, shape ``(batch,)``: the largest integer, ties to the lowest, as in hardware."""
        fmt = self.score_format()
        integers = fmt.integers() if isinstance(fmt, Format) else np.arange(1 << fmt.bits)
        return lowest_argmax(torch.from_numpy(integers).to(x.device)[self.predict_codes(x)])

    def score_format(self) -> CodeFormat:
        """The one format of all scores."""
        return self.layers[-1].quantizer.formats()[0]

    def encoder(self) -> InputEncoder:
        """The input quantiser in numpy."""
        return self.input_quantizer.encoder(self.feature_names)

    def cost(self, device: Device) -> Tensor:
        """Differentiable estimate of the lookup tables of all layers, a scalar."""
        return torch.stack([layer.cost(device) for layer in self.layers]).sum()

    def penalty(self) -> Tensor:
        """What the layers add to the training loss, a scalar."""
        return torch.stack([layer.penalty() for layer in self.layers]).sum()

    def schedule(self, progress: float) -> None:
        """Tells the layers how far the training is; see :meth:`Layer.schedule`."""
        for layer in self.layers:
            layer.schedule(progress)

    def after_step(self) -> None:
        """Lets the layers bring their parameters back where they belong after a step of the optimiser."""
        for layer in self.layers:
            layer.after_step()

    def lut_cost(self, device: Device) -> NetworkCost:
        """Closed-form lookup tables, by layer and in all, argmax included."""
        rows = [layer.summary(f"layer{i}", device) for i, layer in enumerate(self.layers)]
        bits = self.score_format().bits
        n_luts = argmax_luts(self.n_classes, bits, device)
        index_bits = max(1, (self.n_classes - 1).bit_length())
        rows.append(LayerCost("argmax", "argmax", self.n_classes, bits, index_bits, 0, n_luts))
        return NetworkCost(device.name, tuple(rows))


def lowest_argmax(scores: Tensor) -> Tensor:
    """Position of the largest score in each row, the lowest of equal ones; int64, shape ``(batch,)``."""
    positions = torch.arange(scores.shape[1], device=scores.device)
    largest = scores == scores.max(dim=1, keepdim=True).values
    return torch.where(largest, positions, scores.shape[1]).min(dim=1).values


def _check_chain(input_quantizer: InputQuantizer, layers: Sequence[Layer]) -> None:
    quantizer, width, before = input_quantizer, input_quantizer.channels, "the input quantiser"
    for number, layer in enumerate(layers):
        if layer.in_features != width:
            raise UserError(f"layer {number} reads {layer.in_features} columns, expected the {width} of {before}")
        if layer.source is not quantizer:
            raise UserError(f"layer {number} was made for another source; give it the quantiser of {before}")
        quantizer, width, before = layer.quantizer, layer.out_features, f"layer {number}"


def _check_scores(last: Layer) -> None:
    if last.quantizer.channels != 1:
        raise UserError(
            f"the last layer's quantiser has {last.quantizer.channels} channels, so that the codes of two classes do "
            "not compare; give it one channel"
        )
    fmt = last.quantizer.formats()[0]
    if not isinstance(fmt, Format) and np.any(np.diff(fmt.values()) < 0):
        raise UserError("the values of the last layer's codes must ascend with the codes; choose a uniform quantiser")


def _names(what: str, names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"{'x' if what == 'feature' else 'class'}{i}" for i in range(count))
    if len(names) != count or len(set(names)) != count:
        raise UserError(f"expected {count} different {what} names, got {len(names)} of which {len(set(names))} differ")
    return tuple(names)
