"""Additive edge tables: what is trained is what is built, offsets and cut edges cost nothing, training prunes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from lutnet.cost.device import XCVU9P
from lutnet.errors import UserError
from lutnet.ir.ops import OpCode
from lutnet.lower import lower_classifier, lower_scores
from lutnet.nn import InputQuantizer, LutNetwork, SignedUniform
from lutnet.nn.edge_codes import ScoreCodes, WrappedCodes
from lutnet.nn.edge_options import AdditiveOptions
from lutnet.nn.edge_tables import EDGE_TABLES, InputLevels, LookUp, bspline_basis
from lutnet.nn.families.additive import AdditiveEdges, make_additive_layers
from lutnet.nn.heads import lowest_argmax
from lutnet.passes import DEFAULT_PASSES, parse_passes, run_passes
from lutnet.testing import check_layer, mutate_table
from lutnet.verify.equivalence import check_equivalent

KINDS = sorted(EDGE_TABLES)


def make_network(kind="entries", *, bits=3, n_features=3, hidden=(4,), seed=0, fraction_bits=1, uniform=True):
    torch.manual_seed(seed)
    x = np.random.default_rng(seed).normal(size=(500, n_features))
    fit = InputQuantizer.fit_uniform if uniform else InputQuantizer.fit_quantile
    inputs = fit(x, bits)
    options = AdditiveOptions(parametrization=kind, hidden_bits=4, fraction_bits=fraction_bits)
    return LutNetwork(inputs, make_additive_layers(inputs, (n_features, *hidden, 3), options))


def every_code(network):
    widths = network.input_quantizer.widths.tolist()
    return np.array(list(itertools.product(*(range(1 << width) for width in widths))))


def torch_class(network, codes):
    network.eval()
    with torch.no_grad():
        scores = network.run(network.input_quantizer.values(torch.from_numpy(codes)))
    return lowest_argmax(scores).numpy()


def toy_data(n=4000, seed=0):
    """Three features of which two decide among three classes by a sum of bent functions, and one is noise."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    total = np.abs(x[:, 0]) + np.sin(2 * x[:, 1])
    return x, np.digitize(total, [0.2, 1.2])


def train_toy(network, x, y, *, steps=250, weight=1e-3):
    groups = [{"params": [p], "lr": 1e-3 * getattr(p, "lr_scale", 1.0)} for p in network.parameters()]
    optimizer = torch.optim.Adam(groups)
    network.train()
    with torch.no_grad():
        values = network.prepare(torch.from_numpy(x)).float()
    for step in range(steps):
        network.schedule(step / steps)
        loss = torch.nn.functional.cross_entropy(network.run(values), torch.from_numpy(y))
        loss = loss + network.penalty() + weight * network.cost(XCVU9P)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        network.after_step()
    network.eval()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fraction_bits", [0, 2])
def test_netlist_is_torch_on_every_input(kind, fraction_bits):
    network = make_network(kind, fraction_bits=fraction_bits)
    codes = every_code(network)
    net = lower_classifier(network)
    expected = torch_class(network, codes)
    assert len(set(expected.tolist())) > 1
    np.testing.assert_array_equal(net.evaluate(codes)[:, 0], expected)
    assert not np.array_equal(mutate_table(net).evaluate(codes)[:, 0], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_layers_keep_the_contract(kind):
    options = AdditiveOptions(parametrization=kind)
    simulate = kind == "entries"
    check_layer(lambda s, n: AdditiveEdges(s, n, 3, ScoreCodes(0.1), options), bits=3, in_features=4, simulate=simulate)
    check_layer(lambda s, n: AdditiveEdges(s, n, 3, WrappedCodes(4, 3, 1)), bits=3, in_features=4, simulate=simulate)


@pytest.mark.parametrize("uniform", [True, False])
def test_scores_of_deep_networks_with_mixed_widths_are_torch(uniform):
    network = make_network(bits=[1, 4, 2, 5], n_features=4, hidden=(5, 4), seed=3, uniform=uniform)
    codes = np.random.default_rng(0).integers(0, network.input_quantizer.widths.numpy(), size=(3000, 4))
    codes = codes % (1 << network.input_quantizer.widths.numpy())
    network.eval()
    raw = lower_scores(network)
    with torch.no_grad():
        expected = network.layers[-1].codes(
            network.layers[1](network.layers[0](network.input_quantizer.values(torch.from_numpy(codes))))
        )
    np.testing.assert_array_equal(raw.evaluate(codes), expected.numpy())
    after, _ = run_passes(raw, parse_passes(DEFAULT_PASSES), check=check_equivalent)
    np.testing.assert_array_equal(after.evaluate(codes), expected.numpy())


@pytest.mark.parametrize("last", [True, False])
def test_codes_are_sums_of_stored_tables_on_every_address(last):
    layer = make_network(seed=5).layers[int(last)]
    n_codes = 1 << layer.source.bits
    values = layer.source.value_table().expand(layer.in_features, -1)
    tables, bias = layer.code_tables(), layer.code_bias()
    assert not tables.min(axis=1).any()
    assert bias.min() >= 0
    for i, code in itertools.product(range(layer.in_features), range(n_codes)):
        at = torch.zeros(layer.in_features, dtype=torch.int64)
        at[i] = code
        x = values.gather(1, at[:, None]).t()
        sums = bias + sum(tables[k, int(at[k])] for k in range(layer.in_features))
        expected = sums if last else (sums >> 1) % 16
        np.testing.assert_array_equal(layer.codes(x)[0].numpy(), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_training_and_evaluation_agree_and_gradients_reach_everything(kind):
    network = make_network(kind)
    x = torch.from_numpy(np.random.default_rng(1).normal(size=(400, 3)))
    network.train()
    values = network.prepare(x).float().requires_grad_()
    scores = network.run(values)
    network.eval()
    torch.testing.assert_close(scores.double(), network(x), rtol=0, atol=1e-4)
    loss = torch.nn.functional.cross_entropy(scores, torch.arange(400) % 3)
    (loss + network.penalty() + 1e-3 * network.cost(XCVU9P)).backward()
    for name, parameter in [*network.named_parameters(), ("inputs", values)]:
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert float(parameter.grad.abs().max()) > 0, name


def test_gradient_to_inputs_is_the_rise_of_the_table():
    source = SignedUniform(4)
    layer = AdditiveEdges(source, 1, 1, ScoreCodes(1.0))
    layer.tables.entries.data[0, :, 0] = 3.0 * torch.arange(16)
    x = source.value_table().sort().values.float().t().requires_grad_()
    layer.train()
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.full((16, 1), 3.0 / float(source.step.detach())))


def test_look_up_has_the_gradient_of_embedding_bag():
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(10, (50, 4), generator=generator)
    table = torch.randn(10, 3, generator=generator, requires_grad=True)
    grad = torch.randn(50, 3, generator=generator)
    (expected,) = torch.autograd.grad(torch.nn.functional.embedding_bag(rows, table, mode="sum"), table, grad)
    (found,) = torch.autograd.grad(LookUp.apply(rows, table), table, grad)
    torch.testing.assert_close(found, expected)


def test_levels_of_unequal_and_repeated_values():
    levels = InputLevels(torch.tensor([[3.0, -1.0, 3.0, 0.0], [0.0, 1.0, 2.0, 2.0]]))
    assert levels.of_codes().tolist() == [[2, 0, 2, 1], [0, 1, 2, 2]]
    assert levels.indices(torch.tensor([[0.1, 2.0], [2.9, 0.6]])).tolist() == [[1, 2], [2, 1]]
    slopes = levels.slopes(torch.tensor([[[1.0], [2.0], [8.0], [99.0]]] * 2))
    torch.testing.assert_close(slopes[0, :3, 0], torch.tensor([1.0, 7 / 4, 2.0]))


def test_cut_edges_leave_the_netlist():
    network = make_network()
    network.layers[0].limit[1] = 0
    network.layers[0].limit[0, 2] = 0
    net = lower_classifier(network)
    read = {operand for node in net.nodes() for operand in node.operands}
    assert int(net.inputs[1]) not in read
    assert int(net.inputs[0]) in read
    n_luts = sum(node.op is OpCode.LUT for node in net.nodes())
    assert n_luts == sum(layer.n_edges() for layer in network.layers) < 3 * 4 + 4 * 3
    codes = every_code(network)
    np.testing.assert_array_equal(net.evaluate(codes)[:, 0], torch_class(network, codes))


def test_constant_neurons_are_built_and_an_empty_layer_is_refused():
    network = make_network()
    network.layers[0].limit[:, 1] = 0
    network.layers[1].limit[:, 2] = 0
    codes = every_code(network)
    np.testing.assert_array_equal(lower_classifier(network).evaluate(codes)[:, 0], torch_class(network, codes))
    network.layers[1].limit[:] = 0
    with pytest.raises(UserError, match="no edge of an additive layer"):
        lower_classifier(network)


def test_offsets_cost_nothing():
    network = make_network(fraction_bits=0)
    tables = network.layers[0].code_tables()
    network.layers[0].tables.entries.data += 5.0
    network.layers[0].bias.data += 3.0
    np.testing.assert_array_equal(network.layers[0].code_tables(), tables)
    codes = every_code(network)
    np.testing.assert_array_equal(lower_classifier(network).evaluate(codes)[:, 0], torch_class(network, codes))


def test_training_prunes_learns_and_repeats_itself():
    x, y = toy_data()
    found = []
    for weight in (5e-3, 5e-3, 2e-2):
        network = make_network(bits=5, hidden=(3,), fraction_bits=0)
        train_toy(network, x, y, weight=weight)
        found.append(network)
    right = [(torch_class(n, n.encoder().encode(x)) == y).mean() for n in found]
    edges = [sum(layer.n_edges() for layer in n.layers) for n in found]
    assert right[0] > 0.85
    assert edges[2] < edges[0] < 3 * 3 + 3 * 3
    assert not found[0].layers[0].limit[2].all()
    state = found[0].state_dict()
    assert all(torch.equal(value, state[name]) for name, value in found[1].state_dict().items())
    fresh = make_network(bits=5, hidden=(3,), fraction_bits=0, seed=9)
    fresh.load_state_dict(state)
    codes = fresh.encoder().encode(x)
    np.testing.assert_array_equal(torch_class(fresh, codes), torch_class(found[0], codes))
    assert lower_classifier(fresh) == lower_classifier(found[0])


def test_cost_warms_up_and_edges_are_cut_and_settled_in_their_time():
    layer = make_network().layers[0]
    layer.train()
    layer.tables.entries.data[0, :, 0] = 0.0
    value = float(layer.cost(XCVU9P).detach())
    for progress, share in ((0.15, 0.5), (0.29, 29 / 30), (1.0, 0.0)):
        layer.schedule(progress)
        (grad,) = torch.autograd.grad(layer.cost(XCVU9P), layer.tables.entries)
        layer.schedule(0.3 - 1e-9)
        (full,) = torch.autograd.grad(layer.cost(XCVU9P), layer.tables.entries)
        torch.testing.assert_close(grad, share * full)
        assert float(layer.cost(XCVU9P).detach()) == pytest.approx(value)
        assert bool(layer.limit.isinf().all())
    layer.schedule(0.5)
    assert layer.limit[0, 0] == 0
    assert int(layer.limit.isinf().sum()) >= 11
    before = layer.code_tables().max(axis=1)
    layer.schedule(0.6)
    bits = torch.log2(layer.limit + 1)
    assert bool(layer.limit.isfinite().all()) and torch.equal(bits, bits.round())
    layer.tables.entries.data *= 10.0
    after = layer.code_tables().max(axis=1)
    np.testing.assert_array_equal(after, layer.limit.numpy())
    assert (after[before > 0] + 1 >= (before[before > 0] + 1) / 2).all()
    limit = layer.limit.clone()
    layer.schedule(0.8)
    assert torch.equal(layer.limit, limit)


def test_smoothness_of_either_order():
    squares = torch.arange(8.0).square()
    for order, expected in ((1, 2.0 * sum((2 * k + 1) ** 2 for k in range(7))), (2, 2.0 * 6 * 4)):
        source = InputQuantizer.over_range(1, 3, 0.0, 1.0)
        options = AdditiveOptions(smoothness=2.0, smooth_order=order)
        layer = AdditiveEdges(source, 1, 1, ScoreCodes(1.0), options)
        layer.tables.entries.data[0, :, 0] = squares
        assert float(layer.penalty().detach()) == pytest.approx(expected)


def test_closed_form_grows_with_swing_and_edges():
    network = make_network()
    before = network.lut_cost(XCVU9P)
    network.layers[0].tables.entries.data *= 2
    wider = network.lut_cost(XCVU9P)
    assert wider.n_layer_luts > before.n_layer_luts
    network.layers[0].limit[0] = 0
    assert network.lut_cost(XCVU9P).n_layer_luts < wider.n_layer_luts


def test_splines_are_a_partition_of_unity():
    basis = bspline_basis(torch.linspace(-1, 1, 33), 5, 3)
    assert basis.shape == (33, 8)
    torch.testing.assert_close(basis.sum(dim=1), torch.ones(33))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"parametrization": "fourier"}, "one of entries"),
        ({"hidden_bits": 0}, "hidden_bits is at least 1"),
        ({"smooth_order": 3}, "smooth_order is 1 or 2"),
        ({"prune_from": 0.7}, "prune_from <= settle_at"),
        ({"temperature": 0.0}, "positive"),
    ],
)
def test_wrong_options_are_refused(options, words):
    inputs = InputQuantizer.over_range(2, 2, 0.0, 1.0)
    with pytest.raises(UserError, match=words):
        make_additive_layers(inputs, (2, 3, 2), AdditiveOptions(**options))


def test_diverged_tables_are_refused():
    network = make_network()
    network.layers[0].tables.entries.data[0, 0, 0] = float("nan")
    with pytest.raises(UserError, match="diverged"):
        lower_classifier(network)
