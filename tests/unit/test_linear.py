"""Sparse linear neurons: exactness for all kinds of quantisers, batch norm folding, cost gradient, speed."""

from __future__ import annotations

import time
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lutnet.cost import XCVU9P
from lutnet.errors import UserError
from lutnet.nn import QUANTIZERS, InputQuantizer, LutLayer, LutNetwork, SparseLinear, make_quantizer, random_wiring
from lutnet.nn.conformance import check_family
from lutnet.nn.families import linear


@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("sizes", [{}, {"in_features": 12, "out_features": 17, "fan_in": 4, "seed": 5}])
def test_the_family_conforms(batch_norm, sizes):
    check_family(partial(SparseLinear, batch_norm=batch_norm), **sizes)


def quantizer_of(draw, n_channels):
    kind = draw(st.sampled_from(sorted(QUANTIZERS)))
    limits = QUANTIZERS[kind]
    bits = draw(st.integers(max(limits.min_bits, min(2, limits.max_bits)), min(limits.max_bits, 4)))
    return make_quantizer(kind, bits, draw(st.sampled_from([1, n_channels])))


@st.composite
def layers(draw):
    n_in, n_out = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    fan_in = draw(st.integers(1, min(3, n_in)))
    torch.manual_seed(draw(st.integers(0, 1000)))
    source, quantizer = quantizer_of(draw, n_in), quantizer_of(draw, n_out)
    wiring = random_wiring(n_in, n_out, fan_in, draw(st.integers(0, 99)))
    layer = SparseLinear(source, n_in, wiring, quantizer, batch_norm=draw(st.booleans()))
    for _ in range(2):
        layer(source(torch.randn(64, n_in)))
    return layer


@given(layers())
@settings(max_examples=60, deadline=None)
def test_tables_equal_forward_on_every_address(layer):
    layer.eval()
    values = layer.source.value_table()
    formats = layer.quantizer.feature_formats(layer.out_features)
    for neuron, table in enumerate(layer.tables()):
        x = torch.zeros(table.n_entries, layer.in_features, dtype=torch.float64)
        address = torch.arange(table.n_entries)
        for operand, width in zip(layer.wiring[neuron], table.in_widths, strict=True):
            row = values[operand if len(values) > 1 else 0]
            x[:, operand] = row[address % (1 << width)]
            address = address >> width
        got = layer(x)[:, neuron].numpy()
        np.testing.assert_array_equal(got, formats[neuron].values()[table.codes])
        single = torch.cat([layer(row[None]) for row in x[:9]])
        np.testing.assert_array_equal(single[:, neuron].numpy(), got[:9])


def trained_layer(seed=0, n_in=12, n_out=8, fan_in=3):
    torch.manual_seed(seed)
    source = InputQuantizer.fit_uniform(np.random.default_rng(seed).normal(size=(500, n_in)), 3)
    layer = SparseLinear(source, n_in, random_wiring(n_in, n_out, fan_in, seed), make_quantizer("hard-tanh", 3))
    for _ in range(20):
        layer(source(torch.randn(128, n_in)))
    return layer


def test_dense_and_gathered_training_agree(monkeypatch):
    torch.manual_seed(0)
    layer = trained_layer().double()
    x = layer.source(torch.randn(64, 12)).double().detach().requires_grad_()
    results = []
    for limit in (1 << 22, 0):
        monkeypatch.setattr(linear, "DENSE_ELEMENTS", limit)
        response = layer.response(x)
        results.append((response, *torch.autograd.grad(response.square().sum(), (x, layer.weight))))
    for dense, gathered in zip(*results, strict=True):
        torch.testing.assert_close(dense, gathered, rtol=1e-9, atol=1e-9)


def test_batch_norm_is_folded():
    layer = trained_layer()
    with torch.no_grad():
        layer.norm.weight.uniform_(-2, 2)
        layer.norm.bias.uniform_(-1, 1)
    x = layer.source.eval()(torch.randn(200, 12))
    norm = layer.norm.double().eval()
    expected = norm(torch.einsum("bnk,nk->bn", x[:, layer.wiring], layer.weight.double()))
    layer.eval()
    got = layer.respond(x[:, layer.wiring], slice(None))
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


def test_evaluation_follows_training_closely():
    layer = trained_layer()
    layer.norm.momentum = 1.0
    x = torch.randn(4096, 12)
    training = layer(layer.source(x)).detach().double()
    evaluation = layer.eval()(layer.source.eval()(x))
    assert (training != evaluation.float().double()).double().mean() < 0.02


def test_cost_gradient_drives_weak_connections_to_zero():
    layer = trained_layer()
    before = layer.weight.detach().abs().clone()
    cost = layer.cost(XCVU9P)
    (gradient,) = torch.autograd.grad(cost, layer.weight)
    assert bool((gradient * layer.weight.detach() > 0).all()), "the cost falls as any weight shrinks"
    assert cost.item() < layer.lut_cost(XCVU9P)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1e-3)
    for _ in range(200):
        optimizer.zero_grad()
        layer.cost(XCVU9P).backward()
        optimizer.step()
    assert layer.cost(XCVU9P).item() < 0.5 * cost.item()
    assert (layer.weight.detach().abs() < 0.01 * before.max()).any()
    assert layer.norm.weight.grad is None, "only the connections pay"


def test_cost_gradient_is_right():
    layer = trained_layer(n_out=3).double()
    assert torch.autograd.gradcheck(lambda weight: _cost_with(layer, weight), layer.weight.detach().requires_grad_())


def _cost_with(layer, weight):
    return torch.func.functional_call(_Cost(layer), {"layer.weight": weight}, ())


class _Cost(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self):
        return self.layer.cost(XCVU9P)


def test_an_unused_connection_costs_nothing():
    layer = trained_layer()
    with torch.no_grad():
        layer.weight[:, 0] = 0
    assert bool((layer.gates()[:, 0] == 0).all()) and bool((layer.gates()[:, 1:] > 0).all())
    with torch.no_grad():
        layer.weight.zero_()
    assert layer.cost(XCVU9P).item() == 0


def test_one_row_cannot_train_a_batch_norm():
    with pytest.raises(UserError, match="at least 2 rows"):
        trained_layer()(torch.zeros(1, 12))


def test_the_tables_of_jsc_l_take_seconds():
    torch.manual_seed(0)
    source = InputQuantizer.fit_uniform(np.random.default_rng(0).normal(size=(500, 16)), 4)
    built, n_in = [], 16
    quantizer = source
    shape = [(32, 3, 3), (64, 4, 3), (192, 4, 3), (192, 4, 3), (16, 4, 3), (5, 5, 7)]
    for number, (n_out, fan_in, bits) in enumerate(shape):
        output = make_quantizer("unsigned" if bits == 3 else "signed", bits)
        built.append(SparseLinear(quantizer, n_in, random_wiring(n_in, n_out, fan_in, number), output))
        quantizer, n_in = output, n_out
    network = LutNetwork(source, built)
    network(torch.randn(256, 16))
    begin = time.process_time()
    tables = [table for layer in network.layers for table in layer.tables()]
    assert time.process_time() - begin < 10
    assert sum(table.n_entries for table in tables) == network.lut_cost(XCVU9P).n_entries == 2_195_456


@pytest.mark.parametrize(
    ("name", "mutant"),
    [
        ("no gradient reaches parameter spare", lambda layer: layer.register_parameter("spare", _spare())),
        ("depend on the batch size", lambda layer: _wrap(layer, lambda y: y - y.mean(dim=0))),
        ("gives torch.float32, expected float64", lambda layer: _wrap(layer, lambda y: y.float())),
        ("depend on the mode or differ between two calls", lambda layer: _wrap(layer, _noisy_tables)),
        ("differs from the values of the codes", lambda layer: _wrap(layer, lambda y: y + torch.rand(()))),
    ],
)
def test_the_conformance_check_fails_a_bad_family(name, mutant):
    def make(*parts):
        layer = SparseLinear(*parts)
        mutant(layer)
        return layer

    with pytest.raises(AssertionError, match=name):
        check_family(make)


def _spare():
    return torch.nn.Parameter(torch.ones(1))


def _noisy_tables(y):
    return y + torch.rand(()) * (y.shape[1] < 6)


def _wrap(layer, change):
    respond = layer.respond
    layer.respond = lambda operands, neurons: change(respond(operands, neurons))


def test_the_conformance_check_catches_one_wrong_table_entry(monkeypatch):
    tables = LutLayer.tables

    def mutated(layer):
        result = tables(layer)
        codes = result[2].codes.copy()
        codes[5] ^= 1
        result[2] = result[2].with_codes(codes)
        return result

    monkeypatch.setattr(LutLayer, "tables", mutated)
    with pytest.raises(AssertionError, match="table 2 differs from the forward pass"):
        check_family(SparseLinear)
