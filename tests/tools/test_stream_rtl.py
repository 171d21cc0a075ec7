"""Streams in Icarus, Verilator and yosys: every kind of geometry passes, and each kind of wrong line buffer is found out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from lutnet.backends import write_files
from lutnet.errors import UserError
from lutnet.stream import Axis, StreamDesign, StreamStage, StreamVerilog, whole_map
from lutnet.testing import mutate_table
from lutnet.testing.streams import random_kernel, random_stream
from lutnet.tools.simulators import lint_icarus, lint_verilator
from lutnet.tools.yosys import synthesize_xilinx
from lutnet.verify.cosim_stream import cosimulate_stream, post_synthesis_stream, stream_vectors

TOP = PurePosixPath("lutnet_top.v")


def padded(pixels_per_clock: int = 1) -> StreamDesign:
    """A padded convolution and a pooling whose every input matters, over 4 x 6 pixels of 2 bits."""
    convolution = StreamStage(
        Axis(4, 3, before=1, after=1),
        Axis(6, 3, before=1, after=1),
        (1, 1),
        random_kernel((1, 1) * 9, (2,), fan_in=10),
        (1, 0),
    )
    pooling = StreamStage(Axis(4, 2, stride=2), Axis(6, 2, stride=2), (2,), random_kernel((2,) * 4, (2, 1)))
    return StreamDesign((convolution, pooling), pixels_per_clock)


def network() -> StreamDesign:
    """A convolution in one layer of two, a pooling, and a dense part."""
    convolution = StreamStage(
        Axis(6, 3, before=1, after=1), Axis(8, 5, before=2, after=2), (2,), random_kernel((2,) * 15, (1, 1), layers=2)
    )
    pooling = StreamStage(Axis(6, 2, stride=2), Axis(8, 2, stride=2), (1, 1), random_kernel((1, 1) * 4, (1, 1)))
    return StreamDesign((convolution, pooling, whole_map((3, 4), (1, 1), random_kernel((1,) * 24, (4,), layers=2))), 2)


@pytest.mark.parametrize("seed", [3, 11])
def test_random_streams_in_icarus(seed: int) -> None:
    design = random_stream(seed)
    found = cosimulate_stream(design, StreamVerilog().emit(design), stream_vectors(design, 40, seed=seed))
    assert found.equal, found


@pytest.mark.parametrize("pixels_per_clock", [1, 3])
def test_a_stream_in_verilator(pixels_per_clock: int) -> None:
    design = padded(pixels_per_clock)
    found = cosimulate_stream(design, StreamVerilog().emit(design), stream_vectors(design, 40), simulator="verilator")
    assert found.equal, found


@pytest.mark.parametrize("seed", range(6))
def test_emitted_streams_are_lint_clean(seed: int, tmp_path: Path) -> None:
    paths = write_files(StreamVerilog().emit(random_stream(seed)), tmp_path / "rtl")
    sources = [path for path in paths if path.suffix == ".v"]
    for found in (lint_verilator(sources, "lutnet_top"), lint_icarus(sources)):
        assert found.clean, found


def wrong_tap(text: str) -> str:
    """One place of the window is taken from the pixel before."""
    return re.sub(
        r"line\[(\d+):(\d+)\](?= : 2'h\d;  // window 0, row 2, column 1)",
        lambda m: f"line[{int(m[1]) + 2}:{int(m[2]) + 2}]",
        text,
    )


def no_mask(text: str) -> str:
    """The upper row of the window is read from the image before."""
    return re.sub(r"inside\d+ \? (line\[\d+:\d+\]) : 2'h\d;(  // window 0, row 0, column 1)", r"\1;\2", text)


def no_drain(text: str) -> str:
    """The windows at the end of an image wait for the next one."""
    return re.sub(r"in_valid \| \(busy & \(taken == [^)]*\)\)", "in_valid", text, count=1)


def step_in_gaps(text: str) -> str:
    """A pause in an image shifts the line all the same."""
    return re.sub(r"in_valid \| \(busy & \(taken == [^)]*\)\)", "in_valid | busy", text, count=1)


def no_reset(text: str) -> str:
    """A reset leaves the number of groups that are in."""
    return text.replace("      taken <= 5'h0;\n      busy <= 1'b0;", "      busy <= 1'b0;", 1)


@pytest.mark.parametrize("mutate", [wrong_tap, no_mask, no_drain, step_in_gaps, no_reset])
def test_a_wrong_line_buffer_is_found_out(mutate: object) -> None:
    design = padded()
    files = StreamVerilog().emit(design)
    mutant = mutate(files[TOP])  # type: ignore[operator]
    assert mutant != files[TOP]
    found = cosimulate_stream(design, {**files, TOP: mutant}, stream_vectors(design, 40))
    assert not found.equal


def test_a_wrong_kernel_is_found_out() -> None:
    design = padded()
    wrong = replace(design.stages[0], kernel=mutate_table(design.stages[0].kernel))
    codes = np.random.default_rng(0).integers(0, 2, (4000, design.n_inputs))
    mutant = StreamDesign((wrong, design.stages[1]))
    shown = np.flatnonzero((mutant.evaluate(codes) != design.evaluate(codes)).any(axis=1))[:1]
    assert len(shown), "no image reads the wrong entry"
    found = cosimulate_stream(design, StreamVerilog().emit(mutant), codes[[0, 1, *shown, 2]])
    assert not found.equal
    assert found.first is not None and found.first.inputs == tuple(codes[shown[0]].tolist())


def test_the_latency_is_measured() -> None:
    design = padded()
    files = StreamVerilog().emit(design)
    face = replace(StreamVerilog().interface(design), latency_cycles=design.latency_cycles + 1)
    found = cosimulate_stream(
        design, {**files, PurePosixPath("stream.json"): face.to_json()}, stream_vectors(design, 5)
    )
    assert f"the latency is {design.latency_cycles} registers" in str(found)


def test_a_stream_of_another_interface_is_refused() -> None:
    design = padded()
    with pytest.raises(UserError, match="that of another stream"):
        cosimulate_stream(network(), StreamVerilog().emit(design))
    with pytest.raises(UserError, match=r"no stream\.json"):
        cosimulate_stream(design, {TOP: "module lutnet_top; endmodule"})


def test_the_synthesised_stream_is_the_same_and_as_large_as_estimated(tmp_path: Path) -> None:
    design = network()
    backend = StreamVerilog(tables="wide")
    paths = write_files(backend.emit(design), tmp_path / "rtl")
    stat = synthesize_xilinx([path for path in paths if path.suffix == ".v"], "lutnet_top", tmp_path, timeout_s=600)
    assert not any("RAM" in cell or "SRL" in cell or "DSP" in cell for cell in stat.cells)
    assert stat.luts is not None and stat.ffs is not None
    assert 0.7 < design.estimate.luts / stat.luts < 1.4
    assert 0.9 < design.estimate.ffs / stat.ffs < 1.15
    found = post_synthesis_stream(design, stat.netlist_verilog, backend.interface(design), stream_vectors(design, 12))
    assert found.equal, found
