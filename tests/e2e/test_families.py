"""Every family by configuration file: trained on the packaged jets, through the whole ladder, without a mismatch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lutnet import cli
from lutnet.ir import OpCode, load_design
from lutnet.train.checkpoint import load_model

BOOLEAN = """
dataset = "jets_sim_sample"
[model]
family = "differentiable"
hidden_layers = [40, 20]
input_codes = "uniform"
input_bitwidth = 8
[model.thermometer]
n_thresholds = 5
learned = true
[model.differentiable]
lut_inputs = 4
tau = 1.5
[train]
epochs = 2
learning_rate = 2e-2
weight_decay = 0.0
"""

ADDITIVE = """
dataset = "jets_sim_sample"
[model]
family = "additive"
hidden_layers = [4]
input_codes = "uniform"
input_bitwidth = 5
[model.additive]
hidden_bits = 5
[train]
epochs = 2
learning_rate = 2e-3
weight_decay = 0.0
cost_weight = 1e-4
"""

ARITHMETIC = """
dataset = "jets_sim_sample"
[model]
family = "arithmetic"
hidden_layers = [6, 5]
input_codes = "uniform"
input_bitwidth = 4
hidden_bitwidth = 2
activation = "unsigned"
[model.arithmetic]
weight_bits = 3
rescale = "shift"
bound = "a2q+"
accumulator_bits = 9
[train]
epochs = 3
learning_rate = 1e-2
weight_decay = 0.0
"""

STEPS = (["emit"], ["simulate", "--vectors", "200"], ["prove"], ["synth", "--no-place"], ["report"])


@pytest.mark.parametrize("config", [BOOLEAN, ADDITIVE, ARITHMETIC], ids=["differentiable", "additive", "arithmetic"])
def test_a_family_goes_the_whole_way(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LUTNET_DATA", raising=False)
    (tmp_path / "net.toml").write_text(config)
    run = tmp_path / "run"
    assert cli.main(["train", str(tmp_path / "net.toml"), "--out", str(run), "--no-reference"]) == 0
    assert cli.main(["compile", str(run)]) == 0, capsys.readouterr().err
    for step in STEPS:
        assert cli.main([step[0], str(run), *step[1:]]) == 0, capsys.readouterr().err
    report = json.loads((run / "report.json").read_text())
    assert len(report["ladder"]) == 9
    assert all(rung["mismatches"] == 0 and rung["vectors"] > 0 for rung in report["ladder"].values())
    assert report["proof"]["status"] == "proved" and report["proof"]["scope"] == "netlist"
    assert report["luts"] > 0 and report["test_accuracy"] > 0.4


def test_the_encoder_is_in_the_netlist_and_gets_smaller_with_the_precision_of_the_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LUTNET_DATA", raising=False)
    config = str(tmp_path / "net.toml")
    Path(config).write_text(BOOLEAN.replace("epochs = 2", "epochs = 1"))
    fine, coarse = tmp_path / "fine", tmp_path / "coarse"
    assert cli.main(["train", config, "--out", str(fine), "--no-reference"]) == 0
    more = ["--from", str(fine), "--input-bits", "4", "--learning-rate", "2e-3", "--no-reference"]
    assert cli.main(["train", config, "--out", str(coarse), *more]) == 0
    before, after = load_model(fine / "model"), load_model(coarse / "model")
    assert (before.network.input_quantizer.bits, after.network.input_quantizer.bits) == (8, 4)
    same = before.network.layers[1].boolean() == after.network.layers[1].boolean()
    assert same.double().mean() > 0.9, "the tables go on from where they were"
    counts = []
    for run in (fine, coarse):
        assert cli.main(["compile", str(run)]) == 0
        net = load_design(run / "netlist.npz").netlist
        counts.append(net.count(OpCode.THRESHOLD))
        assert max(net.input_widths) == (8 if run == fine else 4)
    assert 0 < counts[1] <= counts[0] <= 16 * 5
    assert np.isclose(before.info["validation_accuracy"], after.info["validation_accuracy"], atol=0.05)

    capsys.readouterr()
    other = str(tmp_path / "other.toml")
    Path(other).write_text(BOOLEAN.replace("[40, 20]", "[30, 20]"))
    assert cli.main(["train", other, "--out", str(tmp_path / "x"), "--from", str(fine)]) == 2
    assert "this configuration differs in model.hidden_layers" in capsys.readouterr().err
