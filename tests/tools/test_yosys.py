"""Yosys and ABC: real runs on small designs, and fakes for what they do wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fake_programs import fake_program, no_overrides

from lutnet.errors import ToolError, UserError
from lutnet.tools import yosys
from lutnet.tools.base import MissingToolError, run
from lutnet.tools.nextpnr import place_and_route_ecp5
from lutnet.tools.simulators import icarus_tool, vvp_tool

__all__ = ["no_overrides"]

# One LUT6 and a register for bit 0, a 7-input function (2 LUT6 and a MUXF7) and a register for bit 1.
DESIGN = """
module top(input clk, input [6:0] in_data, output reg [1:0] out_data);
  wire [127:0] table7 = 128'h8f3c_51a9_e207_6bd4_1379_c0fe_a55a_96e1;
  always @(posedge clk) begin
    out_data[0] <= ^in_data[5:0];
    out_data[1] <= table7[in_data];
  end
endmodule
"""

BENCH = """
module bench;
  reg clk = 0; reg [6:0] in_data = 0; wire [1:0] out_data; integer i;
  top dut(.clk(clk), .in_data(in_data), .out_data(out_data));
  initial begin
    for (i = 0; i < 128; i = i + 1) begin
      in_data = i; #200000; clk = 1; #200000; $display("%0d", out_data); clk = 0;
    end
    $finish;
  end
endmodule
"""


# Codes of a table in a register that another table reads.
HELD = """
module held(input clk, input [1:0] in_data, output reg [4:0] out_data);
  reg [2:0] code, code_s1;
  always @* case (in_data) 2'd0: code = 3'd1; 2'd1: code = 3'd4; 2'd2: code = 3'd6; default: code = 3'd3; endcase
  always @(posedge clk) code_s1 <= code;
  reg [4:0] out;
  always @* case (code_s1) 3'd1: out = 5'd9; 3'd4: out = 5'd30; 3'd6: out = 5'd17; default: out = 5'd2; endcase
  always @(posedge clk) out_data <= out;
endmodule
"""


@pytest.fixture(scope="module")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> yosys.XilinxStat:
    folder = tmp_path_factory.mktemp("a folder, #1")
    (folder / "my top.v").write_text(DESIGN)
    return yosys.synthesize_xilinx([folder / "my top.v"], "top", folder, timeout_s=120)


def test_counts_of_a_known_design(synthesised: yosys.XilinxStat) -> None:
    stat = synthesised
    assert (stat.lut_cells, stat.muxf7, stat.muxf8, stat.muxf9) == (3, 1, 0, 0)
    assert (stat.luts, stat.ffs, stat.carry4, stat.carry8) == (3, 2, 0, 0)
    assert stat.cells["FDRE"] == 2
    assert stat.tool_version is not None and stat.tool_version[0].isdigit()
    assert stat.seconds > 0
    assert "SYNTH_XILINX" in stat.log.read_text()
    assert "top" in json.loads(stat.netlist_json.read_text())["modules"]


def test_mapped_netlist_simulates_like_the_design(synthesised: yosys.XilinxStat, tmp_path: Path) -> None:
    (tmp_path / "bench.v").write_text(BENCH)
    sources = [synthesised.netlist_verilog, yosys.share_file("xilinx/cells_sim.v"), tmp_path / "bench.v"]
    argv = (*icarus_tool().argv, "-g2012", "-s", "bench", "-s", "glbl", "-o", "sim", *map(str, sources))
    (tmp_path / "glbl.v").write_text("module glbl; reg GSR = 0; endmodule\n")
    compiled = run((*argv, "glbl.v"), cwd=tmp_path, timeout_s=60)
    assert compiled.returncode == 0, compiled.output
    lines = run((*vvp_tool().argv, "-n", "sim"), cwd=tmp_path, timeout_s=60).stdout.split()
    bits = 0x8F3C51A9E2076BD41379C0FEA55A96E1
    expected = [(bin(i & 63).count("1") & 1) | ((bits >> i & 1) << 1) for i in range(128)]
    assert [int(line) for line in lines if line.isdigit()] == expected


def test_design_without_logic_has_zeros_not_none(tmp_path: Path) -> None:
    (tmp_path / "w.v").write_text("module w(input a, output b); assign b = a; endmodule\n")
    stat = yosys.synthesize_xilinx([tmp_path / "w.v"], "w", tmp_path, timeout_s=120)
    assert (stat.luts, stat.lut_cells, stat.ffs, stat.muxf7, stat.carry4) == (0, 0, 0, 0, 0)


def test_registers_behind_tables_are_no_state_machines(tmp_path: Path) -> None:
    (tmp_path / "held.v").write_text(HELD)
    stat = yosys.synthesize_xilinx([tmp_path / "held.v"], "held", tmp_path, timeout_s=120)
    log = stat.log.read_text()
    assert "FSM_EXTRACT pass" in log and "Extracting FSM" not in log
    place_and_route_ecp5([tmp_path / "held.v"], "held", tmp_path, timeout_s=120)
    assert "Extracting FSM" not in (tmp_path / "ecp5.log").read_text()


def test_wrong_top_and_wrong_verilog_say_why(tmp_path: Path) -> None:
    (tmp_path / "w.v").write_text("module w(input a, output b); assign b = a; endmodule\n")
    with pytest.raises(ToolError, match="Module `nope' not found") as caught:
        yosys.synthesize_xilinx([tmp_path / "w.v"], "nope", tmp_path, timeout_s=120)
    assert caught.value.version == yosys.yosys_version()
    (tmp_path / "bad.v").write_text("module w(input a output b); endmodule\n")
    with pytest.raises(ToolError, match=r"bad\.v:1: ERROR: syntax error"):
        yosys.run_yosys(yosys.read_sources([tmp_path / "bad.v"]), cwd=tmp_path, timeout_s=120)


def test_sources_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Verilog file .*none\.v does not exist"):
        yosys.synthesize_xilinx([tmp_path / "none.v"], "top", tmp_path, timeout_s=1)
    with pytest.raises(UserError, match="at least one Verilog file"):
        yosys.read_sources([])
    (tmp_path / 'a".v').write_text("")
    with pytest.raises(UserError, match="yosys cannot read a file whose name holds quotes"):
        yosys.read_sources([tmp_path / 'a".v'])
    (tmp_path / "a.sv").write_text("")
    assert yosys.read_sources([tmp_path / "a.sv"]) == f'read_verilog -sv "{tmp_path}/a.sv"'
    with pytest.raises(UserError, match="the family"):
        yosys.synthesize_xilinx([tmp_path / "a.sv"], "top", tmp_path, timeout_s=1, family="xc7; shell")


def fake_yosys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    version = 'if [ "$1" = -V ]; then echo "Yosys 0.99+5 (git sha1 abc)"; exit 0; fi\n'
    monkeypatch.setenv("LUTNET_YOSYS", fake_program(tmp_path / "yosys", version + body))
    (tmp_path / "top.v").write_text(DESIGN)
    return tmp_path / "top.v"


@pytest.mark.parametrize(
    "body",
    [
        "exit 0\n",
        "echo garbage > xilinx_stat.json; echo 'Estimated number of LCs: many' > xilinx_stat.txt\n",
        "echo '[1, 2]' > xilinx_stat.json\n",
        'echo \'{"design": {"num_cells_by_type": {"LUT6": "three"}, "estimated_num_lc": null}}\' > xilinx_stat.json\n',
        'echo \'{"design": {"num_cells_by_ty\' > xilinx_stat.json\n',
    ],
)
def test_unreadable_numbers_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    source = fake_yosys(tmp_path, monkeypatch, body)
    (tmp_path / "xilinx_stat.json").write_text('{"design": {"num_cells_by_type": {}, "estimated_num_lc": 5}}')
    stat = yosys.synthesize_xilinx([source], "top", tmp_path, timeout_s=10)
    assert [stat.luts, stat.lut_cells, stat.ffs, stat.muxf7, stat.muxf8, stat.muxf9, stat.carry4, stat.carry8] == [
        None
    ] * 8
    assert dict(stat.cells) == {}
    assert stat.tool_version == "0.99+5"


def test_yosys_that_fails_or_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = fake_yosys(tmp_path, monkeypatch, 'case "$(cat $2)" in *nope*) exit 4;; esac; sleep 30\n')
    with pytest.raises(ToolError, match="yosys ended with status 4") as caught:
        yosys.synthesize_xilinx([source], "nope", tmp_path, timeout_s=10)
    assert caught.value.version == "0.99+5"
    with pytest.raises(ToolError, match=r"yosys did not finish within 0\.3 s"):
        yosys.synthesize_xilinx([source], "top", tmp_path, timeout_s=0.3)


def test_netlists_with_lost_logic_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = "Warning: Driver-driver conflict for a between cell b.Y and constant 1'x in top: Resolved using constant."
    source = fake_yosys(tmp_path, monkeypatch, f'echo run >> runs; echo "{lost}"\n')
    with pytest.raises(ToolError, match=r"constants in the place of mapped logic.*conflict for a between"):
        yosys.synthesize_xilinx([source], "top", tmp_path, timeout_s=10)
    assert (tmp_path / "runs").read_text().split() == ["run", "run"]
    assert (tmp_path / "xilinx.ys").read_text().startswith("scratchpad -set abc9.xaiger 1\n")


def test_missing_yosys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTNET_YOSYS", str(tmp_path / "none"))
    with pytest.raises(MissingToolError, match="LUTNET_YOSYS names"):
        yosys.yosys_tool()
    monkeypatch.delenv("LUTNET_YOSYS")
    monkeypatch.setattr(yosys, "package_folder", lambda module: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="yosys not found on PATH; install it with `pip install pyosys`"):
        yosys.yosys_tool()


def test_yosys_on_the_path_brings_its_share_folder_and_abc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "share/yosys/xilinx").mkdir(parents=True)
    (tmp_path / "share/yosys/xilinx/cells_sim.v").write_text("")
    fake_program(tmp_path / "bin/yosys", "exit 0\n")
    abc = fake_program(tmp_path / "bin/yosys-abc", "echo '** cmd error: aborting'; exit 0\n")
    monkeypatch.setattr(yosys, "package_folder", lambda module: None)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert yosys.share_file("xilinx/cells_sim.v") == tmp_path / "share/yosys/xilinx/cells_sim.v"
    with pytest.raises(MissingToolError, match=r"data file xilinx/none\.v"):
        yosys.share_file("xilinx/none.v")
    assert yosys.yosys_abc().argv == (abc,)


def test_text_of_older_versions_is_read() -> None:
    text = "     LUT6   7\n   Estimated number of LCs:         42\n"
    stat = yosys.parse_xilinx_stat(
        '12. Printing statistics.\n{"design": {"num_cells_by_type": {"LUT6": 7, "FDSE_1": 2}}}', text
    )
    assert stat.luts == 42
    assert stat.count("LUT[1-6]") == 7
    assert stat.count(r"FD[RSCP]E(_1)?") == 2
    assert stat.count("MUXF7") == 0


def test_abc_runs_and_its_errors_are_seen(tmp_path: Path) -> None:
    (tmp_path / "and.blif").write_text(".model m\n.inputs a b\n.outputs y\n.names a b y\n11 1\n.end\n")
    done = yosys.run_abc("read_blif and.blif\nstrash\nprint_stats\n", cwd=tmp_path, timeout_s=30)
    assert re.search(r"and =\s+1\b", done.stdout)
    with pytest.raises(ToolError, match="yosys-abc refused a command"):
        yosys.run_abc("read_blif none.blif\nstrash\nprint_stats\n", cwd=tmp_path, timeout_s=30)
