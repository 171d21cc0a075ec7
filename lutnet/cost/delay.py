"""Delay of an operation on a device: lookup tables, wide multiplexers, carry chains and the nets between them, added up.

This is a model for placing registers, made before any logic is known and before anything is placed: every net takes the same time,
every pin of a cell is its slowest one, and synthesis may find a shallower circuit than the closed forms assume. Timing after place
and route counts the rest. Delays are whole picoseconds, so that sums compare exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from lutnet.cost.device import ECP5, XC7A35T, XCVU9P, Device
from lutnet.errors import UserError

__all__ = [
    "DELAYS",
    "Delays",
    "adder_delay_ps",
    "argmax_delay_ps",
    "delays_of",
    "table_delay_ps",
    "threshold_delay_ps",
]


@dataclass(frozen=True)
class Delays:
    """Delays of the cells of a device in picoseconds.

    Attributes:
        lut_ps: Through a lookup table.
        mux_ps: Through one level of the dedicated multiplexers behind the lookup tables.
        carry_in_ps: From an operand through its lookup table to the carry output of the same carry cell.
        carry_ps: From carry input to carry output of one carry cell, the wire to the next one included.
        carry_out_ps: From the carry input of the last cell to a bit of the sum.
        net_ps: A net between two cells that are not neighbours.
        register_ps: From the clock to a register's output, and the setup time of the next register.

    Raises:
        UserError: A delay is negative, or neither a lookup table nor a net takes time.
    """

    lut_ps: int
    mux_ps: int
    carry_in_ps: int
    carry_ps: int
    carry_out_ps: int
    net_ps: int
    register_ps: int

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 0:
                raise UserError(f"a delay is at least 0 ps, got {field.name}={getattr(self, field.name)}")
        if self.lut_ps + self.net_ps == 0:
            raise UserError("a lookup table with its net takes at least 1 ps, got lut_ps=0 and net_ps=0")

    def chain_ps(self, width: int, carry_bits: int) -> int:
        """From the operands' net to the slowest sum bit or the carry out of a chain of ``width`` bits."""
        more = -(-width // carry_bits) - 1
        return self.net_ps + self.carry_in_ps + (self.carry_ps * (more - 1) + self.carry_out_ps if more else 0)

    @property
    def level_ps(self) -> int:
        """A lookup table and the net in front of it."""
        return self.net_ps + self.lut_ps


DELAYS: Mapping[str, Delays] = MappingProxyType(
    {
        ECP5.name: Delays(236, 600, 447, 71, 474, 900, 525),
        XC7A35T.name: Delays(124, 215, 657, 117, 334, 600, 540),
        XCVU9P.name: Delays(150, 85, 385, 51, 116, 220, 122),
    }
)
"""Delays by device name.

* ``ecp5``: cell delays of speed grade 6, slow corner, from Project Trellis's timing database, which nextpnr computes with (``SLOGICB`` A0
  to F0 0.236, to OFX0 0.401, FXA to OFX1 0.239; ``SCCU2C`` A0 to FCO 0.447, FCI to FCO 0.071, FCI to F1 0.474; CLK to Q 0.525, setup
  0 ns). The net, and 0.6 ns for a multiplexer, in whose place yosys often puts lookup tables, are fitted to nextpnr's critical paths of
  small designs.
* ``xc7a35t``: speed grade -1 as Vivado prints it for routed designs (FDRE C to Q 0.456, setup about 0.08; LUT 0.124; CARRY4 S to CO
  0.533, CI to CO 0.117, CI to O 0.334; MUXF7 about 0.215 ns) and a typical routed net with few readers.
* ``xcvu9p``: UltraScale+ speed grade -1 as Vivado 2021.2 prints it for routed designs on an xczu3eg (C to Q 0.097, setup 0.025; LUT6
  0.147 to 0.177 through a slow pin; CARRY8 S to CO 0.235, CI to CO 0.023 and 0.028 to the next slice, CI to CO[6] 0.116; MUXF7 0.082
  ns; nets of 0.15 to 0.29 ns). Speed grade -2 is somewhat faster, and a full device has longer nets.
"""


def delays_of(device: Device) -> Delays:
    """The delays of a device.

    Raises:
        UserError: There are none.
    """
    try:
        return DELAYS[device.name]
    except KeyError:
        raise UserError(
            f"expected a device with delays out of {', '.join(sorted(DELAYS))}, got '{device.name}'"
        ) from None


def table_delay_ps(address_bits: int, device: Device) -> int:
    """A truth table: leaves of K inputs, the dedicated multiplexers, then multiplexers made of lookup tables.

    The same circuit as in :func:`lutnet.cost.luts.muxed_table_luts`.
    """
    if address_bits <= 0:
        return 0
    delays = delays_of(device)
    extra = max(0, address_bits - device.lut_inputs)
    wide = min(extra, len(device.wide_mux_inputs))
    rounds = -(-(extra - wide) // device.mux_select_bits)
    return delays.level_ps * (1 + rounds) + delays.mux_ps * wide


def adder_delay_ps(width: int, n_operands: int, device: Device) -> int:
    """The sum of some operands as a balanced tree of carry chains, each as wide as the sum; 0 for one operand."""
    return (max(1, n_operands) - 1).bit_length() * delays_of(device).chain_ps(width, device.carry_bits)


def threshold_delay_ps(width: int, device: Device) -> int:
    """A comparison with a constant: one lookup table where it fits, otherwise a carry chain."""
    delays = delays_of(device)
    return delays.level_ps if width <= device.lut_inputs else delays.chain_ps(width, device.carry_bits)


def argmax_delay_ps(n_operands: int, width: int, device: Device) -> int:
    """The index of the largest of some codes: a balanced tournament, or one table of all codes where that is faster.

    Each round is a comparison on a carry chain and a multiplexer. Where two codes fit into a lookup table, each round is one lookup table,
    and one more follows for the index.
    """
    delays = delays_of(device)
    rounds = (max(1, n_operands) - 1).bit_length()
    if 2 * width <= device.lut_inputs:
        tournament = (rounds + 1) * delays.level_ps
    else:
        tournament = rounds * (delays.chain_ps(width, device.carry_bits) + delays.level_ps)
    return min(tournament, table_delay_ps(n_operands * width, device)) if rounds else 0
