"""Vivado's reports in several versions, the rendered script and constraints, and a fake Vivado."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import vivado_texts as texts
from fake_programs import fake_program, no_overrides

import lutnet
from lutnet.errors import ToolError, UserError
from lutnet.tools import vivado
from lutnet.tools.base import MissingToolError
from lutnet.tools.vivado_reports import parse_timing, parse_utilization

__all__ = ["no_overrides"]

TEMPLATES = Path(lutnet.__file__).resolve().parent.parent / "rtl_templates"
OOC = (TEMPLATES / "tcl/vivado_ooc.tcl").read_text()
CLOCK = (TEMPLATES / "xdc/clock.xdc").read_text()
PART = "xcvu9p-flgb2104-2-i"


def test_utilization_of_7_series_2019() -> None:
    used = parse_utilization(texts.UTILIZATION_2019_7SERIES)
    assert (used.luts, used.lut_logic, used.lut_memory, used.ffs) == (1376, 1300, 76, 412)
    assert (used.carry, used.muxf7, used.muxf8, used.muxf9) == (33, 121, 14, None)
    assert (used.dsps, used.brams, used.urams) == (0, 1.5, None)
    assert (used.tool_version, used.device, used.design_state) == ("2019.2", "7a35tcpg236-1", "Synthesized")
    assert used.primitives == {"LUT6": 900, "LUT5": 500, "FDRE": 412, "MUXF7": 121, "CARRY4": 33}


def test_utilization_of_ultrascale_2022() -> None:
    used = parse_utilization(texts.UTILIZATION_2022_ULTRASCALE)
    assert (used.luts, used.lut_logic, used.lut_memory, used.ffs) == (2405, 2405, 0, 811)
    assert (used.carry, used.muxf7, used.muxf8, used.muxf9) == (57, 101, 50, 3)
    assert (used.dsps, used.brams, used.urams) == (4, 0.0, 2)
    assert (used.tool_version, used.device, used.design_state) == ("2022.2", PART, "Routed")


def test_utilization_of_versal_2024() -> None:
    used = parse_utilization(texts.UTILIZATION_2024_VERSAL)
    assert (used.luts, used.ffs, used.carry, used.dsps) == (640, 200, 12, 1)
    assert (used.lut_memory, used.muxf7, used.brams) == (None, None, None)
    assert (used.tool_version, used.design_state) == ("2024.2", "Fully Placed")
    assert used.primitives == {}


def test_7_series_without_carry_has_none_used() -> None:
    text = re.sub(r"\| CARRY4.*\n", "", texts.UTILIZATION_2019_7SERIES)
    assert parse_utilization(text).carry == 0
    assert parse_utilization(text.split("7. Primitives\n------")[0]).carry is None


@pytest.mark.parametrize("text", ["", "garbage", "| CLB LUTs | 7 | 0 |", "| Site Type | Used |\n| CLB LUTs | many |\n"])
def test_utilization_that_cannot_be_read_is_none(text: str) -> None:
    used = parse_utilization(text)
    assert (used.luts, used.ffs, used.carry, used.dsps, used.brams, used.device) == (None,) * 6


def test_timing_met() -> None:
    timing = parse_timing(texts.timing(texts.MET, texts.CLOCK))
    assert (timing.wns_ns, timing.tns_ns, timing.whs_ns, timing.period_ns) == (0.521, 0.0, 0.057, 5.0)
    assert timing.fmax_mhz == 1000.0 / (5.0 - 0.521)
    assert (timing.tool_version, timing.device) == ("2021.2", "xcvu9p-flgb2104")


def test_timing_violated() -> None:
    timing = parse_timing(texts.timing(texts.VIOLATED, texts.CLOCK, version="2024.1"))
    assert (timing.wns_ns, timing.tns_ns, timing.tool_version) == (-0.789, -1981.162, "2024.1")
    assert timing.fmax_mhz == 1000.0 / 5.789


def test_several_clocks_need_a_name() -> None:
    text = texts.timing(texts.MET, texts.CLOCK, texts.GENERATED)
    assert parse_timing(text).period_ns is None
    assert parse_timing(text).fmax_mhz is None
    assert parse_timing(text, "half").period_ns == 2.5
    assert parse_timing(text, "none").period_ns is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        texts.timing(texts.NOT_TIMED, texts.CLOCK),
        texts.timing("    inf  0.000  0  0  inf  0.000  0  0  2.0  0.0  0  1", texts.CLOCK),
        texts.timing("    0.5  0.0", texts.CLOCK),
        texts.SLACK_NAMES + "\n" + texts.SLACK_RULE,
    ],
)
def test_slack_that_cannot_be_read_is_none(text: str) -> None:
    timing = parse_timing(text)
    assert timing.wns_ns is None and timing.whs_ns is None and timing.fmax_mhz is None


def test_script_holds_what_it_was_given() -> None:
    script = vivado.render_ooc(OOC, part=PART, top="top", files=["argmax.v", "rtl/top.v"], period_ns=1.6)
    assert f"set part      {{{PART}}}" in script
    assert "set files     {argmax.v rtl/top.v}" in script
    assert "set period_ns {1.600}" in script
    assert "-mode out_of_context -top $top -part $part -directive PerformanceOptimized" in script
    for command in ("place_design", "route_design", "report_utilization", "report_timing_summary", "write_checkpoint"):
        assert command in script
    assert "@{" not in script and script.count("{") == script.count("}")
    assert [line for line in script.splitlines() if line != line.rstrip()] == []


def test_default_strategy_uses_default_directives() -> None:
    script = vivado.render_ooc(OOC, part=PART, top="top", files=["top.v"], period_ns=2, strategy="Default")
    assert script.count("-directive Default") == 4
    assert "-no_lc" not in script


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"part": "x} ; exec rm"}, "expected a part such as"),
        ({"part": ""}, "expected a part such as"),
        ({"top": "top]"}, "the name of the top module"),
        ({"files": []}, "at least one Verilog file"),
        ({"files": ["a b.v"]}, "file names for Vivado"),
        ({"files": ["[exec ls].v"]}, "file names for Vivado"),
        ({"files": ["../a.v"]}, "file names for Vivado"),
        ({"files": ["/a.v"]}, "file names for Vivado"),
        ({"files": ["-sv"]}, "file names for Vivado"),
        ({"period_ns": 0.0}, "clock period"),
        ({"period_ns": math.nan}, "clock period"),
        ({"period_ns": -1.0}, "clock period"),
        ({"strategy": "Fast"}, "expected a Vivado strategy out of Default, Flow_PerfOptimized_high"),
    ],
)
def test_script_refuses_what_tcl_would_read_differently(change: dict[str, object], message: str) -> None:
    options: dict[str, object] = {"part": PART, "top": "top", "files": ["top.v"], "period_ns": 2.0}
    with pytest.raises(UserError, match=message):
        vivado.render_ooc(OOC, **{**options, **change})  # type: ignore[arg-type]


def test_constraints_with_and_without_a_clock_port() -> None:
    clocked = vivado.render_clock(CLOCK, period_ns=1.6)
    assert "create_clock -name clk -period 1.600 [get_ports clk]\n" in clocked
    assert "{DIRECTION == IN && NAME != clk}" in clocked
    virtual = vivado.render_clock(CLOCK, period_ns=3, clock=None)
    assert "create_clock -name clk -period 3.000\n" in virtual
    assert "{DIRECTION == IN}" in virtual
    with pytest.raises(UserError, match="the name of the clock"):
        vivado.render_clock(CLOCK, period_ns=3, clock="clk]; exec rm")


VERSION = 'if [ "$1" = -version ]; then echo "vivado v2022.2 (64-bit)"; exit 0; fi\n'


def fake_vivado(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    monkeypatch.setenv("LUTNET_VIVADO", fake_program(tmp_path / "vivado", VERSION + body))
    (tmp_path / "run").mkdir()
    (tmp_path / "run/vivado_ooc.tcl").write_text("puts hello\n")
    return tmp_path / "run/vivado_ooc.tcl"


def test_fake_run_reads_the_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "u").write_text(texts.UTILIZATION_2022_ULTRASCALE)
    (tmp_path / "t").write_text(texts.timing(texts.MET, texts.CLOCK))
    script = fake_vivado(tmp_path, monkeypatch, 'echo "$@" > args; cp ../u utilization.rpt; cp ../t timing.rpt\n')
    result = vivado.synthesize_vivado(script, timeout_s=10)
    assert (result.utilization.luts, result.timing.wns_ns, result.tool_version) == (2405, 0.521, "2022.2")
    assert (tmp_path / "run/args").read_text() == f"-mode batch -nojournal -nolog -notrace -source {script}\n"


def test_run_without_reports_gives_none_even_if_old_ones_lie_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = fake_vivado(tmp_path, monkeypatch, "exit 0\n")
    (tmp_path / "run/utilization.rpt").write_text(texts.UTILIZATION_2022_ULTRASCALE)
    result = vivado.synthesize_vivado(script, timeout_s=10)
    assert result.utilization.luts is None and result.timing.fmax_mhz is None


def test_vivado_that_fails_hangs_or_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = fake_vivado(
        tmp_path, monkeypatch, 'if [ -e fail ]; then echo "ERROR: [Synth 8-439]"; exit 1; fi; sleep 30\n'
    )
    with pytest.raises(ToolError, match=r"vivado did not finish within 0\.3 s"):
        vivado.run_vivado(script, cwd=tmp_path / "run", timeout_s=0.3)
    (tmp_path / "run/fail").touch()
    with pytest.raises(ToolError, match=r"\[Synth 8-439\]") as caught:
        vivado.run_vivado(script, cwd=tmp_path / "run", timeout_s=10)
    assert (caught.value.version, caught.value.returncode) == ("2022.2", 1)
    with pytest.raises(UserError, match=r"none\.tcl does not exist"):
        vivado.run_vivado(tmp_path / "none.tcl", cwd=tmp_path, timeout_s=1)
    monkeypatch.delenv("LUTNET_VIVADO")
    monkeypatch.setenv("PATH", str(tmp_path / "run"))
    with pytest.raises(MissingToolError, match="vivado not found on PATH; install AMD Vivado"):
        vivado.run_vivado(script, cwd=tmp_path, timeout_s=1)


def test_vivado_without_a_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTNET_VIVADO", fake_program(tmp_path / "vivado", "exit 0\n"))
    assert vivado.vivado_version() is None
