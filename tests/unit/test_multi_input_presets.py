"""Published configurations of multi-input tables: each makes a network with the published tables."""

from __future__ import annotations

import pytest

from lutnet.cost import XCVU9P
from lutnet.train.build import empty_network
from lutnet.train.multi_input_presets import MULTI_INPUT_PRESETS
from lutnet.train.presets import find_config

FIGURES = {
    "jsc-m-lite": ([64, 32, 5], 12, 3),
    "jsc-xl": ([128, 64, 64, 64, 5], 15, 5),
    "jsc-2l": ([32, 5], 12, 4),
    "jsc-5l": ([128, 128, 128, 64, 5], 14, 4),
    "jsc-openml": ([320, 160, 80, 40, 20, 10, 5], 6, 8),
    "jsc-cernbox": ([320, 160, 80, 40, 20, 10, 5], 8, 8),
    "hdr": ([256, 100, 100, 100, 100, 10], 12, 2),
    "hdr-5l": ([256, 100, 100, 100, 10], 12, 2),
    "hdr-add2": ([256, 100, 100, 100, 100, 10], 8, 2),
    "mnist-assemble": ([2160, 360, 2160, 360, 60, 10], 6, 6),
    "nid-lite": ([686, 147, 98, 49, 2], 14, 2),
    "nid-add2": ([100, 100, 50, 50, 2], 14, 2),
}
"""Neurons of each layer, address bits of the widest table, and bits of a score."""

COLUMNS = {"jets_sim": (16, 5), "mnist": (784, 10), "nid": (593, 2)}


@pytest.mark.parametrize("name", list(MULTI_INPUT_PRESETS))
def test_a_published_network_has_the_published_tables(name):
    config = find_config(name)
    n_features, n_classes = COLUMNS[config.dataset]
    features, classes = ([f"{kind}{i}" for i in range(n)] for kind, n in (("x", n_features), ("c", n_classes)))
    network = empty_network(config.model, [config.model.input_bitwidth] * n_features, features, classes)
    rows = network.lut_cost(XCVU9P).rows
    sizes, address_bits, out_bits = FIGURES[name]
    assert [layer.out_features for layer in network.layers] == sizes
    assert max(row.address_bits for row in rows[:-1]) == address_bits and rows[-1].address_bits == out_bits
    assert config.name == name
