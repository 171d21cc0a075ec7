"""What synthesis, placement and routing said of a design, with a label on every figure that says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lutnet.tools.nextpnr import Ecp5Timing
from lutnet.tools.vivado import VivadoResult
from lutnet.tools.yosys import XilinxStat

__all__ = ["SynthReport", "ecp5_report", "unplaced_report", "vivado_report", "xilinx_report"]

_FAMILIES: Mapping[str, str] = MappingProxyType({"xcup": "UltraScale+", "xcu": "UltraScale", "xc7": "7 series"})

_FIGURES = ("luts", "lut_cells", "ffs", "muxf", "carry", "fmax_mhz", "latency_cycles", "latency_ns")


@dataclass(frozen=True)
class SynthReport:
    """Figures of one design from one tool. A figure that the tool did not give is ``None``, never 0.

    Attributes:
        luts: Lookup tables, counted as ``labels["luts"]`` says.
        lut_cells: Lookup-table cells before packing.
        ffs: Flip-flops.
        muxf: MUXF7, MUXF8 and MUXF9 together.
        carry: Carry-chain cells.
        fmax_mhz: Highest clock frequency.
        latency_cycles: Registers from input to output.
        tool: The program or programs.
        tool_version: Version of the last of them.
        device: Family or part that was targeted.
        label: What all figures have in common: tool, device, how far the design was taken.
        raw: Everything else that the tool said, JSON-able.
        labels: For every figure, what it is.
    """

    luts: int | None
    lut_cells: int | None
    ffs: int | None
    muxf: int | None
    carry: int | None
    fmax_mhz: float | None
    latency_cycles: int
    tool: str
    tool_version: str | None
    device: str
    label: str
    raw: Mapping[str, object]
    labels: Mapping[str, str]

    @property
    def latency_ns(self) -> float | None:
        """Time from input to output in ns at :attr:`fmax_mhz`: a period per register, one period without registers."""
        return None if self.fmax_mhz is None else max(self.latency_cycles, 1) * 1000.0 / self.fmax_mhz

    def to_json(self) -> dict[str, object]:
        """Everything as JSON-able values, ``latency_ns`` included."""
        return {
            **{name: getattr(self, name) for name in _FIGURES},
            "tool": self.tool,
            "tool_version": self.tool_version,
            "device": self.device,
            "label": self.label,
            "labels": dict(self.labels),
            "raw": dict(self.raw),
        }


def xilinx_report(stat: XilinxStat, latency_cycles: int) -> SynthReport:
    """The report of :func:`lutnet.tools.yosys.synthesize_xilinx`, which knows no frequency."""
    device = f"AMD {_FAMILIES.get(stat.family, stat.family)} ({stat.family})"
    step = f"yosys synth_xilinx, {device}, mapped, not placed"
    return SynthReport(
        luts=stat.luts,
        lut_cells=stat.lut_cells,
        ffs=stat.ffs,
        muxf=_sum(stat.muxf7, stat.muxf8, stat.muxf9),
        carry=_sum(stat.carry4, stat.carry8),
        fmax_mhz=None,
        latency_cycles=latency_cycles,
        tool="yosys",
        tool_version=stat.tool_version,
        device=device,
        label=step,
        raw=MappingProxyType({"cells": dict(stat.cells), "seconds": stat.seconds}),
        labels=MappingProxyType(
            {
                "luts": f"estimated number of LCs (two functions in one 6-input site counted once), {step}",
                "lut_cells": f"LUT1 to LUT6 cells, {step}",
                "ffs": f"FDRE, FDSE, FDCE and FDPE cells, {step}",
                "muxf": f"MUXF7, MUXF8 and MUXF9 cells, {step}",
                "carry": f"CARRY4 and CARRY8 cells, {step}",
                "latency_cycles": "registers from input to output of the netlist",
            }
        ),
    )


def ecp5_report(timing: Ecp5Timing, latency_cycles: int) -> SynthReport:
    """The report of :func:`lutnet.tools.nextpnr.place_and_route_ecp5`."""
    device = f"Lattice ECP5 {timing.device}, speed grade {timing.speed_grade}"
    step = f"nextpnr-ecp5, {device}, placed and routed (not an UltraScale+ figure)"
    bound = "; the slowest path is outside the design, which is faster" if timing.harness_limited else ""
    return SynthReport(
        luts=timing.luts,
        lut_cells=None,
        ffs=timing.ffs,
        muxf=None,
        carry=None,
        fmax_mhz=timing.fmax_mhz,
        latency_cycles=latency_cycles,
        tool="yosys and nextpnr-ecp5",
        tool_version=timing.tool_version,
        device=device,
        label=step,
        raw=MappingProxyType(
            {"harness_limited": timing.harness_limited, "seed": timing.seed, "seconds": timing.seconds}
        ),
        labels=MappingProxyType(
            {
                "luts": f"4-input lookup tables, carry cells counted as two, yosys synth_ecp5, {device}",
                "ffs": f"flip-flops of the design without its test harness, yosys synth_ecp5, {device}",
                "fmax_mhz": f"clock between registered inputs and registered outputs, {step}{bound}",
                "latency_cycles": "registers from input to output of the netlist",
                "latency_ns": f"latency in cycles at that clock, {step}",
            }
        ),
    )


def unplaced_report(reason: str, latency_cycles: int) -> SynthReport:
    """The report of a design that does not fit the ECP5 or could not be routed in time: no figure, and the reason."""
    return SynthReport(
        luts=None,
        lut_cells=None,
        ffs=None,
        muxf=None,
        carry=None,
        fmax_mhz=None,
        latency_cycles=latency_cycles,
        tool="yosys and nextpnr-ecp5",
        tool_version=None,
        device="Lattice ECP5",
        label=f"not placed and routed: {reason}",
        raw=MappingProxyType({"reason": reason}),
        labels=MappingProxyType({}),
    )


def vivado_report(result: VivadoResult, latency_cycles: int) -> SynthReport:
    """The report of :func:`lutnet.tools.vivado.synthesize_vivado`."""
    used, timing = result.utilization, result.timing
    device = used.device or timing.device or "unknown part"
    step = f"Vivado, {device}, out of context, {(used.design_state or 'unknown state').lower()}"
    cells = [n for kind, n in used.primitives.items() if kind in {f"LUT{k}" for k in range(1, 7)}]
    return SynthReport(
        luts=used.luts,
        lut_cells=sum(cells) if used.primitives else None,
        ffs=used.ffs,
        muxf=_sum(used.muxf7, used.muxf8, *([] if used.muxf9 is None else [used.muxf9])),
        carry=used.carry,
        fmax_mhz=timing.fmax_mhz,
        latency_cycles=latency_cycles,
        tool="vivado",
        tool_version=result.tool_version or used.tool_version,
        device=device,
        label=step,
        raw=MappingProxyType(
            {
                "brams": used.brams,
                "dsps": used.dsps,
                "period_ns": timing.period_ns,
                "primitives": dict(used.primitives),
                "seconds": result.seconds,
                "tns_ns": timing.tns_ns,
                "urams": used.urams,
                "whs_ns": timing.whs_ns,
                "wns_ns": timing.wns_ns,
            }
        ),
        labels=MappingProxyType(
            {
                "luts": f"lookup-table sites, {step}",
                "lut_cells": f"LUT1 to LUT6 cells, {step}",
                "ffs": f"registers, {step}",
                "muxf": f"F7, F8 and F9 multiplexers, {step}",
                "carry": f"carry cells, {step}",
                "fmax_mhz": f"1000 / (period - worst setup slack), {step}",
                "latency_cycles": "registers from input to output of the netlist",
                "latency_ns": f"latency in cycles at that clock, {step}",
            }
        ),
    )


def _sum(*parts: int | None) -> int | None:
    """The sum, unknown when a part is unknown."""
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None
