"""Weights of the hardware cost over a training: constant, growing, in cycles, or steered to a target."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from lutnet.cost import XCVU9P
from lutnet.errors import UserError
from lutnet.flow import train_run
from lutnet.flow.fronts import FrontKeeper, NetlistMeter, load_front
from lutnet.nn import AdditiveOptions, WidthOptions
from lutnet.runs import RunFolder
from lutnet.train.build import build_network
from lutnet.train.checkpoint import load_model
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig
from lutnet.train.data import Dataset, Split
from lutnet.train.loop import EpochRecord, train
from lutnet.train.schedule import CostController, CostSchedule


def toy_data() -> Dataset:
    rng = np.random.default_rng(0)

    def part(rows: int) -> Split:
        x = rng.normal(size=(rows, 8))
        y = (np.sin(2 * x[:, 0]) + x[:, 1] > 0).astype(int) + (x[:, 2] + 0.3 * x[:, 3] > 0.5)
        return Split.from_arrays(x, y)

    return Dataset("toy", part(800), part(300), part(50), tuple(f"f{i}" for i in range(8)), ("a", "b", "c"), "made up")


CONFIG = RunConfig(
    "toy",
    "custom",
    ModelConfig(
        family="additive",
        hidden_layers=(6,),
        input_bitwidth=4,
        input_codes="uniform",
        additive=AdditiveOptions(prune_from=0.2, settle_at=0.5),
    ),
    TrainConfig(epochs=24, batch_size=50, learning_rate=4e-3, weight_decay=0.0, cost_weight=1e-4),
)
FRONT = CONFIG.with_train(epochs=48, cost_weight=1e-3, cost_weight_end=3e-2, cost_cycles=6, keep_after=0.5, front=True)


def test_a_constant_weight_and_one_cosine_over_all_epochs() -> None:
    timing = CostSchedule(TrainConfig(epochs=10, learning_rate=0.5, cost_weight=0.25))
    assert [timing.cost_weight(epochs) for epochs in (0, 5, 9.9)] == [0.25] * 3
    assert timing.learning_rate(0) == 0.5 and timing.learning_rate(5) == pytest.approx(0.25)
    assert timing.progress(2.5) == 0.25


def test_a_weight_that_grows_through_one_training() -> None:
    timing = CostSchedule(TrainConfig(epochs=10, cost_weight=1e-4, cost_weight_end=1e-2))
    assert [timing.cost_weight(epochs) for epochs in (0, 5, 10)] == pytest.approx([1e-4, 1e-3, 1e-2])


def test_cycles_begin_anew_with_a_larger_weight() -> None:
    config = TrainConfig(
        epochs=12, learning_rate=1.0, cost_weight=1e-4, cost_weight_end=1e-2, cost_cycles=3, keep_after=0.5
    )
    timing = CostSchedule(config)
    assert [timing.cost_weight(epochs) for epochs in (0, 3.9, 4, 8, 11.9)] == pytest.approx(
        [1e-4, 1e-4, 1e-3, 1e-2, 1e-2]
    )
    assert [timing.progress(epochs) for epochs in (0, 3, 4, 10)] == [0.0, 0.75, 0.0, 0.5]
    assert timing.learning_rate(4) == timing.learning_rate(8) == 1.0 > timing.learning_rate(3.99)
    assert [timing.may_keep(epoch) for epoch in (1, 2, 3, 4, 5, 6)] == [False, True, True, False, False, True]


@pytest.mark.parametrize(("target", "start"), [(30.0, 1e-7), (300.0, 1e-2)])
def test_the_controller_finds_the_weight_of_a_target(target: float, start: float) -> None:
    controller = CostController(target, 20.0, start, math.log10(start))
    size = 5000.0
    for _ in range(12000):
        controller.update(size, 0.01)
        controller.measured(1.3 * size, size)
        wanted = 2e-2 / controller.weight**0.8  # what the network settles at with this weight
        size += 0.02 * (wanted - size)
    assert 1.3 * size == pytest.approx(target, rel=0.1)


def test_a_controller_goes_on_where_it_was() -> None:
    first = CostController(100.0, 10.0)
    first.measured(50.0, 40.0)
    first.update(500.0, 0.5)
    second = CostController(100.0, 10.0)
    second.restore(first.state())
    assert second == first and second.ratio == 1.25 and second.weight > 1e-5


@pytest.mark.parametrize("target", [80, 150])
def test_a_training_is_steered_to_its_target(target: int) -> None:
    data = toy_data()
    config = CONFIG.with_train(epochs=60, target_luts=target, cost_weight=0.0, keep_after=0.6)
    network = build_network(config.model, data)
    meter = NetlistMeter(config)
    before = meter.luts(network)
    result = train(network, data, config.train, observer=meter)
    assert before > 1.5 * target
    assert meter.luts(network) == pytest.approx(target, rel=0.25)
    assert result.validation_accuracy > 0.8


def test_a_resumed_training_with_a_controller_ends_like_an_uninterrupted_one(tmp_path: Path) -> None:
    data = toy_data()
    settings = replace(CONFIG.train, target_luts=40, epochs=8)
    whole = build_network(CONFIG.model, data)
    config = replace(CONFIG, train=settings)
    train(whole, data, settings, observer=NetlistMeter(config))

    def stop(record: EpochRecord) -> None:
        if record.epoch == 3:
            raise KeyboardInterrupt

    path = tmp_path / "c.pt"
    with pytest.raises(KeyboardInterrupt):
        train(
            build_network(CONFIG.model, data),
            data,
            settings,
            checkpoint=path,
            on_epoch=stop,
            observer=NetlistMeter(config),
        )
    second = build_network(CONFIG.model, data)
    train(second, data, settings, checkpoint=path, resume=True, observer=NetlistMeter(config))
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), second.state_dict().values(), strict=True)
    )


def test_cycles_make_a_front_on_disk(tmp_path: Path) -> None:
    data = toy_data()
    train_run(tmp_path / "run", FRONT, data, reference=False)
    run = RunFolder(tmp_path / "run")
    points = load_front(run)
    best = load_model(run.model).info
    assert best["best_epoch"] == points[-1].epoch and best["validation_accuracy"] == points[-1].validation_accuracy
    assert len(points) >= 3 and points[-1].luts > 1.4 * points[0].luts
    assert [p.luts for p in points] == sorted({p.luts for p in points})
    assert [p.validation_accuracy for p in points] == sorted({p.validation_accuracy for p in points})
    assert {path.name for path in run.front.iterdir()} == {"front.csv", *(p.folder for p in points)}
    cycle = FRONT.train.epochs // FRONT.train.cost_cycles
    assert all(p.epoch % cycle >= cycle / 2 for p in points)
    meter = NetlistMeter(FRONT)
    for point in points:
        saved = load_model(RunFolder(run.front / point.folder).model)
        right = (saved.network.predict(torch.from_numpy(data.validation.x)).numpy() == data.validation.y).mean()
        assert right == point.validation_accuracy and meter.luts(saved.network) == point.luts


def test_edges_that_are_cut_off_stay_so_when_a_cycle_frees_the_widths() -> None:
    layer = build_network(CONFIG.model, toy_data()).layers[0]
    layer.schedule(0.6)
    settled = layer.limit.clone()
    assert settled.isfinite().all()
    with torch.no_grad():
        layer.limit[0, 0] = 0.0
    layer.schedule(0.0)
    assert layer.limit[0, 0] == 0.0 and layer.limit.flatten()[1:].isinf().all()


def test_uniform_edges_keep_their_bits() -> None:
    model = replace(CONFIG.model, additive=replace(CONFIG.model.additive, edge_bits=2))
    data = toy_data()
    network = build_network(model, data)
    train(network, data, replace(CONFIG.train, epochs=6, cost_weight=0.0))
    for layer in network.layers:
        swing = np.ptp(layer.code_tables(), axis=1)
        assert swing.max() == 3 and (layer.limit == 3.0).all()
    assert network.layers[0].n_edges() == 8 * 6


class _Network(torch.nn.Module):
    """Stands for a network of so many lookup tables."""


def keeper(tmp_path: Path, *, resume: bool = False) -> FrontKeeper:
    return FrontKeeper(RunFolder(tmp_path), FRONT, {}, resume=resume)


def record(epoch: int, accuracy: float, luts: int | None) -> EpochRecord:
    return EpochRecord(epoch, 0.0, accuracy, 0.0, 0.0, 0.0, 0.0, luts)


def test_a_front_drops_what_is_beaten_and_goes_on_after_a_stop(tmp_path: Path) -> None:
    network = build_network(CONFIG.model, toy_data())
    front = keeper(tmp_path)
    for epoch, (accuracy, luts) in enumerate([(0.5, 100), (0.6, 200), (0.55, 210), (0.6, 150), (0.4, 50)]):
        front.keep(record(epoch, accuracy, luts), network)
    front.keep(record(5, 0.55, 400), network)  # beaten from the start
    front.keep(record(9, 0.9, None), network)
    assert [p.epoch for p in load_front(RunFolder(tmp_path))] == [4, 0, 3]
    assert not (tmp_path / "front" / "e0001").exists() and not (tmp_path / "front" / "e0005").exists()
    again = keeper(tmp_path, resume=True)
    again.keep(record(3, 0.99, 1), network)  # an epoch that the front has seen
    again.keep(record(5, 0.7, 149), network)
    assert [p.epoch for p in again.points] == [4, 0, 5]
    assert keeper(tmp_path).points == []
    assert not (tmp_path / "front").exists()


def test_a_front_is_not_put_where_other_files_are(tmp_path: Path) -> None:
    (tmp_path / "front").mkdir()
    (tmp_path / "front" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="is no front of lutnet"):
        keeper(tmp_path)
    assert (tmp_path / "front" / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epoch,validation_accuracy,luts,folder\n1,0.5,10,../../elsewhere\n", "expected the name of a folder"),
        ("epoch,validation_accuracy,luts,folder\n1,high,10,e1\n", "damaged"),
        ("epoch,luts\n1,10\n", "damaged"),
    ],
)
def test_a_damaged_front_is_refused(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "front").mkdir()
    (tmp_path / "front" / "front.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        load_front(RunFolder(tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cost_cycles": 5}, "5 cycles of 24 epochs"),
        ({"cost_weight": 0.0, "cost_weight_end": 1e-3}, "where a positive train.cost_weight grows to"),
        ({"target_luts": 50, "cost_cycles": 2}, "leave train.cost_weight_end and train.cost_cycles out"),
        ({"target_luts": -1}, "at least 0"),
    ],
)
def test_contradictory_settings_are_one_sentence(changes: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        CONFIG.with_train(**changes)


def test_targets_that_nothing_reaches_are_refused_before_training(tmp_path: Path) -> None:
    data = toy_data()
    with pytest.raises(UserError, match="argmax of 3 one-bit scores alone takes"):
        train_run(tmp_path / "a", CONFIG.with_train(target_luts=2), data)
    fixed = RunConfig("f", "custom", ModelConfig(hidden_layers=(6,)), TrainConfig(target_luts=90))
    fixed = fixed.with_model(family="differentiable", input_bitwidth=2)
    with pytest.raises(UserError, match="nothing that training could narrow"):
        train_run(tmp_path / "b", fixed, data)
    assert not (tmp_path / "a" / "model").exists() and not (tmp_path / "b" / "model").exists()


def test_the_cost_of_sums_is_for_neurons_that_are_sums() -> None:
    data = toy_data()
    model = ModelConfig(hidden_layers=(5,), input_bitwidth=3, input_fanin=3, output_fanin=2, hidden_bitwidth=2)
    as_sums = replace(model, widths=WidthOptions(cost="sum", granularity="element", start_bits=2))

    def cost(config: ModelConfig) -> float:
        network = build_network(config, data)
        with torch.no_grad():
            return network.layers[0].cost(XCVU9P).item() / network.layers[0].quantizer.needed_bits(5).sum().item()

    assert cost(as_sums) == 1.0  # six bits of address
    assert cost(replace(as_sums, input_fanin=5)) == 1.0 + 4
    assert cost(replace(as_sums, input_fanin=5, widths=replace(as_sums.widths, cost="table"))) == pytest.approx(21.0)
    sums = replace(as_sums, widths=WidthOptions(cost="sum"))
    assert 0 < cost(sums) < cost(replace(sums, widths=WidthOptions()))
