"""`lutnet front` from the command line: one training, several networks, each through the whole ladder."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from lutnet import cli
from lutnet.flow.finishing import spread_points
from lutnet.flow.fronts import FrontPoint, load_front
from lutnet.runs import RunFolder
from lutnet.train.checkpoint import load_model

CONFIG = """
name = "tiny-front"
dataset = "custom"
[model]
hidden_layers = [8]
input_bitwidth = 3
hidden_bitwidth = 2
output_bitwidth = 3
input_fanin = 4
output_fanin = 4
[model.widths]
granularity = "element"
move_from = 0.0
settle_at = 0.5
[train]
epochs = 24
batch_size = 50
learning_rate = 2e-2
cost_weight = 1e-4
cost_weight_end = 2e-2
cost_cycles = 4
keep_after = 0.5
front = true
"""


@pytest.fixture(scope="module")
def front_run(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("front")
    (folder / "front.toml").write_text(CONFIG)
    argv = ["train", str(folder / "front.toml"), "--out", str(folder / "run"), "--data", str(tiny_data)]
    assert cli.main([*argv, "--no-reference"]) == 0
    return folder / "run"


def test_training_prints_how_many_bits_connections_read(
    front_run: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = front_run.parent / "front.toml"
    argv = ["train", str(config), "--out", str(tmp_path / "r"), "--data", str(tiny_data), "--no-reference"]
    (tmp_path / "short.toml").write_text(config.read_text().replace("epochs = 24", "epochs = 4"))
    assert cli.main([argv[0], str(tmp_path / "short.toml"), *argv[2:]]) == 0
    layers = load_model(tmp_path / "r" / "model").network.layers
    printed = capsys.readouterr().out
    for name, layer in enumerate(layers):
        row = next(line for line in printed.splitlines() if f"layer{name} " in line and " to " in line)
        counts = [int(cell) for cell in row.replace("│", " ").split()[1:] if cell.isdigit()]
        assert sum(counts[: int(layer.operand_bits().max()) + 1]) == layer.wiring.numel()


def test_networks_of_a_front_go_through_the_ladder_side_by_side(
    front_run: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    points = load_front(RunFolder(front_run))
    assert len(points) >= 2
    assert cli.main(["front", str(front_run), "--points", "2", "--data", str(tiny_data)]) == 0
    printed = capsys.readouterr().out
    for point in (points[0], points[-1]):
        assert point.folder in printed
        report = json.loads((front_run / "front" / point.folder / "report.json").read_text())
        assert report["validation_accuracy"] == point.validation_accuracy
        assert len(report["ladder"]) >= 9 and not any(rung["mismatches"] for rung in report["ladder"].values())
        assert report["proof"]["status"] == "proved" and report["luts"] is not None
    compare = front_run / "front" / "compare"
    assert {"compare.csv", "compare.html", "front.png", "front.svg"} <= {path.name for path in compare.iterdir()}
    assert len(list(csv.DictReader((compare / "compare.csv").read_text().splitlines()))) == 2
    # what is finished is not done again
    before = (front_run / "front" / points[0].folder / "netlist.npz").stat().st_mtime_ns
    assert cli.main(["front", str(front_run), "--points", "2", "--data", str(tiny_data)]) == 0
    assert (front_run / "front" / points[0].folder / "netlist.npz").stat().st_mtime_ns == before


def test_a_run_without_a_front_says_how_to_make_one(
    tiny_run: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["front", str(tiny_run), "--data", str(tiny_data)]) == 2
    assert "train it with `front = true`" in capsys.readouterr().err


def test_targets_are_checked_on_the_command_line(
    tiny_config: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["train", str(tiny_config), "--out", str(tmp_path / "r"), "--data", str(tiny_data), "--target-luts", "1"]
    assert cli.main(argv) == 2
    assert "argmax of 4 one-bit scores alone takes" in capsys.readouterr().err


def test_points_are_spread_over_the_logarithm() -> None:
    points = [FrontPoint(i, 0.5 + i / 100, luts, f"e{i}") for i, luts in enumerate([10, 11, 12, 100, 110, 1000])]
    assert [p.luts for p in spread_points(points, 3)] == [10, 100, 1000]
    assert [p.luts for p in spread_points(points, 1)] == [1000]
    assert list(spread_points(points, 0)) == list(spread_points(points, 9)) == points
