"""The Verilog back end as text: files, names, styles, refusals. What the text means is checked by the ladder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from lutnet import Netlist, NetlistBuilder, TruthTable, UserError
from lutnet.backends import Backend, Verilog, load_interface, write_files
from lutnet.backends.interface import RtlInterface
from lutnet.ir import OpCode
from lutnet.passes import Pipeline
from lutnet.testing import random_netlist

TOP = PurePosixPath("lutnet_top.v")


def xor_net(name: str = "a") -> Netlist:
    b = NetlistBuilder()
    x, y = b.input(1, name), b.input(1, "b")
    b.output(b.lut(TruthTable((1, 1), 1, np.array([0, 1, 1, 0])), [x, y]), "y")
    return b.build()


def test_equal_netlists_give_equal_text() -> None:
    for seed in range(5):
        assert Verilog().emit(random_netlist(seed)) == Verilog().emit(random_netlist(seed))


def test_names_of_users_reach_no_identifier() -> None:
    evil = 'x"; endmodule\n`include "/etc/passwd" \\'
    net = xor_net(evil)
    text = Verilog().emit(net)[TOP]
    assert "endmodule\n`include" not in text and "passwd" not in text
    assert load_interface_text(Verilog().emit(net)).input_names[0] == evil


def load_interface_text(files: dict[PurePosixPath, str]) -> RtlInterface:
    import json

    return RtlInterface(
        **{
            k: tuple(v) if isinstance(v, list) else v
            for k, v in json.loads(files[PurePosixPath("interface.json")]).items()
        }
    )


@pytest.mark.parametrize("top", ["", "1abc", "module", "a b", "x;y", "a" * 101, "ENTITY", "naïve", "a\n"])
def test_bad_top_names_are_refused(top: str) -> None:
    with pytest.raises(UserError, match="name of the top module"):
        Verilog(top=top)


def test_styles_and_layout() -> None:
    net = Pipeline()(random_netlist(4, n_nodes=30))
    assert "case (a)" in Verilog().emit(net)[TOP]
    assert "localparam" in Verilog(tables="indexed").emit(net)[TOP]
    assert "LUT6 #(.INIT(64'h" in Verilog(tables="lut6").emit(net)[TOP]
    files = Verilog(per_layer=True).emit(net)
    assert len([path for path in files if "_layer" in path.name]) >= 2
    whole = Verilog().emit(net)[TOP]
    assert all(whole.count(f"module lutnet_top_t{i} (") == 1 for i in range(len(net.tables)))
    assert sum(text.count("module lutnet_top_t") for text in files.values()) == whole.count("module lutnet_top_t")
    with pytest.raises(UserError, match="one of case, indexed, lut6, wide"):
        Verilog(tables="bram")


def test_control_ports_need_registers() -> None:
    for options in ({"reset": True}, {"clock_enable": True}):
        with pytest.raises(UserError, match="without registers"):
            Verilog(**options).emit(xor_net())
    text = Verilog(reset=True, clock_enable=True, valid=True).emit(Pipeline()(xor_net()))[TOP]
    for port in ("clk", "rst", "ce", "in_valid", "[1:0] in_data", "out_valid", "[0:0] out_data"):
        assert f"put  wire {port}" in text or f"put wire {port}" in text


def test_lut6_contents_are_the_truth_table() -> None:
    text = Verilog(tables="lut6").emit(xor_net())[TOP]
    assert "64'h6666666666666666" in text


def test_ops_that_a_back_end_lacks_are_named() -> None:
    class Small(Backend):
        name = "small"
        ops = frozenset({OpCode.INPUT, OpCode.LUT})

        def emit(self, net: Netlist) -> dict[PurePosixPath, str]:
            self.check_ops(net)
            return {}

    assert Small().emit(xor_net()) == {}
    with pytest.raises(UserError, match="the small back end has no argmax, concat, const"):
        Small().emit(random_netlist(0))


def test_a_design_without_inputs_is_refused() -> None:
    b = NetlistBuilder()
    b.output(b.const(1, 1))
    with pytest.raises(UserError, match="at least one input"):
        Verilog().emit(b.build())


def test_files_appear_in_one_step(tmp_path: Path) -> None:
    folder = tmp_path / "rtl"
    write_files(Verilog().emit(xor_net()), folder)
    first = sorted(path.name for path in folder.iterdir())
    assert first == [".lutnet", "interface.json", "lutnet_top.v"]
    write_files({PurePosixPath("sub/other.v"): "x"}, folder)
    assert sorted(path.name for path in folder.iterdir()) == [".lutnet", "sub"]
    assert [path.name for path in tmp_path.iterdir()] == ["rtl"]


def test_foreign_folders_and_escapes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(UserError, match="was not written by lutnet"):
        write_files({TOP: "x"}, tmp_path / "mine")
    for path in ("../escape.v", "/abs.v"):
        with pytest.raises(UserError, match="outside the output folder"):
            write_files({PurePosixPath(path): "x"}, tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_files({TOP: "x"}, tmp_path / "file" / "sub")
    assert (tmp_path / "mine" / "notes.txt").read_text() == "keep"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "mine"]


def test_interface_is_read_back_and_damage_refused(tmp_path: Path) -> None:
    net = Pipeline()(xor_net())
    paths = write_files(Verilog(valid=True).emit(net), tmp_path / "rtl")
    assert load_interface(paths[-1]) == Verilog(valid=True).interface(net)
    for text in ("", "[]", '{"top": "x"}', paths[-1].read_text().replace("lutnet_top", "a b")):
        (tmp_path / "i.json").write_text(text)
        with pytest.raises(UserError):
            load_interface(tmp_path / "i.json")


def test_sums_of_sums_in_one_stage_keep_their_wires() -> None:
    b = NetlistBuilder()
    x = [b.input(3) for _ in range(4)]
    inner = b.sum(x[:2])
    outer = b.sum([inner, x[2]])
    b.stage = 1
    b.output(b.sum([outer, x[3]]))
    text = "\n".join(Verilog().emit(b.build()).values())
    assert text.count("(* keep *)") == 1 and f"(* keep *) wire [3:0] n{inner}" in text
