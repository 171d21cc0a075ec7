"""Differentiable hardware cost of layers, and cost reports.

The cost of a neuron is :func:`lutnet.cost.smooth_table_luts` of its real-valued address bits: the sum over its operands
of the bits that the operand contributes. A fixed wiring has a constant fan-in, so what can be learned is how much of
each operand a neuron uses; :func:`connection_gates` measures it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lutnet.cost import Device, smooth_table_luts

__all__ = ["LayerCost", "NetworkCost", "bounded_table_luts", "connection_gates"]

EXACT_SLOPE_BITS = 2
"""Address bits beyond one lookup table up to which the slope of a table's cost is its own."""

HALF_GATE = 0.25
"""Swing, in steps of the output, at which a connection counts as half."""


def connection_gates(swing: Tensor, step: Tensor) -> Tensor:
    """How much of its operands a neuron uses: 0 for a connection without effect, towards 1 for a strong one.

    An operand that moves the neuron's real-valued output by at most ``swing`` moves its code by ``r = swing / step``
    steps, and hardly ever when r is well below one. The gate is ``r / (r + HALF_GATE)``: 0 for weight 0, increasing,
    concave, one half at a swing of :data:`HALF_GATE` steps. Its slope is steepest at 0 and never vanishes: as a penalty
    it drives weak connections to 0, where the table no longer depends on them and later passes drop them, and hardly
    touches strong ones. A relaxed count of connections in the sense of the log-like penalties of Candès et al.,
    "Enhancing sparsity by reweighted l1 minimization", 2008.

    Args:
        swing: Largest change of the output over all values of the operand, at least 0, shape ``(n_out, fan_in)``.
        step: Distance of the output's levels, positive, broadcastable to ``swing``.
    """
    steps = swing / step
    return steps / (steps + HALF_GATE)


def bounded_table_luts(address_bits: Tensor, out_bits: Tensor, device: Device) -> Tensor:
    """:func:`lutnet.cost.smooth_table_luts`, continued linearly where tables are much wider than a lookup table.

    For gradients: an optimiser that has met the slopes of tables of thousands of lookup tables takes all that comes after
    them for nothing.
    """
    widest = device.lut_inputs + EXACT_SLOPE_BITS
    inside = smooth_table_luts(address_bits.clamp_max(widest), out_bits, device)
    edge = torch.tensor([widest - 0.5, widest + 0.5], device=address_bits.device)
    low, high = smooth_table_luts(edge, 1.0, device)
    return inside + (address_bits - widest).clamp_min(0.0) * out_bits * (high - low)


@dataclass(frozen=True)
class LayerCost:
    """Closed-form cost of one part of a network.

    Attributes:
        name: ``layer0`` ... or ``argmax``.
        kind: Class of the layer, or ``argmax``.
        n_neurons: Number of tables (operands for argmax).
        address_bits: Most address bits of a table (bits of an operand for argmax).
        out_bits: Most bits of a result.
        n_entries: Table entries in all.
        n_luts: Lookup tables, closed form.
    """

    name: str
    kind: str
    n_neurons: int
    address_bits: int
    out_bits: int
    n_entries: int
    n_luts: int


@dataclass(frozen=True)
class NetworkCost:
    """Closed-form cost of a network, one row a layer and one for the argmax.

    Attributes:
        device: Name of the device.
        rows: In the order of computation.
    """

    device: str
    rows: tuple[LayerCost, ...]

    @property
    def n_luts(self) -> int:
        """Lookup tables of all rows."""
        return sum(row.n_luts for row in self.rows)

    @property
    def n_layer_luts(self) -> int:
        """Lookup tables of the layers without the argmax: the figure that LogicNets prints."""
        return sum(row.n_luts for row in self.rows if row.kind != "argmax")

    @property
    def n_entries(self) -> int:
        """Table entries of all rows."""
        return sum(row.n_entries for row in self.rows)
