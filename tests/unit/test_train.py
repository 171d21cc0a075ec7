"""Configurations, the loop, checkpoints and models."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lutnet import UserError
from lutnet.lower import lower_classifier, lower_scores
from lutnet.nn import contiguous_wiring, strided_wiring
from lutnet.train.build import build_network
from lutnet.train.checkpoint import load_model, save_model
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig, config_from_dict, load_config
from lutnet.train.data import Dataset, Split
from lutnet.train.loop import EpochRecord, train
from lutnet.train.metrics import measure
from lutnet.train.presets import PRESETS, find_config


def toy_data(n: int = 600, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)

    def part(rows: int) -> Split:
        x = rng.normal(size=(rows, 6))
        y = (x[:, 0] + x[:, 1] > 0).astype(int) + (x[:, 2] > 0.5)
        return Split.from_arrays(x, y)

    names = tuple(f"f{i}" for i in range(6))
    return Dataset("toy", part(n), part(200), part(200), names, ("a", "b", "c"), "made up")


CONFIG = RunConfig(
    "toy",
    "custom",
    ModelConfig(hidden_layers=(24,), input_bitwidth=2, hidden_bitwidth=2, output_bitwidth=4),
    TrainConfig(epochs=6, batch_size=32, learning_rate=2e-2),
)


def test_training_learns_and_keeps_the_best_epoch() -> None:
    data = toy_data()
    network = build_network(CONFIG.model, data)
    seen: list[EpochRecord] = []
    result = train(network, data, CONFIG.train, on_epoch=seen.append)
    best = max(record.validation_accuracy for record in seen)
    assert result.history == tuple(seen) and len(seen) == 6
    assert best > 0.58 and result.validation_accuracy == best
    assert seen[result.best_epoch].validation_accuracy == best
    prepared = network.prepare(torch.from_numpy(data.validation.x))
    assert measure(network, prepared, torch.from_numpy(data.validation.y)) == best
    net = lower_classifier(network)
    classes = net.evaluate(network.encoder().encode(data.validation.x))[:, 0]
    assert float((classes == data.validation.y).mean()) == best


def test_equal_seeds_give_equal_weights_and_other_seeds_do_not() -> None:
    data = toy_data()

    def weights(config: RunConfig) -> torch.Tensor:
        network = build_network(config.model, data)
        train(network, data, config.train)
        return network.layers[0].weight.detach()

    assert torch.equal(weights(CONFIG), weights(CONFIG))
    assert not torch.equal(weights(CONFIG), weights(CONFIG.with_seed(1)))


def test_a_resumed_run_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    data = toy_data()
    whole = build_network(CONFIG.model, data)
    expected = train(whole, data, CONFIG.train)

    def stop(record: EpochRecord) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    first = build_network(CONFIG.model, data)
    with pytest.raises(KeyboardInterrupt):
        train(first, data, CONFIG.train, checkpoint=tmp_path / "c.pt", on_epoch=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]
    second = build_network(CONFIG.with_seed(9).with_model(seed=0).model, data)
    found = train(second, data, CONFIG.train, checkpoint=tmp_path / "c.pt", resume=True)
    assert [r.validation_accuracy for r in found.history] == [r.validation_accuracy for r in expected.history]
    assert [r.loss for r in found.history] == [r.loss for r in expected.history]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name
    assert list(tmp_path.iterdir()) == []


def test_patience_stops_early() -> None:
    data = toy_data()
    settings = replace(CONFIG.train, epochs=200, patience=3, learning_rate=1e-9)
    result = train(build_network(CONFIG.model, data), data, settings)
    assert result.stopped_early and result.n_epochs == result.best_epoch + 1 + 3


def test_cost_weight_lowers_the_cost() -> None:
    data = toy_data()
    plain = train(build_network(CONFIG.model, data), data, CONFIG.train)
    cheap = train(build_network(CONFIG.model, data), data, replace(CONFIG.train, cost_weight=0.1))
    assert cheap.history[-1].cost_luts < 0.8 * plain.history[-1].cost_luts


@pytest.mark.parametrize("kind", ["missing", "cut", "foreign", "other"])
def test_bad_checkpoints_are_refused(kind: str, tmp_path: Path) -> None:
    data = toy_data()
    path = tmp_path / "c.pt"

    def stop(_: EpochRecord) -> None:
        raise KeyboardInterrupt

    if kind != "missing":
        with pytest.raises(KeyboardInterrupt):
            train(build_network(CONFIG.model, data), data, CONFIG.train, checkpoint=path, on_epoch=stop)
    if kind == "cut":
        path.write_bytes(path.read_bytes()[:500])
    if kind == "foreign":
        torch.save({"a": 1}, path)
    settings = replace(CONFIG.train, learning_rate=0.5) if kind == "other" else CONFIG.train
    message = {"missing": "no checkpoint at", "cut": "damaged", "foreign": "damaged", "other": "another configuration"}
    with pytest.raises(UserError, match=message[kind]):
        train(build_network(CONFIG.model, data), data, settings, checkpoint=path, resume=True)


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):  # type: ignore[no-untyped-def]
            return (Path.write_text, (tmp_path / "owned", "x"))

    torch.save({"identity": Evil()}, tmp_path / "c.pt")
    data = toy_data()
    with pytest.raises(UserError, match="damaged"):
        train(build_network(CONFIG.model, data), data, CONFIG.train, checkpoint=tmp_path / "c.pt", resume=True)
    assert not (tmp_path / "owned").exists()


def test_nan_loss_is_one_sentence() -> None:
    with pytest.raises(UserError, match="learning"):
        data = toy_data()
        train(build_network(CONFIG.model, data), data, replace(CONFIG.train, learning_rate=1e30))


def test_model_round_trip_and_damage(tmp_path: Path) -> None:
    data = toy_data()
    network = build_network(CONFIG.model, data)
    train(network, data, replace(CONFIG.train, epochs=1))
    save_model(tmp_path / "model", network, CONFIG, info={"x": 1})
    saved = load_model(tmp_path / "model")
    assert saved.config == CONFIG and saved.info == {"x": 1} and saved.reference is None
    assert lower_scores(saved.network) == lower_scores(network)
    save_model(tmp_path / "model", network, CONFIG)
    weights = tmp_path / "model" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(UserError, match="damaged"):
        load_model(tmp_path / "model")
    weights.unlink()
    with pytest.raises(UserError, match=r"weights\.safetensors is missing"):
        load_model(tmp_path / "model")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="was not written by lutnet"):
        save_model(tmp_path / "other", network, CONFIG)
    assert (tmp_path / "other" / "thesis.txt").read_text() == "mine"


def test_configurations_read_what_they_write(tmp_path: Path) -> None:
    for config in PRESETS.values():
        assert config_from_dict(config.to_dict()) == config
    path = tmp_path / "mine.toml"
    path.write_text(
        'dataset = "mnist"\n[model]\nhidden_layers = [8, 4]\nhidden_fanin = 2\n[train]\nepochs = 3\nlearning_rate = 1\n'
    )
    config = load_config(path)
    assert (config.name, config.dataset, config.model.hidden_layers, config.model.hidden_fanin) == (
        "mine",
        "mnist",
        (8, 4),
        2,
    )
    assert config.train.epochs == 3 and config.train.learning_rate == 1.0
    assert find_config(str(path)) == config and find_config("jsc-l") is PRESETS["jsc-l"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[model]\nhiden_layers = [3]", "unknown key 'hiden_layers'; did you mean 'hidden_layers'"),
        ("modle = 3", "unknown key 'modle'; did you mean 'model'"),
        ("[model]\nhidden_layers = 3", "list of whole numbers"),
        ("[model]\nlayer_activations = [3]", "list of texts"),
        ("[model]\nlayer_fanins = ['a']", "list of whole numbers"),
        ("[model]\nlayer_fanins = [3, 2]", "each of 5 layers, got 2"),
        ("[model]\nlayer_activations = ['binary']", "each of 4 layers, got 1"),
        ("[model]\nlayer_bitwidths = [1, 2, 0, 2, 2]", "at least 1, got 0"),
        ("[model]\nlayer_wirings = ['a', 'b', 'c', 'd', 'e']", "one of random"),
        ("[model]\nhidden_fanin = true", "value like 3, got True"),
        ("[model]\nhidden_fanin = 0", "at least 1"),
        ("[model]\nwiring = 'dense'", "one of random"),
        ("[train]\nepochs = 0", "at least 1"),
        ("[train]\nlearning_rate = -1", "positive"),
        ("= 3", "no TOML"),
        ("model = 3", "table of settings"),
    ],
)
def test_bad_configurations_are_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        load_config(path)


def test_unknown_names_are_refused() -> None:
    data = toy_data()
    with pytest.raises(UserError, match="known are jsc-s"):
        find_config("jsc-xxl")
    for changes, message in [
        ({"family": "cubic"}, "family is one of"),
        ({"activation": "gelu"}, "expected a quantiser"),
    ]:
        with pytest.raises(UserError, match=message):
            build_network(replace(CONFIG.model, **changes), data)
    with pytest.raises(UserError, match=r"2\*\*24 entries"):
        build_network(replace(CONFIG.model, hidden_layers=(24, 12), hidden_bitwidth=8), data)
    with pytest.raises(UserError, match="each of 2 layers"):
        build_network(CONFIG.model, data, wirings=[np.zeros((1, 1), int)])


def test_given_wirings_are_used() -> None:
    data = toy_data()
    wirings = [np.array([[0, 1, 2]] * 24), np.array([[0, 5, 7]] * 3)]
    network = build_network(CONFIG.model, data, wirings=wirings)
    assert all(np.array_equal(layer.wiring.numpy(), w) for layer, w in zip(network.layers, wirings, strict=True))


def test_layers_may_differ_in_width_fan_in_quantiser_and_wiring() -> None:
    config = replace(
        CONFIG.model,
        hidden_layers=(24, 12),
        layer_bitwidths=(1, 3, 4),
        layer_fanins=(2, 4, 3),
        layer_activations=("binary", "hard-tanh"),
        layer_families=("linear", "linear", "linear"),
        layer_wirings=("strided", "random", "contiguous"),
    )
    assert config_from_dict({"model": RunConfig(model=config).to_dict()["model"]}).model == config
    layers = build_network(config, toy_data()).layers
    assert [layer.quantizer.bits for layer in layers] == [1, 3, 4]
    assert [layer.fan_in for layer in layers] == [2, 4, 3]
    assert [type(layer.quantizer).__name__ for layer in layers] == ["Binary", "HardTanh", "SignedUniform"]
    assert layers[0].wiring[:3].tolist() == strided_wiring(6, 24, 2)[:3].tolist()
    assert layers[2].wiring.tolist() == contiguous_wiring(12, 3, 3).tolist()
    with pytest.raises(UserError, match=r"layer 1 of model\.layer_families is one of .*linear.*, got 'sparse'"):
        build_network(replace(config, layer_families=("linear", "sparse", "linear")), toy_data())


def test_published_sizes() -> None:
    assert PRESETS["jsc-l"].model.hidden_layers == (32, 64, 192, 192, 16)
    assert PRESETS["nid-l"].model.hidden_fanin == 5 and PRESETS["nid-m"].model.hidden_bitwidth == 2
    assert {"jsc-s", "jsc-m", "jsc-l", "nid-s", "nid-m", "nid-l", "mnist-dwn-md", "mnist-dwn-lg"} <= set(PRESETS)
