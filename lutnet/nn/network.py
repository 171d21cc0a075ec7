"""Networks: an input quantiser, layers, each fed by the one before, and a head that says what the last codes are for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lutnet.cost import Device
from lutnet.errors import UserError
from lutnet.formats import CodeFormat, InputEncoder
from lutnet.nn.cost import NetworkCost
from lutnet.nn.heads import ClassHead, Head
from lutnet.nn.inputs import InputQuantizer
from lutnet.nn.layer import Layer, evaluating

__all__ = ["LutNetwork"]


class LutNetwork(nn.Module):
    """A network made of tables and adders; a classifier unless its head says otherwise.

    Attributes:
        input_quantizer: Raw features to codes and values.
        layers: Each one's source is the quantiser before it.
        head: What the last layer's codes are for.
        feature_names: One name an input column.
        class_names: One name a neuron of the last layer: of classes, numbers or labels; the classes that an autoencoder tells apart.
    """

    def __init__(
        self,
        input_quantizer: InputQuantizer,
        layers: Sequence[Layer],
        head: Head | None = None,
        *,
        feature_names: Sequence[str] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        """Join the parts.

        Raises:
            UserError: A layer's source or size does not fit the part before it, the head cannot read the last codes, such as
                scores of two classes that do not compare, or the number of names is wrong.
        """
        super().__init__()
        if not layers:
            raise UserError("a network needs at least one layer, got none")
        _check_chain(input_quantizer, layers)
        chosen = head if head is not None else ClassHead()
        chosen.bind(input_quantizer, layers[-1])
        self.input_quantizer = input_quantizer
        self.layers = nn.ModuleList(layers)
        self.head = chosen
        self.feature_names = _names("feature", feature_names, layers[0].in_features)
        n_names = layers[-1].out_features if chosen.names_neurons or class_names is None else len(class_names)
        self.class_names = _names("class", class_names, n_names)

    @property
    def n_features(self) -> int:
        """Number of raw features."""
        return len(self.feature_names)

    @property
    def n_classes(self) -> int:
        """Number of class names."""
        return len(self.class_names)

    def forward(self, x: Tensor) -> Tensor:
        """Scores: values of the last layer.

        Args:
            x: Raw features, shape ``(batch, n_features)``, finite.

        Returns:
            Shape ``(batch, n_neurons)`` of the last layer: float32 with gradient in training, exact float64 in evaluation.
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
        """Codes of the last layer, int64, shape ``(batch, n_neurons)``, exact in any mode."""
        quantizer, codes = self.input_quantizer, self.input_quantizer.codes(x)
        for layer in self.layers:
            codes = layer.codes(quantizer.values(codes))
            quantizer = layer.quantizer
        return codes

    def predict(self, x: Tensor) -> Tensor:
        """What the outputs say of each row, as in hardware; of a classifier the class, int64, shape ``(batch,)``."""
        return torch.from_numpy(self.head.answer().of(self.outputs(x).cpu().numpy())).to(x.device)

    def outputs(self, x: Tensor) -> Tensor:
        """Output codes of the hardware, int64, shape ``(batch, n_outputs)``, exact in any mode."""
        prepared = self.input_quantizer.values(self.input_quantizer.codes(x))
        return self.head.codes(self.predict_codes(x), prepared)

    def settle(self, prepared: Tensor, y: Tensor) -> None:
        """Lets the head choose what its decision needs, such as thresholds, on prepared rows; see :meth:`Head.settle`."""
        with evaluating(self):
            self.head.settle(self.run(prepared), prepared, y)

    def score_format(self) -> CodeFormat:
        """The format of the first score; the one of all where scores compare."""
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
        """Closed-form lookup tables, by layer and in all, the head's decision included."""
        rows = [layer.summary(f"layer{i}", device) for i, layer in enumerate(self.layers)]
        decision = self.head.summary(device)
        return NetworkCost(device.name, tuple(rows if decision is None else [*rows, decision]))


def _check_chain(input_quantizer: InputQuantizer, layers: Sequence[Layer]) -> None:
    quantizer, width, before = input_quantizer, input_quantizer.channels, "the input quantiser"
    for number, layer in enumerate(layers):
        if layer.in_features != width:
            raise UserError(f"layer {number} reads {layer.in_features} columns, expected the {width} of {before}")
        if layer.source is not quantizer:
            raise UserError(f"layer {number} was made for another source; give it the quantiser of {before}")
        quantizer, width, before = layer.quantizer, layer.out_features, f"layer {number}"


def _names(what: str, names: Sequence[str] | None, count: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"{'x' if what == 'feature' else 'class'}{i}" for i in range(count))
    if len(names) != count or len(set(names)) != count:
        raise UserError(f"expected {count} different {what} names, got {len(names)} of which {len(set(names))} differ")
    return tuple(names)
