"""Reading the text reports of Vivado (2018 to 2024). A number that is missing is ``None``, never 0."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["VivadoTiming", "VivadoUtilization", "parse_timing", "parse_utilization"]


@dataclass(frozen=True)
class VivadoUtilization:
    """What ``report_utilization`` says of a whole design.

    Attributes:
        luts: "CLB LUTs" (UltraScale, Versal) or "Slice LUTs" (7 series): sites, with two functions in one site counted once.
        lut_logic: Those used as logic.
        lut_memory: Those used as memory or shift register.
        ffs: "CLB Registers" or "Slice Registers".
        carry: CARRY8 (UltraScale), LOOKAHEAD8 (Versal) or CARRY4 (7 series) cells.
        muxf7: F7 multiplexers; ``muxf8`` and ``muxf9`` likewise.
        dsps: DSP blocks.
        brams: Block RAM tiles; half a tile is possible.
        urams: UltraRAM blocks.
        primitives: Cells by reference name, from the table "Primitives"; empty when there is none.
        tool_version: Version of Vivado, such as "2022.2".
        device: Part, as the report writes it.
        design_state: "Synthesized", "Fully Placed", "Routed", ...
    """

    luts: int | None
    lut_logic: int | None
    lut_memory: int | None
    ffs: int | None
    carry: int | None
    muxf7: int | None
    muxf8: int | None
    muxf9: int | None
    dsps: int | None
    brams: float | None
    urams: int | None
    primitives: Mapping[str, int]
    tool_version: str | None
    device: str | None
    design_state: str | None


@dataclass(frozen=True)
class VivadoTiming:
    """What ``report_timing_summary`` says.

    Attributes:
        wns_ns: Worst setup slack; negative when timing fails.
        tns_ns: Sum of all negative setup slacks.
        whs_ns: Worst hold slack.
        period_ns: Period of the clock.
        tool_version: Version of Vivado.
        device: Part, as the report writes it.
    """

    wns_ns: float | None
    tns_ns: float | None
    whs_ns: float | None
    period_ns: float | None
    tool_version: str | None
    device: str | None

    @property
    def fmax_mhz(self) -> float | None:
        """1000 / (period - worst setup slack); ``None`` when either is unknown."""
        if self.period_ns is None or self.wns_ns is None or self.period_ns - self.wns_ns <= 0:
            return None
        return 1000.0 / (self.period_ns - self.wns_ns)


def parse_utilization(text: str) -> VivadoUtilization:
    """Reads a flat utilisation report.

    Args:
        text: The whole report, of a synthesised, placed or routed design.
    """
    sites, primitives = _tables(text)

    def whole(*names: str) -> int | None:
        value = next((sites[name] for name in names if name in sites), None)
        return int(value) if value is not None and value == int(value) else None

    carry = whole("CARRY8", "LOOKAHEAD8")
    if carry is None and "Slice LUTs" in sites and primitives:
        carry = primitives.get("CARRY4", 0)
    return VivadoUtilization(
        luts=whole("CLB LUTs", "Slice LUTs"),
        lut_logic=whole("LUT as Logic"),
        lut_memory=whole("LUT as Memory"),
        ffs=whole("CLB Registers", "Slice Registers", "Registers"),
        carry=carry,
        muxf7=whole("F7 Muxes"),
        muxf8=whole("F8 Muxes"),
        muxf9=whole("F9 Muxes"),
        dsps=whole("DSPs", "DSP Slices"),
        brams=sites.get("Block RAM Tile"),
        urams=whole("URAM"),
        primitives=MappingProxyType(primitives),
        tool_version=_header(text, r"Tool Version\s*: Vivado v\.(\S+)"),
        device=_header(text, r"Device\s*: (\S+)"),
        design_state=_header(text, r"Design State\s*: ([^|\n]+)"),
    )


def parse_timing(text: str, clock: str | None = None) -> VivadoTiming:
    """Reads a timing summary.

    Args:
        text: The whole report.
        clock: Clock whose period counts; it may be left out when the design has one clock.
    """
    slacks = _slacks(text)
    periods = _periods(text)
    if clock is None and len(periods) == 1:
        clock = next(iter(periods))
    return VivadoTiming(
        wns_ns=slacks.get("WNS(ns)"),
        tns_ns=slacks.get("TNS(ns)"),
        whs_ns=slacks.get("WHS(ns)"),
        period_ns=periods.get(clock) if clock is not None else None,
        tool_version=_header(text, r"Tool Version\s*: Vivado v\.(\S+)"),
        device=_header(text, r"Device\s*: (\S+)"),
    )


def _tables(text: str) -> tuple[dict[str, float], dict[str, int]]:
    """The first "Used" figure of every site type, and the table of primitives."""
    sites: dict[str, float] = {}
    primitives: dict[str, int] = {}
    header: list[str] = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.lstrip().startswith("|") or len(cells) < 2:
            continue
        if "Used" in cells and cells[0] in ("Site Type", "Ref Name"):
            header = cells
            continue
        if not header or len(cells) != len(header):
            continue
        value = _number(cells[header.index("Used")])
        if value is None:
            continue
        if header[0] == "Ref Name":
            primitives[cells[0]] = int(value)
        else:
            sites.setdefault(cells[0].rstrip("*").strip(), value)
    return sites, primitives


def _slacks(text: str) -> dict[str, float]:
    """The columns of the design timing summary that hold a number; "NA" and infinite ones are left out."""
    lines = text.splitlines()
    for index, line in enumerate(lines[:-2]):
        names = re.split(r"\s{2,}", line.strip())
        if names[0] != "WNS(ns)" or set(lines[index + 1].strip()) - set("- "):
            continue
        values = lines[index + 2].split()
        if len(values) != len(names):
            return {}
        pairs = ((name, _number(value)) for name, value in zip(names, values, strict=True))
        return {name: value for name, value in pairs if value is not None}
    return {}


def _periods(text: str) -> dict[str, float]:
    """Period of every clock in the clock summary, in ns."""
    row = re.compile(r"^\s*(\S+)\s+\{[^}]*\}\s+([0-9.]+)\s+[0-9.]+\s*$", re.MULTILINE)
    return {name: float(period) for name, period in row.findall(text)}


def _header(text: str, pattern: str) -> str | None:
    found = re.search(r"^\|\s*" + pattern, text, re.MULTILINE)
    return found.group(1).strip() if found else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
