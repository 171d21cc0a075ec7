"""Which node of a model's netlist belongs to which of its layers."""

from __future__ import annotations

import numpy as np

from lutnet.cost import XCVU9P
from lutnet.flow.models import Model, NetworkModel, TreesModel
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OpCode
from lutnet.nn.network import LutNetwork
from lutnet.report.layers import LabelledNetlist

__all__ = ["dense_sizes", "labelled_netlist"]


def labelled_netlist(model: Model) -> LabelledNetlist:
    """The netlist before passes with the layers of the model, named as in its closed-form cost."""
    if isinstance(model, NetworkModel):
        return _of_network(model.saved.network)
    if isinstance(model, TreesModel):
        return _of_trees(model.lower())
    net = model.lower()
    return LabelledNetlist.from_borders(net, ("network",), [net.outputs.tolist()])


def dense_sizes(model: Model) -> tuple[int, ...] | None:
    """Features, neurons of each layer and classes of the dense network of the same layer sizes; ``None`` for trees."""
    if not isinstance(model, NetworkModel):
        return None
    network = model.saved.network
    return (network.n_features, *model.config.model.hidden_layers, network.layers[-1].out_features)


def _of_network(network: LutNetwork) -> LabelledNetlist:
    """The same netlist as :func:`lutnet.lower.lower_network` makes; the ends of its layers are known on the way."""
    builder = NetlistBuilder()
    widths = network.input_quantizer.feature_bits(network.n_features)
    inputs = [builder.input(int(width), name) for width, name in zip(widths, network.feature_names, strict=True)]
    rows = inputs
    borders, names = [], []
    for index, layer in enumerate(network.layers):
        rows = layer.lower(builder, rows)
        borders.append(rows)
        names.append(f"layer{index}")
    outputs = network.head.lower(builder, rows, inputs)
    for name, row in outputs.items():
        builder.output(row, name)
    decision = network.head.summary(XCVU9P)
    if decision is None:
        return LabelledNetlist.from_borders(builder.build(), names, borders)
    return LabelledNetlist.from_borders(builder.build(), [*names, decision.name], [*borders, list(outputs.values())])


def _of_trees(net: Netlist) -> LabelledNetlist:
    """Comparators of features, trees, sums; what reads a sum is the decision."""
    after_sum = np.zeros(net.n_nodes, dtype=np.bool_)
    for node in net.nodes():
        after_sum[node.id] = any(after_sum[row] or net.op[row] == OpCode.SUM for row in node.operands)
    parts = {OpCode.THRESHOLD: "comparators", OpCode.LUT: "trees", OpCode.SUM: "sums"}
    borders = [[row for row in range(net.n_nodes) if net.op[row] == op and not after_sum[row]] for op in parts]
    return LabelledNetlist.from_borders(net, [*parts.values(), "argmax"], [*borders, net.outputs.tolist()])
