"""What every layer of a network takes in the finished netlist.

Passes know no layers: they rebuild the netlist, merge nodes and move logic over the borders. Which layer a node belongs to is found
again by its values (:func:`trace_layers`), as far as that goes; the rest is placed between what was found. The share that was recognised
stands beside the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.cost.device import Device
from lutnet.cost.energy import toggle_energy_of
from lutnet.ir.estimate import LutEstimate, estimate_luts
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS, OpCode
from lutnet.ir.registers import live_nodes
from lutnet.passes.rebuild import copy_node, start
from lutnet.report.activity import Registers, Switching, chunks, register_toggles, toggle_rates

__all__ = [
    "LabelledNetlist",
    "LayerFigures",
    "LayerReport",
    "TracedLayers",
    "first_part",
    "layer_report",
    "trace_layers",
]

N_SIGNATURE_VECTORS = 2048
"""Samples by whose values a bit is recognised."""

INPUTS = -1
"""Label of the inputs, and of wiring that only they and constants go into."""


@dataclass(frozen=True)
class LabelledNetlist:
    """A netlist whose layers are known.

    Attributes:
        net: The netlist as the model lowers it, before passes.
        names: One name a layer, in order of computation.
        labels: Position in ``names`` of every node's layer, int64, shape ``(n_nodes,)``; :data:`INPUTS` for inputs.
    """

    net: Netlist
    names: tuple[str, ...]
    labels: npt.NDArray[np.int64]

    @classmethod
    def from_borders(cls, net: Netlist, names: Sequence[str], borders: Sequence[Sequence[int]]) -> LabelledNetlist:
        """Labels from the rows that each layer ends with: a node belongs to the first layer whose end depends on it."""
        labels = np.full(net.n_nodes, len(names) - 1, dtype=np.int64)
        for index in range(len(names) - 1, -1, -1):
            cone = np.zeros(net.n_nodes, dtype=np.bool_)
            cone[list(borders[index])] = True
            for row in range(net.n_nodes - 1, -1, -1):
                if cone[row]:
                    cone[list(net.operands(row))] = True
            labels[cone] = index
        labels[net.inputs] = INPUTS
        return cls(net, tuple(names), labels)


@dataclass(frozen=True)
class TracedLayers:
    """The layers of a netlist after passes.

    Attributes:
        labels: As in :class:`LabelledNetlist`, for the netlist after passes; a reader never has a lower label than its operands.
        n_nodes: Computing nodes that an output depends on.
        n_recognised: Those of them that were found by their values.
    """

    labels: npt.NDArray[np.int64]
    n_nodes: int
    n_recognised: int


@dataclass(frozen=True)
class LayerFigures:
    """One layer in the finished netlist.

    Attributes:
        name: The layer.
        n_nodes: Computing nodes.
        out_bits: Bits of the codes that the layer gives to later ones, as the model has them, before passes.
        table_bits: Entries times output bits of its tables.
        luts: Estimated lookup tables that it adds to those of the layers before it.
        ffs: Registers behind its nodes.
        latency_cycles: Clock cycles from its first node to the next layer's.
        switching: What switches for one sample.
        energy_pj: Dynamic energy of one sample, ``None`` for a device whose energies nobody has written down.
    """

    name: str
    n_nodes: int
    out_bits: int
    table_bits: int
    luts: int
    ffs: int
    latency_cycles: int
    switching: Switching
    energy_pj: float | None


@dataclass(frozen=True)
class LayerReport:
    """All layers.

    Attributes:
        device: Whose energies were taken.
        rows: The inputs, then the layers in order.
        luts: Estimated lookup tables of the whole netlist.
        n_samples: Samples that the switching was counted on.
        traced: How the layers were found.
    """

    device: str
    rows: tuple[LayerFigures, ...]
    luts: int
    n_samples: int
    traced: TracedLayers

    @property
    def energy_pj(self) -> float | None:
        """Dynamic energy of one sample over all layers."""
        known = [row.energy_pj for row in self.rows if row.energy_pj is not None]
        return sum(known) if len(known) == len(self.rows) else None


def trace_layers(source: LabelledNetlist, net: Netlist, codes: npt.NDArray[np.int64]) -> TracedLayers:
    """Finds the layers again in a netlist that passes have made of another one.

    A bit that equals a bit of the source, or its complement, on all of some samples belongs to that bit's layer; a node belongs to the
    latest layer of its bits. Nodes whose bits are all new lie between the layers of what they read and of what reads them, by their
    logic level where that leaves a choice.

    Args:
        source: Where the layers are known.
        net: The netlist after passes, with the same inputs.
        codes: Input codes, shape ``(n, n_inputs)``; :data:`N_SIGNATURE_VECTORS` of them are used.
    """
    vectors = codes[:N_SIGNATURE_VECTORS]
    known: dict[bytes, set[int]] = {}
    for row, keys in enumerate(_signatures(source.net, vectors)):
        for key in keys:
            known.setdefault(key, set()).add(int(source.labels[row]))
    candidates = [
        [known[key] - {INPUTS} for key in keys if known.get(key, {INPUTS}) != {INPUTS}]
        for keys in _signatures(net, vectors)
    ]
    computing = live_nodes(net) & np.array([not OPS[node.op].free for node in net.nodes()])
    found = _recognised(net, candidates, computing)
    labels = _placed(source, net, found, computing)
    return TracedLayers(labels, int(computing.sum()), int((computing & (found >= 0)).sum()))


def first_part(net: Netlist, inside: npt.NDArray[np.bool_]) -> Netlist:
    """Some nodes, with all that they read, as a netlist of their own: what is read from outside, or leaves, becomes an output.

    Args:
        net: A netlist.
        inside: The nodes, bool, shape ``(n_nodes,)``; operands of a node inside are inside, and so are all inputs.
    """
    read = set(net.outputs.tolist()) | {row for node in net.nodes() if not inside[node.id] for row in node.operands}
    builder, rows = start(net)
    for node in net.nodes():
        if inside[node.id] and node.op is not OpCode.INPUT:
            rows[node.id] = copy_node(builder, node, [rows[row] for row in node.operands])
    for row in sorted(read):
        if inside[row]:
            builder.output(rows[row], f"n{row}")
    return builder.build()


def layer_report(source: LabelledNetlist, net: Netlist, codes: npt.NDArray[np.int64], device: Device) -> LayerReport:
    """What every layer of a finished netlist takes.

    Args:
        source: The netlist before passes, with its layers.
        net: The finished netlist.
        codes: Input codes of samples in the order in which they arrive, shape ``(n, n_inputs)``, at least 2 rows.
        device: Whose energies are taken.
    """
    traced = trace_layers(source, net, codes)
    rates = toggle_rates(net, codes)
    registers = register_toggles(net, rates)
    energies = toggle_energy_of(device)
    live = live_nodes(net)
    starts = _starts(net, traced.labels, len(source.names), live)
    estimates = [LutEstimate(0, 0, {}), *_luts(net, traced.labels, len(source.names))]
    rows = []
    for index, name in enumerate(("inputs", *source.names), start=INPUTS):
        inside = live & (traced.labels == index)
        nodes = [node for node in net.nodes() if inside[node.id]]
        before, after = estimates[index + 1], estimates[index + 2]
        switching = _switching(net, inside, after.lut_cells - before.lut_cells, rates, registers, device)
        rows.append(
            LayerFigures(
                name=name,
                n_nodes=sum(not OPS[node.op].free for node in nodes),
                out_bits=_out_bits(source, index),
                table_bits=sum(node.table.n_entries * node.width for node in nodes if node.table is not None),
                luts=after.luts - before.luts,
                ffs=switching.register_bits,
                latency_cycles=starts[index + 2] - starts[index + 1],
                switching=switching,
                energy_pj=None if energies is None else switching.energy_pj(energies),
            )
        )
    return LayerReport(device.name, tuple(rows), estimate_luts(net).luts, len(codes), traced)


def _signatures(net: Netlist, codes: npt.NDArray[np.int64]) -> list[list[bytes]]:
    """For every node the values of its bits that are not constant, each up to its complement."""
    values = np.concatenate(list(chunks(net, codes)))
    found = []
    for row, width in enumerate(net.width.tolist()):
        bits = (values[:, row, None] >> np.arange(width, dtype=np.int64)) & 1
        bits = (bits ^ bits[:1]).astype(np.uint8)
        packed = np.packbits(bits, axis=0)
        found.append([packed[:, place].tobytes() for place in range(width) if packed[:, place].any()])
    return found


def _recognised(
    net: Netlist, candidates: list[list[set[int]]], computing: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Layers of nodes with known bits, -1 for others; of several layers with the same bit the first that is possible."""
    found = np.full(net.n_nodes, INPUTS, dtype=np.int64)
    lowest = np.full(net.n_nodes, INPUTS, dtype=np.int64)
    for node in net.nodes():
        below = max((int(lowest[row]) for row in node.operands), default=INPUTS)
        if computing[node.id]:
            possible = [
                min((label for label in labels if label >= below), default=INPUTS) for labels in candidates[node.id]
            ]
            found[node.id] = max(possible, default=INPUTS)
        lowest[node.id] = max(below, int(found[node.id]))
    return found


def _placed(
    source: LabelledNetlist, net: Netlist, found: npt.NDArray[np.int64], computing: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Layers of all nodes: those found, and the others between them."""
    last = len(source.names) - 1
    highest = np.full(net.n_nodes, last, dtype=np.int64)
    for node in reversed(list(net.nodes())):
        if found[node.id] >= 0:
            highest[node.id] = min(highest[node.id], found[node.id])
        for row in node.operands:
            highest[row] = min(highest[row], highest[node.id])
    expected = _labels_by_level(source, net)
    labels = np.full(net.n_nodes, INPUTS, dtype=np.int64)
    for node in net.nodes():
        below = max((int(labels[row]) for row in node.operands), default=INPUTS)
        if computing[node.id]:
            lowest = max(below, 0)
            labels[node.id] = max(lowest, min(int(expected[node.id]), int(highest[node.id])))
            if found[node.id] >= 0:
                labels[node.id] = max(lowest, int(found[node.id]))
        else:
            labels[node.id] = below
    return labels


def _labels_by_level(source: LabelledNetlist, net: Netlist) -> npt.NDArray[np.int64]:
    """The layer that a node would belong to if logic levels were spread over the layers as in the source."""
    ends = np.zeros(len(source.names))
    for index in range(len(source.names)):
        ends[index] = max(source.net.levels[source.labels <= index].max(initial=0), 1)
    fraction = net.levels / max(1, net.depth)
    return np.minimum(np.searchsorted(ends / max(1, source.net.depth), fraction - 1e-9), len(source.names) - 1)


def _starts(net: Netlist, labels: npt.NDArray[np.int64], n_layers: int, live: npt.NDArray[np.bool_]) -> list[int]:
    """The cycle in which the inputs, each layer, and whatever comes after begin; never falling."""
    computing = live & np.array([not OPS[node.op].free for node in net.nodes()])
    starts = [net.latency_cycles]
    for index in range(n_layers - 1, INPUTS, -1):
        stages = net.stage[computing & (labels == index)]
        starts.append(min(starts[-1], int(stages.min(initial=net.latency_cycles))))
    return [0, *reversed(starts)]


def _luts(net: Netlist, labels: npt.NDArray[np.int64], n_layers: int) -> list[LutEstimate]:
    """Estimates of the inputs alone, with the first layer, with the first two, and so on up to the whole netlist."""
    found = [LutEstimate(0, 0, {})]
    for index in range(n_layers - 1):
        inside = labels <= index
        grown = np.any(labels == index)
        found.append(estimate_luts(first_part(net, inside)) if grown else found[-1])
    return [*found, estimate_luts(net)]


def _switching(
    net: Netlist,
    inside: npt.NDArray[np.bool_],
    n_cells: int,
    rates: npt.NDArray[np.float64],
    registers: dict[int, Registers],
    device: Device,
) -> Switching:
    """Cells inside a node are taken to toggle as its bits do; nodes weigh as much as they have lookup tables in closed form."""
    rows = np.flatnonzero(inside)
    weights = np.array([OPS[net.node(row).op].luts(net.node(row), device) for row in rows.tolist()], dtype=np.float64)
    rate = float((weights * rates[rows]).sum() / weights.sum()) if weights.sum() else 0.0
    behind = [registers[row] for row in rows.tolist() if row in registers]
    lut_toggles = n_cells * rate
    in_registers = sum(item.toggles for item in behind)
    routed = max(0.0, lut_toggles - sum(item.unrouted_toggles for item in behind)) + in_registers
    ports = sum(float(rates[row]) * int(net.width[row]) for row in rows.tolist() if net.node(row).op is OpCode.INPUT)
    return Switching(lut_toggles, in_registers, routed + ports, sum(item.bits for item in behind))


def _out_bits(source: LabelledNetlist, index: int) -> int:
    """Bits of the layer's nodes that something outside it reads."""
    net = source.net
    read = set(net.outputs.tolist()) | {
        row for node in net.nodes() for row in node.operands if source.labels[node.id] != source.labels[row]
    }
    return sum(int(net.width[row]) for row in read if source.labels[row] == index)
