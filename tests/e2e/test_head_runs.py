"""Heads by configuration file: trained, compiled, simulated, proved, reported and used for predictions, without a mismatch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lutnet import cli
from lutnet.backends import load_interface
from lutnet.formats import Format

CONFIG = """
dataset = "custom"
[model]
hidden_layers = [8]
layer_skips = ["concat", "none"]
input_bitwidth = 2
output_bitwidth = 4
input_fanin = 2
[model.head]
kind = "{kind}"
normal = "0"
[train]
epochs = 3
batch_size = 64
learning_rate = 2e-2
"""

METRICS = {
    "scores": "accuracy",
    "regression": "coefficient of determination",
    "labels": "macro F1",
    "anomaly": "area under the ROC curve",
}


def write_data(path: Path, kind: str) -> None:
    rng = np.random.default_rng(1)
    arrays = {}
    for part, rows in (("train", 600), ("val", 200), ("test", 200)):
        x = rng.normal(size=(rows, 5)).astype(np.float32)
        y = (x[:, 0] > 0).astype(np.int64)
        if kind == "regression":
            y = np.stack([3 * x[:, 0], x[:, 1] - x[:, 2] + 7], axis=1)
        elif kind == "labels":
            y = np.stack([x[:, 0] > 0, x[:, 1] > 0.5], axis=1).astype(np.int64)
        elif kind == "anomaly":
            x[y == 0, 3:] = x[y == 0, :2]
        arrays[f"x_{part}"], arrays[f"y_{part}"] = x, y
    np.savez(path, **arrays, class_names=np.array(["0", "1"]))


@pytest.mark.parametrize("kind", list(METRICS))
def test_a_head_goes_the_whole_way(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LUTNET_CACHE", str(tmp_path / "cache"))
    write_data(tmp_path / "data.npz", kind)
    (tmp_path / "net.toml").write_text(CONFIG.format(kind=kind))
    run, data = tmp_path / "run", ["--data", str(tmp_path / "data.npz")]
    assert cli.main(["train", str(tmp_path / "net.toml"), "--out", str(run), *data]) == 0, capsys.readouterr().err
    assert f"validation {METRICS[kind]}" in " ".join(capsys.readouterr().out.split())
    steps = [
        ["compile", *data],
        ["emit"],
        ["simulate", "--vectors", "200", "--simulator", "icarus"],
        ["prove"],
        ["report", *data],
    ]
    if kind == "anomaly":
        steps.insert(2, ["opt", "--passes", "fast"])
        steps.insert(3, ["emit"])
    for step in steps:
        assert cli.main([step[0], str(run), *step[1:]]) == 0, capsys.readouterr().err
    report = json.loads((run / "report.json").read_text())
    assert report["metric"] == METRICS[kind]
    assert all(rung["mismatches"] == 0 and rung["vectors"] > 0 for rung in report["ladder"].values())
    assert report["proof"]["status"] == "proved" and report["float_accuracy"] is not None
    assert f"| test {METRICS[kind]} |" in (run / "report.md").read_text()
    formats = load_interface(run / "rtl" / "interface.json").output_formats
    assert [type(fmt) for fmt in formats] == ([Format, Format] if kind in ("scores", "regression") else [])

    with np.load(tmp_path / "data.npz") as arrays:
        np.savez(tmp_path / "rows.npz", x=arrays["x_test"], y=arrays["y_test"])
        expected = (len(arrays["x_test"]), 2) if kind in ("regression", "labels") else (len(arrays["x_test"]),)
    capsys.readouterr()
    predict = ["predict", str(run), str(tmp_path / "rows.npz"), "-o", str(tmp_path / "out.npy")]
    assert cli.main([*predict, "--labels", "y"]) == 0, capsys.readouterr().err
    assert f"{METRICS[kind]} {report['test_accuracy']:.4f}" in capsys.readouterr().out
    found = np.load(tmp_path / "out.npy")
    assert found.shape == expected and found.dtype == (np.float64 if kind == "regression" else np.int64)
    wrong = cli.main([*predict, "--labels", "x"])
    assert wrong == 2 and "to hold" in capsys.readouterr().err


def test_trees_and_teachers_know_classes_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_data(tmp_path / "data.npz", "regression")
    data = ["--data", str(tmp_path / "data.npz")]
    for text, message in (
        (
            CONFIG.format(kind="class").replace("[model]", '[model]\nfamily = "trees"'),
            "the family 'trees' needs classes",
        ),
        (CONFIG.format(kind="labels").replace("[model]", '[model]\nfamily = "trees"'), "trees decide between classes"),
        (CONFIG.format(kind="regression") + "teacher_weight = 0.5", "a teacher teaches classes"),
        (CONFIG.format(kind="class"), "the head 'class' needs class numbers"),
    ):
        (tmp_path / "net.toml").write_text(text)
        assert cli.main(["train", str(tmp_path / "net.toml"), "--out", str(tmp_path / "run"), *data]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
