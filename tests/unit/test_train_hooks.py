"""What the trainer asks of networks and layers besides scores: schedules, penalties, learning rates, moved images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lutnet.errors import UserError
from lutnet.flow import train_run
from lutnet.nn import DifferentiableOptions, LutNetwork, Thermometer
from lutnet.train.augment import RandomShift
from lutnet.train.build import build_network
from lutnet.train.checkpoint import load_model, save_model
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig, config_from_dict
from lutnet.train.data import Dataset, Split
from lutnet.train.loop import train
from lutnet.train.refine import refined_network

SIDE = 4


def images(n: int = 400, seed: int = 0) -> Dataset:
    """Vertical and horizontal bars in images of four by four."""
    rng = np.random.default_rng(seed)

    def part(rows: int) -> Split:
        y = rng.integers(0, 2, rows)
        x = np.zeros((rows, SIDE, SIDE))
        for image, label, place in zip(x, y, rng.integers(0, SIDE, rows), strict=True):
            image[(slice(None), place) if label else (place, slice(None))] = 200
        return Split.from_arrays(x.reshape(rows, -1), y)

    names = tuple(f"p{i}" for i in range(SIDE * SIDE))
    return Dataset(
        "bars", part(n), part(150), part(150), names, ("flat", "upright"), "made up", True, image_shape=(SIDE, SIDE)
    )


CONFIG = RunConfig(
    "bars",
    "custom",
    ModelConfig(
        family="differentiable",
        hidden_layers=(20,),
        input_codes="range",
        input_bitwidth=3,
        differentiable=DifferentiableOptions(lut_inputs=4, tau=2.0),
    ),
    TrainConfig(epochs=8, batch_size=32, learning_rate=3e-2, weight_decay=0.0, shift_pixels=1),
)


def test_boolean_networks_learn_from_moved_images_and_come_back_from_disk(tmp_path: Path) -> None:
    data = images()
    network = build_network(CONFIG.model, data)
    result = train(network, data, CONFIG.train)
    assert result.validation_accuracy > 0.85
    save_model(tmp_path / "m", network, CONFIG)
    again = load_model(tmp_path / "m").network
    x = torch.from_numpy(data.test.x)
    assert torch.equal(again.predict(x), network.predict(x))


def test_a_resumed_boolean_network_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    data = images(200)
    whole = build_network(CONFIG.model, data)
    train(whole, data, CONFIG.train)

    def stop(record: object) -> None:
        if record.epoch == 3:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(build_network(CONFIG.model, data), data, CONFIG.train, checkpoint=tmp_path / "c.pt", on_epoch=stop)
    second = build_network(CONFIG.model, data)
    train(second, data, CONFIG.train, checkpoint=tmp_path / "c.pt", resume=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_layers_are_told_the_progress_and_when_a_step_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    data = images(96)
    network = build_network(CONFIG.model, data)
    told: list[float] = []
    steps: list[int] = []
    monkeypatch.setattr(network, "schedule", told.append)
    monkeypatch.setattr(network, "after_step", lambda: steps.append(1))
    train(network, data, replace(CONFIG.train, epochs=2))
    assert told == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])
    assert len(steps) == 6


def test_a_penalty_is_part_of_the_loss() -> None:
    data = images(96)

    def loss(weight: float) -> float:
        config = CONFIG.with_model(differentiable=replace(CONFIG.model.differentiable, spectral_weight=weight))
        return train(build_network(config.model, data), data, replace(CONFIG.train, epochs=1)).history[0].loss

    assert loss(100.0) > loss(0.0) + 1


def test_learning_rates_are_scaled_and_decay_is_left_out_as_the_parameters_say() -> None:
    data = images(64)
    network = build_network(CONFIG.model, data)
    mapping = network.layers[1].scores
    mapping.lr_scale = 1e-9
    before = mapping.detach().clone()
    tables = network.layers[1].parameters_of_tables.entries.detach().clone()
    train(network, data, replace(CONFIG.train, epochs=1, weight_decay=10.0))
    assert torch.allclose(mapping, before, atol=1e-6)
    assert not torch.allclose(network.layers[1].parameters_of_tables.entries, tables, atol=1e-3)


def test_only_late_epochs_are_kept_when_asked() -> None:
    data = images(96)
    settings = replace(CONFIG.train, epochs=10, learning_rate=1e-9, keep_after=0.7)
    assert train(build_network(CONFIG.model, data), data, settings).best_epoch >= 7
    stopped = train(build_network(CONFIG.model, data), data, replace(settings, patience=1))
    assert stopped.n_epochs >= 8


def test_shifts_move_whole_images_and_fill_with_blank() -> None:
    data = images(4)
    blank = torch.full((1, SIDE * SIDE), -1.0)
    shift = RandomShift(data, 1, blank)
    image = torch.arange(16.0)[None].expand(300, 16)
    moved = shift(image, torch.Generator().manual_seed(0)).view(300, SIDE, SIDE)
    padded = np.full((SIDE + 2, SIDE + 2), -1.0)
    padded[1:-1, 1:-1] = np.arange(16).reshape(SIDE, SIDE)
    expected = {padded[r : r + SIDE, c : c + SIDE].tobytes() for r in range(3) for c in range(3)}
    found = {one.numpy().astype(np.float64).tobytes() for one in moved}
    assert found == expected


def test_shifts_of_what_is_no_image_are_refused() -> None:
    data = images(8)
    plain = replace(data, image_shape=None)
    with pytest.raises(UserError, match=r"the rows of bars are none; set it to 0"):
        train(build_network(CONFIG.model, plain), plain, CONFIG.train)
    with pytest.raises(UserError, match=r"train.shift_pixels is 1 to 3 for this data, got 4"):
        train(build_network(CONFIG.model, data), data, replace(CONFIG.train, shift_pixels=4))
    with pytest.raises(UserError, match=r"needs one number a pixel, 4 x 4 of them; the network prepares 3"):
        RandomShift(data, 1, torch.zeros(1, 3))
    with pytest.raises(UserError, match=r"16 features, which are no image of 3 x 4 pixels"):
        replace(data, image_shape=(3, 4))


def test_going_on_keeps_the_mapping_and_refuses_another_network() -> None:
    data = images(200)
    network = build_network(CONFIG.model, data)
    train(network, data, replace(CONFIG.train, epochs=2))
    from lutnet.train.checkpoint import SavedModel

    saved = SavedModel(network, None, CONFIG, {})
    same = refined_network(saved, CONFIG.model, data)
    x = torch.from_numpy(data.test.x)
    assert torch.equal(same.predict(x), network.predict(x))
    coarse = refined_network(saved, CONFIG.with_model(input_bitwidth=1).model, data)
    assert coarse.input_quantizer.bits == 1 and isinstance(coarse.layers[0], Thermometer)
    train(coarse, data, replace(CONFIG.train, epochs=1))
    assert torch.equal(coarse.layers[1].wiring, network.layers[1].wiring)
    with pytest.raises(UserError, match=r"differs in model.hidden_layers, model.max_address_bits; only"):
        refined_network(saved, CONFIG.with_model(hidden_layers=(4,), max_address_bits=9).model, data)
    linear = RunConfig("t", "custom", ModelConfig(hidden_layers=(4,)))
    other: LutNetwork = build_network(replace(linear.model, input_codes="range"), data)
    with pytest.raises(UserError, match=r"fewer input bits change the tables of the family 'linear'"):
        refined_network(
            SavedModel(other, None, linear.with_model(input_codes="range"), {}),
            replace(linear.model, input_codes="range", input_bitwidth=1),
            data,
        )


def test_a_teacher_is_believed_in_place_of_the_labels() -> None:
    data = images()
    wrong = replace(data, train=Split(data.train.x, 1 - data.train.y))
    teacher = np.eye(2, dtype=np.float32)[data.train.y]
    settings = replace(CONFIG.train, teacher_weight=1.0)
    taught = train(build_network(CONFIG.model, wrong), wrong, settings, teacher=teacher)
    assert taught.validation_accuracy > 0.85
    half = replace(settings, teacher_weight=0.5, epochs=1)
    undecided = train(build_network(CONFIG.model, wrong), wrong, half, teacher=teacher)
    assert undecided.history[0].loss > 0.6
    with pytest.raises(UserError, match=r"teacher_weight is 1.0 and no teacher was given"):
        train(build_network(CONFIG.model, data), data, settings)
    with pytest.raises(UserError, match=r"teacher_weight is 0.0 and a teacher was given"):
        train(build_network(CONFIG.model, data), data, CONFIG.train, teacher=teacher)
    with pytest.raises(UserError, match=r"probabilities of shape \(400, 2\), got \(400, 3\)"):
        train(build_network(CONFIG.model, data), data, settings, teacher=np.zeros((400, 3), dtype=np.float32))


def test_a_run_trains_its_teacher_first(tmp_path: Path) -> None:
    data = images(120)
    config = CONFIG.with_train(teacher_weight=0.5, teacher_layers=(8,), epochs=2)
    kinds: list[str] = []
    train_run(tmp_path, config, data, reference=False, on_epoch=lambda kind, _: kinds.append(kind))
    assert kinds == ["teacher", "teacher", "network", "network"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"thermometer": 3}}, "'thermometer' is a table of settings, got 3"),
        ({"model": {"thermometer": {"n_treshold": 3}}}, "unknown key 'n_treshold'; did you mean 'n_thresholds'"),
        ({"model": {"thermometer": {"placement": "log"}}}, "model.thermometer.placement is one of uniform"),
        ({"model": {"differentiable": {"lut_inputs": 9}}}, "model.differentiable.lut_inputs is 2 to 6, got 9"),
        ({"model": {"differentiable": {"mapping": "best"}}}, "model.differentiable.mapping is one of first, learned"),
        ({"model": {"trees": {"leaf_bits": 0}}}, "model.trees.leaf_bits is 1 to 16, got 0"),
        ({"model": {"additive": {"hidden_bits": 0}}}, "model.additive.hidden_bits is at least 1, got 0"),
        ({"model": {"input_range": [3]}}, "model.input_range is a lower and a higher number"),
        ({"train": {"teacher_weight": 2.0}}, "train.teacher_weight is 0 to 1"),
        ({"train": {"keep_after": 1.0}}, "train.keep_after is a fraction from 0 to below 1"),
    ],
)
def test_nested_settings_are_checked(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        config_from_dict(changes)


def test_networks_that_cannot_be_made_are_refused() -> None:
    data = images(8)
    with pytest.raises(UserError, match=r"needs at least one hidden layer"):
        build_network(CONFIG.with_model(hidden_layers=()).model, data)
    with pytest.raises(UserError, match=r"21 bits cannot be shared out equally among 2 classes"):
        build_network(CONFIG.with_model(hidden_layers=(21,)).model, data)
    with pytest.raises(UserError, match=r"the family 'differentiable' chooses its wiring itself"):
        build_network(CONFIG.model, data, wirings=[[[0]]])
    with pytest.raises(UserError, match=r"the family 'trees' is no network"):
        build_network(CONFIG.with_model(family="trees").model, data)


def test_averaged_weights_are_judged_and_kept_and_survive_an_interruption(tmp_path: Path) -> None:
    data = images(200)
    settings = replace(CONFIG.train, epochs=5, average_decay=0.9)
    plain = build_network(CONFIG.model, data)
    train(plain, data, replace(settings, average_decay=0.0))
    whole = build_network(CONFIG.model, data)
    result = train(whole, data, settings)
    entries = [network.layers[1].parameters_of_tables.entries for network in (plain, whole)]
    assert not torch.equal(*entries)
    x = torch.from_numpy(data.validation.x)
    found = (whole.predict(x).numpy() == data.validation.y).mean()
    assert found == result.validation_accuracy == max(r.validation_accuracy for r in result.history)

    def stop(record: object) -> None:
        if record.epoch == 1:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(build_network(CONFIG.model, data), data, settings, checkpoint=tmp_path / "c.pt", on_epoch=stop)
    second = build_network(CONFIG.model, data)
    again = train(second, data, settings, checkpoint=tmp_path / "c.pt", resume=True)
    assert [r.validation_accuracy for r in again.history] == [r.validation_accuracy for r in result.history]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_an_average_is_that_of_the_steps() -> None:
    data = images(64)
    network = build_network(CONFIG.model, data)
    seen: list[torch.Tensor] = []
    entries = network.layers[1].parameters_of_tables.entries
    original = network.after_step

    def after_step() -> None:
        original()
        seen.append(entries.detach().clone())

    network.after_step = after_step
    train(network, data, replace(CONFIG.train, epochs=1, average_decay=0.75))
    assert len(seen) == 2
    torch.testing.assert_close(entries.detach(), 0.75 * seen[0] + 0.25 * seen[1])


def test_averaged_weights_have_batch_statistics_of_their_own() -> None:
    data = images(64)
    model = ModelConfig(hidden_layers=(8,), input_codes="range", input_bitwidth=3, hidden_bitwidth=2)
    network = build_network(model, data)
    settings = TrainConfig(epochs=3, batch_size=16, learning_rate=0.1, keep_after=0.9, average_decay=0.9)
    train(network, data, settings)
    first, sums = network.layers[0], []
    kept = first.norm.running_mean.clone()
    assert first.norm.momentum is not None
    first.norm.register_forward_pre_hook(lambda _, inputs: sums.append(inputs[0].detach()))
    first.train()(network.prepare(torch.from_numpy(data.train.x)).float())
    torch.testing.assert_close(kept, sums[0].mean(dim=0))
