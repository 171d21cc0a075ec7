"""The parts that designs are costed for, written out by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lutnet.errors import UserError

__all__ = ["DEVICES", "ECP5", "XC7A35T", "XCVU9P", "Device", "device_named"]


@dataclass(frozen=True)
class Device:
    """What the closed forms need to know about an FPGA.

    Attributes:
        name: Key in :data:`DEVICES`.
        part: Ordering code that vendor tools understand.
        lut_inputs: Inputs K of the physical lookup table, 3 to 10.
        dual_output_inputs: Most inputs that two functions may have together to share one lookup table; 0 when a lookup
            table has one output.
        wide_mux_inputs: Address bits that each level of dedicated multiplexers behind the lookup tables reaches,
            ascending from ``lut_inputs + 1``.
        carry_bits: Bits of one carry-chain cell.

    Raises:
        UserError: A number is outside its range.
    """

    name: str
    part: str
    lut_inputs: int
    dual_output_inputs: int
    wide_mux_inputs: tuple[int, ...]
    carry_bits: int

    def __post_init__(self) -> None:
        if not 3 <= self.lut_inputs <= 10:
            raise UserError(f"device '{self.name}' needs lookup tables of 3 to 10 inputs, got {self.lut_inputs}")
        if not 0 <= self.dual_output_inputs <= self.lut_inputs:
            raise UserError(
                f"device '{self.name}' needs dual_output_inputs from 0 to {self.lut_inputs}, got "
                f"{self.dual_output_inputs}"
            )
        levels = tuple(range(self.lut_inputs + 1, self.lut_inputs + 1 + len(self.wide_mux_inputs)))
        if self.wide_mux_inputs != levels:
            raise UserError(f"device '{self.name}' needs wide_mux_inputs {levels}, got {self.wide_mux_inputs}")
        if self.carry_bits < 1:
            raise UserError(f"device '{self.name}' needs carry_bits of at least 1, got {self.carry_bits}")

    @property
    def mux_select_bits(self) -> int:
        """Select bits s of the widest multiplexer that one lookup table holds: the largest s with s + 2**s <= K."""
        select = 1
        while select + 1 + (1 << (select + 1)) <= self.lut_inputs:
            select += 1
        return select


XCVU9P = Device(
    name="xcvu9p",
    part="xcvu9p-flgb2104-2-i",
    lut_inputs=6,
    dual_output_inputs=5,
    wide_mux_inputs=(7, 8, 9),
    carry_bits=8,
)
"""AMD Virtex UltraScale+ VU9P: LUT6_2, MUXF7/F8/F9, CARRY8. The part that the literature reports."""

XC7A35T = Device(
    name="xc7a35t",
    part="xc7a35tcpg236-1",
    lut_inputs=6,
    dual_output_inputs=5,
    wide_mux_inputs=(7, 8),
    carry_bits=4,
)
"""AMD Artix-7 35T (Basys 3): LUT6_2, MUXF7/F8, CARRY4."""

ECP5 = Device(
    name="ecp5",
    part="LFE5U-85F-8BG756C",
    lut_inputs=4,
    dual_output_inputs=0,
    wide_mux_inputs=(5, 6, 7),
    carry_bits=2,
)
"""Lattice ECP5 85F: LUT4, PFUMX (5 inputs) and L6MUX21 (6 and 7 inputs), CCU2C."""

DEVICES: Mapping[str, Device] = MappingProxyType({"ecp5": ECP5, "xc7a35t": XC7A35T, "xcvu9p": XCVU9P})
"""Every device by its name."""


def device_named(name: str) -> Device:
    """The device of this name.

    Raises:
        UserError: No device has it.
    """
    try:
        return DEVICES[name]
    except KeyError:
        raise UserError(f"expected a device out of {', '.join(sorted(DEVICES))}, got '{name}'") from None
