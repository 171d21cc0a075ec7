"""From trained torch modules to netlists: the only bridge between the two towers."""

from __future__ import annotations

from collections.abc import Sequence

from lutnet.formats import Format
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.nn.layer import LutLayer
from lutnet.nn.network import LutNetwork

__all__ = ["lower_classifier", "lower_layer", "lower_scores"]


def lower_classifier(model: LutNetwork) -> Netlist:
    """The netlist of a network with its decision: inputs are the codes of the features, the output is the class index.

    Args:
        model: A trained network, in any mode; it is left as it is.

    Returns:
        A verified netlist with one input a feature, named after it, and one output ``class`` of ``ceil(log2(n_classes))``
        bits; ties go to the lowest class.
    """
    builder = NetlistBuilder()
    scores = _lower_body(builder, model)
    builder.output(builder.argmax(scores), "class")
    return builder.build()


def lower_scores(model: LutNetwork) -> Netlist:
    """The netlist of a network without decision: one output a class, the code of its score.

    Output ``i`` is named ``score_<i>``; its codes are signed when the last layer's format is.
    """
    builder = NetlistBuilder()
    for index, row in enumerate(_lower_body(builder, model)):
        builder.output(row, f"score_{index}")
    return builder.build()


def lower_layer(builder: NetlistBuilder, layer: LutLayer, rows: Sequence[int]) -> list[int]:
    """Adds the tables of a layer to a builder.

    Args:
        builder: Where to add them.
        layer: A layer with ``in_features == len(rows)``.
        rows: The rows that carry the codes of its inputs.

    Returns:
        The rows of its neurons, in order.
    """
    formats = layer.quantizer.feature_formats(layer.out_features)
    neurons = zip(layer.tables(), layer.wiring.tolist(), formats, strict=True)
    return [
        builder.lut(table, [rows[i] for i in operands], signed=isinstance(fmt, Format) and fmt.signed)
        for table, operands, fmt in neurons
    ]


def _lower_body(builder: NetlistBuilder, model: LutNetwork) -> list[int]:
    widths = model.input_quantizer.feature_bits(model.n_features)
    rows = [builder.input(int(width), name) for name, width in zip(model.feature_names, widths, strict=True)]
    for layer in model.layers:
        rows = lower_layer(builder, layer, rows)
    return rows
