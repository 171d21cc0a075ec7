"""Heads: what is trained, decided in torch, built and answered is one thing, and mistakes are named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lutnet import UserError
from lutnet.answers import ANSWERS, LabelsAnswer, NumbersAnswer, determination, f1_scores, roc_area
from lutnet.emulate import Emulator
from lutnet.flow.models import network_rungs
from lutnet.ir import Design, OpCode, load_design, save_design
from lutnet.lower import lower_network
from lutnet.nn import AnomalyHead, ClassHead, Head, HeadOptions, LabelsHead, LutNetwork, RegressionHead, ScoresHead
from lutnet.testing import check_head, mutate_table
from lutnet.train.build import build_network, empty_network
from lutnet.train.checkpoint import load_model, save_model
from lutnet.train.config import RunConfig, config_from_dict
from lutnet.train.data import Dataset, Split
from lutnet.train.loop import train
from lutnet.train.metrics import measure
from lutnet.verify.vectors import random_codes

FEATURES = tuple(f"f{i}" for i in range(6))


def data_of(kind: str, n: int = 500) -> Dataset:
    rng = np.random.default_rng(3)

    def part(rows: int) -> Split:
        x = rng.normal(size=(rows, 6))
        if kind == "regression":
            return Split.from_arrays(x, np.stack([5 + 2 * x[:, 0], 100 * (x[:, 1] + x[:, 2])], axis=1))
        if kind == "labels":
            return Split.from_arrays(x, np.stack([x[:, 0] > 1, x[:, 1] + x[:, 2] > 0, x[:, 3] < 0], axis=1).astype(int))
        y = rng.integers(0, 2, rows)
        if kind == "anomaly":
            x[:, 3:] = x[:, :3] * np.where(y == 0, 1.0, -1.0)[:, None]
            return Split.from_arrays(x, y)
        return Split.from_arrays(x, (x[:, 0] > 0).astype(int) + (x[:, 1] > 0))

    names = {"regression": ("u", "v"), "labels": ("a", "b", "c"), "anomaly": ("good", "bad")}
    return Dataset("toy", part(n), part(200), part(200), FEATURES, names.get(kind, ("a", "b", "c")), "made up")


def config_of(kind: str, **head: Any) -> RunConfig:
    model: dict[str, Any] = {"hidden_layers": [12], "input_bitwidth": 3, "hidden_bitwidth": 3, "output_bitwidth": 4}
    model |= {"input_fanin": 2, "head": {"kind": kind, "normal": "good", **head}}
    return config_from_dict({"model": model, "train": {"epochs": 5, "batch_size": 32, "learning_rate": 2e-2}})


def trained(kind: str, **head: Any) -> tuple[LutNetwork, Dataset, float]:
    data, config = data_of(kind), config_of(kind, **head)
    network = build_network(config.model, data)
    result = train(network, data, config.train)
    return network, data, result.validation_accuracy


def expected_codes(network: LutNetwork, codes: np.ndarray) -> np.ndarray:
    prepared = network.input_quantizer.values(torch.from_numpy(codes))
    with torch.no_grad():
        last = network.layers[-1].quantizer.codes(network.run(prepared))
        return network.head.codes(last, prepared).numpy()


@pytest.mark.parametrize(
    ("kind", "head", "least"),
    [
        ("class", {}, 0.5),
        ("scores", {}, 0.5),
        ("regression", {}, 0.4),
        ("labels", {}, 0.6),
        ("labels", {"thresholds": "zero"}, 0.4),
        ("anomaly", {}, 0.6),
        ("anomaly", {"error": "squared", "error_bits": 6, "false_alarms": 0.1}, 0.6),
    ],
)
def test_a_head_is_one_thing_from_training_to_answers(
    kind: str, head: dict[str, Any], least: float, tmp_path: Path
) -> None:
    network, data, found = trained(kind, **head)
    assert found > least
    net = lower_network(network)
    codes = np.concatenate([network.encoder().encode(data.validation.x), random_codes(net.input_widths, 300, seed=1)])
    np.testing.assert_array_equal(net.evaluate(codes), expected_codes(network, codes))
    raw = torch.from_numpy(data.validation.x)
    answer = network.head.answer()
    assert type(answer) is ANSWERS[kind]
    outputs = network.outputs(raw).numpy()
    np.testing.assert_array_equal(network.predict(raw).numpy(), answer.of(outputs))
    assert answer.score(outputs, data.validation.y) == pytest.approx(found, abs=1e-12)
    prepared = network.prepare(raw)
    assert measure(network, prepared, torch.from_numpy(data.validation.y)) == found

    design = Design(net, network.encoder(), data.class_names, answer=answer)
    assert load_design(save_design(tmp_path / "design.npz", design)).answer == answer
    emulator = Emulator(design, threads=1)
    np.testing.assert_array_equal(emulator.predict(data.test.x), network.predict(torch.from_numpy(data.test.x)).numpy())
    assert emulator.score(data.validation.x, data.validation.y) == pytest.approx(found, abs=1e-12)

    if kind in ("class", "scores"):
        assert (emulator.scores(data.test.x).argmax(axis=1) == emulator.predict(data.test.x)).all()
    folder = save_model(tmp_path / "model", network, replace(config_of(kind, **head)))
    assert lower_network(load_model(folder).network) == net

    many = np.concatenate([codes, random_codes(net.input_widths, 20_000, seed=2)])
    broken = network_rungs(network, mutate_table(net), many)[1]
    assert network_rungs(network, net, codes)[1].holds and not broken.holds


CLASSES = np.arange(256) % 3
COLUMNS = np.random.default_rng(5).normal(size=(256, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("make", "y", "n_neurons"),
    [
        (ClassHead, CLASSES, 3),
        (ScoresHead, CLASSES, 3),
        (lambda: RegressionHead(3), COLUMNS, 3),
        (lambda: LabelsHead(3), (COLUMNS > 0).astype(np.float32), 3),
        (lambda: LabelsHead(3, best=False), (COLUMNS > 0).astype(np.float32), 3),
        (AnomalyHead, CLASSES, 4),
        (lambda: AnomalyHead(1, HeadOptions(kind="anomaly", error="squared", error_bits=6)), CLASSES, 4),
    ],
)
def test_heads_pass_the_conformance_of_heads(make: Callable[[], Head], y: np.ndarray, n_neurons: int) -> None:
    check_head(make, y, n_neurons=n_neurons, simulate=make is AnomalyHead)


def test_the_conformance_of_heads_finds_mistakes() -> None:
    class Off(ClassHead):
        def codes(self, codes: torch.Tensor, prepared: torch.Tensor) -> torch.Tensor:
            return (super().codes(codes, prepared) + 1) % 3

    class Forgetful(LabelsHead):
        def __init__(self) -> None:
            super().__init__(3)
            self.thresholds = torch.zeros(3, dtype=torch.float64)

        def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
            pass

    with pytest.raises(AssertionError, match="netlist and torch differ"):
        check_head(Off, CLASSES, n_neurons=3, simulate=False)
    with pytest.raises(AssertionError, match="a state dict does not hold all"):
        check_head(Forgetful, (COLUMNS > 0.5).astype(np.float32), n_neurons=3, simulate=False)


def test_numbers_are_in_the_units_of_the_targets() -> None:
    network, data, _ = trained("regression")
    answer = network.head.answer()
    assert isinstance(answer, NumbersAnswer)
    assert [fmt.bits for fmt in answer.formats] == [4, 4]
    assert answer.formats[1].scale > 20 * answer.formats[0].scale
    found = network.predict(torch.from_numpy(data.test.x)).numpy()
    assert abs(found[:, 0].mean() - 5) < 0.5 and found[:, 1].std() > 50


def test_thresholds_of_labels_reach_the_netlist() -> None:
    network, data, found = trained("labels")
    assert isinstance(network.head, LabelsHead)
    assert network.head.thresholds.abs().sum() > 0
    zero, _, plain = trained("labels", thresholds="zero")
    assert float(zero.head.thresholds.abs().sum()) == 0 and found >= plain
    codes = network.encoder().encode(data.validation.x)
    for threshold, bit in ((-1e9, 1), (1e9, 0)):
        network.head.thresholds.fill_(threshold)
        assert (lower_network(network).evaluate(codes) == bit).all()


def test_an_autoencoder_learns_from_normal_rows_only_and_keeps_false_alarms_rare() -> None:
    network, data, _ = trained("anomaly", false_alarms=0.05)
    head = network.head
    assert isinstance(head, AnomalyHead) and network.n_classes == 2 and network.layers[-1].out_features == 6
    normal = data.validation.y == 0
    outputs = network.outputs(torch.from_numpy(data.validation.x)).numpy()
    assert 0 < outputs[normal, 1].mean() <= 0.05 < outputs[~normal, 1].mean()
    other = replace(
        data, train=Split(data.train.x + 7.0 * (data.train.y == 1)[:, None].astype(np.float32), data.train.y)
    )
    inputs = build_network(config_of("anomaly").model, other).input_quantizer
    assert torch.equal(inputs.thresholds, network.input_quantizer.thresholds)
    net = lower_network(network)
    assert net.output_names == ("error", "anomaly") and net.count(OpCode.SUM) == 1 and net.count(OpCode.THRESHOLD) == 1
    moved = int(head.threshold)
    head.threshold.fill_(moved + 1)
    assert lower_network(network) != net
    for threshold, bit in ((0, 1), (10**6, 0)):
        head.threshold.fill_(threshold)
        assert (lower_network(network).evaluate(network.encoder().encode(data.test.x))[:, 1] == bit).all()


def test_measures() -> None:
    y = np.array([0, 0, 1, 1])
    assert roc_area(np.array([1, 2, 3, 4]), y == 1) == 1.0
    assert roc_area(np.array([1, 3, 3, 4]), y == 1) == 0.875
    assert roc_area(np.array([5, 5, 5, 5]), y == 1) == 0.5
    truth = np.array([[1.0, 5.0], [3.0, 5.0]])
    assert determination(truth, truth) == 1.0
    assert determination(np.array([[2.0, 5.0], [2.0, 4.0]]), truth) == 0.0
    bits = np.array([[1, 0], [1, 0], [0, 0]])
    np.testing.assert_allclose(f1_scores(bits != 0, np.array([[1, 0], [0, 0], [0, 0]])), [2 / 3, 1.0])
    assert LabelsAnswer().score(bits, bits) == 1.0


@pytest.mark.parametrize(
    ("kind", "data", "changes", "message"),
    [
        ("regression", "class", {}, "the head 'regression' needs real targets, y of shape (n, n_targets)"),
        (
            "class",
            "labels",
            {},
            "the head 'class' needs class numbers, y of shape (n,), data set 'toy' has y of shape (500, 3)",
        ),
        ("anomaly", "anomaly", {"head": {"kind": "anomaly", "normal": "usual"}}, "one of good, bad, got 'usual'"),
        ("anomaly", "anomaly", {"output_bitwidth": 14}, "17 in all, at most 16 are allowed"),
        ("regression", "regression", {"input_codes": "informative"}, "needs classes, data set 'toy' has 2 columns"),
        ("class", "class", {"head": {"kind": "rank"}}, "model.head.kind is one of class, scores"),
        ("class", "class", {"head": {"false_alarms": 1.0}}, "a fraction between 0 and 1, got 1.0"),
    ],
)
def test_mistakes_are_named(kind: str, data: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message.replace("(", r"\(").replace(")", r"\)")):
        settings = config_of(kind).model
        given = {**{"hidden_layers": [12], "head": {"kind": kind, "normal": "good"}, "input_bitwidth": 3}, **changes}
        assert settings is not None
        build_network(config_from_dict({"model": given}).model, data_of(data))


def test_a_head_without_data_or_network_says_so() -> None:
    config = config_of("anomaly").model
    network = empty_network(config, [2] * 6, FEATURES, ("good", "bad"))
    with pytest.raises(UserError, match="chosen on validation rows"):
        lower_network(network)
    with pytest.raises(UserError, match="belongs to no network yet"):
        RegressionHead(2).answer()
    with pytest.raises(UserError, match="none of 3 validation rows is of class 0"):
        network.settle(torch.zeros(3, 6, dtype=torch.float64), torch.ones(3, dtype=torch.int64))
    with pytest.raises(UserError, match="rows of both kinds"):
        roc_area(np.arange(3), np.ones(3, dtype=bool))
    with pytest.raises(UserError, match="expected 2, one for each name"):
        data = data_of("regression")
        replace(data, train=Split(data.train.x, data.train.y[:, :1].copy()), validation=data.validation)
    assert HeadOptions().kind == "class"
