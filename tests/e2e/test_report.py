"""`lutnet report` with several runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from lutnet import cli


@pytest.fixture
def runs(tiny_run: Path, tmp_path: Path) -> list[Path]:
    return [Path(shutil.copytree(tiny_run, tmp_path / name)) for name in ("first", "second")]


def test_the_layers_of_one_run(runs: list[Path], tiny_data: Path) -> None:
    assert cli.main(["report", str(runs[0]), "--data", str(tiny_data)]) == 0
    report = json.loads((runs[0] / "report.json").read_text())
    rows = report["layers"]["rows"]
    assert [row["name"] for row in rows] == ["inputs", "layer0", "layer1", "argmax"]
    assert sum(row["latency_cycles"] for row in rows) == report["latency_cycles"]
    assert sum(row["luts"] for row in rows) == report["layers"]["luts"] == report["estimated_luts"]
    assert report["layers"]["n_recognised"] == report["layers"]["n_nodes"] > 0
    assert sum(row["energy_pj"] for row in rows) == pytest.approx(report["energy_pj"]) and report["energy_pj"] > 0
    assert report["energy_float_pj"] == pytest.approx(4.6 * (6 * 10 + 10 * 4))
    assert 0 < report["energy_integer_pj"] < report["energy_float_pj"]
    assert "## Layers" in (runs[0] / "report.md").read_text()


def test_runs_side_by_side(
    runs: list[Path], tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report", str(runs[0]), "--data", str(tiny_data)]) == 0
    written = (runs[0] / "report.json").stat().st_mtime_ns
    out = tmp_path / "out"
    assert cli.main(["report", *map(str, runs), "--data", str(tiny_data), "--out", str(out)]) == 0
    assert (runs[0] / "report.json").stat().st_mtime_ns == written and (runs[1] / "report.json").is_file()
    assert {path.name for path in out.iterdir()} == {
        *("compare.md", "compare.csv", "compare.html"),
        *("front.csv", "front.png", "front.svg"),
    }
    capsys.readouterr()
    assert cli.main(["report", *map(str, runs)]) == 0
    printed = capsys.readouterr().out
    assert "| first | tiny |" in printed and "| second | tiny |" in printed


@pytest.mark.parametrize(
    "argv, message",
    [
        (["NOTHING"], "is no folder"),
        (["EMPTY"], "is no run"),
        (["FIRST"], "is named twice"),
        (["OTHER"], "--mixed"),
        (["DAMAGED"], "is damaged"),
        (["SECOND", "--out", "FILE"], "cannot write"),
    ],
)
def test_mistakes_are_one_sentence(
    runs: list[Path], argv: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = {"name": "small", "dataset": "toy", "test_accuracy": 0.5, "luts": 10}
    texts = {name: json.dumps(data) for name in ("first", "second")}
    texts |= {"other": json.dumps(data | {"dataset": "else"}), "damaged": "{"}
    for name, text in texts.items():
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "report.json").write_text(text)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    places = [str(tmp_path / word.lower()) if word.isupper() else word for word in argv]
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["report", str(runs[0]), *places]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1 and error[0].startswith("lutnet: error: ") and message in error[0]
    assert sorted(tmp_path.rglob("*")) == before


def test_one_validation_row_has_no_toggles(runs: list[Path], tiny_data: Path, tmp_path: Path) -> None:
    with np.load(tiny_data) as data:
        np.savez(tmp_path / "short.npz", **{key: data[key][:1] if "val" in key else data[key] for key in data.files})
    assert cli.main(["report", str(runs[0]), "--data", str(tmp_path / "short.npz")]) == 0
    report = json.loads((runs[0] / "report.json").read_text())
    assert report["layers"] is None and report["energy_pj"] is None and report["energy_float_pj"] > 0
    assert "two validation rows or more" in (runs[0] / "report.md").read_text()
