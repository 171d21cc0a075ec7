"""Wirings from data: by information, learned in three ways, read, edited and given."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lutnet.errors import UserError
from lutnet.flow import train_run
from lutnet.flow.compiling import compile_run
from lutnet.nn import InputQuantizer, make_quantizer
from lutnet.nn.wiring_information import class_information, information_wiring, shared_information
from lutnet.nn.wiring_options import EnsembleOptions, WiringOptions
from lutnet.nn.wiring_search import DenseNeurons, WiringSearch
from lutnet.runs import RunFolder
from lutnet.train.build import build_network
from lutnet.train.checkpoint import load_model
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig, config_from_dict
from lutnet.train.data import Dataset, Split
from lutnet.train.loop import train
from lutnet.train.wiring_learning import learned_wirings
from lutnet.train.wirings import first_wirings, read_wirings, wirings_of, write_wirings

USEFUL = {3, 11, 17}
"""The only features out of twenty that the class of the made-up data depends on."""


def data(n: int = 800) -> Dataset:
    rng = np.random.default_rng(0)

    def part(rows: int) -> Split:
        x = rng.normal(size=(rows, 20))
        score = sum(x[:, i] for i in USEFUL)
        return Split.from_arrays(x, (score > -0.6).astype(int) + (score > 0.6))

    names = tuple(f"f{i}" for i in range(20))
    return Dataset("needles", part(n), part(300), part(300), names, ("a", "b", "c"), "made up")


MODEL = ModelConfig(hidden_layers=(8,), hidden_bitwidth=3, output_bitwidth=4, output_fanin=4, wiring="learned")
FAMILIES: dict[str, dict[str, Any]] = {
    "linear": {},
    "polynomial": {},
    "subnet": {"subnet": {"width": 4, "depth": 2, "skip": 2}},
    "adder": {"adder": {"terms": 2}, "input_fanin": 2, "output_fanin": 2},
    "assemble": {"hidden_layers": [16, 8], "layer_fanins": [2, 2, 4], "assemble": {"levels": [0, 1, 0], "width": 4}},
}


def share_of_useful(wiring: np.ndarray) -> float:
    return float(np.isin(wiring, list(USEFUL)).mean())


@pytest.mark.parametrize("method", ["group", "prune", "regrow"])
def test_every_method_finds_the_features_that_matter(method: str) -> None:
    config = replace(
        MODEL,
        wiring_learning=WiringOptions(
            method=method, epochs=20, batch_size=32, learning_rate=2e-2, penalty=1e-2, prune_from=0.1, prune_until=0.7
        ),
    )
    found = learned_wirings(config, data())
    assert [w.shape for w in found] == [(8, 3), (3, 4)]
    assert share_of_useful(found[0]) > 0.6
    random = wirings_of(build_network(replace(MODEL, wiring="random"), data()))
    assert share_of_useful(random[0]) < 0.3
    again = learned_wirings(config, data())
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_takes_a_learned_wiring_and_climbs_the_ladder(family: str, tmp_path: Path) -> None:
    settings = {"hidden_layers": [8], "output_bitwidth": 4, "wiring": "learned", "family": family, **FAMILIES[family]}
    settings["wiring_learning"] = {"epochs": 10, "batch_size": 32, "learning_rate": 2e-2}
    config = config_from_dict({"model": settings, "train": {"epochs": 4, "batch_size": 32, "learning_rate": 1e-2}})
    kinds: list[str] = []
    train_run(tmp_path, config, data(), reference=False, on_epoch=lambda kind, _: kinds.append(kind))
    assert kinds == ["wiring"] * 10 + ["network"] * 4
    compilation = compile_run(tmp_path, data())
    assert all(rung.mismatches == 0 for rung in compilation.rungs) and compilation.rungs
    found = wirings_of(load_model(RunFolder(tmp_path).model).network)
    assert share_of_useful(found[0]) > 0.4
    for one, other in zip(found, read_wirings(RunFolder(tmp_path).wiring), strict=True):
        np.testing.assert_array_equal(one, other)


def stand_in(method: str, n_in: int = 10, fan_in: int = 2, **options: Any) -> WiringSearch:
    inputs = InputQuantizer.over_range(n_in, 1, 0, 2)
    torch.manual_seed(0)
    layer = DenseNeurons(n_in, 3, fan_in, make_quantizer("signed", 4))
    return WiringSearch(inputs, [layer], WiringOptions(method=method, **options))


@pytest.mark.parametrize("method", ["prune", "regrow"])
def test_connections_fall_to_the_fan_in_on_schedule(method: str) -> None:
    search = stand_in(method, prune_from=0.2, prune_until=0.6)
    layer = search.learned()[0]
    left = []
    for progress in (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9):
        search.schedule(progress)
        search.after_step()
        left.append(layer.mask.sum(dim=1).unique().tolist())
    share = [1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert left == [[2 + round(8 * s**3)] for s in share]


def test_a_pruned_connection_comes_back_only_by_regrowing() -> None:
    for method, back in (("prune", False), ("regrow", True)):
        search = stand_in(method, prune_from=0.0, prune_until=0.0)
        layer = search.learned()[0]
        search.after_step()
        gone = int((~layer.mask[0]).nonzero()[0])
        assert bool(layer.weight[0, gone] == 0) is (method == "prune")
        layer.train()
        out = layer(torch.randn(32, 10))
        out.sum().backward()
        assert layer.weight.grad is not None
        with torch.no_grad():
            layer.weight[0, gone] = 5.0 if back else 0.0
        search.after_step()
        assert bool(layer.mask[0, gone]) is back
        assert layer.mask.sum(dim=1).tolist() == [2, 2, 2]


def test_connections_that_are_not_there_have_a_gradient_and_no_effect() -> None:
    search = stand_in("regrow", prune_until=0.0)
    layer = search.learned()[0]
    search.after_step()
    layer.train()
    x = torch.randn(64, 10)
    before = layer(x)
    before.square().sum().backward()
    assert layer.weight.grad is not None and bool((layer.weight.grad[~layer.mask] != 0).any())
    with torch.no_grad():
        layer.weight[~layer.mask] *= 0.5
    torch.testing.assert_close(layer(x), before)


def test_the_penalty_is_the_published_one_and_stays_finite() -> None:
    search = stand_in("group", penalty=0.5, penalty_rate=0.1)
    weight = search.learned()[0].weight
    expected = 0.5 * (2.0 ** (0.1 * weight.abs().sum(dim=1)) - 1.0).sum()
    torch.testing.assert_close(search.penalty(), expected)
    with torch.no_grad():
        weight.fill_(1e6)
    assert bool(torch.isfinite(search.penalty()))
    assert float(stand_in("regrow").penalty()) == 0.0


def test_given_layers_keep_their_wiring() -> None:
    config = replace(
        MODEL,
        layer_wirings=("learned", "strided"),
        wiring_learning=WiringOptions(epochs=10, batch_size=32, learning_rate=2e-2),
    )
    found = learned_wirings(config, data(200))
    np.testing.assert_array_equal(found[1], wirings_of(build_network(replace(MODEL, wiring="strided"), data(200)))[1])
    assert share_of_useful(found[0]) > 0.3


def test_information_prefers_what_tells_classes_apart() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 3000)
    codes = rng.integers(0, 4, (3000, 8))
    codes[:, 2], codes[:, 5] = y, y
    codes[:, 6] = np.where(rng.random(3000) < 0.5, y, rng.integers(0, 3, 3000))
    codes[:, 7] = 0
    told = class_information(codes, y)
    assert told[2] == pytest.approx(np.log(3), abs=1e-2) and told[7] == 0 and told[6] > 10 * told[0]
    shared = shared_information(codes)
    assert shared[2, 5] == pytest.approx(1.0) and shared[0, 1] < 0.02 and not shared[7].any()
    wiring = information_wiring(codes, y, 40, 2, 0, redundancy=0.0)
    assert (np.diff(wiring, axis=1) > 0).all()
    both = (np.isin(wiring, [2, 5]).sum(axis=1) == 2).mean()
    apart = (np.isin(information_wiring(codes, y, 40, 2, 0, redundancy=1.0), [2, 5]).sum(axis=1) == 2).mean()
    assert both > 0.3 > 0.1 > apart
    np.testing.assert_array_equal(wiring, information_wiring(codes, y, 40, 2, 0, redundancy=0.0))
    config = replace(MODEL, wiring="information")
    assert share_of_useful(wirings_of(build_network(config, data()))[0]) > 0.5
    sizes = (20, 8, 3)
    behind = first_wirings(config, sizes, 0, InputQuantizer.over_range(20, 2, 0, 4), None)[1]
    np.testing.assert_array_equal(wirings_of(build_network(config, data()))[1], behind)


def test_a_wiring_is_read_edited_and_trained_with(tmp_path: Path) -> None:
    plain = RunConfig("n", "custom", replace(MODEL, wiring="random"), TrainConfig(epochs=2, batch_size=64))
    train_run(tmp_path / "a", plain, data(), reference=False)
    file = RunFolder(tmp_path / "a").wiring
    wirings = read_wirings(file)
    wirings[0][0] = [3, 11, 17]
    write_wirings(tmp_path / "edited.json", wirings)
    config = plain.with_model(wiring="file", wiring_file=str(tmp_path / "edited.json"))
    train_run(tmp_path / "b", config, data(), reference=False)
    (tmp_path / "edited.json").unlink()
    found = wirings_of(load_model(RunFolder(tmp_path / "b").model).network)
    for one, other in zip(found, wirings, strict=True):
        np.testing.assert_array_equal(one, other)
    assert json.loads(file.read_text())["version"] == 1


def test_a_resumed_run_keeps_the_wiring_that_it_learned(tmp_path: Path) -> None:
    learning = WiringOptions(epochs=2, batch_size=64)
    config = RunConfig("n", "custom", replace(MODEL, wiring_learning=learning), TrainConfig(epochs=3, batch_size=64))
    kinds: list[str] = []

    def stop(kind: str, record: Any) -> None:
        kinds.append(kind)
        if kind == "network" and record.epoch == 1:
            raise KeyboardInterrupt

    train_run(tmp_path / "whole", config, data(200), reference=False)
    with pytest.raises(KeyboardInterrupt):
        train_run(tmp_path / "cut", config, data(200), reference=False, on_epoch=stop)
    kinds.clear()
    train_run(tmp_path / "cut", config, data(200), reference=False, resume=True, on_epoch=lambda k, _: kinds.append(k))
    assert kinds == ["network"]
    whole, cut = (load_model(RunFolder(tmp_path / name).model).network.state_dict() for name in ("whole", "cut"))
    for name, value in whole.items():
        assert torch.equal(value, cut[name]), name


def test_members_of_an_ensemble_are_searched_for_one_by_one() -> None:
    model = replace(MODEL, ensemble=EnsembleOptions(2), wiring_learning=WiringOptions(epochs=2, batch_size=64))
    found = learned_wirings(model, data(200))
    assert [w.shape for w in found] == [(8, 3), (3, 4)] * 2 and (found[0] != found[2]).any()
    built = wirings_of(build_network(model, data(200), wirings=found))
    for one, other in zip(found, built, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: w[0].__setitem__((1, 2), 20),
            r"layer 0 from .*: neuron 1 reads input 20 as operand 2, expected 0 to 19",
        ),
        (lambda w: w[0].__setitem__((1, slice(None)), 4), r"layer 0 from .*: neuron 1 reads input 4 twice"),
        (lambda w: w.__setitem__(1, w[1][:, :2]), r"layer 1 from .* has shape \(3, 2\), expected \(3, 4\)"),
        (lambda w: w.__setitem__(0, w[0][:5]), r"layer 0 from .* has shape \(5, 3\), expected \(8, 3\)"),
        (lambda w: w.pop(), r"expected a wiring for each of 2 layers, 2 in all, got 1"),
    ],
)
def test_wirings_that_do_not_fit_are_refused(change: Any, message: str, tmp_path: Path) -> None:
    wirings = wirings_of(build_network(replace(MODEL, wiring="random"), data(50)))
    change(wirings)
    write_wirings(tmp_path / "w.json", wirings)
    config = replace(MODEL, wiring="file", wiring_file=str(tmp_path / "w.json"))
    with pytest.raises(UserError, match=message):
        build_network(config, data(50))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot read the wirings"),
        ("[", "is no JSON file"),
        ("[]", "holds no wirings"),
        ('{"version": 1, "wirings": [[[0, 1], [2]]]}', "wiring 0 of .* rows of different lengths"),
        ('{"version": 1, "wirings": [[[0.5, 1]]]}', "wiring 0 of .* whole numbers"),
    ],
)
def test_files_that_hold_no_wirings_are_refused(text: str | None, message: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "w.json").write_text(text)
    with pytest.raises(UserError, match=message):
        read_wirings(tmp_path / "w.json")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"wiring": "best"}, "model.wiring is one of random"),
        ({"wiring_learning": {"method": "luck"}}, "model.wiring_learning.method is one of group"),
        ({"wiring_learning": {"epochs": 0}}, "epochs is at least 1"),
        ({"wiring_learning": {"penalty_rate": 0.0}}, "penalty_rate must be positive"),
        ({"wiring_learning": {"prune_from": 0.9}}, "prune_from and prune_until are shares"),
        ({"wiring_learning": {"redundancy": 2.0}}, "redundancy is 0 to 1, got 2.0"),
    ],
)
def test_bad_settings_are_refused(model: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        config_from_dict({"model": model})


def test_searches_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="gives each neuron 24 different inputs, got 20 to choose from"):
        learned_wirings(replace(MODEL, family="adder", input_fanin=12), data(50))
    config = RunConfig("n", "custom", replace(MODEL, family="additive"), TrainConfig(epochs=1))
    with pytest.raises(UserError, match="the family 'additive' chooses its wiring itself"):
        train_run(tmp_path, config, data(50))
    missing = replace(MODEL, wiring="file")
    with pytest.raises(UserError, match=r"needs model\.wiring_file"):
        build_network(missing, data(50))


def test_a_search_trains_like_any_network() -> None:
    search = stand_in("regrow", n_in=20)
    result = train(search, data(), TrainConfig(epochs=6, batch_size=32, learning_rate=1e-2, weight_decay=0.0))
    assert result.validation_accuracy > 0.5
