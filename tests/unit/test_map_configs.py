"""Convolutions and poolings from configurations: built, trained, saved, compiled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lutnet.cost import XCVU9P
from lutnet.errors import UserError
from lutnet.flow import train_run
from lutnet.flow.compiling import compile_run
from lutnet.lower import lower_network
from lutnet.nn import DifferentiableLut, Ensemble, GroupSum, LutNetwork, Thermometer
from lutnet.nn.convolution import Convolution
from lutnet.nn.map_options import MapOptions
from lutnet.nn.maps import MapShape
from lutnet.nn.pooling import AveragePool, MaxPool, OrPool
from lutnet.train.build import build_network
from lutnet.train.checkpoint import load_model
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig, config_from_dict
from lutnet.train.data import Dataset, Split
from lutnet.train.loop import train
from lutnet.train.wirings import wirings_of

PIXELS = {"input_codes": "range", "input_range": [0, 256], "map_shape": [1, 8, 8]}


@pytest.fixture(scope="module")
def images() -> Dataset:
    """Bars: across, down, or a square, somewhere in 8 x 8 pixels."""
    rng = np.random.default_rng(0)

    def part(rows: int) -> Split:
        x = rng.integers(0, 90, (rows, 8, 8))
        y = rng.integers(0, 3, rows)
        for image, label in zip(x, y, strict=True):
            down, right = rng.integers(0, 5, 2)
            height, width = ((1, 4), (4, 1), (3, 3))[label]
            image[down : down + height, right : right + width] += 150
        return Split.from_arrays(x.reshape(rows, 64), y)

    names = tuple(f"p{i}" for i in range(64))
    return Dataset("bars", part(500), part(150), part(150), names, ("a", "b", "c"), "made up", image_shape=(8, 8))


def network_of(model: dict[str, Any], data: Dataset, *, epochs: int = 3, least: float = 0.0) -> LutNetwork:
    """Trains by the settings of ``[model]``; the netlist has the network's validation accuracy."""
    config = config_from_dict({"model": {**PIXELS, "output_bitwidth": 4, **model}})
    network = build_network(config.model, data)
    result = train(network, data, TrainConfig(epochs=epochs, batch_size=32, learning_rate=1e-2))
    net = lower_network(network)
    classes = net.evaluate(network.encoder().encode(data.validation.x))[:, 0]
    assert float((classes == data.validation.y).mean()) == result.validation_accuracy
    assert result.validation_accuracy > least
    return network


def test_logic_trees_and_an_or(images: Dataset) -> None:
    maps = [{"channels": 6, "hidden": [24]}, {"kind": "or-pool", "kernel": [2]}]
    model = {
        "family": "differentiable",
        "input_bitwidth": 1,
        "hidden_layers": [60],
        "differentiable": {"lut_inputs": 4, "tau": 2.0},
        "maps": maps,
        "thermometer": {"placement": "uniform"},
    }
    network = network_of(model, images, least=0.45)
    encoder, convolution, pool, hidden, count = network.layers
    assert isinstance(encoder, Thermometer) and isinstance(pool, OrPool) and isinstance(count, GroupSum)
    assert isinstance(convolution, Convolution) and convolution.made == MapShape(6, (6, 6))
    leaves, roots = convolution.chains()[0]
    np.testing.assert_array_equal(roots.wiring, np.arange(24).reshape(6, 4))
    assert leaves.scores is not None and roots.scores is None
    assert isinstance(hidden, DifferentiableLut) and hidden.in_features == 54


def test_several_thresholds_are_channels(images: Dataset) -> None:
    model = {
        "family": "differentiable",
        "input_bitwidth": 4,
        "hidden_layers": [30],
        "maps": [{"channels": 4, "kernel": [4], "stride": [4]}],
        "thermometer": {"n_thresholds": 3, "placement": "uniform"},
        "differentiable": {"tau": 2.0},
    }
    network = network_of(model, images, epochs=2)
    convolution = network.layers[1]
    assert isinstance(convolution, Convolution)
    assert convolution.shape == MapShape(3, (8, 8), channels_last=True) and convolution.made.channels_last


@pytest.mark.parametrize(
    "family, more",
    [
        ("linear", {}),
        ("additive", {"additive": {"hidden_bits": 3}}),
        ("polynomial", {}),
        ("subnet", {"subnet": {"width": 4, "depth": 2, "skip": 2}}),
        ("adder", {"adder": {"terms": 2}}),
        ("arithmetic", {"activation": "unsigned"}),
    ],
)
def test_every_family_convolves(family: str, more: dict[str, Any], images: Dataset) -> None:
    maps = [
        {"channels": 4, "kernel": [3], "stride": [2], "padding": [1], "padding_end": [0], "fan_in": 3},
        {"kind": "max-pool", "kernel": [2]},
    ]
    model = {"family": family, "hidden_layers": [12], "maps": maps, "input_bitwidth": 2, "hidden_fanin": 4, **more}
    network = network_of(model, images, epochs=1)
    convolution, pool, *rest = network.layers
    assert isinstance(convolution, Convolution) and isinstance(pool, MaxPool) and len(rest) == 2
    assert convolution.made == MapShape(4, (4, 4)) and pool.made == MapShape(4, (2, 2))
    assert network.lut_cost(XCVU9P).n_luts > 0


HYBRID: dict[str, Any] = {
    "input_bitwidth": 1,
    "hidden_layers": [10],
    "layer_families": ["additive", "arithmetic"],
    "additive": {"hidden_bits": 4},
    "thermometer": {"placement": "uniform"},
    "differentiable": {"lut_inputs": 4},
    "maps": [
        {"channels": 4, "kernel": [3], "family": "differentiable"},
        {"kind": "average-pool", "kernel": [2], "bits": 2, "activation": "unsigned"},
    ],
}


def test_a_hybrid_of_convolution_table_sums_and_arithmetic(images: Dataset) -> None:
    network = network_of(HYBRID, images, epochs=6, least=0.45)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Thermometer", "Convolution", "AveragePool", "AdditiveEdges", "ArithmeticNeurons"]
    pool = network.layers[2]
    assert isinstance(pool, AveragePool) and pool.quantizer.bits == 2


def test_boolean_and_additive_layers_stand_among_others(images: Dataset) -> None:
    maps = [{"channels": 4, "kernel": [4], "stride": [2], "family": "differentiable"}]
    families = {"layer_families": ["differentiable", "linear"], "output_fanin": 6, "hidden_layers": [24]}
    network = network_of({"input_bitwidth": 1, "maps": maps, **families}, images, epochs=1)
    assert [type(layer).__name__ for layer in network.layers][2:] == ["DifferentiableLut", "SparseLinear"]
    with pytest.raises(UserError, match="the family 'differentiable' needs at least one hidden layer"):
        network_of({"maps": maps, "layer_families": ["differentiable"], "hidden_layers": []}, images)


def test_a_run_is_saved_and_compiled(images: Dataset, tmp_path: Path) -> None:
    small = {**HYBRID["maps"][0], "kernel": [4], "stride": [4]}, HYBRID["maps"][1]
    model = {**PIXELS, **HYBRID, "hidden_layers": [4], "maps": list(small)}
    config = config_from_dict({"model": model, "train": {"epochs": 1, "batch_size": 50, "average_decay": 0.9}})
    train_run(tmp_path, config, images, reference=False)
    again = load_model(tmp_path / "model")
    expected = MapOptions(channels=4, kernel=(4,), stride=(4,), family="differentiable")
    assert again.config == config and config.model.maps[0] == expected
    compilation = compile_run(tmp_path, images)
    assert len(compilation.rungs) == 4 and len(compilation.design.netlist.inputs) == 64
    with pytest.raises(UserError, match="AdditiveEdges, has no wiring"):
        wirings_of(again.network)


def test_wirings_behind_maps_are_shared(images: Dataset, tmp_path: Path) -> None:
    model = {
        "hidden_layers": [8],
        "output_fanin": 2,
        "maps": [{"channels": 2, "kernel": [4], "stride": [2]}],
        "ensemble": {"members": 2},
    }
    config = config_from_dict({"model": {**PIXELS, **model}, "train": {"epochs": 1, "batch_size": 50}})
    train_run(tmp_path, config, images, reference=False)
    network = load_model(tmp_path / "model").network
    assert isinstance(network.layers[0], Ensemble)
    found = wirings_of(network)
    assert [wiring.shape for wiring in found] == [(8, 3), (3, 2)] * 2 and found[0].max() < 18
    file = replace(config.model, wiring="file", wiring_file=str(tmp_path / "wiring.json"))
    for one, other in zip(found, wirings_of(build_network(file, images)), strict=True):
        np.testing.assert_array_equal(one, other)
    kernels = [chain[0].chains()[0][0].wiring for chain in network.layers[0].all_chains()]
    assert not torch.equal(*kernels)


@pytest.mark.parametrize(
    "model, message",
    [
        (
            {"maps": [{}], "map_shape": [1, 7, 8]},
            r"such as \[1, 28, 28\], got \[1, 7, 8\] of 56 values for 64 features",
        ),
        ({"maps": [{}], "map_shape": []}, r"got \[\] of 1 values for 64 features"),
        (
            {"maps": [{}, {"stride": [2]}]},
            "map 1, a convolution: a map of 6 with padding 0 and 0 .* stride 2 does not divide",
        ),
        ({"maps": [{"channels": 5, "groups": 2}]}, "map 0, a convolution: 2 groups .* reads 1 channels"),
        ({"maps": [{"family": "trees"}]}, "model.maps.family is one of adder, .* got 'trees'"),
        ({"maps": [{"family": "assemble"}]}, "a kernel has no trees"),
        ({"maps": [{"fan_in": 10}]}, "a fan-in of 10 needs at least 10 inputs, got 9"),
        ({"maps": [{}], "wiring": "information"}, "the wiring 'information' is chosen by features"),
        (
            {"maps": [{"kind": "or-pool", "groups": 2}]},
            "a or-pool has nothing to learn|an or-pool has nothing to learn",
        ),
        (
            {"maps": [{"kind": "min-pool"}]},
            "model.maps.kind is one of convolution, max-pool, average-pool, or-pool, got 'min-pool'",
        ),
        ({"maps": [{"channels": 0}]}, "model.maps.channels is at least 1, got 0"),
        ({"maps": [{"hidden": [0]}]}, "model.maps.hidden needs layers of at least 1 neuron"),
        ({"maps": {"kernel": [3]}}, "'maps' is a list of tables of settings"),
        ({"maps": [{"kernl": [3]}]}, "'maps', number 0: unknown key 'kernl'; did you mean 'kernel'?"),
        (
            {
                "maps": [{"family": "differentiable"}],
                "map_shape": [4, 4, 4],
                "thermometer": {"n_thresholds": 2},
                "input_bitwidth": 2,
            },
            "no order of a map of 4 channels one after the other",
        ),
    ],
)
def test_configurations_that_do_not_fit(model: dict[str, Any], message: str, images: Dataset) -> None:
    with pytest.raises(UserError, match=message):
        build_network(config_from_dict({"model": {**PIXELS, **model}}).model, images)


def test_quantile_codes_are_refused_where_they_differ(images: Dataset) -> None:
    model = ModelConfig(maps=(MapOptions(),), map_shape=(1, 8, 8), input_codes="quantile")
    with pytest.raises(UserError, match=r"codes have different values, .* model.input_codes = 'range'"):
        build_network(model, images)
    assert RunConfig(model=model).to_dict()["model"]["maps"][0]["kind"] == "convolution"
