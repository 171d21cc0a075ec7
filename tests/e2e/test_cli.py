"""The command line from data to report, and what it says when something is wrong."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lutnet import cli
from lutnet.ir import Design, load_design, save_design
from lutnet.testing import mutate_table


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def test_the_whole_way(run: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for step in (["simulate", "--vectors", "300"], ["prove"], ["synth"], ["report", "--data", str(tiny_data)]):
        assert cli.main([step[0], str(run), *step[1:]]) == 0, capsys.readouterr().err
    report = json.loads((run / "report.json").read_text())
    rungs = ["tables", "netlist", "passes", "files", "rtl tables", "icarus", "verilator", "pyverilog", "post-synthesis"]
    assert list(report["ladder"]) == rungs
    assert all(rung["mismatches"] == 0 and rung["vectors"] > 0 for rung in report["ladder"].values())
    assert report["ladder"]["rtl tables"]["exhaustive"]
    assert report["proof"]["status"] == "proved" and report["proof"]["scope"] == "netlist"
    assert report["luts"] > 0 and report["ffs"] > 0 and report["fmax_ecp5_mhz"] > 20
    assert report["latency_cycles"] == 3 and report["steps_missing"] == []
    assert 0.3 < report["test_accuracy"] <= 1 and 0.5 < report["float_accuracy"] <= 1
    design = load_design(run / "netlist.npz")
    with np.load(tiny_data) as data:
        classes = design.netlist.evaluate(design.encoder.encode(data["x_test"]))[:, 0]
        assert report["test_accuracy"] == float((classes == data["y_test"]).mean())
    text = (run / "report.md").read_text()
    assert "not measured" not in text and f"{100 * report['test_accuracy']:.2f} %" in text


def test_a_report_says_which_steps_have_not_run(run: Path, tiny_data: Path) -> None:
    assert cli.main(["report", str(run), "--data", str(tiny_data)]) == 0
    report = json.loads((run / "report.json").read_text())
    assert report["steps_missing"] == ["simulate", "prove", "synth"] and report["luts"] is None
    assert "`lutnet synth`" in (run / "report.md").read_text()


def test_steps_that_run_again_drop_what_is_out_of_date(run: Path, tiny_data: Path) -> None:
    assert cli.main(["prove", str(run)]) == 0
    assert (run / "results" / "prove.json").is_file()
    assert cli.main(["emit", str(run)]) == 0
    assert not (run / "results" / "prove.json").exists()


def test_hardware_of_another_function_is_found(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    design = load_design(run / "netlist.npz")
    save_design(run / "netlist.npz", Design(mutate_table(design.netlist), design.encoder, design.class_names))
    assert cli.main(["simulate", str(run), "--simulator", "icarus", "--vectors", "200"]) == 1
    assert "rung 'rtl tables' does not hold" in capsys.readouterr().err
    assert cli.main(["prove", str(run)]) == 1
    assert "input codes" in capsys.readouterr().err


def test_show(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", str(run)]) == 0
    assert "latency 3 cycles" in capsys.readouterr().out
    assert cli.main(["show", str(run / "netlist.npz"), "--text"]) == 0
    assert capsys.readouterr().out == str(load_design(run / "netlist.npz").netlist)


def test_emit_options(run: Path) -> None:
    assert (
        cli.main(["emit", str(run), "--top", "tagger", "--tables", "lut6", "--per-layer", "--part", "xc7a35tcpg236-1"])
        == 0
    )
    names = sorted(path.name for path in (run / "rtl").iterdir())
    assert {"tagger.v", "tagger_layer1.v", "tagger_layer2.v", "interface.json", "vivado_ooc.tcl", "clock.xdc"} <= set(
        names
    )
    assert "xc7a35tcpg236-1" in (run / "rtl" / "vivado_ooc.tcl").read_text()
    assert cli.main(["simulate", str(run), "--simulator", "icarus", "--vectors", "100"]) == 0


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "jsc-xxl", "--out", "OUT"], "known are jsc-s"),
        (["train", "missing.toml", "--out", "OUT"], "cannot read the configuration"),
        (["train", "jsc-s", "--out", "OUT", "--data", "missing.npz"], "missing.npz"),
        (["train", "jsc-s", "--out", "OUT", "--dataset", "cats"], "no data set 'cats'"),
        (["train", "CONFIG", "--out", "OUT", "--data", "DATA", "--epochs", "0"], "at least 1"),
        (["train", "CONFIG", "--out", "OUT", "--data", "DATA", "--resume"], "no checkpoint"),
        (["train", "CONFIG", "--out", "/proc/nothing", "--data", "DATA"], "cannot write"),
        (["compile", "OUT"], "no model at"),
        (["emit", "OUT"], "no netlist at"),
        (["simulate", "OUT"], "no netlist at"),
        (["show", "OUT"], "no netlist at"),
        (["emit", "RUN", "--top", "1st"], "name of the top module"),
        (["emit", "RUN", "--part", "x; exec rm"], "part"),
        (["emit", "RUN", "--clock-ns", "-1"], "clock"),
        (["compile", "RUN", "--data", "DATA", "--passes", "polish"], "unknown pass 'polish'"),
        (["compile", "RUN", "--dataset", "jets_sim_sample"], "other names"),
        (["simulate", "RUN", "--vectors", "0"], "at least 2 vectors"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_2(
    argv: list[str],
    message: str,
    run: Path,
    tiny_data: Path,
    tiny_config: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"OUT": tmp_path / "out", "RUN": run, "DATA": tiny_data, "CONFIG": tiny_config}
    before = sorted(run.rglob("*"))
    assert cli.main([str(places.get(word, word)) for word in argv]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("lutnet: error: ") and message in error
    assert sorted(run.rglob("*")) == before and not (tmp_path / "out").exists()


def test_a_missing_simulator_is_one_sentence(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert cli.main(["simulate", str(run), "--simulator", "icarus"]) == 2
    error = capsys.readouterr().err
    assert "apt-get install iverilog" in error and "Traceback" not in error


def test_damaged_results_are_refused(run: Path, tiny_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "results" / "compile.json").write_text("{")
    assert cli.main(["report", str(run), "--data", str(tiny_data)]) == 2
    assert "run `lutnet compile` again" in capsys.readouterr().err


def epochs_but_speed(log: Path) -> list[dict[str, str]]:
    """The rows of a training log without the one column that the machine decides."""
    with log.open(newline="") as stream:
        return [{key: value for key, value in row.items() if key != "samples_per_s"} for row in csv.DictReader(stream)]


def test_ctrl_c_in_training_leaves_a_run_that_can_go_on(tiny_data: Path, tiny_config: Path, tmp_path: Path) -> None:
    out, twin = tmp_path / "out", tmp_path / "twin"
    argv = [
        "train",
        str(tiny_config),
        "--data",
        str(tiny_data),
        "--epochs",
        "24",
        "--batch-size",
        "4",
        "--no-reference",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "lutnet", *argv, "--out", str(out)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        # a process started by a background job ignores SIGINT unless told otherwise
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not (out / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130 and "--resume" in error and "Traceback" not in error
    assert [path.name for path in out.iterdir()] == ["checkpoint.pt"]
    for extra in (["--out", str(out), "--resume"], ["--out", str(twin)]):
        subprocess.run(
            [sys.executable, "-m", "lutnet", *argv, *extra], check=True, capture_output=True, env=environment
        )
    weights, twin_weights = [(folder / "model" / "weights.safetensors").read_bytes() for folder in (out, twin)]
    assert weights == twin_weights
    epochs, twin_epochs = [epochs_but_speed(folder / "log.csv") for folder in (out, twin)]
    assert epochs == twin_epochs and len(epochs) == 24
