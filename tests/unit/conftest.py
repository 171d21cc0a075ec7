"""Shared by tests of families: from a configuration to a netlist on small made-up data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lutnet.lower import lower_classifier
from lutnet.nn import LutNetwork
from lutnet.train.build import build_network
from lutnet.train.config import RunConfig, config_from_dict
from lutnet.train.data import Dataset, Split
from lutnet.train.loop import train


@pytest.fixture
def toy_data() -> Dataset:
    """Six features and three classes that a sum and a product of features decide."""
    rng = np.random.default_rng(0)

    def part(rows: int) -> Split:
        x = rng.normal(size=(rows, 6))
        return Split.from_arrays(x, (x[:, 0] + x[:, 1] > 0).astype(int) + (x[:, 2] * x[:, 3] > 0.2))

    names = tuple(f"f{i}" for i in range(6))
    return Dataset("toy", part(600), part(200), part(200), names, ("a", "b", "c"), "made up")


@pytest.fixture
def train_to_netlist(toy_data: Dataset) -> Callable[[dict[str, Any]], LutNetwork]:
    """Trains a network by the settings of ``[model]``; its netlist has its validation accuracy, which beats guessing."""

    def run(model: dict[str, Any]) -> LutNetwork:
        settings = {"epochs": 4, "batch_size": 32, "learning_rate": 1e-2}
        config: RunConfig = config_from_dict(
            {"model": {"hidden_layers": [12], "output_bitwidth": 4, **model}, "train": settings}
        )
        network = build_network(config.model, toy_data)
        result = train(network, toy_data, config.train)
        assert result.validation_accuracy > 0.5
        net = lower_classifier(network)
        classes = net.evaluate(network.encoder().encode(toy_data.validation.x))[:, 0]
        assert float((classes == toy_data.validation.y).mean()) == result.validation_accuracy
        return network

    return run
