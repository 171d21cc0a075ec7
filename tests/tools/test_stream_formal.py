"""A small stream by SAT: every pair of images and every pattern of gaps within a number of clocks gives what the unrolled netlist gives."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from lutnet.backends import Verilog, write_files
from lutnet.errors import ToolError
from lutnet.stream import Axis, StreamDesign, StreamStage, StreamVerilog
from lutnet.testing.streams import random_kernel
from lutnet.tools.yosys import read_sources, run_yosys

N_CLOCKS = 14

HARNESS = """
module harness (input wire clk, input wire rst, input wire in_valid, input wire [2*{image_bits}-1:0] images);
  reg [{image_bits}-1:0] a, b;  // any two images, taken at the reset
  reg [7:0] sent, seen, idle;
  wire more = sent < {n_in} * 2;
  wire [2*{image_bits}-1:0] left = {{b, a}} >> (sent * {in_bits});
  wire valid;
  wire [{out_bits}-1:0] got;
  lutnet_top dut (.clk(clk), .rst(rst), .in_valid(in_valid & more), .in_data(left[{in_bits}-1:0]), .out_valid(valid), .out_data(got));
  wire [{result_bits}-1:0] of_a, of_b;
  unrolled first (.in_data(a), .out_data(of_a));
  unrolled second (.in_data(b), .out_data(of_b));
  wire [2*{result_bits}-1:0] want = {{of_b, of_a}} >> (seen * {out_bits});
  always @(posedge clk) begin
    if (rst) {{b, a}} <= images;
    sent <= rst ? 0 : sent + (in_valid & more);
    seen <= rst ? 0 : seen + valid;
    idle <= (rst | more) ? 0 : idle + 1;
  end
  always @* if (!rst) begin
    assert (!valid || (seen < {n_out} * 2 && got == want[{out_bits}-1:0]));
    assert (idle < {latency} || seen == {n_out} * 2);
  end
endmodule
"""


def prove(folder: Path, design: StreamDesign, files: dict[PurePosixPath, str]) -> None:
    face = StreamVerilog().interface(design)
    texts = {path: text for path, text in files.items() if path.suffix == ".v"}
    texts[PurePosixPath("unrolled.v")] = Verilog(top="unrolled").emit(design.unroll())[PurePosixPath("unrolled.v")]
    sources = [path for path in write_files(texts, folder / "rtl") if path.suffix == ".v"]
    (folder / "harness.v").write_text(
        HARNESS.format(
            image_bits=face.n_in * face.in_bits,
            in_bits=face.in_bits,
            out_bits=face.out_bits,
            result_bits=face.n_out * face.out_bits,
            n_in=face.n_in,
            n_out=face.n_out,
            latency=face.latency_cycles,
        )
    )
    resets = " ".join(f"-set-at {clock} rst {int(clock == 1)}" for clock in range(1, N_CLOCKS + 1))
    script = f"""{read_sources(sources)}
read_verilog -formal "{folder / "harness.v"}"
prep -top harness -flatten
memory
async2sync
opt -full
sat -verify -seq {N_CLOCKS} -prove-skip 1 -prove-asserts {resets}
"""
    run_yosys(script, cwd=folder, timeout_s=300)


def design() -> StreamDesign:
    """2 x 4 bits, two a clock, and a padded window of 2 x 3."""
    axes = Axis(2, 2, before=1), Axis(4, 3, before=1, after=1)
    return StreamDesign((StreamStage(*axes, (1,), random_kernel((1,) * 6, (1,), fan_in=4), (1,)),), 2)


def test_a_stream_is_proved_for_all_images_and_gaps(tmp_path: Path) -> None:
    prove(tmp_path, design(), StreamVerilog().emit(design()))


def test_a_mutant_is_refuted(tmp_path: Path) -> None:
    files = StreamVerilog().emit(design())
    path = PurePosixPath("lutnet_top.v")
    mutant = files[path].replace("busy <= ~image_end;", "busy <= ~row_end;", 1)
    assert mutant != files[path]
    with pytest.raises(ToolError):
        prove(tmp_path, design(), {**files, path: mutant})
