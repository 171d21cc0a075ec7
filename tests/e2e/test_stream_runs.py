"""A convolutional network as a stream through the command line, emitted before and after it is compiled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lutnet import cli
from lutnet.stream import load_stream, load_stream_interface

CONFIG = """
dataset = "custom"
[model]
family = "differentiable"
hidden_layers = [12]
input_bitwidth = 2
input_codes = "range"
input_range = [0, 256]
map_shape = [1, 6, 6]
[model.differentiable]
mapping = "random"
[model.thermometer]
n_thresholds = 2
placement = "uniform"
[[model.maps]]
channels = 2
kernel = [3]
padding = [1]
[[model.maps]]
kind = "or-pool"
kernel = [2]
stride = [2]
[train]
epochs = 1
batch_size = 64
learning_rate = 2e-2
"""


def write_data(path: Path) -> None:
    """Lines across and down in 6 x 6 pixels."""
    rng = np.random.default_rng(1)
    arrays = {}
    for part, rows in (("train", 400), ("val", 150), ("test", 150)):
        x, y = rng.integers(0, 90, (rows, 6, 6)), rng.integers(0, 2, rows)
        for image, label in zip(x, y, strict=True):
            place = rng.integers(0, 6)
            line = image[place] if label else image[:, place]
            line += 150
        arrays[f"x_{part}"], arrays[f"y_{part}"] = x.reshape(rows, 36).astype(np.float32), y
    np.savez(path, **arrays)


def test_a_stream_goes_the_whole_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LUTNET_CACHE", str(tmp_path / "cache"))
    write_data(tmp_path / "data.npz")
    (tmp_path / "net.toml").write_text(CONFIG)
    run, data = tmp_path / "run", ["--data", str(tmp_path / "data.npz")]
    assert cli.main(["train", str(tmp_path / "net.toml"), "--out", str(run), *data]) == 0, capsys.readouterr().err
    assert cli.main(["emit", str(run), "--backend", "stream", "--budget-luts", "100000"]) == 0, capsys.readouterr().err
    assert load_stream(run.joinpath("stream")).pixels_per_clock == 6
    assert not (run / "netlist.npz").exists(), "a stream needs no unrolled netlist"
    capsys.readouterr()
    for step in (
        ["compile", str(run), *data],
        ["emit", str(run), "--backend", "stream", "--pixels-per-clock", "2"],
        ["simulate", str(run), "--vectors", "20", "--simulator", "icarus"],
        ["synth", str(run)],
        ["report", str(run), *data],
    ):
        assert cli.main(step) == 0, capsys.readouterr().err
    assert "18 clocks an image" in capsys.readouterr().out
    face = load_stream_interface(run / "rtl" / "stream.json")
    assert (face.pixels_per_clock, face.n_in, face.n_out) == (2, 18, 1)
    report = json.loads((run / "report.json").read_text())
    assert {"stream", "stream kernels", "stream netlist", "icarus", "pyverilog", "post-synthesis"} <= set(
        report["ladder"]
    )
    assert all(rung["mismatches"] == 0 and rung["vectors"] > 0 for rung in report["ladder"].values())
    assert report["latency_cycles"] == face.latency_cycles and report["luts"] > 0
    page = (run / "report.md").read_text()
    assert (
        report["stream"]["clocks_per_image"] == 18
        and "| an image every 18 cycles | a stream of 2 pixels a clock" in page
    )
    assert "one result every clock" not in page
    refused = {
        "is a stream": ["prove", str(run)],
        "4 pixels a clock do not divide rows of 6 pixels": [
            "emit",
            str(run),
            "--backend",
            "stream",
            "--pixels-per-clock",
            "4",
        ],
        "leave out --valid": ["emit", str(run), "--backend", "stream", "--valid"],
        "more than the budget of 3": ["emit", str(run), "--backend", "stream", "--budget-luts", "3"],
    }
    for message, step in refused.items():
        assert cli.main(step) == 2 and message in " ".join(capsys.readouterr().err.split()), message
    assert cli.main(["emit", str(run)]) == 0
    assert not (run / "rtl" / "stream.json").exists()
