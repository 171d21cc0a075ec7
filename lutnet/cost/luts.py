"""Closed forms: how many lookup tables an operation takes on a device.

These are estimates made before any logic is known: nothing is shared between nodes, no table is simplified, and the
packing of two small functions into one dual-output lookup table is ignored. Synthesis reports count the rest.
"""

from __future__ import annotations

from typing import Any, TypeVar

from lutnet.cost.device import XCVU9P, Device
from lutnet.errors import UserError

__all__ = [
    "adder_luts",
    "argmax_luts",
    "muxed_table_luts",
    "smooth_sum_luts",
    "smooth_table_luts",
    "table_luts",
    "threshold_luts",
]

Real = TypeVar("Real", bound=Any)


def table_luts(address_bits: int, out_bits: int, device: Device) -> int:
    """Lookup tables for a truth table whose multiplexers are lookup tables too.

    Umuroglu et al., "LogicNets", FPL 2020 (arXiv 2004.03021), the LUT cost of a neuron equivalent with X input and Y
    output bits: ``LUTCost(X:Y) = Y / 3 * (2**(X - 4) - (-1)**X)`` for X >= 6. It counts ``2**(X - 6)`` leaves of 6
        inputs
    and a tree of 4:1 multiplexers, one LUT6 each. Deviations: the same count is made for any K (leaves of K inputs, the
    widest multiplexer that fits a K-input table); ``0 < X <= K`` gives exactly Y, and X = 0 is a constant without cost.

    Args:
        address_bits: X, at least 0.
        out_bits: Y, at least 0.
        device: Gives K.

    Returns:
        Number of lookup tables, exact.
    """
    _at_least("address_bits", address_bits, 0)
    _at_least("out_bits", out_bits, 0)
    if address_bits == 0:
        return 0
    extra = max(0, address_bits - device.lut_inputs)
    return out_bits * ((1 << extra) + _mux_tree_luts(extra, device))


def muxed_table_luts(address_bits: int, out_bits: int, device: Device) -> int:
    """Lookup tables for a truth table that uses the dedicated multiplexers behind the lookup tables.

    The multiplexers of :attr:`Device.wide_mux_inputs` (MUXF7/F8/F9, PFUMX/L6MUX21) cost no lookup table; only wider
    tables need multiplexers made of lookup tables.
    """
    _at_least("address_bits", address_bits, 0)
    _at_least("out_bits", out_bits, 0)
    if address_bits == 0:
        return 0
    leaves = 1 << max(0, address_bits - device.lut_inputs)
    free_bits = device.wide_mux_inputs[-1] if device.wide_mux_inputs else device.lut_inputs
    return out_bits * (leaves + _mux_tree_luts(max(0, address_bits - free_bits), device))


def smooth_table_luts(address_bits: Real, out_bits: Any, device: Device) -> Real:
    """Real-valued extension of :func:`table_luts` for learning.

    With s the select bits of the multiplexer that one lookup table holds, an output bit costs ``X / K`` for ``0 <= X <=
    K`` and ``1 + 2**s / (2**s - 1) * (2**(X - K) - 1)`` above. It is continuous, increasing and convex; it equals the
    closed form wherever ``X - K`` is a multiple of s, and is less than one lookup table an output bit below it at every
    other integer above K. Below K the exact cost is a step; the straight line rewards every bit that goes.

    Args:
        address_bits: X, a NumPy array or a torch tensor of real numbers; negative counts as 0.
        out_bits: Y, a number or an array or tensor of the same kind.
        device: Gives K.

    Returns:
        The same kind as ``address_bits``, differentiable for a tensor.
    """
    inputs = device.lut_inputs
    radix = 1 << device.mux_select_bits
    inside = address_bits.clip(0, inputs) / inputs
    beyond = (2.0 ** (address_bits - inputs).clip(0, None) - 1.0) * (radix / (radix - 1))
    return (inside + beyond) * out_bits  # type: ignore[no-any-return]


def smooth_sum_luts(address_bits: Real, out_bits: Any, device: Device) -> Real:
    """Lookup tables that ``lutnet opt`` leaves of a neuron which quantises a weighted sum of its operands.

    Such a table becomes tables of K inputs, a carry chain and a clip (pass ``decompose``); each address bit beyond K takes one
    lookup table more an output bit. Measured on neurons of trained networks with 3-bit outputs and K = 6 (`python
    benchmarks/calibration.py`): 2.9 lookup tables for 6 address bits, 5.3 for 7, 7.0 for 8, 10.5 for 9, 15.0 for 10, 19.6
    for 11, 20.3 for 12; the formula gives 3 to 21 in steps of 3.

    Args:
        address_bits: As for :func:`smooth_table_luts`.
        out_bits: As for :func:`smooth_table_luts`.
        device: Gives K.
    """
    inside = address_bits.clip(0, device.lut_inputs) / device.lut_inputs
    beyond = (address_bits - device.lut_inputs).clip(0, None)
    return (inside + beyond) * out_bits  # type: ignore[no-any-return]


def adder_luts(width: int, n_operands: int) -> int:
    """Lookup tables for the sum of some operands: a carry chain of ``width`` for every operand beyond the first."""
    _at_least("width", width, 1)
    _at_least("n_operands", n_operands, 0)
    return width * max(0, n_operands - 1)


def threshold_luts(width: int, device: Device = XCVU9P, at_least: int | None = None) -> int:
    """Lookup tables for ``x >= constant``: K bits in the first table, K - 1 more in each table after it.

    Args:
        width: Bits of x.
        device: Gives K.
        at_least: The constant. Bits of x below its lowest set bit decide nothing, and a single deciding bit is a wire;
            any constant of full length when left out.
    """
    _at_least("width", width, 1)
    if at_least is not None:
        width = width - min(width, ((at_least & -at_least) or 1 << width).bit_length() - 1)
        if width <= 1:
            return 0
    return 1 + -(-max(0, width - device.lut_inputs) // (device.lut_inputs - 1))


def argmax_luts(n_operands: int, width: int, device: Device = XCVU9P) -> int:
    """Lookup tables for the index of the largest of some codes: a balanced tournament.

    A match compares two codes on a carry chain, ``max(1, (K - 2) // 2)`` bit pairs a lookup table, and passes on the
    winner's code (one table a bit, not in the final) and the index bits that it has so far (one table a bit; the top
    bit is the comparison itself).
    """
    _at_least("n_operands", n_operands, 1)
    _at_least("width", width, 1)
    compare = -(-width // max(1, (device.lut_inputs - 2) // 2))
    matches = n_operands - 1
    return matches * compare + max(0, matches - 1) * width + _index_luts(n_operands)


def _index_luts(n_operands: int) -> int:
    if n_operands < 2:
        return 0
    left = (n_operands + 1) // 2
    return (left - 1).bit_length() + _index_luts(left) + _index_luts(n_operands - left)


def _mux_tree_luts(select_bits: int, device: Device) -> int:
    total = 0
    while select_bits > 0:
        select_bits = max(0, select_bits - device.mux_select_bits)
        total += 1 << select_bits
    return total


def _at_least(name: str, number: int, least: int) -> None:
    if number < least:
        raise UserError(f"a lookup table cost needs {name} of at least {least}, got {number}")
