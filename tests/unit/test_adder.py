"""Polynomials joined by an adder: conformance, both joints, wide neurons, budget, from training to netlist."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from lutnet.cost import XCVU9P
from lutnet.errors import UserError
from lutnet.ir import OpCode
from lutnet.lower import lower_layer
from lutnet.nn import AdderNeurons, AdderOptions, InputQuantizer, PolynomialNeurons, TableBudget, WidthOptions
from lutnet.nn.levels import make_quantizer
from lutnet.nn.wiring import random_wiring
from lutnet.testing import check_layer
from lutnet.train.build import build_network
from lutnet.train.config import config_from_dict
from lutnet.verify.equivalence import check_equivalent

KINDS = [
    AdderOptions(),
    AdderOptions(join="sum"),
    AdderOptions(3, 2, 3, "table"),
    AdderOptions(3, 2, 3, "sum"),
    AdderOptions(4, 1, 2, "table"),
    AdderOptions(8, 1, 3, "sum"),
]


def layer_of(options, source=None, n_in=8, n_out=4, fan_in=2, bits=2, **more):
    torch.manual_seed(0)
    if source is None:
        source = InputQuantizer.fit_uniform(np.random.default_rng(0).normal(size=(500, n_in)), bits)
    wiring = random_wiring(n_in, n_out * options.terms, fan_in, 0).reshape(n_out, -1)
    return AdderNeurons(source, n_in, wiring, make_quantizer("hard-tanh", 2), options=options, **more)


@pytest.mark.parametrize("bits", [1, 2])
@pytest.mark.parametrize("options", KINDS, ids=str)
def test_the_family_conforms(options, bits):
    check_layer(lambda source, n_in: layer_of(options, source, n_in), bits=bits, simulate=bits == 2)


@pytest.mark.parametrize("granularity", ["channel", "element"])
def test_the_family_conforms_with_learned_widths(granularity):
    widths = WidthOptions(granularity=granularity, start_bits=1, move_from=0.0, float_until=0.0)
    check_layer(
        lambda source, n_in: layer_of(AdderOptions(), source, n_in, widths=widths),
        bits=3,
        in_features=4,
        simulate=False,
    )


def trained(options, steps=20):
    layer = layer_of(options)
    for _ in range(steps):
        layer(layer.source(torch.randn(128, 8)))
    return layer.eval()


@pytest.mark.parametrize(("terms", "inner_bits"), [(2, 3), (3, 2), (4, 2), (5, 2)])
def test_both_joints_have_the_same_function(terms, inner_bits):
    table = trained(AdderOptions(terms, 2, inner_bits, "table"))
    added = layer_of(AdderOptions(terms, 2, inner_bits, "sum")).eval()
    added.load_state_dict(table.state_dict())
    nets = [lower_layer(layer) for layer in (table, added)]
    assert [net.count(OpCode.SUM) for net in nets] == [0, 4]
    assert all(net.count(OpCode.LUT) <= 4 * (terms + 1) for net in nets)
    check_equivalent(*nets)
    x = table.source.eval()(torch.randn(300, 8))
    assert torch.equal(table.codes(x), added.codes(x))


def test_a_joint_is_the_function_of_its_terms():
    layer = trained(AdderOptions(3, 1, 2, "table"))
    step = layer.terms.quantizer.formats()[0].scale
    for j, table in enumerate(layer.joints()):
        assert table.in_widths == (2, 2, 2)
        for address in range(64):
            total = sum(np.array([0, 1, -2, -1])[[address & 3, (address >> 2) & 3, address >> 4]])
            response = torch.zeros(1, 4, dtype=torch.double) + float(total) * step
            assert table.codes[address] == layer.quantizer.codes(layer.norm.folded(response, slice(None)))[0, j]


def test_one_changed_entry_of_a_joint_is_found(monkeypatch):
    joints = AdderNeurons.joints

    def changed(layer):
        tables = joints(layer)
        codes = tables[1].codes.copy()
        # codes of -1 and 0 in the two's complement of 3 bits: a sum that every data set reaches
        codes[7] ^= 1
        codes[0] ^= 1
        return [tables[0], tables[1].with_codes(codes), *tables[2:]]

    monkeypatch.setattr(AdderNeurons, "joints", changed)
    with pytest.raises(AssertionError, match="the netlist differs from torch"):
        check_layer(lambda source, n_in: layer_of(AdderOptions(), source, n_in), bits=2, simulate=False)


def test_training_follows_evaluation_closely():
    layer = layer_of(AdderOptions(3, 2))
    for norm in (layer.norm, layer.terms.norm):
        norm.momentum = 1.0
    x = torch.randn(4096, 8)
    training = layer(layer.source(x)).detach().double()
    evaluation = layer.eval()(layer.source.eval()(x))
    assert (training != evaluation.float().double()).double().mean() < 0.02


def test_a_wide_neuron_costs_little():
    source = make_quantizer("unsigned", 2)
    costs = []
    for join in ("table", "sum"):
        layer = layer_of(AdderOptions(2, 1, 3, join), source, 12, fan_in=6)
        row = layer.summary("x", XCVU9P)
        assert row.n_luts == layer.lut_cost(XCVU9P) and row.address_bits == 12 and row.n_neurons == 4
        assert row.n_entries == 8 * (1 << 12) + 4 * (1 << (6 if join == "table" else 4))
        costs.append((row.n_luts, layer.cost(XCVU9P).item()))
    wide = PolynomialNeurons(
        source, 12, random_wiring(12, 4, 12, 0), make_quantizer("signed", 2), budget=TableBudget(24)
    )
    assert all(luts < wide.lut_cost(XCVU9P) / 1000 for luts, _ in costs)
    assert costs[1][0] > costs[0][0], "an adder of two costs more than a table of six bits"
    assert all(smooth > 0 for _, smooth in costs)


def test_the_budget_is_checked_before_memory_is_touched():
    source = make_quantizer("unsigned", 4)
    with pytest.raises(UserError, match=r"neuron 0 of PolynomialNeurons needs a table of 20 address bits"):
        layer_of(AdderOptions(), source, 9, fan_in=5)
    with pytest.raises(UserError, match=r"the second level of AdderNeurons needs a table of 24 address bits"):
        layer_of(AdderOptions(8, 1, 3), source, 9)
    assert layer_of(AdderOptions(8, 1, 3, "sum"), source, 9).joint_widths() == (6,)


def test_a_bad_wiring_is_refused():
    source = make_quantizer("unsigned", 2)
    for wiring, message in (
        ([[0, 1, 2]], r"neurons of 2 terms has shape \(neurons, 2 \* fan-in\), got \(1, 3\)"),
        ([0, 1], r"got \(2,\)"),
        ([[0, 1, 2, 9]], r"neuron 1 reads input 9 as operand 1, expected 0 to 3"),
        ([[0, 1, 3, 3]], r"neuron 1 reads input 3 twice"),
    ):
        with pytest.raises(UserError, match=message):
            AdderNeurons(source, 4, wiring, make_quantizer("signed", 2))
    shared = AdderNeurons(source, 4, [[0, 1, 1, 2]], make_quantizer("signed", 2))
    assert shared.wiring.tolist() == [[0, 1, 1, 2]], "terms may share an input"


def test_divergence_is_said():
    layer = trained(AdderOptions())
    other = copy.deepcopy(layer)
    with torch.no_grad():
        other.norm.weight[1] = torch.nan
    with pytest.raises(UserError, match="AdderNeurons has outputs that are not finite: training diverged"):
        other.joints()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"terms": 1}, "terms is 2 to 8, got 1; one term is the family 'polynomial'"),
        ({"degree": 9}, "degree is 1 to 8, got 9"),
        ({"inner_bits": 1}, "inner_bits is 2 to 16, or 0, got 1"),
        ({"join": "tree"}, "join is one of table, sum, got 'tree'"),
    ],
)
def test_bad_options_are_refused_in_a_sentence(options, message):
    with pytest.raises(UserError, match=rf"^model\.adder\.{message}$"):
        config_from_dict({"model": {"family": "adder", "adder": options}})


@pytest.mark.parametrize("join", ["table", "sum"])
def test_a_configuration_trains_and_becomes_an_equal_netlist(train_to_netlist, join):
    network = train_to_netlist({"family": "adder", "adder": {"degree": 2, "join": join}})
    assert all(isinstance(layer, AdderNeurons) and layer.terms.fan_in == 3 for layer in network.layers)


def test_wirings_are_given_and_kept(toy_data):
    model = config_from_dict({"model": {"family": "adder", "hidden_layers": [4], "input_fanin": 2}}).model
    network = build_network(model, toy_data)
    wirings = [layer.wiring.numpy() for layer in network.layers]
    assert [w.shape for w in wirings] == [(4, 4), (3, 6)]
    mirrored = [np.flip(w, axis=1) for w in wirings]
    again = build_network(model, toy_data, wirings=mirrored)
    assert all(np.array_equal(layer.wiring.numpy(), w) for layer, w in zip(again.layers, mirrored, strict=True))
