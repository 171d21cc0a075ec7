"""Learned bit widths of operands: what neurons read, what it costs, how it is trained, and what becomes of it in hardware."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from lutnet.cost import XCVU9P, table_luts
from lutnet.errors import UserError
from lutnet.lower import lower_classifier, lower_layer
from lutnet.nn import InputQuantizer, Quantizer, SparseLinear, WidthOptions, make_quantizer, random_wiring
from lutnet.passes import DEFAULT_PASSES, parse_passes, run_passes
from lutnet.testing import check_family
from lutnet.train.build import build_network
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig
from lutnet.train.data import Dataset, Split
from lutnet.train.loop import train
from lutnet.verify.equivalence import check_equivalent

ELEMENT = WidthOptions(granularity="element")


def random_widths(granularity: str, **options: float) -> type[SparseLinear]:
    class Narrowed(SparseLinear):
        def __init__(self, source: Quantizer, n_in: int, wiring: np.ndarray, quantizer: Quantizer) -> None:
            widths = WidthOptions(granularity=granularity, **options)
            super().__init__(source, n_in, wiring, quantizer, widths=widths)
            with torch.no_grad():
                low = 0.1 if granularity == "element" else 0.6
                of_inputs = self.widths.of_inputs if granularity == "channel" else source.bits
                self.widths.width.uniform_(low, 1.0).mul_(of_inputs)

    return Narrowed


@pytest.mark.parametrize("granularity", ["layer", "channel", "element"])
def test_narrowed_layers_pass_the_conformance_suite(granularity: str) -> None:
    check_family(random_widths(granularity))


def made(wiring: list[list[int]], bits: int = 3, n_in: int = 3, options: WidthOptions = ELEMENT) -> SparseLinear:
    torch.manual_seed(0)
    source = make_quantizer("hard-tanh", bits)
    source.initialize(torch.linspace(-2, 2, 64)[:, None].expand(64, n_in))
    return SparseLinear(source, n_in, wiring, make_quantizer("signed", 4), widths=options)


def set_widths(layer: SparseLinear, widths: list[list[float]]) -> None:
    with torch.no_grad():
        layer.widths.width.copy_(torch.tensor(widths))


def test_an_operand_read_with_fewer_bits_stands_for_the_middle_of_a_wider_cell() -> None:
    layer = made([[0, 1, 2]])
    step = layer.source.scale().item()
    set_widths(layer, [[0.0, 1.0, 2.0]])
    x = layer.source.value_table()[0, torch.tensor([3, 0, 4, 7])][:, None].expand(4, 3)  # 3.5, 0.5, -3.5, -0.5 steps
    read = layer.operands(x)[:, 0] / step
    assert read[:, 0].tolist() == [0.0, 0.0, 0.0, 0.0]
    assert read[:, 1].tolist() == [2.0, 2.0, -2.0, -2.0]
    assert read[:, 2].tolist() == [3.0, 1.0, -3.0, -1.0]
    assert layer.tables()[0].in_widths == (1, 2)


def test_codes_of_equal_value_are_read_alike() -> None:
    source = InputQuantizer([2])
    source.levels.copy_(torch.tensor([[0.0, 1.0, 1.0, 2.0]]))
    layer = SparseLinear(source, 1, [[0]], make_quantizer("signed", 3), widths=ELEMENT)
    set_widths(layer, [[1.0]])
    values = source.values(torch.arange(4)[:, None])
    assert layer.operands(values)[:, 0, 0].tolist() == [1.0, 1.0, 1.0, 1.0]


def test_gradients_to_widths_are_those_of_the_step() -> None:
    layer = made([[0, 1]], n_in=2).train()
    set_widths(layer, [[1.0, 3.0]])
    x = layer.source.value_table()[0, torch.tensor([0, 5, 6])].float()[:, None].expand(3, 2).clone().requires_grad_()
    read = layer.operands(x)
    read.backward(torch.ones_like(read))
    error = (read.detach() - x.detach()[:, None, :]).sum(dim=(0, 1))
    assert torch.allclose(layer.widths.width.grad[0], -math.log(2) * error)
    assert layer.widths.width.grad[0, 0] != 0 and layer.widths.width.grad[0, 1] == 0
    assert torch.equal(x.grad, torch.ones(3, 2))


def test_cost_counts_the_bits_that_are_read_and_those_that_readers_want() -> None:
    source = make_quantizer("hard-tanh", 3)
    first = SparseLinear(source, 8, random_wiring(8, 4, 4, 0), make_quantizer("hard-tanh", 3), widths=ELEMENT)
    second = SparseLinear(first.quantizer, 4, [[0, 1, 2], [0, 1, 3]], make_quantizer("signed", 4), widths=ELEMENT)
    set_widths(first, [[2.0, 2.0, 2.0, 2.0]] * 4)
    set_widths(second, [[1.0, 2.0, 0.0], [0.4, 3.0, 1.0]])
    assert first.quantizer.needed_bits(4).tolist() == [1.0, 3.0, 0.0, 1.0]
    assert first.lut_cost(XCVU9P) == 5 * table_luts(8, 1, XCVU9P)
    assert second.lut_cost(XCVU9P) == table_luts(3, 4, XCVU9P) + table_luts(4, 4, XCVU9P)
    (first.cost(XCVU9P) + second.cost(XCVU9P)).backward()
    assert (first.widths.width.grad > 0)[[0, 1, 3]].all() and (first.widths.width.grad[2] == 0).all()
    wanted, unwanted = second.widths.width.grad[1, 1], second.widths.width.grad[0, 1]
    assert wanted > unwanted > 0  # the reader that wants most pays for the bit of its source too


def test_netlists_read_top_bits_and_lose_what_nobody_reads() -> None:
    layer = random_widths("element")(
        make_quantizer("unsigned", 3), 6, random_wiring(6, 5, 4, 1), make_quantizer("hard-tanh", 2)
    )
    layer.source.initialize(torch.rand(64, 6))
    with torch.no_grad():
        layer.widths.width[0] = 0.0
    net = lower_layer(layer)
    codes = np.random.default_rng(0).integers(0, 8, (500, 6))
    expected = layer.codes(layer.source.values(torch.from_numpy(codes))).numpy()
    assert np.array_equal(net.evaluate(codes), expected)
    smaller, _ = run_passes(net, parse_passes(DEFAULT_PASSES), check=check_equivalent)
    assert np.array_equal(smaller.evaluate(codes), expected)


def toy_data() -> Dataset:
    rng = np.random.default_rng(0)

    def part(rows: int) -> Split:
        x = rng.normal(size=(rows, 8))
        return Split.from_arrays(x, (x[:, 0] + 0.5 * x[:, 1] > 0).astype(int) + (x[:, 2] > 0.5))

    return Dataset("toy", part(800), part(300), part(10), tuple(f"f{i}" for i in range(8)), ("a", "b", "c"), "made up")


CONFIG = RunConfig(
    "toy",
    "custom",
    ModelConfig(
        hidden_layers=(12,),
        input_bitwidth=4,
        hidden_bitwidth=3,
        output_bitwidth=4,
        input_fanin=4,
        output_fanin=5,
        widths=replace(ELEMENT, float_until=0.1, move_from=0.1, settle_at=0.6),
    ),
    TrainConfig(epochs=20, batch_size=32, learning_rate=1e-2, cost_weight=2e-3, keep_after=0.65),
)


def test_a_training_narrows_settles_and_stays_exact() -> None:
    data = toy_data()
    network = build_network(CONFIG.model, data)
    before = network.lut_cost(XCVU9P).n_luts
    seen: list[tuple[bool, bool, bool]] = []

    def watch(_: object) -> None:
        widths = network.layers[0].widths
        whole = bool(torch.equal(widths.width, widths.width.round()))
        seen.append((network.layers[0].quantizer.relaxed, widths.moving, whole))

    result = train(network, data, CONFIG.train, on_epoch=watch)
    assert seen[1] == (True, False, True) and seen[8] == (False, True, False) and seen[-1] == (False, False, True)
    assert result.validation_accuracy > 0.75
    bits = np.concatenate([layer.operand_bits().reshape(-1) for layer in network.layers])
    assert (bits == 0).any() and len(np.unique(bits)) >= 3
    assert network.lut_cost(XCVU9P).n_luts < before / 10
    codes = network.encoder().encode(data.validation.x)
    net, _ = run_passes(lower_classifier(network), parse_passes(DEFAULT_PASSES), check=check_equivalent)
    assert np.array_equal(net.evaluate(codes)[:, 0], network.predict(torch.from_numpy(data.validation.x)).numpy())


def test_addresses_never_exceed_the_budget() -> None:
    layer = made([[0, 1, 2]] * 2)
    layer.widths.max_address_bits = 5
    set_widths(layer, [[3.0, 3.0, 3.0], [1.0, 2.0, 1.0]])
    layer.after_step()
    bits = layer.operand_bits()
    assert bits[0].sum() <= 5 and bits[1].tolist() == [1, 2, 1]
    set_widths(layer, [[-1.0, 9.0, 1.0], [1.0, 2.0, 1.0]])
    layer.after_step()
    assert layer.operand_bits()[0].tolist() == [0, 3, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"granularity": "bit"}, "one of none, layer, channel, element"),
        ({"settle_at": 0.05}, "float_until <= move_from < settle_at"),
        ({"start_bits": -1.0}, "start_bits of at least 0"),
    ],
)
def test_bad_options_are_one_sentence(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        WidthOptions(**changes)


def test_families_with_widths_of_their_own_refuse_others() -> None:
    with pytest.raises(UserError, match="the family 'additive' has its own"):
        build_network(replace(CONFIG.model, family="additive"), toy_data())


def relaxed_values(quantizer: Quantizer, x: Tensor) -> Tensor:
    quantizer.train()
    quantizer.relaxed = True
    return quantizer(x)


def test_relaxed_quantisers_clip_and_do_not_round() -> None:
    quantizer = make_quantizer("signed", 3)
    quantizer.initialize(torch.linspace(-1, 1, 100)[:, None])
    low, high = quantizer.value_table().min().item(), quantizer.value_table().max().item()
    x = torch.tensor([[low - 1, low * 0.37, high + 1]])
    assert torch.allclose(relaxed_values(quantizer, x), torch.tensor([[low, low * 0.37, high]]))
