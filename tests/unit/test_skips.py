"""Connections around layers and families in any order: the same in torch, tables and netlists, and refused where they cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lutnet import UserError
from lutnet.flow.models import network_rungs
from lutnet.lower import lower_classifier, lower_layer
from lutnet.nn import (
    AddedSkip,
    ConcatSkip,
    InputQuantizer,
    Quantizer,
    SparseLinear,
    TableBudget,
    make_quantizer,
    random_wiring,
)
from lutnet.testing import check_layer, mutate_table
from lutnet.train.build import build_network
from lutnet.train.checkpoint import load_model, save_model
from lutnet.train.config import RunConfig, config_from_dict
from lutnet.train.data import Dataset
from lutnet.train.loop import train
from lutnet.train.wirings import wirings_of
from lutnet.verify.vectors import random_codes


def linear(source: Quantizer, width: int, size: int, kind: str = "signed") -> SparseLinear:
    return SparseLinear(source, width, random_wiring(width, size, 2, 0), make_quantizer(kind, 2))


@pytest.mark.parametrize("kind", ["signed", "hard-tanh"])
def test_skips_pass_the_conformance_of_layers(kind: str) -> None:
    def concat(source: Quantizer, n: int) -> ConcatSkip:
        first = linear(source, n, 3, kind)
        return ConcatSkip(source, n, [first, linear(first.quantizer, 3, 2, kind)])

    check_layer(concat)
    check_layer(lambda source, n: AddedSkip(source, n, [linear(source, n, n, kind)], make_quantizer(kind, 3)))


SKIPS: list[dict[str, Any]] = [
    {"hidden_layers": [12, 18], "layer_skips": ["concat", "sum", "none"], "layer_fanins": [2, 2, 5]},
    {"hidden_layers": [8, 8], "layer_skips": ["none", "sum", "none"], "per_channel": True, "input_fanin": 2},
    {
        "hidden_layers": [12, 8],
        "layer_skips": ["concat", "concat", "none"],
        "widths": {"granularity": "element", "settle_at": 0.5},
        "max_address_bits": 12,
    },
]
CHAINS: list[dict[str, Any]] = [
    {
        "hidden_layers": [18, 8],
        "layer_families": ["linear", "additive", "arithmetic"],
        "additive": {"hidden_bits": 4, "lr_scale": 5.0},
        "input_fanin": 2,
    },
    {"hidden_layers": [10, 8], "layer_families": ["arithmetic", "polynomial", "additive"]},
    {
        "hidden_layers": [24, 8],
        "layer_families": ["differentiable", "additive", "linear"],
        "thermometer": {"n_thresholds": 3},
        "additive": {"hidden_bits": 3},
    },
    {
        "hidden_layers": [24, 24],
        "layer_families": ["differentiable", "differentiable", "arithmetic"],
        "layer_skips": ["none", "concat", "none"],
    },
    {
        "hidden_layers": [12, 24],
        "layer_families": ["linear", "differentiable", "differentiable"],
        "layer_activations": ["binary", "binary"],
        "hidden_bitwidth": 1,
    },
]


@pytest.mark.parametrize("model", [*SKIPS, *CHAINS])
def test_a_configuration_mixes_skips_and_families(model: dict[str, Any], toy_data: Dataset, tmp_path: Path) -> None:
    settings = {"epochs": 6, "batch_size": 32, "learning_rate": 1e-2}
    parts = {"input_bitwidth": 3, "hidden_bitwidth": 2, "output_bitwidth": 4, **model}
    config: RunConfig = config_from_dict({"model": parts, "train": settings})
    network = build_network(config.model, toy_data)
    assert train(network, toy_data, config.train).validation_accuracy > 0.4
    net = lower_classifier(network)
    codes = random_codes(net.input_widths, 20_000, seed=1)
    assert all(rung.holds for rung in network_rungs(network, net, codes))
    assert not network_rungs(network, mutate_table(net), codes)[1].holds
    assert lower_classifier(load_model(save_model(tmp_path / "model", network, config)).network) == net


def test_a_concatenation_is_free_and_a_sum_a_table_a_column() -> None:
    source = InputQuantizer.fit_uniform(np.random.default_rng(0).normal(size=(50, 4)), 2)
    concat = ConcatSkip(source, 4, [linear(source, 4, 3)]).eval()
    plain = lower_layer(concat.layers[0])
    assert lower_layer(concat).n_nodes == plain.n_nodes and concat.out_features == 7
    assert "4 of InputQuantizer" in repr(concat.quantizer)
    added = AddedSkip(source, 4, [linear(source, 4, 4)], make_quantizer("signed", 3)).eval()
    assert len(added.tables()) == 4 and added.tables()[0].in_widths == (2, 2)
    assert lower_layer(added).n_nodes == lower_layer(added.layers[0]).n_nodes + 4


def test_a_network_with_skips_has_wirings(toy_data: Dataset) -> None:
    model = config_from_dict({"model": {"hidden_layers": [6, 5], "layer_skips": ["concat", "concat", "none"]}}).model
    network = build_network(model, toy_data)
    assert [layer.in_features for layer in network.layers] == [6, 12, 17]
    wirings = wirings_of(network)
    assert [w.shape for w in wirings] == [(6, 3), (5, 3), (3, 3)] and wirings[1].max() > 5
    again = build_network(model, toy_data, wirings=wirings)
    assert all(np.array_equal(a, b) for a, b in zip(wirings_of(again), wirings, strict=True))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"layer_skips": ["none", "sum"], "hidden_layers": [8]}, "let its last be 'none'"),
        ({"layer_skips": ["sum"], "hidden_layers": [8]}, "one value for each of 2 layers, got 1"),
        ({"layer_skips": ["add", "none"], "hidden_layers": [8]}, "one of none, concat, sum, got 'add'"),
        (
            {"layer_skips": ["sum", "none"], "hidden_layers": [8]},
            "got 8 neurons and 6 inputs; change the size, or concatenate",
        ),
        ({"layer_skips": ["sum", "none"], "hidden_layers": [6], "wiring": "learned"}, "learned in a plain chain"),
        ({"layer_families": ["linear", "sparse"], "hidden_layers": [6]}, "layer 1 of model.layer_families is one of"),
        ({"layer_families": ["linear", "differentiable"], "hidden_layers": [6]}, "needs at least one hidden layer"),
        ({"layer_families": ["linear", "differentiable", "linear"], "hidden_layers": [6, 6]}, "put a thermometer"),
        (
            {
                "layer_families": ["linear", "additive"],
                "hidden_layers": [6],
                "head": {"kind": "anomaly", "normal": "a"},
            },
            "sums that are too wide",
        ),
        (
            {"layer_families": ["linear", "additive"], "hidden_layers": [6], "widths": {"granularity": "layer"}},
            "the family 'additive' has its own",
        ),
    ],
)
def test_mistakes_are_named(model: dict[str, Any], message: str, toy_data: Dataset) -> None:
    from lutnet.train.wiring_learning import learns_wirings

    with pytest.raises(UserError, match=message):
        config = config_from_dict({"model": {"input_fanin": 2, **model}}).model
        learns_wirings(config)
        build_network(config, toy_data)


def test_parts_that_do_not_fit_are_refused() -> None:
    source = InputQuantizer.fit_uniform(np.random.default_rng(0).normal(size=(50, 4)), 8)
    with pytest.raises(UserError, match="at least one layer, got none"):
        ConcatSkip(source, 4, [])
    with pytest.raises(UserError, match="made for another source"):
        ConcatSkip(source, 4, [linear(make_quantizer("signed", 2), 4, 3)])
    with pytest.raises(UserError, match="budget"):
        AddedSkip(
            source, 4, [linear(source, 4, 4)], make_quantizer("signed", 2), budget=TableBudget(max_address_bits=9)
        )
