"""Streams: geometry, schedules, reference semantics, estimates, files, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lutnet.errors import UserError
from lutnet.stream import (
    Axis,
    Schedule,
    StreamDesign,
    StreamStage,
    StreamVerilog,
    load_stream,
    load_stream_interface,
    save_stream,
    whole_map,
)
from lutnet.testing import random_netlist
from lutnet.testing.streams import random_kernel, random_stream
from lutnet.verify.cosim_stream import stream_vectors


def small(pixels_per_clock: int = 1) -> StreamDesign:
    """A padded convolution, a pooling, and a dense part, over 6 x 8 pixels of two channels."""
    convolution = StreamStage(
        Axis(6, 3, before=1, after=1), Axis(8, 3, before=1, after=1), (2, 1), random_kernel((2, 1) * 9, (1, 2)), (3, 0)
    )
    pooling = StreamStage(Axis(6, 2, stride=2), Axis(8, 2, stride=2), (1, 2), random_kernel((1, 2) * 4, (2,)))
    dense = whole_map((3, 4), (2,), random_kernel((2,) * 12, (3, 1)))
    return StreamDesign((convolution, pooling, dense), pixels_per_clock)


@pytest.mark.parametrize("seed", range(60))
def test_every_place_of_every_window_stands_where_the_schedule_says(seed: int) -> None:
    for schedule in random_stream(seed).schedules:
        stage, places = schedule.stage, schedule.stage.places
        assert schedule.first < schedule.n_in > schedule.last - schedule.first, "windows of two images would overlap"
        for index, place in np.ndenumerate(places):
            row, column = divmod(index[0], stage.columns.n_windows)
            group, lane = divmod(column, schedule.out_lanes)
            y, x = row * stage.rows.stride, group * schedule.every
            step = schedule.first + y * schedule.groups + x
            tap = schedule.taps[lane][index[1]]
            seen = (
                tap is not None
                and (tap.rows is None or tap.rows.first <= y <= tap.rows.last)
                and (tap.groups is None or tap.groups.first <= x <= tap.groups.last)
            )
            assert seen == (place >= 0)
            if tap is not None and seen:
                taken_row, taken_group = divmod(step - tap.age, schedule.groups)
                assert taken_row * stage.columns.size + taken_group * schedule.lanes + tap.lane == place
                assert 0 <= tap.age < schedule.depth


@pytest.mark.parametrize("seed", range(20))
def test_a_stream_is_its_unrolled_netlist(seed: int) -> None:
    design = random_stream(seed)
    codes = stream_vectors(design, 50, seed=seed)
    np.testing.assert_array_equal(design.unroll().evaluate(codes), design.evaluate(codes))
    assert design.unroll().input_widths == design.input_widths


def test_windows_are_those_of_a_plain_loop() -> None:
    axis = Axis(5, 3, stride=2, dilation=2, before=1, after=2)
    kernel = random_netlist(0, n_inputs=6)
    widths = kernel.input_widths[:2]
    kernel = random_kernel(widths * 9, (4,), seed=1)
    stage = StreamStage(axis, axis, widths, kernel, tuple(w - w for w in widths))
    maps = np.random.default_rng(0).integers(0, 2, (3, 5, 5, 2))
    padded = np.zeros((3, 8, 8, 2), dtype=np.int64)
    padded[:, 1:6, 1:6] = maps
    for row in range(axis.n_windows):
        for column in range(axis.n_windows):
            window = padded[:, 2 * row : 2 * row + 5 : 2, 2 * column : 2 * column + 5 : 2].reshape(3, -1)
            np.testing.assert_array_equal(stage.evaluate(maps)[:, row, column], kernel.evaluate(window))


def test_lanes_follow_strides_and_rows_that_they_do_not_divide() -> None:
    stage = StreamStage(Axis(4, 2, stride=2), Axis(12, 2, stride=2), (1,), random_kernel((1,) * 4, (1,)))
    found = {
        lanes: (s.out_lanes, s.out_groups, s.every) for lanes in (1, 2, 3, 4, 12) for s in [Schedule(stage, lanes)]
    }
    assert found == {1: (1, 6, 2), 2: (1, 6, 1), 3: (3, 2, 2), 4: (2, 3, 1), 12: (6, 1, 1)}
    partial = Schedule(StreamStage(Axis(3, 3), Axis(12, 3), (1,), random_kernel((1,) * 9, (1,))), 4)
    assert (partial.out_lanes, partial.out_groups, partial.stage.columns.n_windows) == (4, 3, 10)


def test_more_pixels_a_clock_take_more_kernels_and_less_time() -> None:
    designs = [small().at(fold) for fold in small().folds]
    assert small().folds == (1, 2, 4, 8)
    assert [design.clocks_per_image for design in designs] == [48, 24, 12, 6]
    kernels = [design.estimate.kernel_luts for design in designs]
    assert kernels == sorted(kernels) and len(set(kernels)) == 4
    assert small().latency_cycles > small(8).latency_cycles > 0
    codes = stream_vectors(small(), 30)
    for design in designs:
        np.testing.assert_array_equal(design.evaluate(codes), small().evaluate(codes))


def test_the_fold_of_a_budget_is_the_largest_that_fits() -> None:
    estimates = {fold: small(fold).estimate.luts for fold in small().folds}
    assert small().fold_for(estimates[4]).pixels_per_clock == 4
    assert small().fold_for(estimates[4] - 1).pixels_per_clock == 2
    with pytest.raises(UserError, match=f"an estimated {estimates[1]} lookup tables, more than the budget of 5"):
        small().fold_for(5)


def test_a_channel_that_no_kernel_reads_is_not_kept() -> None:
    builder_kernel = random_kernel((1,) * 18, (1,), fan_in=2, seed=3)
    axis = Axis(6, 3)
    design = StreamDesign((StreamStage(axis, axis, (1, 1), builder_kernel),))
    assert design.estimate.line_bits < 2 * design.schedules[0].depth


def test_changed_kernels_keep_everything_else() -> None:
    plain = small(2).map_kernels(lambda net: net.with_stages(np.zeros(net.n_nodes, dtype=np.int32), 0))
    assert plain.pixels_per_clock == 2
    assert plain.latency_cycles == small(2).latency_cycles - 3
    codes = stream_vectors(plain, 20)
    np.testing.assert_array_equal(plain.evaluate(codes), small().evaluate(codes))


def test_files_give_the_same_stream(tmp_path: Path) -> None:
    for seed in range(5):
        design = random_stream(seed)
        assert load_stream(save_stream(tmp_path / "stream", design)) == design
    text = json.loads((tmp_path / "stream" / "design.json").read_text())
    (tmp_path / "stream" / "design.json").write_text(json.dumps({**text, "version": 9}))
    with pytest.raises(UserError, match="stream version 9"):
        load_stream(tmp_path / "stream")
    (tmp_path / "stream" / "design.json").write_text(json.dumps({**text, "stages": [{}]}))
    with pytest.raises(UserError, match="damaged"):
        load_stream(tmp_path / "stream")
    with pytest.raises(UserError, match="no stream in"):
        load_stream(tmp_path)


def test_groups_are_packed_in_the_order_of_the_stream(tmp_path: Path) -> None:
    design = replace(small(2), order=tuple(np.arange(96).reshape(2, 48).T.ravel().tolist()))
    face = StreamVerilog().interface(design)
    codes = np.zeros((2, 96), dtype=np.int64)
    codes[1, 49] = 1  # channel 1 of the second pixel
    codes[1, 2] = 3  # channel 0 of the third pixel
    words = face.pack(codes)
    assert (face.n_in, len(words), words[24], words[25]) == (24, 48, 0b100_000, 0b000_011)
    (tmp_path / "stream.json").write_text(face.to_json())
    assert load_stream_interface(tmp_path / "stream.json") == face
    (tmp_path / "stream.json").write_text("{}")
    with pytest.raises(UserError, match=r"is no stream\.json"):
        load_stream_interface(tmp_path / "stream.json")
    with pytest.raises(UserError, match="no stream at"):
        load_stream_interface(tmp_path / "other.json")


def test_pixels_beyond_the_end_of_a_row_are_left_out_of_results() -> None:
    stage = StreamStage(Axis(3, 3), Axis(6, 2), (1,), random_kernel((1,) * 6, (1, 2)))
    face = StreamVerilog().interface(StreamDesign((stage,), 3))
    assert (face.out_pixels_per_clock, face.out_columns, face.n_out) == (3, 5, 2)
    assert face.unpack(np.arange(24).reshape(4, 6)).tolist() == [[*range(10)], [*range(12, 22)]]


AXIS_REFUSALS = [
    ((0, 1), "at least 1"),
    ((4, 3, 1, 2), "a window of 5 pixels does not fit an axis of 4"),
    ((4, 2, 1, 1, 2), "padding 2 and 0 gives windows of 2 pixels that see no pixel"),
    (
        (4, 3, 1, 1, 2, 2),
        "6 windows at stride 1 along an axis of 4 pixels are more than a stream without stalls can make, at most 4",
    ),
]


@pytest.mark.parametrize(("numbers", "message"), AXIS_REFUSALS)
def test_axes_that_are_refused(numbers: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Axis(*numbers)


def test_stages_and_streams_that_are_refused() -> None:
    axis, kernel = Axis(4, 2), random_kernel((1,) * 4, (1,))
    with pytest.raises(
        UserError, match="2 x 2 pixels with 2 channels has 8 codes of 8 bits, the kernel reads 4 of 4 bits"
    ):
        StreamStage(axis, axis, (1, 1), kernel)
    with pytest.raises(UserError, match="codes 0 to 1, got 2 outside of the map"):
        StreamStage(axis, axis, (1,), kernel, (2,))
    with pytest.raises(UserError, match="for 1 channels, got 2"):
        StreamStage(axis, axis, (1,), kernel, (0, 0))
    with pytest.raises(UserError, match="at least one channel"):
        StreamStage(axis, axis, (), kernel)
    stage = StreamStage(axis, axis, (1,), kernel)
    with pytest.raises(UserError, match=r"stage 1 reads 4 x 4 pixels of widths \[1\], the stage before it makes 3 x 3"):
        StreamDesign((stage, stage))
    with pytest.raises(UserError, match="3 pixels a clock do not divide rows of 4 pixels; choose one of 1, 2, 4"):
        StreamDesign((stage,), 3)
    with pytest.raises(UserError, match="at least one stage"):
        StreamDesign(())
    with pytest.raises(UserError, match="every column from 0 to 15 once, got 2 columns, 1 different"):
        StreamDesign((stage,), order=(0, 0))
    design = StreamDesign((stage,))
    with pytest.raises(UserError, match=r"expected integer codes of shape \(batch, 16\)"):
        design.evaluate(np.zeros((1, 3), dtype=np.int64))
    with pytest.raises(UserError, match="channel 0 takes codes 0 to 1, got 0 to 2"):
        design.evaluate(np.arange(16)[None] // 7)
    with pytest.raises(UserError, match="at least 5 images"):
        stream_vectors(design, 4)


def test_unrolling_is_refused_beyond_a_number_of_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lutnet.stream.design.MAX_UNROLLED_NODES", 100)
    with pytest.raises(UserError, match="nodes when every window has a kernel of its own, at most 100 are unrolled"):
        small().unroll()
