"""The ECP5 harness, nextpnr's report, real runs on small designs, and fakes for what the tools do wrong."""

from __future__ import annotations

import copy
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fake_programs import fake_program, no_overrides

from lutnet.errors import ToolError, UserError
from lutnet.tools import nextpnr
from lutnet.tools.base import MissingToolError
from lutnet.tools.ecp5_harness import HARNESS_PREFIX, add_harness

__all__ = ["no_overrides"]

PIPELINE = """
module top(input clk, input [7:0] in_data, output reg [3:0] out_data);
  reg [3:0] middle;
  always @(posedge clk) begin
    middle <= in_data[3:0] ^ in_data[7:4];
    out_data <= {middle[0] & middle[1], ^middle, |middle, ~middle[3]};
  end
endmodule
"""

DEEP = """
module top(input [23:0] in_data, output out_data);
  wire [7:0] a = in_data[7:0] * in_data[15:8];
  assign out_data = ^(a * in_data[23:16]);
endmodule
"""


def port(direction: str, *bits: int | str) -> dict[str, Any]:
    return {"direction": direction, "bits": list(bits)}


def module(ports: dict[str, Any], **cells: Any) -> dict[str, Any]:
    return {"creator": "test", "modules": {"top": {"attributes": {}, "ports": ports, "cells": cells, "netnames": {}}}}


def lut(a: int, z: int) -> dict[str, Any]:
    return {"type": "LUT4", "connections": {"A": [a], "B": ["0"], "C": ["0"], "D": ["0"], "Z": [z]}}


def connections(cells: dict[str, Any], kind: str) -> list[dict[str, list[int | str]]]:
    return [cell["connections"] for cell in cells.values() if cell["type"] == kind]


def test_harness_registers_every_input_and_output() -> None:
    ports = {"clk": port("input", 2), "in_data": port("input", 3, 4, 5), "out_data": port("output", 6, 3, "1")}
    netlist = module(ports, u=lut(4, 6))
    before = copy.deepcopy(netlist)
    result = add_harness(netlist, "top", "clk")
    assert netlist == before
    top = result["modules"]["top"]
    assert {name: (p["direction"], len(p["bits"])) for name, p in top["ports"].items()} == {
        "clk": ("input", 1),
        "scan_in": ("input", 1),
        "scan_out": ("output", 1),
    }
    assert top["cells"]["u"] == before["modules"]["top"]["cells"]["u"]
    registers = connections(top["cells"], "TRELLIS_FF")
    assert all(r["CLK"] == [2] for r in registers)
    source = {r["Q"][0]: r["DI"][0] for r in registers}
    assert [source[5], source[4], source[3]] == [4, 3, top["ports"]["scan_in"]["bits"][0]]
    captured = {r["DI"][0]: r["Q"][0] for r in registers}
    assert {6, 3, "1"} <= set(captured)
    drivers = Counter([r["Q"][0] for r in registers] + [c["Z"][0] for c in connections(top["cells"], "LUT4")])
    assert set(drivers.values()) == {1}


def test_harness_folds_all_outputs_into_one_pin() -> None:
    ports = {"clk": port("input", 2), "in_data": port("input", 3), "out_data": port("output", 6, 7, 8)}
    top = add_harness(module(ports, a=lut(3, 6), b=lut(3, 7), c=lut(3, 8)), "top", "clk")["modules"]["top"]
    reached, wave = set(), {top["ports"]["scan_out"]["bits"][0]}
    drive = {c["Q"][0]: [c["DI"][0]] for c in connections(top["cells"], "TRELLIS_FF")}
    drive.update({c["Z"][0]: [c["A"][0], c["B"][0]] for c in connections(top["cells"], "LUT4")})
    while wave:
        reached |= wave
        wave = {bit for net in wave for bit in drive.get(net, [])} - reached
    assert {6, 7, 8, 3, top["ports"]["scan_in"]["bits"][0]} <= reached
    xors = [cell for name, cell in top["cells"].items() if name.startswith(HARNESS_PREFIX) and cell["type"] == "LUT4"]
    assert len(xors) == 2
    for cell in xors:
        init = int(cell["parameters"]["INIT"], 2)
        assert [(init >> address) & 1 for address in range(4)] == [0, 1, 1, 0]


def test_harness_gives_a_combinational_design_a_clock() -> None:
    ports = {"in_data": port("input", 2), "out_data": port("output", 3)}
    top = add_harness(module(ports, u=lut(2, 3)), "top", "clk")["modules"]["top"]
    clock = top["ports"]["clk"]["bits"][0]
    assert clock not in {2, 3}
    assert {r["CLK"][0] for r in connections(top["cells"], "TRELLIS_FF")} == {clock}


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        ({"a": port("inout", 2), "b": port("output", 3)}, "port 'a' of 'top' is inout"),
        ({"a": port("input", 2)}, "module 'top' has no output"),
        ({"clk": port("input", 2, 3), "b": port("output", 4)}, "the clock 'clk' must be an input of 1 bit"),
        ({"clk": port("output", 2)}, "the clock 'clk' must be an input of 1 bit"),
    ],
)
def test_harness_refuses_what_it_cannot_time(ports: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        add_harness(module(ports), "top", "clk")


def test_harness_needs_the_module() -> None:
    with pytest.raises(UserError, match="no module 'other'"):
        add_harness(module({}), "other", "clk")


def report(achieved: object, *cells: str, clock: str = "$glbnet$clk$TRELLIS_IO_IN") -> dict[str, Any]:
    hops = [{"from": {"cell": a}, "to": {"cell": b}} for a, b in pairwise(cells)]
    paths = [
        {"from": f"posedge {clock}", "to": "async", "path": [{"from": {"cell": "x"}, "to": {"cell": "y"}}]},
        {"from": f"posedge {clock}", "to": f"posedge {clock}", "path": hops},
    ]
    return {"fmax": {clock: {"achieved": achieved, "constraint": 12.0}}, "critical_paths": paths}


def test_report_gives_the_clock_and_whether_the_harness_limits_it() -> None:
    h0, h1 = HARNESS_PREFIX + "0", HARNESS_PREFIX + "1"
    assert nextpnr.parse_nextpnr_report(report(250.5, h0, "u", h1), "clk") == nextpnr.ParsedTiming(250.5, False)
    assert nextpnr.parse_nextpnr_report(report(250.5, h0, h1), "clk") == nextpnr.ParsedTiming(250.5, True)
    two = {"fmax": {"clk": {"achieved": 1.0}, "other": {"achieved": 2.0}}}
    assert nextpnr.parse_nextpnr_report(two, "other") == nextpnr.ParsedTiming(2.0, None)


@pytest.mark.parametrize(
    "bad", [None, [], {}, {"fmax": []}, {"fmax": {}}, {"fmax": {"clk": 5}}, {"fmax": {"a": {}, "b": {}}}]
)
def test_report_without_a_number_is_none(bad: object) -> None:
    assert nextpnr.parse_nextpnr_report(bad, "clk") == nextpnr.ParsedTiming(None, None)


@pytest.mark.parametrize("achieved", ["fast", None, 0, float("nan"), float("inf")])
def test_report_with_a_strange_number_is_none(achieved: object) -> None:
    assert nextpnr.parse_nextpnr_report(report(achieved, "a", "b"), "clk").fmax_mhz is None


def test_real_run_is_plausible_and_repeats(tmp_path: Path) -> None:
    (tmp_path / "top.v").write_text(PIPELINE)
    first = nextpnr.place_and_route_ecp5([tmp_path / "top.v"], "top", tmp_path, timeout_s=120)
    again = nextpnr.place_and_route_ecp5([tmp_path / "top.v"], "top", tmp_path, timeout_s=120)
    assert first.fmax_mhz is not None and 150 < first.fmax_mhz < 1000
    assert first.fmax_mhz == again.fmax_mhz
    assert (first.luts, first.ffs) == (8, 8)
    assert (first.device, first.speed_grade, first.seed) == ("85k", 6, 1)
    assert first.tool_version is not None and first.tool_version[0].isdigit()
    assert "Max frequency" in first.log.read_text()


def test_real_run_of_a_combinational_design_times_its_logic(tmp_path: Path) -> None:
    (tmp_path / "top.v").write_text(DEEP)
    timing = nextpnr.place_and_route_ecp5([tmp_path / "top.v"], "top", tmp_path, timeout_s=120)
    assert timing.fmax_mhz is not None and 20 < timing.fmax_mhz < 150
    assert timing.harness_limited is False
    assert timing.ffs == 0


def fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, netlist: object | None = None) -> Path:
    core = module({"clk": port("input", 2), "a": port("input", 3), "y": port("output", 4)}, u=lut(3, 4))
    (tmp_path / "prepared.json").write_text(json.dumps(core if netlist is None else netlist))
    monkeypatch.setenv("LUTNET_YOSYS", fake_program(tmp_path / "yosys", "cp prepared.json ecp5_core.json\n"))
    version = 'if [ "$1" = --version ]; then echo \'"n" -- Next Generation Place and Route (Version nextpnr-9.8)\'; exit 0; fi\n'
    monkeypatch.setenv("LUTNET_NEXTPNR_ECP5", fake_program(tmp_path / "nextpnr", version + body))
    (tmp_path / "top.v").write_text(PIPELINE)
    return tmp_path / "top.v"


def test_fake_run_reads_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "r.json").write_text(json.dumps(report(99.5, "u", "u")))
    core = module(
        {"clk": port("input", 2), "y": port("output", 4)},
        u=lut(3, 4),
        carry={"type": "CCU2C", "connections": {}},
        r={"type": "TRELLIS_FF", "connections": {}},
    )
    source = fakes(tmp_path, monkeypatch, 'echo "$@" > arguments; cp r.json nextpnr.json\n', core)
    timing = nextpnr.place_and_route_ecp5([source], "top", tmp_path, timeout_s=20, device="25k", speed_grade=8, seed=7)
    assert (timing.fmax_mhz, timing.luts, timing.ffs, timing.tool_version) == (99.5, 3, 1, "9.8")
    arguments = (tmp_path / "arguments").read_text()
    assert "--25k --speed 8 --seed 7" in arguments and "--timing-allow-fail" in arguments


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo 'ERROR: no' >&2; exit 5\n", "nextpnr-ecp5 ended with status 5"),
        ("exit 0\n", r"no readable nextpnr\.json was written"),
        ("echo '{\"fmax' > nextpnr.json\n", r"no readable nextpnr\.json was written"),
        ("sleep 30\n", "nextpnr-ecp5 did not finish within"),
    ],
)
def test_nextpnr_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, message: str) -> None:
    source = fakes(tmp_path, monkeypatch, body)
    (tmp_path / "nextpnr.json").write_text(json.dumps(report(1.0, "stale", "stale")))
    with pytest.raises(ToolError, match=message):
        nextpnr.place_and_route_ecp5([source], "top", tmp_path, timeout_s=1)


def test_garbage_report_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = fakes(tmp_path, monkeypatch, "echo '[]' > nextpnr.json\n")
    assert nextpnr.place_and_route_ecp5([source], "top", tmp_path, timeout_s=20).fmax_mhz is None


def test_yosys_that_writes_no_netlist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = fakes(tmp_path, monkeypatch, "exit 0\n")
    (tmp_path / "prepared.json").write_text("not json")
    with pytest.raises(ToolError, match=r"no readable ecp5_core\.json was written"):
        nextpnr.place_and_route_ecp5([source], "top", tmp_path, timeout_s=20)


def test_design_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = {f"u{i}": {"type": "LUT4", "connections": {}} for i in range(24289)}
    source = fakes(tmp_path, monkeypatch, "exit 9\n", module({"y": port("output", 4)}, **cells))
    with pytest.raises(UserError, match="the design needs 24289 lookup tables, but ECP5 25k has 24288"):
        nextpnr.place_and_route_ecp5([source], "top", tmp_path, timeout_s=20, device="25k")


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="device out of 25k, 45k, 85k, got 'huge'"):
        nextpnr.place_and_route_ecp5(["x.v"], "top", tmp_path, timeout_s=1, device="huge")
    with pytest.raises(UserError, match="speed grade of 6, 7 or 8, got 9"):
        nextpnr.place_and_route_ecp5(["x.v"], "top", tmp_path, timeout_s=1, speed_grade=9)


def test_missing_nextpnr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nextpnr, "package_folder", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="nextpnr-ecp5 not found on PATH; install it with `pip install yowasp"):
        nextpnr.nextpnr_tool()


def test_cache_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.delenv("YOWASP_CACHE_DIR", raising=False)
    nextpnr.tool_version.cache_clear()
    assert nextpnr.nextpnr_version() is not None
