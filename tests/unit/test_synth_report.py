"""Reports: what is unknown stays unknown, and every figure says what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lutnet.report.synth import SynthReport, ecp5_report, vivado_report, xilinx_report
from lutnet.tools.nextpnr import Ecp5Timing
from lutnet.tools.vivado import VivadoResult
from lutnet.tools.vivado_reports import VivadoTiming, VivadoUtilization, parse_timing, parse_utilization
from lutnet.tools.yosys import XilinxStat


def stat(**change: object) -> XilinxStat:
    known: dict[str, object] = {
        "luts": 100, "lut_cells": 120, "muxf7": 7, "muxf8": 3, "muxf9": 0, "carry4": 5, "carry8": 0, "ffs": 40,
        "cells": {"LUT6": 120}, "family": "xcup", "tool_version": "0.70", "seconds": 1.5,
        "log": Path("a"), "netlist_verilog": Path("b"), "netlist_json": Path("c"),
    }  # fmt: skip
    return XilinxStat(**{**known, **change})  # type: ignore[arg-type]


def ecp5(fmax_mhz: float | None, harness_limited: bool | None = False) -> Ecp5Timing:
    return Ecp5Timing(fmax_mhz, harness_limited, 300, 40, "85k", 6, 1, "0.11", 2.0, Path("log"))


def vivado(utilization: VivadoUtilization, timing: VivadoTiming) -> VivadoResult:
    return VivadoResult(utilization, timing, "2022.2", 3.0)


def test_xilinx_report() -> None:
    report = xilinx_report(stat(), 4)
    assert (report.luts, report.lut_cells, report.ffs, report.muxf, report.carry) == (100, 120, 40, 10, 5)
    assert report.fmax_mhz is None and report.latency_ns is None
    assert (report.latency_cycles, report.tool, report.tool_version) == (4, "yosys", "0.70")
    assert "UltraScale+ (xcup)" in report.device
    assert "estimated number of LCs" in report.labels["luts"]


def test_unknown_parts_make_an_unknown_sum() -> None:
    report = xilinx_report(stat(muxf8=None, carry4=None, carry8=None, luts=None), 0)
    assert (report.muxf, report.carry, report.luts) == (None, None, None)


@pytest.mark.parametrize(("cycles", "latency_ns"), [(4, 16.0), (1, 4.0), (0, 4.0)])
def test_latency_in_ns(cycles: int, latency_ns: float) -> None:
    assert ecp5_report(ecp5(250.0), cycles).latency_ns == latency_ns


def test_ecp5_report_says_what_its_frequency_is() -> None:
    report = ecp5_report(ecp5(250.0), 4)
    assert (report.luts, report.ffs, report.lut_cells, report.fmax_mhz) == (300, 40, None, 250.0)
    for part in ("nextpnr-ecp5", "ECP5 85k", "speed grade 6", "placed and routed", "not an UltraScale+ figure"):
        assert part in report.labels["fmax_mhz"]
    assert "outside the design" not in report.labels["fmax_mhz"]
    assert "outside the design" in ecp5_report(ecp5(250.0, True), 4).labels["fmax_mhz"]
    assert ecp5_report(ecp5(None, None), 4).latency_ns is None


def test_vivado_report() -> None:
    used = "| Device : xcvu9p\n| Design State : Routed\n| Site Type | Used |\n| CLB LUTs | 90 |\n| F7 Muxes | 4 |\n| F8 Muxes | 2 |\n"
    names = "WNS(ns)  TNS(ns)\n-------  -------\n0.250  0.000\n"
    clock = "clk  {0.000 0.625}  1.250  800.000\n"
    report = vivado_report(vivado(parse_utilization(used), parse_timing(names + clock)), 5)
    assert (report.luts, report.muxf, report.ffs, report.carry, report.lut_cells) == (90, 6, None, None, None)
    assert (report.fmax_mhz, report.latency_ns, report.device) == (1000.0, 5.0, "xcvu9p")
    assert report.labels["fmax_mhz"].endswith("Vivado, xcvu9p, out of context, routed")
    blank = vivado_report(vivado(parse_utilization(""), parse_timing("")), 5)
    assert (blank.luts, blank.muxf, blank.fmax_mhz, blank.device) == (None, None, None, "unknown part")


@pytest.mark.parametrize(
    "report",
    [
        xilinx_report(stat(), 2),
        ecp5_report(ecp5(123.0), 2),
        vivado_report(vivado(parse_utilization(""), parse_timing("")), 2),
    ],
    ids=lambda r: r.tool,
)
def test_json_keeps_everything_and_every_known_figure_is_labelled(report: SynthReport) -> None:
    data = json.loads(json.dumps(report.to_json()))
    figures = ("luts", "lut_cells", "ffs", "muxf", "carry", "fmax_mhz", "latency_cycles", "latency_ns")
    assert set(data) == {*figures, "tool", "tool_version", "device", "label", "labels", "raw"}
    for name in figures:
        assert data[name] == getattr(report, name)
        assert data[name] is None or data["labels"][name]
