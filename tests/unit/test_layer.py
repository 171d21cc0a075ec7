"""The base of table layers, through a family of the test's own: budgets, groups of widths, chunks, checkpoints."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import lutnet.nn.lut_layer as layer_module
from lutnet.cost import XCVU9P, table_luts
from lutnet.errors import UserError
from lutnet.nn import InputQuantizer, LutLayer, TableBudget, make_quantizer, random_wiring
from lutnet.tables import pack_address


class Product(LutLayer):
    """Product of the operands times a weight: sensitive to every operand and to their order."""

    def __init__(self, source, in_features, wiring, quantizer, **options):
        super().__init__(source, in_features, wiring, quantizer, **options)
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, self.out_features))

    def respond(self, operands, neurons):
        total = self.weight.to(operands.dtype)[neurons] * operands[..., 0]
        for k in range(1, self.fan_in):
            total = total * (operands[..., k] + 0.1 * k)
        return total


def mixed_source(n_features, widths=(1, 2, 3)):
    x = np.random.default_rng(0).normal(size=(500, n_features))
    return InputQuantizer.fit_quantile(x, [widths[i % len(widths)] for i in range(n_features)])


def make(n_in=7, n_out=10, fan_in=3, **options):
    return Product(
        mixed_source(n_in), n_in, random_wiring(n_in, n_out, fan_in, 1), make_quantizer("signed", 4), **options
    )


def assert_tables_equal_forward(layer, seed=0):
    rng = np.random.default_rng(seed)
    widths = layer.source.feature_bits(layer.in_features)
    codes = rng.integers(0, 1 << widths, size=(3000, layer.in_features))
    expected = layer.eval()(layer.source.values(torch.from_numpy(codes))).numpy()
    formats = layer.quantizer.feature_formats(layer.out_features)
    for neuron, table in enumerate(layer.tables()):
        operands = layer.wiring[neuron].numpy()
        address = pack_address([codes[:, i] for i in operands], table.in_widths)
        np.testing.assert_array_equal(formats[neuron].values()[table.codes[address]], expected[:, neuron])


def test_neurons_with_other_widths_have_their_own_tables():
    layer = make()
    assert len(set(layer.address_bits().tolist())) > 1
    for neuron, table in enumerate(layer.tables()):
        widths = layer.source.feature_bits(7)[layer.wiring[neuron].numpy()]
        assert table.in_widths == tuple(widths.tolist())
    assert_tables_equal_forward(layer)


def test_operand_zero_is_the_least_significant_part():
    source = InputQuantizer([1, 2])
    layer = Product(source, 2, [[1, 0]], make_quantizer("signed", 5))
    table = layer.tables()[0]
    assert table.in_widths == (2, 1)
    values = layer.source.value_table()
    for address in range(8):
        first, second = values[1, address & 3], values[0, address >> 2]
        expected = layer.quantizer.codes((0.5 * first * (second + 0.1))[None, None])
        assert table.codes[address] == expected.item()


@pytest.mark.parametrize("elements", [1, 5, 64, 1000])
def test_chunks_do_not_change_the_result(monkeypatch, elements):
    layer = make()
    x = torch.from_numpy(np.random.default_rng(2).normal(size=(41, 7)))
    values = layer.source.eval()(x)
    tables, codes = layer.tables(), layer.codes(values)
    monkeypatch.setattr(layer_module, "CHUNK_ELEMENTS", elements)
    assert layer.tables() == tables
    assert torch.equal(layer.codes(values), codes)


def test_chunks_bound_what_a_family_sees(monkeypatch):
    monkeypatch.setattr(layer_module, "CHUNK_ELEMENTS", 60)
    layer = make()
    seen = []
    respond = layer.respond
    monkeypatch.setattr(
        layer, "respond", lambda operands, neurons: seen.append(operands.numel()) or respond(operands, neurons)
    )
    layer.tables()
    layer.codes(torch.zeros(50, 7))
    assert max(seen) <= 60 and len(seen) > 20


def test_a_large_table_is_refused_before_it_is_allocated(monkeypatch):
    def never(*_args, **_options):
        raise AssertionError("allocated")

    source, quantizer = make_quantizer("unsigned", 8), make_quantizer("binary", 1)
    wiring = random_wiring(16, 4, 8, 0)
    monkeypatch.setattr(nn, "Parameter", never)
    with pytest.raises(UserError, match=r"neuron 0 of Product needs a table of 64 address bits .* allows 16"):
        Product(source, 16, wiring, quantizer)


def test_the_sum_of_tables_is_refused_with_its_size():
    budget = TableBudget(max_address_bits=9, max_entries=10_000)
    source = make_quantizer("unsigned", 3)
    Product(source, 9, random_wiring(9, 19, 3, 0), make_quantizer("binary", 1), budget=budget)
    with pytest.raises(UserError, match=r"the 20 tables of Product need 10,240 entries, the budget allows 10,000"):
        Product(source, 9, random_wiring(9, 20, 3, 0), make_quantizer("binary", 1), budget=budget)
    with pytest.raises(UserError, match="1 to 24 address bits, got 25"):
        TableBudget(max_address_bits=25)
    with pytest.raises(UserError, match="at least 1 entry"):
        TableBudget(max_entries=0)


def test_the_source_is_not_part_of_the_layer():
    layer = make()
    assert not any("source" in name for name in layer.state_dict())
    assert [name for name, _ in layer.named_modules()] == ["", "quantizer"]
    twin = copy.deepcopy(nn.ModuleList([layer.source, layer]))
    assert twin[1].source is twin[0] and twin[0] is not layer.source


def test_tables_keep_every_mode_even_when_they_fail():
    layer = make().train()
    layer.quantizer.eval()
    layer.tables()
    assert layer.training and not layer.quantizer.training
    with torch.no_grad():
        layer.weight[3] = torch.nan
    with pytest.raises(UserError, match="neuron 3 of Product has outputs that are not finite"):
        layer.tables()
    assert layer.training and not layer.quantizer.training


def test_a_checkpoint_with_another_wiring_brings_it_or_is_refused():
    layer, other = make(), make()
    state = layer.state_dict()
    state["wiring"] = torch.flip(state["wiring"], (0,))
    other.load_state_dict(state)
    assert torch.equal(other.wiring, torch.flip(layer.wiring, (0,)))
    assert_tables_equal_forward(other)
    state["wiring"][2, 1] = 7
    with pytest.raises(UserError, match="neuron 2 reads input 7"):
        other.load_state_dict(state)


def test_wrong_shapes_are_refused():
    source, quantizer = make_quantizer("unsigned", 2, 5), make_quantizer("signed", 3, 4)
    with pytest.raises(UserError, match="5 channels cannot serve 6 columns"):
        Product(source, 6, random_wiring(6, 4, 2, 0), quantizer)
    with pytest.raises(UserError, match="4 channels cannot serve 3 columns"):
        Product(source, 5, random_wiring(5, 3, 2, 0), quantizer)
    with pytest.raises(UserError, match="neuron 0 reads input 5"):
        Product(source, 5, [[5, 1]], quantizer)
    with pytest.raises(UserError, match=r"\(batch, 7\), got \(3, 6\)"):
        make()(torch.zeros(3, 6))


def test_closed_form_cost_sums_the_neurons():
    layer = make()
    expected = sum(table_luts(table.address_bits, table.out_width, XCVU9P) for table in layer.tables())
    assert layer.lut_cost(XCVU9P) == expected
    assert layer.cost(XCVU9P).item() > 0
