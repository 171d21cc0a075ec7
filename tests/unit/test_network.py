"""Networks: the chain of parts, exact scores, classes, costs, training."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from lutnet.cost import XCVU9P, argmax_luts
from lutnet.errors import UserError
from lutnet.nn import InputQuantizer, LutNetwork, SparseLinear, make_quantizer, random_wiring


def moons(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, size=(n, 6)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64) + (x[:, 2] > 0.3)
    return x, y


def build(n_features=6, sizes=(24, 16), n_classes=3, last="signed", seed=0):
    torch.manual_seed(seed)
    x, _ = moons()
    source = InputQuantizer.fit_uniform(x, 3)
    layers, quantizer, width = [], source, n_features
    for number, size in enumerate((*sizes, n_classes)):
        output = (
            make_quantizer(last, 4) if number == len(sizes) else make_quantizer("unsigned", 2, size if number else 1)
        )
        layers.append(SparseLinear(quantizer, width, random_wiring(width, size, 3, number), output))
        quantizer, width = output, size
    return LutNetwork(source, layers, feature_names=[f"f{i}" for i in range(6)], class_names=["a", "b", "c"])


def train(network, steps=150):
    x, y = map(torch.from_numpy, moons())
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-2)
    network.train()
    losses = []
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.fixture(scope="module")
def trained():
    network = build()
    losses = train(network)
    return network, losses


def test_training_learns(trained):
    network, losses = trained
    x, y = moons(seed=1)
    accuracy = (network.predict(torch.from_numpy(x)).numpy() == y).mean()
    chance = np.bincount(y).max() / len(y)
    assert losses[-1] < 0.6 * losses[0]
    assert accuracy > chance + 0.25


def test_table_by_table_equals_the_network(trained):
    network, _ = trained
    x, _ = moons(seed=2)
    codes = network.encoder().encode(x)
    for layer in network.layers:
        tables, wiring = layer.tables(), layer.wiring.numpy()
        rows = zip(tables, wiring, strict=True)
        codes = np.stack([table.lookup([codes[:, i] for i in operands]) for table, operands in rows], axis=1)
    raw = torch.from_numpy(x)
    np.testing.assert_array_equal(codes, network.predict_codes(raw).numpy())
    scores = network.score_format().values()[codes]
    np.testing.assert_array_equal(scores, network.eval()(raw).numpy())
    np.testing.assert_array_equal(scores.argmax(axis=1), network.predict(raw).numpy())


def test_predictions_do_not_depend_on_mode_or_batch(trained):
    network, _ = trained
    raw = torch.from_numpy(moons(seed=3)[0][:50])
    codes = network.train().predict_codes(raw)
    assert torch.equal(codes, network.eval().predict_codes(raw))
    assert torch.equal(codes, torch.cat([network.predict_codes(row[None]) for row in raw]))


def test_ties_go_to_the_lowest_class_and_codes_are_signed():
    network = build()
    network.predict_codes = lambda x: torch.tensor([[15, 15, 8], [8, 0, 0], [8, 15, 7], [7, 7, 7]])
    assert network.predict(torch.zeros(4, 6)).tolist() == [0, 1, 2, 0]


def test_checkpoint_round_trip(trained):
    network, _ = trained
    other = build(seed=9)
    assert other.layers[0].tables() != network.layers[0].tables()
    other.load_state_dict(network.state_dict())
    for mine, theirs in zip(network.layers, other.layers, strict=True):
        assert mine.tables() == theirs.tables()
    twin = copy.deepcopy(network)
    assert twin.layers[0].source is twin.input_quantizer


def test_cost_rows(trained):
    network, _ = trained
    cost = network.lut_cost(XCVU9P)
    assert [row.name for row in cost.rows] == ["layer0", "layer1", "layer2", "argmax"]
    assert [row.address_bits for row in cost.rows] == [9, 6, 6, 4]
    assert [row.n_luts for row in cost.rows] == [24 * 2 * 11, 16 * 2, 3 * 4, argmax_luts(3, 4)]
    assert cost.n_luts == cost.n_layer_luts + argmax_luts(3, 4)
    assert cost.n_entries == 24 * 512 + 16 * 64 + 3 * 64
    assert cost.device == "xcvu9p"


def test_cost_in_the_loss_reaches_every_layer(trained):
    network, _ = trained
    network.zero_grad()
    network.cost(XCVU9P).backward()
    assert all(bool((layer.weight.grad != 0).any()) for layer in network.layers)


def test_scores_must_compare():
    with pytest.raises(UserError, match="2 channels, so that the codes of two classes do not compare"):
        source = InputQuantizer([2, 2])
        LutNetwork(source, [SparseLinear(source, 2, [[0, 1], [1, 0]], make_quantizer("signed", 3, 2))])


def test_parts_must_fit():
    source, foreign = InputQuantizer([2] * 4), InputQuantizer([2] * 4)
    first = SparseLinear(source, 4, random_wiring(4, 5, 2, 0), make_quantizer("unsigned", 2))
    with pytest.raises(UserError, match="at least one layer"):
        LutNetwork(source, [])
    with pytest.raises(UserError, match="layer 0 was made for another source"):
        LutNetwork(foreign, [first])
    second = SparseLinear(first.quantizer, 6, random_wiring(6, 3, 2, 0), make_quantizer("signed", 2))
    with pytest.raises(UserError, match="layer 1 reads 6 columns, expected the 5 of layer 0"):
        LutNetwork(source, [first, second])
    with pytest.raises(UserError, match="expected 5 different class names, got 2 of which 2 differ"):
        LutNetwork(source, [first], class_names=["a", "b"])
    with pytest.raises(UserError, match="expected 4 different feature names, got 4 of which 1 differ"):
        LutNetwork(source, [first], feature_names=["a"] * 4)
    network = LutNetwork(source, [first])
    assert network.feature_names == ("x0", "x1", "x2", "x3") and network.class_names[-1] == "class4"
