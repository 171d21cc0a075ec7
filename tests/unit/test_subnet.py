"""Sub-networks in tables: conformance, equality with one perceptron a neuron, cost, budget, from training to netlist."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from lutnet.cost import XCVU9P
from lutnet.errors import UserError
from lutnet.nn import InputQuantizer, SubnetNeurons, SubnetOptions, WidthOptions
from lutnet.nn.conformance import check_family
from lutnet.nn.levels import make_quantizer
from lutnet.nn.wiring import random_wiring
from lutnet.testing import check_family as check_down_to_verilog
from lutnet.train.config import config_from_dict

SHAPES = [
    SubnetOptions(8, 2, 0),
    SubnetOptions(8, 1, 0),
    SubnetOptions(6, 4, 2, batch_norm=False),
    SubnetOptions(5, 3, 1),
    SubnetOptions(4, 3, 3, batch_norm=False),
]


@pytest.mark.parametrize("options", SHAPES, ids=str)
def test_the_family_conforms(options):
    check_family(partial(SubnetNeurons, options=options))


def test_the_family_conforms_down_to_verilog():
    check_down_to_verilog(SubnetNeurons)


@pytest.mark.parametrize("granularity", ["channel", "element"])
def test_the_family_conforms_with_learned_widths(granularity):
    class Narrowed(SubnetNeurons):
        def __init__(self, *parts):
            super().__init__(*parts, widths=WidthOptions(granularity=granularity))
            of_inputs = self.widths.of_inputs if granularity == "channel" else self.source.bits
            with torch.no_grad():
                self.widths.width.uniform_(0.6, 1.0).mul_(of_inputs)

    check_family(Narrowed)


def layer_of(options, n_in=8, n_out=5, fan_in=3, bits=2):
    torch.manual_seed(0)
    source = InputQuantizer.fit_uniform(np.random.default_rng(0).normal(size=(500, n_in)), bits)
    return SubnetNeurons(
        source, n_in, random_wiring(n_in, n_out, fan_in, 0), make_quantizer("hard-tanh", 3), options=options
    )


def one_perceptron(layer, neuron, x):
    """The paper's equations for one neuron, with torch's own layers; ``(rows, fan_in)`` to ``(rows,)``."""
    opt = layer.options
    size = opt.skip or opt.depth
    for block in range(opt.depth // size):
        start = torch.relu(x) if block else x
        hidden = start
        for place in range(size):
            number = block * size + place
            bias = layer.biases[number][neuron] if number < len(layer.biases) else None
            hidden = nn.functional.linear(torch.relu(hidden) if place else hidden, layer.weights[number][neuron], bias)
        x = hidden + nn.functional.linear(start, layer.skips[block][neuron]) if opt.skip else hidden
    return x[:, 0]


@pytest.mark.parametrize("options", [o for o in SHAPES if not o.batch_norm] + [SubnetOptions(7, 4, 0, False)], ids=str)
def test_a_layer_is_one_perceptron_a_neuron_in_both_modes(options):
    layer = layer_of(options).double()
    operands = torch.randn(20, 5, 3, dtype=torch.double, requires_grad=True)
    expected = torch.stack([one_perceptron(layer, j, operands[:, j]) for j in range(5)], dim=1)
    for mode in (True, False):
        layer.train(mode)
        torch.testing.assert_close(layer.respond(operands, slice(None)), expected)
    layer.train()
    wanted = (operands, *layer.parameters())
    wanted = [p for p in wanted if p is not layer.quantizer.step]
    ours, theirs = (
        torch.autograd.grad(y.square().sum(), wanted) for y in (layer.respond(operands, slice(None)), expected)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_a_table_holds_what_no_weighted_sum_can():
    torch.manual_seed(0)
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).repeat(50, 1)
    source = InputQuantizer.fit_binary(x.numpy())
    layer = SubnetNeurons(source, 2, [[0, 1]], make_quantizer("binary", 1))
    wanted = torch.where(x[:, :1] == x[:, 1:], 1.0, -1.0)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        (layer(source(x)) - wanted).square().mean().backward()
        optimizer.step()
    assert layer.eval().tables()[0].codes.tolist() == [1, 0, 0, 1]


def test_an_operand_without_weight_costs_nothing():
    layer = layer_of(SubnetOptions(6, 4, 2))
    before = layer.cost(XCVU9P)
    assert bool((layer.gates() > 0).all()) and before.item() < layer.lut_cost(XCVU9P)
    with torch.no_grad():
        layer.weights[0][:, :, 1] = 0
        layer.skips[0][:, :, 1] = 0
    assert bool((layer.gates()[:, 1] == 0).all()) and bool((layer.gates()[:, [0, 2]] > 0).all())
    layer.cost(XCVU9P).backward()
    assert layer.cost(XCVU9P) < before and layer.norm.weight.grad is None


def test_biases_do_not_decay():
    layer = layer_of(SubnetOptions(6, 4, 2))
    assert all(bias.no_decay for bias in layer.biases)
    assert not any(hasattr(weight, "no_decay") for weight in (*layer.weights, *layer.skips))


def test_the_budget_is_checked_before_memory_is_touched():
    source = make_quantizer("unsigned", 4)
    with pytest.raises(UserError, match=r"table of 20 address bits .* the budget allows 16"):
        SubnetNeurons(source, 9, random_wiring(9, 4, 5, 0), make_quantizer("signed", 2), options=SubnetOptions(256))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, r"width is 1 to 256 and depth 1 to 16, got 0 and 4"),
        ({"depth": 17}, r"width is 1 to 256 and depth 1 to 16, got 16 and 17"),
        ({"skip": 3}, r"skip cuts depth into blocks of equal length, or is 0, got 3 for a depth of 4"),
        ({"skip": -1}, r"skip cuts depth into blocks of equal length, or is 0, got -1 for a depth of 4"),
    ],
)
def test_bad_options_are_refused_in_a_sentence(options, message):
    with pytest.raises(UserError, match=rf"^model\.subnet\.{message}$"):
        config_from_dict({"model": {"family": "subnet", "subnet": options}})


def test_a_configuration_trains_and_becomes_an_equal_netlist(train_to_netlist):
    network = train_to_netlist({"family": "subnet", "subnet": {"width": 8, "depth": 2, "skip": 1}})
    assert all(isinstance(layer, SubnetNeurons) and layer.options.width == 8 for layer in network.layers)
