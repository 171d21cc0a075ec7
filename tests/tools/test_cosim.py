"""RTL in Icarus and Verilator: designs of every kind pass, and each kind of wrong design is found out."""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from lutnet.backends import RtlInterface, Verilog
from lutnet.errors import LutnetError, ToolError, UserError
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.passes import Pipeline
from lutnet.tables import TruthTable
from lutnet.testing import random_netlist
from lutnet.tools.base import MissingToolError
from lutnet.tools.yosys import synthesize_xilinx
from lutnet.verify.cosim import check_tables, cosimulate, post_synthesis, simulate

Files = dict[PurePosixPath, str]
TOP = PurePosixPath("lutnet_top.v")
CONTROLS = {"reset": True, "clock_enable": True, "valid": True}


def chain(n_layers: int = 3, latency_cycles: int | None = None) -> Netlist:
    """Permutations of 3-bit codes, one a layer and a register behind each: every input difference reaches the output."""
    rng = np.random.default_rng(7)
    builder = NetlistBuilder()
    row = builder.input(3)
    for _ in range(n_layers):
        row = builder.lut(TruthTable((3,), 3, rng.permutation(8)), [row])
    builder.output(row)
    net = Pipeline()(builder.build())
    return net if latency_cycles is None else net.with_stages(net.stage, latency_cycles)


def random_codes(net: Netlist, n_rows: int = 60) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack([rng.integers(0, 1 << width, n_rows) for width in net.input_widths], axis=1)


def flipped(net: Netlist, table: int = 0, address: int = 5) -> Netlist:
    """The netlist with one bit of one table entry flipped."""
    codes = net.tables[table].codes.copy()
    codes[address] ^= 1
    tables = list(net.tables)
    tables[table] = tables[table].with_codes(codes)
    return replace(net, tables=tuple(tables))


def edited(files: Files, old: str, new: str) -> Files:
    assert old in files[TOP]
    return {**files, TOP: files[TOP].replace(old, new, 1)}


@pytest.mark.parametrize(
    ("seed", "pipeline", "options"),
    [
        (0, Pipeline(), {}),
        (1, Pipeline(inputs=True), CONTROLS),
        (2, Pipeline(every=2), {"reset": True, "tables": "indexed"}),
        (3, Pipeline(outputs=False), {"clock_enable": True, "per_layer": True}),
        (4, Pipeline(every=0, outputs=False), {"valid": True, "tables": "lut6"}),
        (5, Pipeline(every=0, outputs=False), {"per_layer": True, "tables": "lut6"}),
    ],
    ids=["plain", "all-controls", "reset", "enable", "combinational-valid", "combinational"],
)
def test_random_designs_equal_their_netlist_in_icarus(
    seed: int, pipeline: Pipeline, options: dict[str, object]
) -> None:
    net = pipeline(random_netlist(seed, max_width=3))
    found = cosimulate(net, Verilog(**options).emit(net))
    assert found.equal and found.problems == ()
    assert found.exhaustive and found.n_vectors == 1 << sum(net.input_widths)


def test_a_design_equals_its_netlist_in_verilator_and_leaves_everything_in_the_folder_named(tmp_path: Path) -> None:
    net = Pipeline()(random_netlist(6))
    found = cosimulate(net, Verilog(**CONTROLS).emit(net), simulator="verilator", workdir=tmp_path)
    assert found.equal and found.problems == ()
    assert [path.name.split("-")[0] for path in tmp_path.iterdir()] == ["verilator"]


def test_a_one_bit_port_and_given_codes(tmp_path: Path) -> None:
    builder = NetlistBuilder()
    builder.output(builder.lut(TruthTable((1,), 1, np.array([1, 0])), [builder.input(1)]))
    net = Pipeline()(builder.build())
    found = cosimulate(net, Verilog().emit(net), np.array([[0], [1], [1], [0], [1]]))
    assert (found.n_vectors, found.n_mismatches, found.exhaustive) == (5, 0, False)


# -- wrong designs ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_one_flipped_table_entry_is_found_with_its_input(simulator: str) -> None:
    net = chain()
    found = cosimulate(net, Verilog().emit(flipped(net)), simulator=simulator)
    assert found.n_mismatches == 1 and found.first is not None and found.first.inputs == (5,)


@pytest.mark.parametrize("delta", [-1, 1], ids=["a register too few", "a register too many"])
@pytest.mark.parametrize("valid", [False, True])
def test_a_whole_stage_too_few_or_too_many_is_found(delta: int, valid: bool) -> None:
    net = chain()
    backend = Verilog(valid=valid)
    files = {**backend.emit(net), TOP: backend.emit(chain(latency_cycles=3 + delta))[TOP]}
    found = cosimulate(net, files, random_codes(net))
    assert found.n_mismatches > 0
    says = (
        f"out_valid comes after {3 + delta} cycles"
        if valid
        else f"fit a latency of {3 + delta} cycles, the interface says 3"
    )
    assert says in str(found)


def test_one_register_missing_on_one_path_is_found() -> None:
    builder = NetlistBuilder()
    rows = [builder.input(3), builder.input(3)]
    builder.output(rows[0])
    builder.output(builder.lut(TruthTable((3, 3), 3, np.random.default_rng(0).integers(0, 8, 64)), rows))
    net = Pipeline(inputs=True)(builder.build())
    files = Verilog(valid=True).emit(net)
    assert cosimulate(net, files).equal
    assert cosimulate(net, edited(files, "n0_s2 <= n0_s1;", "n0_s2 <= n0;")).n_mismatches > 10


WRONG_CONTROLS = {
    "valid chain one cycle short": ("valid_s2 <= valid_s1;", "valid_s2 <= in_valid;", "out_valid comes after 2 cycles"),
    "valid ignores in_valid": ("valid_s1 <= in_valid;", "valid_s1 <= 1'b1;", "valid outputs came out"),
    "valid stuck": (
        "assign out_valid = valid_s3;",
        "assign out_valid = 1'b0;",
        "8 samples went in, 0 valid outputs came out",
    ),
    "valid not cleared": ("valid_s2 <= 1'h0;", "valid_s2 <= valid_s1;", "reset clears: after one cycle of rst"),
    "data not cleared": ("n1_s1 <= 3'h0;", "n1_s1 <= n1;", "reset clears: after one cycle of rst"),
    "enable ignored": ("end else if (ce) begin", "end else begin", "enable freezes: "),
    "output beside the enable": (
        "assign out_data = n3_s3;",
        "assign out_data = ce ? n3_s3 : 3'h0;",
        "enable freezes: ",
    ),
}


@pytest.mark.parametrize(("old", "new", "says"), WRONG_CONTROLS.values(), ids=WRONG_CONTROLS)
def test_wrong_control_signals_are_found(old: str, new: str, says: str) -> None:
    net = chain()
    files = Verilog(**CONTROLS).emit(net)
    found = cosimulate(net, edited(files, old, new))
    assert found.n_mismatches > 0 and not found.equal
    assert says in str(found)


def test_an_interface_that_claims_another_port_is_found() -> None:
    net = chain()
    files = Verilog(reset=True).emit(net)
    files[TOP] = Verilog().emit(net)[TOP]
    found = cosimulate(net, files)
    assert not found.equal and "port rst has 0 bits, not 1" in found.problems


# -- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["case", "indexed", "lut6", "wide"])
def test_every_entry_of_every_table_is_compared(style: str) -> None:
    net = random_netlist(11)
    backend = Verilog(tables=style)
    found = check_tables(net, backend, backend.emit(net))
    assert found.equal and found.exhaustive
    assert found.n_vectors == sum(table.n_entries for table in net.tables)
    table = len(net.tables) - 1
    address = net.tables[table].n_entries - 1
    caught = check_tables(net, backend, backend.emit(flipped(net, table, address)))
    assert caught.n_mismatches == 1 and caught.first is not None and caught.first.inputs == (table, address)


def test_an_entry_that_no_input_reaches_is_compared_too() -> None:
    builder = NetlistBuilder()
    narrow = builder.lut(TruthTable((2,), 2, np.array([0, 1, 1, 0])), [builder.input(2)])
    builder.output(builder.lut(TruthTable((2,), 2, np.array([3, 1, 2, 0])), [narrow]))
    net = builder.build()
    wrong = Verilog().emit(flipped(net, 1, 3))
    assert cosimulate(net, wrong).equal
    assert check_tables(net, Verilog(), wrong, simulator="verilator").n_mismatches == 1


def test_a_netlist_without_tables_has_nothing_to_sweep() -> None:
    builder = NetlistBuilder()
    builder.output(builder.input(2))
    net = builder.build()
    with pytest.raises(UserError, match="no table to check"):
        check_tables(net, Verilog(), Verilog().emit(net))


# -- after synthesis -------------------------------------------------------------------------------------------------


def test_the_synthesised_netlist_equals_and_a_flipped_entry_is_found(tmp_path: Path) -> None:
    net = chain()
    backend = Verilog(**CONTROLS)
    for candidate, mismatches in ((net, 0), (flipped(net), 1)):
        folder = tmp_path / str(mismatches)
        folder.mkdir()
        (folder / TOP).write_text(backend.emit(candidate)[TOP])
        stat = synthesize_xilinx([folder / TOP], "lutnet_top", folder, timeout_s=120)
        found = post_synthesis(net, stat.netlist_verilog, backend.interface(net), simulator="icarus")
        assert found.n_mismatches == mismatches and found.n_vectors == 8
        assert bool(found.problems) == bool(mismatches)


KEPT = """
module kept (input [5:0] in_data, output [5:0] out_data);
  (* keep *) wire [1:0] n3;
  assign n3 = {1'h0, in_data[4]} - {1'h0, in_data[5]};
  (* keep *) wire [5:0] n4;
  assign n4 = {2'h0, in_data[3:0]} - {n3, 4'h0};
  assign out_data = n4;
endmodule
"""


def test_synthesis_keeps_sums_that_others_read(tmp_path: Path) -> None:
    """Left to itself, yosys 0.70 takes the difference of the two bits for undefined."""
    builder = NetlistBuilder()
    number, plus, minus = (builder.input(width) for width in (4, 1, 1))
    builder.output(builder.sum([number, builder.sum([plus, minus], [1, -1])], [1, -16]))
    face = RtlInterface("kept", ("number", "plus", "minus"), (4, 1, 1), ("total",), (6,), 0)
    (tmp_path / "kept.v").write_text(KEPT)
    stat = synthesize_xilinx([tmp_path / "kept.v"], "kept", tmp_path, timeout_s=120)
    found = post_synthesis(builder.build(), stat.netlist_verilog, face)
    assert found.exhaustive and found.n_mismatches == 0


def test_a_missing_synthesised_netlist_is_named(tmp_path: Path) -> None:
    net = chain()
    with pytest.raises(UserError, match=re.escape(str(tmp_path / "netlist.v"))):
        post_synthesis(net, tmp_path / "netlist.v", Verilog().interface(net))


# -- any Verilog, and what can go wrong outside the design ------------------------------------------------------------

INVERTER = """
module inverter (input wire clk, input wire [2:0] in_data, output reg [2:0] out_data);
  always @(posedge clk) out_data <= {in_data == 3'd6 ? 1'bx : ~in_data[2], ~in_data[1:0]};
endmodule
"""
INVERTER_FACE = RtlInterface("inverter", ("a", "b"), (1, 2), ("c", "d"), (2, 1), 1)


def test_any_verilog_with_the_ports_can_be_simulated_and_unknown_outputs_are_minus_one(tmp_path: Path) -> None:
    source = tmp_path / "inverter.v"
    source.write_text(INVERTER)
    codes = np.array([[word & 1, word >> 1] for word in (0, 5, 6, 7, 3)])
    got = simulate([source], INVERTER_FACE, codes)
    assert got.dtype == np.int64
    assert got.tolist() == [[3, 1], [2, 0], [-1, -1], [0, 0], [0, 1]]
    assert [path.name for path in tmp_path.iterdir()] == ["inverter.v"]


def test_a_design_that_breaks_its_interface_raises(tmp_path: Path) -> None:
    source = tmp_path / "inverter.v"
    source.write_text(INVERTER)
    with pytest.raises(LutnetError, match="inverter breaks its interface in icarus: port in_valid has 0 bits, not 1"):
        simulate([source], replace(INVERTER_FACE, valid=True), np.zeros((3, 2), dtype=np.int64))


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_verilog_that_cannot_be_built_is_a_tool_error_with_the_output(tmp_path: Path, simulator: str) -> None:
    source = tmp_path / "inverter.v"
    source.write_text("module inverter (input wire clk; endmodule\n")
    with pytest.raises(ToolError, match=f"{simulator} cannot build inverter") as caught:
        simulate([source], INVERTER_FACE, np.zeros((1, 2), dtype=np.int64), simulator=simulator)
    assert "syntax error" in caught.value.output and caught.value.version


def test_a_simulation_that_does_not_end_is_killed_with_all_its_processes(tmp_path: Path) -> None:
    source = tmp_path / "inverter.v"
    source.write_text(INVERTER.replace("endmodule", "initial while (1) begin end\nendmodule"))
    start = time.monotonic()
    with pytest.raises(ToolError, match="icarus did not finish inverter within 6 s"):
        simulate([source], INVERTER_FACE, np.zeros((1, 2), dtype=np.int64), workdir=tmp_path, timeout_s=6)
    assert time.monotonic() - start < 30
    folder = next(path for path in tmp_path.iterdir() if path.is_dir())
    while left := processes_that_name(folder):
        assert time.monotonic() - start < 30, left
        time.sleep(0.1)


def processes_that_name(folder: Path) -> list[str]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if str(folder).encode() in Path("/proc", name, "cmdline").read_bytes():
                found.append(name)
    return found


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_a_missing_simulator_is_one_sentence(simulator: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    net = chain()
    variable = {"icarus": "LUTNET_IVERILOG", "verilator": "LUTNET_VERILATOR"}[simulator]
    monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    with pytest.raises(MissingToolError) as caught:
        cosimulate(net, Verilog().emit(net), simulator=simulator)
    assert variable in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_cocotb_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    net = chain()
    monkeypatch.setattr("lutnet.verify.cosim_run.find_spec", lambda name: None)
    with pytest.raises(MissingToolError, match=r"pip install lutnet\[sim\]"):
        cosimulate(net, Verilog().emit(net))


def test_wrong_arguments_are_refused_before_anything_runs(tmp_path: Path) -> None:
    net = chain()
    files = Verilog().emit(net)
    with pytest.raises(UserError, match="icarus or verilator, got 'modelsim'"):
        cosimulate(net, files, simulator="modelsim")
    with pytest.raises(UserError, match="at least one row of 1 input codes"):
        cosimulate(net, files, np.zeros((0, 1), dtype=np.int64))
    with pytest.raises(UserError, match=r"the netlist has inputs of \(3,\) bits"):
        cosimulate(net, Verilog().emit(random_netlist(0)))
    with pytest.raises(UserError, match=r"expected Verilog files and interface\.json"):
        cosimulate(net, {PurePosixPath("interface.json"): files[PurePosixPath("interface.json")]})
    with pytest.raises(UserError, match="choose a folder that exists"):
        cosimulate(net, files, workdir=tmp_path / "none")
