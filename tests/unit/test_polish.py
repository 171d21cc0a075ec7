"""Entries of finished tables, chosen by what they do to the loss."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from lutnet.errors import UserError
from lutnet.flow import train_run
from lutnet.flow.compiling import compile_run
from lutnet.lower import lower_scores
from lutnet.nn import LutLayer, LutNetwork
from lutnet.nn.head_options import HeadOptions
from lutnet.train.build import build_network
from lutnet.train.checkpoint import load_model, save_model
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig
from lutnet.train.data import Dataset, Split
from lutnet.train.loop import train
from lutnet.train.polish import _State, check_polish, polish_tables
from lutnet.train.refine import refined_network

MODEL = ModelConfig(
    hidden_layers=(6, 5),
    input_bitwidth=2,
    hidden_bitwidth=2,
    output_bitwidth=4,
    input_fanin=2,
    hidden_fanin=2,
    output_fanin=2,
)


def data(n: int = 600) -> Dataset:
    rng = np.random.default_rng(0)

    def part(rows: int) -> Split:
        x = rng.normal(size=(rows, 5))
        return Split.from_arrays(x, (x[:, 0] * x[:, 1] > 0).astype(int) + (x[:, 2] + x[:, 3] > 0.3))

    return Dataset("quadrants", part(n), part(300), part(300), tuple("vwxyz"), ("a", "b", "c"), "made up")


def trained(model: ModelConfig = MODEL, epochs: int = 4) -> LutNetwork:
    network = build_network(model, data())
    train(network, data(), TrainConfig(epochs=epochs, batch_size=100, learning_rate=1e-2))
    return network.eval()


def loss_of(network: LutNetwork, rows: Split) -> float:
    with torch.no_grad():
        scores = network(torch.from_numpy(rows.x))
    return float(functional.cross_entropy(scores, torch.from_numpy(rows.y), reduction="sum"))


def codes_of(layer: LutLayer) -> list[np.ndarray]:
    return [table.codes.copy() for table in layer.tables()]


def test_losses_of_all_codes_are_those_of_the_changed_network() -> None:
    network = trained()
    rows = data().train
    state = _State(network, rows)
    base = loss_of(network, rows)
    assert state.loss() * len(rows.y) == pytest.approx(base, rel=1e-5)
    tried = 0
    for number, layer in enumerate(state.layers):
        for neuron in (0, layer.out_features - 1):
            address = state._address(number, neuron, state.codes[number])
            cone = list(state._cone(number, neuron))
            losses = state._losses(number, neuron, cone, address, slice(0, len(rows.y)))
            before = codes_of(layer)
            now = losses[np.arange(len(losses)), before[neuron]]
            for entry, code in ((0, 0), (5, 3), (len(losses) - 1, 1), (len(losses) // 2, state.n_codes[number] - 1)):
                tables = [table.copy() for table in before]
                tables[neuron][entry] = code
                layer.settle(tables)
                change = losses[entry, code] - now[entry]
                assert change == pytest.approx(loss_of(network, rows) - base, abs=2e-3)
                tried += abs(change) > 0.1
            layer.settle(before)
    assert tried > 5


def test_every_sweep_lowers_the_loss_and_the_best_tables_are_kept() -> None:
    network = trained()
    records = polish_tables(network, data(), sweeps=3, least_gain=0.5)
    losses = [record.loss for record in records]
    assert records[0].n_changed == 0 and records[1].n_changed > 0
    assert losses == sorted(losses, reverse=True) and losses[1] < losses[0] - 1e-3
    best = max(records, key=lambda record: record.validation_accuracy)
    valid = data().validation
    found = network.predict(torch.from_numpy(valid.x)).numpy() == valid.y
    assert found.mean() == best.validation_accuracy


def test_a_damaged_entry_is_found_and_mended() -> None:
    network = trained()
    rows = data().train
    polish_tables(network, data(), sweeps=5, least_gain=0.0)
    layer = network.layers[-1]
    assert isinstance(layer, LutLayer)
    state = _State(network, rows)
    tables = codes_of(layer)
    entry = int(np.bincount(state._address(2, 0, state.codes[2])).argmax())
    good = loss_of(network, rows)
    tables[0][entry] ^= 8
    layer.settle(tables)
    assert loss_of(network, rows) > good + 1
    state = _State(network, rows)
    assert state.improve(2, 0, 0.5) >= 1
    assert state.loss() * len(rows.y) <= good + 0.5 * len(tables[0])


def test_a_high_gain_changes_nothing() -> None:
    network = trained()
    records = polish_tables(network, data(), sweeps=3, least_gain=1e9)
    assert [record.n_changed for record in records] == [0, 0]
    assert all(layer.settled is None for layer in network.layers)


def test_settled_tables_are_saved_and_are_the_netlist(tmp_path: Path) -> None:
    network = trained()
    polish_tables(network, data(), sweeps=1, least_gain=0.5)
    config = RunConfig("polished", "quadrants", MODEL)
    loaded = load_model(save_model(tmp_path / "model", network, config)).network
    x = torch.from_numpy(data().test.x)
    expected = network.predict_codes(x)
    assert torch.equal(loaded.predict_codes(x), expected)
    net = lower_scores(loaded)
    np.testing.assert_array_equal(net.evaluate(network.encoder().encode(data().test.x)), expected.numpy())
    again = refined_network(load_model(tmp_path / "model"), MODEL, data())
    assert all(layer.settled is None for layer in again.layers)
    loaded.load_state_dict(again.state_dict())
    assert all(layer.settled is None for layer in loaded.layers)


def test_wrong_settled_tables_are_refused() -> None:
    layer = trained().layers[0]
    assert isinstance(layer, LutLayer)
    tables = codes_of(layer)
    with pytest.raises(UserError, match=r"6 neurons with up to 16 entries were expected, got \(5, 16\)"):
        layer.settle(tables[:5])
    tables[3] = tables[3] | 4
    with pytest.raises(UserError, match="settled table of neuron 3 has a code of more than its 2 bits"):
        layer.settle(tables)
    assert layer.settled is None


@pytest.mark.parametrize("family", ["linear", "polynomial", "subnet"])
def test_a_run_is_polished_through_the_ladder(tmp_path: Path, family: str) -> None:
    told: list[str] = []
    model = replace(MODEL, family=family)
    config = RunConfig("p", "quadrants", model, TrainConfig(3, 100, 1e-2, polish_sweeps=2, polish_gain=1.0))
    result = train_run(tmp_path, config, data(), reference=False, on_epoch=lambda kind, record: told.append(kind))
    assert set(told) == {"network", "polishing"}
    saved = load_model(tmp_path / "model")
    assert saved.info["validation_accuracy"] == result.validation_accuracy
    valid = data().validation
    assert (saved.network.predict(torch.from_numpy(valid.x)).numpy() == valid.y).mean() == result.validation_accuracy
    assert all(rung.holds for rung in compile_run(tmp_path, data()).rungs)


def test_what_cannot_be_polished_is_refused_before_training(tmp_path: Path) -> None:
    settings = TrainConfig(1, 100, polish_sweeps=1)
    with pytest.raises(UserError, match=r"layer 0 is a .*; leave train.polish_sweeps out"):
        train_run(tmp_path, RunConfig("p", "quadrants", replace(MODEL, family="additive"), settings), data())
    with pytest.raises(UserError, match="those of layer 2 have 12 bits, more than 10"):
        check_polish(build_network(replace(MODEL, output_bitwidth=12), data()))
    with pytest.raises(UserError, match="two codes of channel 0 of the inputs of SparseLinear have the same value"):
        check_polish(build_network(replace(MODEL, activation="power-of-two", hidden_bitwidth=3), data()))
    with pytest.raises(UserError, match="classifiers, the network has the head 'anomaly'"):
        check_polish(build_network(replace(MODEL, head=HeadOptions("anomaly", normal="a")), data()))
    with pytest.raises(UserError, match="polish_gain at least 0"):
        TrainConfig(polish_gain=-1.0)
    assert not (tmp_path / "model").exists()
