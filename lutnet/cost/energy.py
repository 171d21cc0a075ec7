"""Energy of arithmetic and of switching nodes, in picojoules.

Two models that must not be mixed up:

* :func:`integer_add_pj` and its neighbours are operations of a 45 nm datapath, by a published table. They say what a network would take as
  arithmetic, without memory, control and clock.
* :class:`ToggleEnergy` is what a node of an FPGA takes when it switches. Vendors keep these figures in their tools, so that it is scaled
  from one published measurement; every assumption stands in its docstring. It serves to compare designs on one device; its absolute value
  is good to a small factor at best.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lutnet.cost.device import ECP5, XC7A35T, XCVU9P, Device
from lutnet.errors import UserError

__all__ = [
    "ARITHMETIC_PJ",
    "CACHE_READ_PJ",
    "DRAM_READ_PJ",
    "TOGGLE_ENERGIES",
    "ToggleEnergy",
    "float_mac_pj",
    "integer_add_pj",
    "integer_multiply_pj",
    "toggle_energy_of",
]

ARITHMETIC_PJ: Mapping[str, float] = MappingProxyType(
    {
        "integer add 8": 0.03,
        "integer add 32": 0.1,
        "integer multiply 8": 0.2,
        "integer multiply 32": 3.1,
        "float add 16": 0.4,
        "float add 32": 0.9,
        "float multiply 16": 1.1,
        "float multiply 32": 3.7,
    }
)
"""One operation at 45 nm and 0.9 V: Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, Fig. 1.1.9.

Entries are named as the figure's rows: Integer Add 8 bit and 32 bit, Integer Mult 8 bit and 32 bit, FP FAdd 16 bit and 32 bit, FP FMult
16 bit and 32 bit.
"""

CACHE_READ_PJ: Mapping[int, float] = MappingProxyType({8 << 10: 10.0, 32 << 10: 20.0, 1 << 20: 100.0})
"""Reading 64 bits from a cache of so many bytes; same figure, rows Cache 8 KB, 32 KB and 1 MB."""

DRAM_READ_PJ = (1300.0, 2600.0)
"""Reading 64 bits from DRAM, lowest and highest; same figure, row DRAM 1.3 to 2.6 nJ."""


def integer_add_pj(bits: int) -> float:
    """Energy of one addition of integers, interpolated linearly between the table's entries and 0 at 0 bits.

    Args:
        bits: Width of the result, at least 0; beyond 32 the last slope goes on.
    """
    _check_bits(bits)
    byte, word = ARITHMETIC_PJ["integer add 8"], ARITHMETIC_PJ["integer add 32"]
    return byte * bits / 8 if bits <= 8 else byte + (word - byte) * (bits - 8) / 24


def integer_multiply_pj(bits: int) -> float:
    """Energy of one product of two integers of ``bits`` bits: the parabola through 0 and both entries of the table.

    An array multiplier has a cell for every pair of bits; QKeras (Coelho et al., 2021) interpolates in the same way.

    Args:
        bits: Width of both factors, at least 0.
    """
    _check_bits(bits)
    byte, word = ARITHMETIC_PJ["integer multiply 8"] / 8, ARITHMETIC_PJ["integer multiply 32"] / 32
    square = (word - byte) / (32 - 8)
    return bits * (byte + square * (bits - 8))


def float_mac_pj(bits: int = 32) -> float:
    """Energy of one floating-point multiplication with an addition.

    Args:
        bits: 16 or 32.

    Raises:
        UserError: The table has no such width.
    """
    if bits not in (16, 32):
        raise UserError(
            f"the energy of floating-point numbers is known for 16 and 32 bits, got {bits}; choose one of them"
        )
    return ARITHMETIC_PJ[f"float multiply {bits}"] + ARITHMETIC_PJ[f"float add {bits}"]


def _check_bits(bits: int) -> None:
    if bits < 0:
        raise UserError(f"expected a width of at least 0 bits, got {bits}")


_CLB_PJ = 5.9
"""Per CLB and clock cycle, typical designs."""
_CLB_PAIRS = 8
_ROUTING, _LOGIC, _CLOCKING = 0.60, 0.16, 0.14
_MEASURED_NM, _MEASURED_V = 150.0, 1.5
_TYPICAL_TOGGLES = 0.125


@dataclass(frozen=True)
class ToggleEnergy:
    """Energy of switching nodes on an FPGA: a model, scaled from one measurement to a process and a core voltage.

    Measured: Shang, Kaviani and Bathala, "Dynamic power consumption in Virtex-II FPGA family", FPGA 2002. A CLB of 8 lookup tables and 8
    flip-flops takes 5.9 uW per MHz in typical designs at 150 nm and 1.5 V, of which 60 % go to routing, 16 % to logic and 14 % to clocking.

    Assumed, to get from there to a toggle:

    * the shares hold for a CLB as for the device, all 8 pairs of a CLB are in use, and each pair has one routed net, because the lookup
      table drives its flip-flop directly;
    * in a typical design a node toggles in 12.5 % of the cycles, the default of AMD's power estimator (UG440, "Using the Logic Sheet");
    * a lookup table's output and a flip-flop's output take the same; all nets take the same, whatever their fan-out;
    * glitches are in the measurement, so that they are in the energy of a toggle and need not be counted again;
    * energy scales with the feature size (capacitance of wires and gates of a shrunk layout) and with the square of the core voltage.

    Leakage, inputs, outputs and configuration memory are not in it.

    Attributes:
        feature_nm: Name of the process in nm.
        core_v: Core supply in V.

    Raises:
        UserError: A figure is not above 0.
    """

    feature_nm: float
    core_v: float

    def __post_init__(self) -> None:
        if not (self.feature_nm > 0 and self.core_v > 0):
            raise UserError(
                f"a process needs a size and a voltage above 0, got {self.feature_nm} nm and {self.core_v} V"
            )

    @property
    def net_pj(self) -> float:
        """One transition of a routed net."""
        return self._scale * _ROUTING / _TYPICAL_TOGGLES

    @property
    def cell_pj(self) -> float:
        """One transition of a lookup table's or a flip-flop's output, without the net that it drives."""
        return self._scale * _LOGIC / (2 * _TYPICAL_TOGGLES)

    @property
    def clock_pj(self) -> float:
        """One cycle of one flip-flop's share of the clock tree."""
        return self._scale * _CLOCKING

    @property
    def _scale(self) -> float:
        """A pair of lookup table and flip-flop in one cycle."""
        return _CLB_PJ / _CLB_PAIRS * (self.feature_nm / _MEASURED_NM) * (self.core_v / _MEASURED_V) ** 2


TOGGLE_ENERGIES: Mapping[str, ToggleEnergy] = MappingProxyType(
    {
        ECP5.name: ToggleEnergy(40.0, 1.1),
        XC7A35T.name: ToggleEnergy(28.0, 1.0),
        XCVU9P.name: ToggleEnergy(16.0, 0.85),
    }
)
"""By device name: process and nominal core voltage as the data sheets give them (Lattice FPGA-DS-02012: 40 nm, 1.1 V; AMD DS181: 28 nm,
1.0 V; AMD DS923: 16 nm, 0.85 V)."""


def toggle_energy_of(device: Device) -> ToggleEnergy | None:
    """The switching energies of a device, ``None`` where nobody has written any down."""
    return TOGGLE_ENERGIES.get(device.name)
