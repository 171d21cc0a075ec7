"""The costs of a network, counted on its netlist."""

from __future__ import annotations

from lutnet.cost.device import device_named
from lutnet.formats import InputEncoder
from lutnet.ir.estimate import estimate_luts
from lutnet.ir.netlist import Netlist
from lutnet.ir.registers import live_nodes
from lutnet.passes import DEFAULT_PASSES, Pipeline, parse_passes, run_passes
from lutnet.report.layers import LabelledNetlist, layer_report
from lutnet.search.objective import Figures
from lutnet.train.config import RunConfig
from lutnet.train.data import Dataset

__all__ = ["measure"]

N_ENERGY_SAMPLES = 2000
"""Validation rows that toggles are counted on."""


def measure(
    raw: Netlist, encoder: InputEncoder, config: RunConfig, dataset: Dataset, *, accuracy: float, energy: bool = False
) -> Figures:
    """Lookup tables, table bits and, on demand, energy of a netlist after the passes and with the registers of ``lutnet compile``.

    Args:
        raw: The netlist of a model, before passes.
        encoder: Raw features to its input codes.
        config: Says the passes, if others than the default ones, and the device.
        dataset: Its first validation rows serve to count toggles.
        accuracy: Validation accuracy, passed on.
        energy: Whether to count toggles, which takes longer than the rest.
    """
    passes = parse_passes(config.train.measure_passes or DEFAULT_PASSES)
    net, _ = run_passes(raw, (*passes, Pipeline()))
    live = live_nodes(net)
    bits = sum(node.table.n_entries * node.width for node in net.nodes() if live[node.id] and node.table is not None)
    found = _energy_pj(net, encoder, config, dataset) if energy else None
    return Figures(accuracy, estimate_luts(net).luts, bits, found)


def _energy_pj(net: Netlist, encoder: InputEncoder, config: RunConfig, dataset: Dataset) -> float | None:
    """Of the netlist as one layer; ``None`` for a device whose energies nobody has written down."""
    codes = encoder.encode(dataset.validation.x[:N_ENERGY_SAMPLES])
    whole = LabelledNetlist.from_borders(net, ("network",), [net.outputs.tolist()])
    return layer_report(whole, net, codes, device_named(config.train.cost_device)).energy_pj
