"""Ranges of input codes by mutual information."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lutnet.errors import UserError
from lutnet.nn import InputQuantizer
from lutnet.nn.input_ranges import informative_ranges, mutual_information
from lutnet.train.build import build_network
from lutnet.train.config import ModelConfig
from lutnet.train.data import Dataset, Split


def test_information_of_equal_and_independent_codes():
    y = np.arange(4000) % 4
    assert mutual_information(y.copy(), y) == pytest.approx(np.log(4))
    assert mutual_information((np.arange(4000) // 4) % 5, y) == pytest.approx(0.0, abs=1e-9)


def test_ranges_go_where_the_classes_differ():
    rng = np.random.default_rng(0)
    bulk, tail = rng.uniform(0, 1, 20_000), rng.exponential(1.0, 20_000)
    x = np.stack([np.where(rng.random(20_000) < 0.85, bulk, 1 + 50 * tail), 5 * tail], axis=1)
    fine = (np.floor(x[:, 0] * 8) % 2).astype(int) * (x[:, 0] < 1)
    ranges = informative_ranges(x, fine, 4)
    assert ranges.shape == (2, 2)
    assert ranges[0, 1] < 60, "a long tail without information is cut off"
    far = (x[:, 1] > np.quantile(x[:, 1], 0.99)).astype(int)
    kept = informative_ranges(x, far, [4, 3])
    assert kept[1, 1] > np.quantile(x[:, 1], 0.98), "a tail that decides is kept"


def test_constant_features_keep_their_range_and_wrong_shapes_are_refused():
    ranges = informative_ranges(np.ones((10, 1)), np.arange(10) % 2, 3)
    np.testing.assert_array_equal(ranges, [[1.0, 1.0]])
    with pytest.raises(UserError, match="got shapes"):
        informative_ranges(np.ones((10, 1)), np.ones(3, dtype=int), 3)
    with pytest.raises(UserError, match="one bit width or 1"):
        informative_ranges(np.ones((10, 1)), np.arange(10) % 2, [3, 3])


def test_configurations_take_ranges_and_widths_of_each_feature():
    rng = np.random.default_rng(1)
    parts = [Split.from_arrays(rng.normal(size=(n, 2)), rng.integers(0, 2, n)) for n in (400, 50, 50)]
    data = Dataset("toy", *parts, ("a", "b"), ("no", "yes"), "made up")
    config = ModelConfig(family="additive", hidden_layers=(3,), input_codes="informative", feature_bits=(3, 5))
    inputs = build_network(config, data).input_quantizer
    assert inputs.widths.tolist() == [3, 5]
    low, high = informative_ranges(data.train.x, data.train.y, (3, 5))[1]
    np.testing.assert_allclose(inputs.encoder().thresholds[1], np.linspace(low, high, 33)[1:-1])
    with pytest.raises(UserError, match="expected one bit width or 2 of them, got 3"):
        build_network(replace(config, feature_bits=(3, 5, 5)), data)


def test_given_ranges_saturate_outside():
    x = np.array([[0.0], [1.0], [9.0]])
    inputs = InputQuantizer.fit_ranges(x, 2, [[0.0, 4.0]])
    np.testing.assert_array_equal(inputs.encoder().encode(x)[:, 0], [0, 1, 3])
    with pytest.raises(UserError, match="expected finite ranges of shape"):
        InputQuantizer.fit_ranges(x, 2, [[0.0, np.inf]])
    with pytest.raises(UserError, match="expected finite ranges of shape"):
        InputQuantizer.fit_ranges(x, 2, [[0.0, 1.0]] * 2)
