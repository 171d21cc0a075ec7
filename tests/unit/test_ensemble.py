"""Ensembles: scores added or averaged exactly, trained together or in turn, in one netlist."""

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
from lutnet.ir import NetlistBuilder
from lutnet.lower import lower_classifier, lower_layer
from lutnet.nn import Ensemble, EnsembleOptions, Layer, SparseLinear, make_quantizer, random_wiring
from lutnet.nn.quantize import Quantizer
from lutnet.runs import RunFolder
from lutnet.testing import check_layer
from lutnet.train.build import build_network
from lutnet.train.checkpoint import load_model
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig, config_from_dict
from lutnet.train.data import Dataset
from lutnet.train.loop import train
from lutnet.train.wirings import wirings_of

MODEL = ModelConfig(hidden_layers=(8,), hidden_bitwidth=2, output_bitwidth=3)


def ensemble(source: Quantizer, n_in: int, options: EnsembleOptions) -> Ensemble:
    score = make_quantizer("signed", 3)
    members: list[list[Layer]] = []
    for number in range(options.members):
        hidden = SparseLinear(source, n_in, random_wiring(n_in, 4, 2, number), make_quantizer("hard-tanh", 2))
        last = SparseLinear(hidden.quantizer, 4, random_wiring(4, 3, 2, number), score)
        members.append([hidden, last])
    return Ensemble(source, n_in, members, options)


def active(layer: Ensemble, number: int) -> Ensemble:
    """An ensemble of which some members have been trained, weights of all alike."""
    layer.n_active.fill_(number)
    layer.load_state_dict(layer.state_dict())
    return layer


@pytest.mark.parametrize("join", ["sum", "average"])
@pytest.mark.parametrize("members", [1, 2, 3])
def test_an_ensemble_is_a_layer(join: str, members: int) -> None:
    options = EnsembleOptions(members, join)
    check_layer(lambda source, n_in: ensemble(source, n_in, options), bits=2, in_features=5, simulate=members == 3)


@pytest.mark.parametrize("join", ["sum", "average"])
def test_scores_are_the_exact_sum_or_the_rounded_mean(join: str, toy_data: Dataset) -> None:
    network = build_network(replace(MODEL, ensemble=EnsembleOptions(3, join)), toy_data)
    settings = TrainConfig(epochs=2, batch_size=64, learning_rate=1e-2)
    train(network, toy_data, settings)
    layer = network.layers[0]
    assert isinstance(layer, Ensemble)
    x = network.prepare(torch.from_numpy(toy_data.validation.x))
    with torch.no_grad():
        scores = []
        for chain in layer.chains():
            values = x
            for inner in chain:
                values = inner(values)
            scores.append(values)
        total = torch.stack(scores).sum(dim=0)
        if join == "sum":
            torch.testing.assert_close(layer(x), total, rtol=0, atol=1e-9)
        else:
            step = layer.quantizer.of_members()[0].scale
            torch.testing.assert_close(layer(x), torch.floor(total / 3 / step + 0.5 + 1e-9) * step, rtol=0, atol=1e-9)
            assert layer.quantizer.bits == 3
        layer.train()
        torch.testing.assert_close(
            layer.quantizer.fake_quantize(total / 3 if join == "average" else total), layer.eval()(x)
        )


FAMILIES: dict[str, dict[str, Any]] = {
    "linear": {},
    "subnet": {"subnet": {"width": 4, "depth": 2, "skip": 2}},
    "adder": {"adder": {"terms": 2}, "input_fanin": 2, "hidden_fanin": 2, "output_fanin": 2},
    "additive": {"additive": {"hidden_bits": 4}, "input_bitwidth": 4},
    "differentiable": {"hidden_layers": [24], "differentiable": {"lut_inputs": 4}},
}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("join", ["sum", "average"])
def test_any_family_is_a_member(family: str, join: str, toy_data: Dataset) -> None:
    settings = {"hidden_layers": [8], "output_bitwidth": 4, "family": family, **FAMILIES[family]}
    config = config_from_dict({"model": {**settings, "ensemble": {"members": 2, "join": join}}})
    network = build_network(config.model, toy_data)
    result = train(network, toy_data, TrainConfig(epochs=2, batch_size=32, learning_rate=1e-2))
    classes = lower_classifier(network).evaluate(network.encoder().encode(toy_data.validation.x))[:, 0]
    assert float((classes == toy_data.validation.y).mean()) == result.validation_accuracy > 0.35
    layer = network.layers[0]
    assert isinstance(layer, Ensemble) and len(layer.members) == 2
    assert network.lut_cost(XCVU9P).n_luts > 0 and float(network.cost(XCVU9P).detach()) > 0
    first, second = (chain[-1].quantizer for chain in layer.chains())
    assert first.formats()[0].scale == second.formats()[0].scale


def test_members_have_wirings_of_their_own(toy_data: Dataset) -> None:
    network = build_network(replace(MODEL, ensemble=EnsembleOptions(2)), toy_data)
    found = wirings_of(network)
    assert len(found) == 4 and (found[0] != found[2]).any()
    again = wirings_of(build_network(replace(MODEL, ensemble=EnsembleOptions(2)), toy_data, wirings=found))
    for one, other in zip(found, again, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found[0], wirings_of(build_network(MODEL, toy_data))[0])
    with pytest.raises(UserError, match="each of 2 layers and 2 members, 4 in all, got 2"):
        build_network(replace(MODEL, ensemble=EnsembleOptions(2)), toy_data, wirings=found[:2])


def test_members_in_turn_are_fixed_after_it(toy_data: Dataset) -> None:
    network = build_network(replace(MODEL, ensemble=EnsembleOptions(3, train="in-turn")), toy_data)
    layer = network.layers[0]
    assert isinstance(layer, Ensemble)
    seen: list[tuple[int, list[dict[str, torch.Tensor]]]] = []

    def note(_: object) -> None:
        # the quantiser of the scores is everybody's, and goes on learning
        states = [{k: v.clone() for k, v in m.state_dict().items() if "1.quantizer" not in k} for m in layer.members]
        seen.append((int(layer.n_active), states))

    train(network, toy_data, TrainConfig(epochs=6, batch_size=64, learning_rate=1e-2), on_epoch=note)
    assert [count for count, _ in seen] == [1, 1, 2, 2, 3, 3]

    def moved(epoch: int, member: int) -> bool:
        before, after = seen[epoch - 1][1][member], seen[epoch][1][member]
        return any(not torch.equal(before[name], after[name]) for name in before)

    assert [[moved(epoch, member) for member in range(3)] for epoch in (1, 3, 5)] == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]


def test_a_member_that_has_not_had_its_turn_counts_for_nothing(toy_data: Dataset) -> None:
    network = build_network(replace(MODEL, ensemble=EnsembleOptions(2, train="in-turn")), toy_data)
    layer = network.layers[0]
    assert isinstance(layer, Ensemble)
    train(network, toy_data, TrainConfig(epochs=1, batch_size=64))
    both = network.predict(torch.from_numpy(toy_data.validation.x))
    active(layer, 1)
    with torch.no_grad():
        for parameter in layer.members[1][0].parameters():
            parameter.zero_()
    one = lower_classifier(network)
    codes = network.encoder().encode(toy_data.validation.x)
    alone = network.predict(torch.from_numpy(toy_data.validation.x)).numpy()
    np.testing.assert_array_equal(one.evaluate(codes)[:, 0], alone)
    assert (both.numpy() != alone).any()


@pytest.mark.parametrize("how", ["jointly", "in-turn"])
def test_an_ensemble_climbs_the_ladder(how: str, toy_data: Dataset, tmp_path: Path) -> None:
    model = replace(MODEL, ensemble=EnsembleOptions(3, "sum", how))
    config = RunConfig("three", "custom", model, TrainConfig(epochs=6, batch_size=32, learning_rate=1e-2))
    result = train_run(tmp_path, config, toy_data, reference=False)
    assert result.validation_accuracy > 0.42
    assert all(rung.mismatches == 0 for rung in compile_run(tmp_path, toy_data).rungs)
    saved = load_model(RunFolder(tmp_path).model).network
    classes = saved.predict(torch.from_numpy(toy_data.validation.x)).numpy()
    assert float((classes == toy_data.validation.y).mean()) == result.validation_accuracy
    if how == "in-turn":
        assert [round(r.learning_rate, 6) for r in result.history] == [0.01, 0.005] * 3


def test_a_wrong_mean_is_found(toy_data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_network(replace(MODEL, ensemble=EnsembleOptions(3, "average")), toy_data)
    train(network, toy_data, TrainConfig(epochs=1, batch_size=64))
    layer = network.layers[0]
    x = network.prepare(torch.from_numpy(toy_data.validation.x))
    codes = network.input_quantizer.codes(torch.from_numpy(toy_data.validation.x)).numpy()
    expected = layer.codes(x).numpy()  # type: ignore[operator]
    np.testing.assert_array_equal(lower_layer(layer).evaluate(codes), expected)  # type: ignore[arg-type]
    original = NetlistBuilder.sum

    def short(self: NetlistBuilder, operands: list[int], *args: Any, **kwargs: Any) -> int:
        return original(self, operands[:-1], *args, **kwargs)

    monkeypatch.setattr(NetlistBuilder, "sum", short)
    assert (lower_layer(layer).evaluate(codes) != expected).any()  # type: ignore[arg-type]


def test_a_joint_ensemble_resumes_where_it_was(toy_data: Dataset, tmp_path: Path) -> None:
    model = replace(MODEL, ensemble=EnsembleOptions(2, train="in-turn"))
    settings = TrainConfig(epochs=4, batch_size=64, learning_rate=1e-2)
    whole = build_network(model, toy_data)
    train(whole, toy_data, settings)

    def stop(record: Any) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    file = tmp_path / "c.pt"
    with pytest.raises(KeyboardInterrupt):
        train(build_network(model, toy_data), toy_data, settings, checkpoint=file, on_epoch=stop)
    second = build_network(model, toy_data)
    train(second, toy_data, settings, checkpoint=file, resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": 0}, "model.ensemble.members is 1 to 64, got 0"),
        ({"join": "vote"}, "model.ensemble.join is one of sum, average, got 'vote'"),
        ({"train": "never"}, "model.ensemble.train is one of jointly, in-turn"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        config_from_dict({"model": {"ensemble": settings}})


def test_ensembles_that_cannot_be_are_refused(toy_data: Dataset, tmp_path: Path) -> None:
    model = replace(MODEL, ensemble=EnsembleOptions(3, train="in-turn"))
    with pytest.raises(UserError, match="equally among 3 members in one cycle, got 4 epochs and 1 cycles"):
        train_run(tmp_path, RunConfig("n", "custom", model, TrainConfig(epochs=4)), toy_data)
    source, other = make_quantizer("signed", 2), make_quantizer("signed", 2)
    good = list(ensemble(source, 5, EnsembleOptions(2)).all_chains())
    with pytest.raises(UserError, match="expected 3 members"):
        Ensemble(source, 5, good, EnsembleOptions(3))
    with pytest.raises(UserError, match="member 1 of the ensemble does not read its 5 inputs"):
        Ensemble(source, 5, [good[0], *ensemble(other, 5, EnsembleOptions(1)).all_chains()], EnsembleOptions(2))
    foreign = [good[0], *ensemble(source, 5, EnsembleOptions(1)).all_chains()]
    with torch.no_grad():
        foreign[1][-1].quantizer.step.mul_(2.0)  # type: ignore[union-attr, operator]
    with pytest.raises(UserError, match="integers of one step; member 1 has"):
        Ensemble(source, 5, foreign, EnsembleOptions(2)).quantizer.formats()
