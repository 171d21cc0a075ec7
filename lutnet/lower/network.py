"""From trained torch networks to netlists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.nn.layer import Layer
from lutnet.nn.network import LutNetwork

__all__ = ["lower_classifier", "lower_layer", "lower_network", "lower_scores"]


def lower_network(model: LutNetwork) -> Netlist:
    """The netlist of a network with what its head makes of the last codes: inputs are the codes of the features.

    Args:
        model: A trained network, in any mode; it is left as it is.

    Returns:
        A verified netlist with one input a feature, named after it, and the outputs of the head (:mod:`lutnet.nn.heads`).
    """
    builder = NetlistBuilder()
    inputs = _inputs(builder, model)
    for name, row in model.head.lower(builder, _body(builder, model, inputs), inputs).items():
        builder.output(row, name)
    return builder.build()


def lower_classifier(model: LutNetwork) -> Netlist:
    """The netlist of a network whose scores compare with the class as its decision, whatever its head is.

    Args:
        model: A trained network, in any mode; it is left as it is.

    Returns:
        A verified netlist with one input a feature, named after it, and one output ``class`` of ``ceil(log2(n_classes))``
        bits; ties go to the lowest class.
    """
    builder = NetlistBuilder()
    scores = _body(builder, model, _inputs(builder, model))
    builder.output(builder.argmax(scores), "class")
    return builder.build()


def lower_scores(model: LutNetwork) -> Netlist:
    """The netlist of a network without decision: one output a class, the code of its score.

    Output ``i`` is named ``score_<i>``; its codes are signed when the last layer's format is.
    """
    builder = NetlistBuilder()
    for index, row in enumerate(_body(builder, model, _inputs(builder, model))):
        builder.output(row, f"score_{index}")
    return builder.build()


def lower_layer(layer: Layer) -> Netlist:
    """The netlist of one layer alone: an input ``x<i>`` for each of its columns, an output ``y<i>`` for each result."""
    builder = NetlistBuilder()
    widths = layer.source.feature_bits(layer.in_features).tolist()
    rows = [builder.input(int(width), f"x{i}") for i, width in enumerate(widths)]
    for i, row in enumerate(layer.lower(builder, rows)):
        builder.output(row, f"y{i}")
    return builder.build()


def _inputs(builder: NetlistBuilder, model: LutNetwork) -> list[int]:
    widths = model.input_quantizer.feature_bits(model.n_features)
    return [builder.input(int(width), name) for name, width in zip(model.feature_names, widths, strict=True)]


def _body(builder: NetlistBuilder, model: LutNetwork, inputs: list[int]) -> list[int]:
    rows = inputs
    for layer in cast("Iterable[Layer]", model.layers):
        rows = layer.lower(builder, rows)
    return rows
