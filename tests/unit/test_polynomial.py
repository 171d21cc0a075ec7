"""Polynomial neurons: conformance, monomials and their gradient, budget, a configuration from training to netlist."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch

from lutnet.cost import XCVU9P
from lutnet.errors import UserError
from lutnet.nn import InputQuantizer, PolynomialNeurons, PolynomialOptions, SparseLinear, TableBudget, WidthOptions
from lutnet.nn.conformance import check_family
from lutnet.nn.families import polynomial
from lutnet.nn.levels import make_quantizer
from lutnet.nn.wiring import random_wiring
from lutnet.testing import check_family as check_down_to_verilog
from lutnet.train.build import build_network
from lutnet.train.config import config_from_dict


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("degree", [1, 2, 4])
def test_the_family_conforms(degree, batch_norm):
    check_family(partial(PolynomialNeurons, options=PolynomialOptions(degree, batch_norm)))


def test_the_family_conforms_down_to_verilog():
    check_down_to_verilog(partial(PolynomialNeurons, options=PolynomialOptions(3)))


def test_the_conformance_check_sees_what_rounding_hides():
    class Sloppy(PolynomialNeurons):
        def respond(self, operands, neurons):
            return super().respond(operands, neurons) + 1e-15 * len(operands)

    with pytest.raises(AssertionError, match="depends on how rows and neurons are cut into chunks"):
        check_family(Sloppy)


@pytest.mark.parametrize("granularity", ["channel", "element"])
def test_the_family_conforms_with_learned_widths(granularity):
    class Narrowed(PolynomialNeurons):
        def __init__(self, *parts):
            super().__init__(*parts, widths=WidthOptions(granularity=granularity))
            of_inputs = self.widths.of_inputs if granularity == "channel" else self.source.bits
            with torch.no_grad():
                self.widths.width.uniform_(0.6, 1.0).mul_(of_inputs)

    check_family(Narrowed)


@pytest.mark.parametrize(("fan_in", "degree"), [(1, 1), (1, 5), (3, 2), (4, 3), (6, 2)])
def test_every_monomial_is_there_once(fan_in, degree):
    powers = polynomial.exponents(fan_in, degree)
    assert len(powers) == math.comb(fan_in + degree, degree) - 1 == len({tuple(row) for row in powers.tolist()})
    assert powers.sum(axis=1).min() == 1 and powers.sum(axis=1).max() == degree
    assert (np.diff(powers.sum(axis=1)) >= 0).all()


def layer_of(degree=2, n_in=8, n_out=5, fan_in=3, bits=2, kind=PolynomialNeurons, **options):
    torch.manual_seed(0)
    source = InputQuantizer.fit_uniform(np.random.default_rng(0).normal(size=(500, n_in)), bits)
    wiring = random_wiring(n_in, n_out, fan_in, 0)
    return kind(source, n_in, wiring, make_quantizer("hard-tanh", 3), options=PolynomialOptions(degree, **options))


def test_the_response_is_the_polynomial_and_its_gradient_is_right():
    layer = layer_of(degree=4, batch_norm=False).double()
    operands = torch.randn(9, 5, 3, dtype=torch.double, requires_grad=True)
    powers = torch.from_numpy(polynomial.exponents(3, 4))
    monomials = (operands[:, :, None] ** powers).prod(dim=3)
    expected = (monomials * layer.weight).sum(dim=2) + layer.bias
    torch.testing.assert_close(layer.respond(operands, slice(None)), expected)
    torch.testing.assert_close(layer.eval().respond(operands, slice(None)), expected)
    layer.train()
    assert torch.autograd.gradcheck(lambda x: layer.respond(x, slice(None)), operands)


def test_degree_one_is_the_weighted_sum():
    layer = layer_of(degree=1)
    linear = SparseLinear(layer.source, 8, layer.wiring, make_quantizer("hard-tanh", 3))
    x = torch.randn(200, 8)
    layer(layer.source(x))
    linear.load_state_dict(layer.state_dict())
    assert layer.tables() == linear.tables()


def test_a_product_needs_degree_two():
    torch.manual_seed(0)
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).repeat(50, 1)
    right = []
    for degree in (1, 2):
        source = InputQuantizer.fit_binary(x.numpy())
        layer = PolynomialNeurons(source, 2, [[0, 1]], make_quantizer("binary", 1), options=PolynomialOptions(degree))
        values = source(x)
        wanted = torch.where(x[:, :1] == x[:, 1:], 1.0, -1.0)
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
        for _ in range(100):
            optimizer.zero_grad()
            (layer(values) - wanted).square().mean().backward()
            optimizer.step()
        right.append(float(((layer.eval()(values) > 0) == (wanted > 0)).double().mean()))
    assert right[0] < 1 and right[1] == 1


def test_an_operand_without_weight_costs_nothing():
    layer = layer_of(degree=3)
    powers = torch.from_numpy(polynomial.exponents(3, 3))
    before = layer.cost(XCVU9P)
    assert bool((layer.gates() > 0).all()) and before.item() < layer.lut_cost(XCVU9P)
    with torch.no_grad():
        layer.weight[:, powers[:, 1] > 0] = 0
    assert bool((layer.gates()[:, 1] == 0).all()) and bool((layer.gates()[:, [0, 2]] > 0).all())
    layer.cost(XCVU9P).backward()
    assert layer.cost(XCVU9P) < before and bool((layer.weight.grad[:, 0] != 0).all())


def test_the_budget_is_checked_before_memory_is_touched():
    source = make_quantizer("unsigned", 4)
    with pytest.raises(UserError, match=r"table of 20 address bits .* the budget allows 16"):
        PolynomialNeurons(source, 9, random_wiring(9, 4, 5, 0), make_quantizer("signed", 2))
    with pytest.raises(UserError, match=r"degree 8 in 16 operands has 735,470 monomials, at most 4,096"):
        PolynomialNeurons(
            make_quantizer("binary", 1), 20, random_wiring(20, 4, 16, 0), make_quantizer("signed", 2),
            options=PolynomialOptions(8), budget=TableBudget(16),
        )  # fmt: skip


@pytest.mark.parametrize("degree", [0, 9])
def test_bad_options_are_refused_in_a_sentence(degree):
    with pytest.raises(UserError, match=rf"^model.polynomial.degree is 1 to 8, got {degree}$"):
        config_from_dict({"model": {"family": "polynomial", "polynomial": {"degree": degree}}})


def test_a_configuration_trains_and_becomes_an_equal_netlist(train_to_netlist):
    network = train_to_netlist({"family": "polynomial", "polynomial": {"degree": 3}})
    assert all(isinstance(layer, PolynomialNeurons) and layer.options.degree == 3 for layer in network.layers)


def test_a_layer_may_be_polynomial_among_linear_ones(toy_data):
    config = config_from_dict({"model": {"hidden_layers": [8], "layer_families": ["polynomial", "linear"]}})
    network = build_network(config.model, toy_data)
    assert [type(layer) for layer in network.layers] == [PolynomialNeurons, SparseLinear]
