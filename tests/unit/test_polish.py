"""Entries of finished tables, chosen by what they do to the loss."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from lutnet.errors import UserError
from lutnet.flow import train_run
from lutnet.flow.compiling import compile_run
from lutnet.lower import lower_scores
from lutnet.nn import AssembleOptions, LutLayer, LutNetwork, WidthOptions
from lutnet.nn.head_options import HeadOptions
from lutnet.train.build import build_network
from lutnet.train.checkpoint import load_model, save_model
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig
from lutnet.train.data import Dataset, Split
from lutnet.train.joint_tables import JointTables, best_joint, with_new_left
from lutnet.train.loop import train
from lutnet.train.polish import check_polish, polish_tables
from lutnet.train.polish_options import PolishOptions
from lutnet.train.refine import refined_network
from lutnet.train.table_choices import choose_joint
from lutnet.train.table_state import TableState
from lutnet.train.wirings import wirings_of

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


@cache
def _trained(model: ModelConfig) -> LutNetwork:
    network = build_network(model, data())
    train(network, data(), TrainConfig(epochs=4, batch_size=100, learning_rate=1e-2))
    return network.eval()


def trained(model: ModelConfig = MODEL) -> LutNetwork:
    return copy.deepcopy(_trained(model))


def loss_of(network: LutNetwork, rows: Split) -> float:
    with torch.no_grad():
        scores = network(torch.from_numpy(rows.x))
    return float(functional.cross_entropy(scores, torch.from_numpy(rows.y), reduction="sum"))


def state_of(network: LutNetwork, rows: Split) -> TableState:
    return TableState(network, rows.x, np.eye(3, dtype=np.float32)[rows.y])


def codes_of(layer: LutLayer) -> list[np.ndarray]:
    return [table.codes.copy() for table in layer.tables()]


def test_losses_of_all_codes_are_those_of_the_changed_network() -> None:
    network = trained()
    rows = data().train
    state = state_of(network, rows)
    base = loss_of(network, rows)
    assert state.loss() == pytest.approx(base, rel=1e-5)
    tried = 0
    for number, layer in enumerate(state.layers):
        for neuron in (layer.out_features - 1,):
            before = codes_of(layer)
            (losses,) = state.losses(number, neuron, [state.places(number, neuron)])
            now = losses[np.arange(len(losses)), before[neuron]]
            for entry, code in ((0, 0), (5, 3), (len(losses) - 1, 1), (len(losses) // 2, state.n_codes[number] - 1)):
                tables = [table.copy() for table in before]
                tables[neuron][entry] = code
                layer.settle(tables)
                change = losses[entry, code] - now[entry]
                assert change == pytest.approx(loss_of(network, rows) - base, abs=2e-3)
                tried += abs(change) > 0.1
            layer.settle(before)
    assert tried > 2


def test_a_changed_table_changes_what_is_behind_it() -> None:
    network = trained()
    rows = data().train
    state = state_of(network, rows)
    layer = state.layers[0]
    tables = codes_of(layer)
    changed = {neuron: tables[neuron] ^ np.uint8(1) for neuron in (1, 4)}
    state.change(0, changed)
    layer.settle([changed.get(neuron, table) for neuron, table in enumerate(tables)])
    assert state.loss() == pytest.approx(loss_of(network, rows), rel=1e-5)
    np.testing.assert_array_equal(state.codes[-1].T, network.predict_codes(torch.from_numpy(rows.x)).numpy())


def test_losses_by_other_features_are_those_of_the_rewired_network() -> None:
    network = trained()
    rows = data().train
    state = state_of(network, rows)
    layer = state.layers[0]
    tables, wiring = codes_of(layer), layer.wiring.numpy().copy()
    neuron, base = 3, loss_of(network, rows)
    read = wiring[neuron].tolist()
    feature = state.features_like(read[1], read)[0]
    assert set(state.features_like(read[1], read)) | set(read) == set(range(5))
    here, there = state.losses(0, neuron, [state.places(0, neuron), state.places(0, neuron, [read[0], feature])])
    entries = np.arange(len(here))
    change = there[entries, tables[neuron]].sum() - here[entries, tables[neuron]].sum()
    wiring[neuron] = [read[0], feature]
    layer.settle(tables, wiring)
    assert abs(change) > 1 and change == pytest.approx(loss_of(network, rows) - base, abs=2e-3)
    state.change(0, {neuron: tables[neuron]}, {neuron: [read[0], feature]})
    assert state.loss() == pytest.approx(loss_of(network, rows), rel=1e-5)
    assert all((neuron, 1) not in readers for readers in state.readers[0][:feature] + state.readers[0][feature + 1 :])


def test_three_tables_are_chosen_as_by_trying_all() -> None:
    rng = np.random.default_rng(3)
    for _ in range(5):
        losses = rng.random((4, 3, 2))
        tables = [rng.integers(0, 2, size) for size in (4, 3, (2, 2))]
        now, best = best_joint(losses, *tables, restarts=40, rng=rng)
        columns = np.arange(3)

        def total(left: tuple[int, ...], right: tuple[int, ...], losses: np.ndarray = losses) -> float:
            cells = [
                losses[np.ix_(np.equal(left, r), np.equal(right, s))].sum(axis=(0, 1)).min()
                for r, s in product((0, 1), (0, 1))
            ]
            return float(sum(cells))

        every = [total(left, right) for left in product((0, 1), repeat=4) for right in product((0, 1), repeat=3)]
        assert best.loss == pytest.approx(min(every))
        of_now = losses[np.arange(4)[:, None], columns, tables[2][tables[0]][:, tables[1]]]
        assert now.loss == pytest.approx(of_now.sum())
        of_best = losses[np.arange(4)[:, None], columns, best.join[best.left][:, best.right]]
        assert best.loss == pytest.approx(of_best.sum())


def loss_of_three(losses: np.ndarray, found: JointTables) -> float:
    rows, columns = (np.arange(n) for n in losses.shape[:2])
    return float(losses[rows[:, None], columns, found.join[found.left][:, found.right]].sum())


def test_a_table_with_other_addresses_is_made_anew() -> None:
    rng = np.random.default_rng(4)
    for _ in range(5):
        losses = rng.random((6, 3, 2))
        right, join = rng.integers(0, 2, 3), np.array([[0, 1], [1, 0]])
        begin = JointTables(np.zeros(6, dtype=np.int64), right, join, np.inf)
        found = with_new_left(losses, begin)
        each = losses[:, np.arange(3), join[:, right]].sum(axis=2)
        assert found.loss <= each.min(axis=1).sum() + 1e-9
        assert found.loss == pytest.approx(loss_of_three(losses, found))
        assert found.loss == pytest.approx(loss_of_three(losses.transpose(1, 0, 2), found.swapped()))


TREES = ModelConfig(
    family="assemble",
    hidden_layers=(12, 6),
    input_bitwidth=3,
    hidden_bitwidth=2,
    output_bitwidth=4,
    layer_fanins=(1, 2, 2),
    assemble=AssembleOptions((0, 1, 1), 4),
)


@pytest.mark.parametrize("features", [False, True])
def test_every_joint_choice_lowers_the_loss_by_what_it_was_to_gain(features: bool) -> None:
    state, rng = state_of(trained(TREES), data().train), np.random.default_rng(2)
    options = PolishOptions(1, least_gain=0.5, restarts=5, features=features)
    n_chosen = 0
    joins = [(number, neuron) for number in (1, 2) for neuron in range(len(state.tables[number]))]
    for layer, neuron in joins:
        before = state.loss()
        if choose_joint(state, layer, neuron, options, rng):
            assert state.loss() < before - 0.45
            n_chosen += 1
    assert n_chosen >= 4


def test_trees_gain_by_joint_choices() -> None:
    losses = {}
    for restarts in (0, 10):
        network = trained(TREES)
        records = polish_tables(network, data(), PolishOptions(1, 0.1, restarts))
        losses[restarts] = records[-1].loss
        first = network.layers[0]
        assert isinstance(first, LutLayer) and all(int(table.codes.max()) < 4 for table in first.tables())
        rows = data().train
        assert records[-1].loss * len(rows.y) <= records[0].loss * len(rows.y)
        if records[-1].validation_accuracy > records[0].validation_accuracy:
            assert records[-1].loss * len(rows.y) == pytest.approx(loss_of(network, rows), rel=1e-4)
    assert losses[10] < losses[0] - 5e-3


@pytest.mark.parametrize("model", [MODEL, TREES], ids=["tables", "trees"])
def test_features_are_chosen_with_the_tables(tmp_path: Path, model: ModelConfig) -> None:
    restarts = 10 if model is TREES else 0
    plain = polish_tables(trained(model), data(), PolishOptions(2, 0.1, restarts))
    network = trained(model)
    before = wirings_of(network)
    records = polish_tables(network, data(), PolishOptions(2, 0.1, restarts, features=True))
    assert records[-1].loss < plain[-1].loss - 1e-2
    after = wirings_of(network)
    assert [(old != new).any() for old, new in zip(before, after, strict=True)] == [True, False, False]
    assert all(len(set(row)) == len(row) for row in after[0].tolist())
    best = max(records, key=lambda record: record.validation_accuracy)
    assert loss_of(network, data().train) == pytest.approx(best.loss * len(data().train.y), rel=1e-4)
    config = RunConfig("polished", "quadrants", model)
    loaded = load_model(save_model(tmp_path / "model", network, config)).network
    expected = network.predict_codes(torch.from_numpy(data().test.x)).numpy()
    np.testing.assert_array_equal(lower_scores(loaded).evaluate(network.encoder().encode(data().test.x)), expected)


def test_a_teacher_says_what_the_network_is_to_answer() -> None:
    options = PolishOptions(2, 0.1, teacher_weight=1.0)
    x = data().train.x
    teacher = np.tile(np.array([0.0, 1.0, 0.0], dtype=np.float32), (len(x), 1))
    with pytest.raises(UserError, match=r"probabilities of shape \(600, 3\), got none"):
        polish_tables(trained(), data(), options)
    with pytest.raises(UserError, match=r"got shape \(3, 600\)"):
        polish_tables(trained(), data(), options, teacher=teacher.T)
    network = trained()
    polished = polish_tables(network, data(), options, teacher=teacher)
    assert polished[-1].loss < 0.2 * polished[0].loss


def test_a_power_lets_the_decisions_of_a_teacher_count() -> None:
    """Two rows of three lean to class 0, the third is sure of class 1: the mean is for class 1, most decisions for class 0."""
    x = data().train.x
    shares = np.array([[0.60, 0.40, 0.0], [0.60, 0.40, 0.0], [0.05, 0.95, 0.0]], dtype=np.float32)
    teacher = shares[np.random.default_rng(1).permutation(len(x)) % 3]
    for power, decision in ((1.0, 1), (8.0, 0)):
        valid = data().validation
        wanted = replace(data(), validation=Split(valid.x, np.full_like(valid.y, decision)))
        options = PolishOptions(3, 0.1, teacher_weight=1.0, teacher_power=power)
        records = polish_tables(trained(), wanted, options, teacher=teacher)
        assert records[0].validation_accuracy < 0.6 and records[-1].validation_accuracy > 0.7


def test_every_sweep_lowers_the_loss_and_the_best_tables_are_kept() -> None:
    network = trained()
    records = polish_tables(network, data(), PolishOptions(3, 0.5))
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
    polish_tables(network, data(), PolishOptions(5, 0.0))
    layer = network.layers[-1]
    assert isinstance(layer, LutLayer)
    tables = codes_of(layer)
    entry = int(np.bincount(state_of(network, rows).places(2, 0).of_rows).argmax())
    good = loss_of(network, rows)
    tables[0][entry] ^= 8
    layer.settle(tables)
    damage = loss_of(network, rows) - good
    assert damage > 10
    mended = polish_tables(network, data(), PolishOptions(1, 0.5))[-1]
    assert mended.n_changed >= 1 and mended.loss * len(rows.y) <= good + 0.2 * damage


def test_a_high_gain_changes_nothing() -> None:
    network = trained()
    records = polish_tables(network, data(), PolishOptions(3, 1e9))
    assert [record.n_changed for record in records] == [0, 0]
    assert all(layer.settled is None for layer in network.layers)


def test_settled_tables_are_saved_and_are_the_netlist(tmp_path: Path) -> None:
    network = trained()
    polish_tables(network, data(), PolishOptions(1, 0.5))
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
    with pytest.raises(UserError, match=r"shape \(6, 2\) and operands of the same bits .* got shape \(5, 2\)"):
        layer.settle(codes_of(layer), layer.wiring.numpy()[:5])
    assert layer.settled is None


@pytest.mark.parametrize("family", ["linear", "polynomial", "subnet"])
def test_a_run_is_polished_through_the_ladder(tmp_path: Path, family: str) -> None:
    told: list[str] = []
    model = replace(MODEL, family=family)
    config = RunConfig(
        "p", "quadrants", model, TrainConfig(3, 100, 1e-2, polish=PolishOptions(2, 1.0, teacher_weight=0.5))
    )
    result = train_run(tmp_path, config, data(), reference=False, on_epoch=lambda kind, record: told.append(kind))
    assert set(told) == {"teacher", "network", "polishing"}
    saved = load_model(tmp_path / "model")
    assert saved.info["validation_accuracy"] == result.validation_accuracy
    valid = data().validation
    assert (saved.network.predict(torch.from_numpy(valid.x)).numpy() == valid.y).mean() == result.validation_accuracy
    assert all(rung.holds for rung in compile_run(tmp_path, data()).rungs)


def test_what_cannot_be_polished_is_refused_before_training(tmp_path: Path) -> None:
    settings = TrainConfig(1, 100, polish=PolishOptions(1))
    with pytest.raises(UserError, match=r"layer 0 is a .*; leave train.polish out"):
        train_run(tmp_path, RunConfig("p", "quadrants", replace(MODEL, family="additive"), settings), data())
    with pytest.raises(UserError, match="those of layer 2 have 12 bits, more than 10"):
        check_polish(build_network(replace(MODEL, output_bitwidth=12), data()), PolishOptions(1))
    with pytest.raises(UserError, match="two codes of channel 0 of the inputs of SparseLinear have the same value"):
        check_polish(
            build_network(replace(MODEL, activation="power-of-two", hidden_bitwidth=3), data()), PolishOptions(1)
        )
    learned = build_network(replace(MODEL, widths=WidthOptions("channel")), data())
    check_polish(learned, PolishOptions(1))
    with pytest.raises(UserError, match=r"features needs operands that are read whole.*layer 0 have learned widths"):
        check_polish(learned, PolishOptions(1, features=True))
    with pytest.raises(UserError, match="classifiers, the network has the head 'anomaly'"):
        check_polish(build_network(replace(MODEL, head=HeadOptions("anomaly", normal="a")), data()), PolishOptions(1))
    with pytest.raises(UserError, match=r"restarts and least_gain are at least 0, got 0, 0 and -1\.0"):
        PolishOptions(least_gain=-1.0)
    with pytest.raises(UserError, match=r"train\.polish\.teacher_weight is 0 to 1, got 2\.0"):
        PolishOptions(teacher_weight=2.0)
    with pytest.raises(UserError, match=r"train\.polish\.teacher_power is above 0 and at most 16, got 0"):
        PolishOptions(teacher_power=0)
    assert not (tmp_path / "model").exists()
