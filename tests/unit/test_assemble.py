"""Trees of small tables: conformance, levels that do not divide, exactness, look-ups by address, from training to netlist."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from lutnet.errors import UserError
from lutnet.ir import OpCode
from lutnet.lower import lower_classifier, lower_layer
from lutnet.nn import (
    AssembleNeurons,
    AssembleOptions,
    InputQuantizer,
    PolynomialNeurons,
    PolynomialOptions,
    SubnetNeurons,
    SubnetOptions,
    TableBudget,
)
from lutnet.nn.families.assemble import tree_wiring
from lutnet.nn.levels import make_quantizer
from lutnet.nn.neuron_norm import NeuronNorm
from lutnet.nn.wiring import random_wiring
from lutnet.testing import check_family
from lutnet.train.build import build_network
from lutnet.train.config import config_from_dict

TREE = {
    "family": "assemble",
    "hidden_layers": [36, 18, 9],
    "layer_fanins": [1, 2, 2, 3],
    "layer_bitwidths": [3, 2, 3, 6],
    "input_bitwidth": 4,
    "assemble": {"levels": [0, 1, 1, 1], "width": 8},
}


def test_the_family_conforms_down_to_verilog():
    check_family(AssembleNeurons)


@pytest.mark.parametrize(
    "options", [AssembleOptions(width=4, depth=1), AssembleOptions(width=4, depth=3, skip=False)], ids=str
)
def test_the_family_conforms(options):
    check_family(partial(AssembleNeurons, options=options), simulate=False)


def test_a_tree_trains_and_becomes_an_equal_netlist(train_to_netlist):
    network = train_to_netlist(TREE)
    assert [layer.joins for layer in network.layers] == [False, True, True, True]
    assert [layer.quantizer.bits for layer in network.layers] == [3, 2, 3, 6]
    net = lower_classifier(network)
    assert 0 < net.count(OpCode.LUT) <= 36 + 18 + 9 + 3 and net.count(OpCode.SUM) == 0


def test_a_neuron_of_a_tree_reads_its_own_leaves_only(toy_data):
    network = build_network(config_from_dict({"model": TREE}).model, toy_data)
    network.input_quantizer.eval()
    x = torch.randn(200, 6)
    network.train()(x)
    network.eval()
    codes = [network.layers[0].codes(network.prepare(x))]
    codes.append(codes[0].clone())
    codes[1][:, 12:24] = torch.randint(8, (200, 12))
    scores = []
    for values in codes:
        for before, layer in zip(network.layers[:-1], network.layers[1:], strict=True):
            values = layer.codes(before.quantizer.values(values))
        scores.append(values)
    changed = (scores[0] != scores[1]).any(dim=0).tolist()
    assert changed == [False, True, False]


def test_inside_a_tree_nothing_is_rectified():
    model = config_from_dict(
        {
            "model": {
                "family": "assemble",
                "hidden_layers": [12, 6, 18, 6],
                "activation": "unsigned",
                "assemble": {"levels": [0, 1, 0, 1, 1], "inner": "signed"},
            }
        }
    ).model
    assert [model.quantizer_name(i) for i in range(5)] == ["signed", "unsigned", "signed", "signed", "signed"]
    assert [model.joins(i) for i in range(5)] == [False, True, False, True, True]


def test_without_levels_every_layer_has_a_wiring(toy_data):
    model = config_from_dict({"model": {"family": "assemble", "hidden_layers": [8]}}).model
    assert [layer.joins for layer in build_network(model, toy_data).layers] == [False, False]


def test_trees_and_other_families_stand_in_one_network(train_to_netlist):
    families = ["linear", "assemble", "assemble"]
    assemble = {"levels": [0, 0, 1]}
    network = train_to_netlist(
        {"hidden_layers": [12, 6], "layer_families": families, "assemble": assemble, "output_fanin": 2}
    )
    assert [type(layer).__name__ for layer in network.layers] == ["SparseLinear", "AssembleNeurons", "AssembleNeurons"]


def test_levels_that_do_not_divide_are_refused_with_the_numbers(toy_data):
    model = config_from_dict({"model": {**TREE, "hidden_layers": [36, 18, 8]}}).model
    message = r"layer 2, a level of a tree of 8 neurons that join 2 each needs 8 \* 2 = 16 neurons before it, got 18"
    with pytest.raises(UserError, match=message):
        build_network(model, toy_data)
    with pytest.raises(UserError, match=r"a level of a tree of 3 neurons that join 3 each needs 3 \* 3 = 9 .* got 10"):
        tree_wiring(10, 3, 3)


def test_a_tree_that_is_no_partition_is_refused():
    source = make_quantizer("hard-tanh", 2)
    with pytest.raises(UserError, match=r"of the 4 below 2 neurons of fan-in 2 neuron 0 is joined 2 times"):
        AssembleNeurons(source, 4, [[0, 1], [0, 2]], make_quantizer("signed", 2), joins=True)


def test_a_budget_is_checked_before_memory_is_touched():
    source = make_quantizer("hard-tanh", 8)
    wiring = random_wiring(9, 5, 3, 0)
    with pytest.raises(UserError, match=r"AssembleNeurons needs a table of 24 address bits"):
        AssembleNeurons(source, 9, wiring, make_quantizer("signed", 2), budget=TableBudget(23))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": [1, 0]}, r"model\.assemble\.levels has a 0 .* begins with 0, got \[1, 0\]"),
        ({"levels": [0, 2]}, r"got \[0, 2\]"),
        ({"levels": [0, 1]}, r"model\.assemble\.levels has one value for each of 5 layers, got 2: \[0, 1\]"),
        ({"width": 0}, r"width is 1 to 256 and depth 1 to 16, got 0 and 2"),
        ({"skip": 2}, r"'skip' is a value like True, got 2"),
    ],
)
def test_bad_options_are_refused_in_a_sentence(options, message):
    with pytest.raises(UserError, match=message):
        config_from_dict({"model": {"family": "assemble", "assemble": options}})


@pytest.mark.parametrize(
    ("source", "fan_in"),
    [
        (make_quantizer("hard-tanh", 3), 2),
        (make_quantizer("ternary", 2), 3),
        (make_quantizer("power-of-two", 3, 8), 2),
        (InputQuantizer.fit_quantile(np.random.default_rng(0).normal(size=(500, 8)), [1, 3, 2, 3, 1, 2, 3, 3]), 2),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        partial(SubnetNeurons, options=SubnetOptions(6, 2, 2)),
        partial(PolynomialNeurons, options=PolynomialOptions(3, batch_norm=False)),
    ],
    ids=["subnet", "polynomial"],
)
def test_a_look_up_by_address_has_the_results_and_gradients_of_every_row(make, source, fan_in, monkeypatch):
    torch.manual_seed(0)
    layer = make(source, 8, random_wiring(8, 5, fan_in, 0), make_quantizer("hard-tanh", 3))
    raw = torch.randn(1024, 8)
    source.train()(raw)
    mix = torch.randn(1024, 5)
    x = source.values(source.codes(raw)).float().requires_grad_()
    layer(x)
    found = []
    for by_address in (True, False):
        monkeypatch.setattr("lutnet.nn.address_lookup.lookup_pays", lambda *_, answer=by_address: answer)
        for parameter in (x, *layer.parameters()):
            parameter.grad = None
        out = layer.response(x)
        (out * mix).sum().backward()
        found.append([out, x.grad, *(p.grad for p in layer.parameters() if p.grad is not None)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


def test_a_netlist_of_a_tree_level_equals_torch():
    torch.manual_seed(0)
    source = make_quantizer("hard-tanh", 3)
    raw = torch.randn(300, 8)
    source(raw)
    layer = AssembleNeurons(source, 8, tree_wiring(8, 4, 2), make_quantizer("hard-tanh", 3), joins=True)
    layer(source(raw))
    layer.eval()
    codes = torch.randint(8, (500, 8))
    net = lower_layer(layer)
    assert np.array_equal(net.evaluate(codes.numpy()), layer.codes(source.values(codes)).numpy())


def test_batch_norm_does_not_depend_on_the_order_in_memory():
    total = torch.randn(300, 7, generator=torch.Generator().manual_seed(0))
    found = []
    for x in (total.clone(), total.t().contiguous().t()):
        norm = NeuronNorm(7)
        x.requires_grad_()
        out = norm(x)
        (out * total.cos()).sum().backward()
        found.append((out, x.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
