"""Configurations by name: published ones, and our own for the families that publish none for these data.

``jsc-*`` and ``nid-*``: layer sizes, bit widths and fan-ins are those of Umuroglu et al., "LogicNets", FPL 2020 (arXiv
2004.03021), Table 2, as its released training scripts state them. Deviations: the score of a two-class problem is two
neurons and an argmax in place of one neuron and a threshold; features are coded by quantiles in place of a learned
scale; training is shorter.

``mnist-dwn-*``: one layer of differentiable LUT6 with a learned mapping (Bacellar et al., ICML 2024) over one bit a pixel, the
threshold of which is the pixel's leading bit and so costs nothing; sizes are our own, chosen on validation data.

``jets-additive-*``: sums of edge tables (KANELÉ, HGQ-LUT); sizes and cost weights are our own, chosen on validation data.

``jets-linear-widths``: LogicNets' small network with learned widths, in phases: real-valued, quantised, widths that move, widths settled.
``jets-linear-front`` and ``jets-additive-front``: a front of networks from one training; sizes and cost weights chosen on validation data.

``jets-trees`` and ``unsw-trees``: boosted trees; settings are our own, chosen on validation data.

PolyLUT, NeuraLUT, NeuraLUT-Assemble and PolyLUT-Add: ``lutnet.train.multi_input_presets``. Convolutions: ``lutnet.train.map_presets``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from lutnet.errors import UserError
from lutnet.nn.edge_options import AdditiveOptions
from lutnet.nn.options import DifferentiableOptions, ThermometerOptions
from lutnet.nn.width_options import WidthOptions
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig, load_config
from lutnet.train.map_presets import MAP_PRESETS
from lutnet.train.multi_input_presets import MULTI_INPUT_PRESETS
from lutnet.trees.options import TreeOptions

__all__ = ["PRESETS", "find_config"]

_JSC_TRAIN = TrainConfig(epochs=100, batch_size=1024, learning_rate=5e-3, weight_decay=1e-3, restart_epochs=50)
_JETS_LINEAR_FRONT = RunConfig(
    "jets-linear-front",
    "jets_sim",
    ModelConfig(
        input_bitwidth=4,
        hidden_bitwidth=3,
        output_bitwidth=4,
        input_fanin=6,
        hidden_fanin=6,
        output_fanin=6,
        max_address_bits=12,
        widths=WidthOptions(granularity="element", move_from=0.0, settle_at=0.6),
    ),
    TrainConfig(
        epochs=150,
        batch_size=1024,
        learning_rate=5e-3,
        cost_weight=1e-5,
        cost_weight_end=3e-4,
        cost_cycles=6,
        keep_after=0.6,
        front=True,
    ),
)
_JETS_LINEAR_WIDTHS = replace(
    _JETS_LINEAR_FRONT.with_model(
        widths=WidthOptions(granularity="element", float_until=0.1, move_from=0.2, settle_at=0.7)
    ).with_train(epochs=60, cost_weight=1e-4, cost_weight_end=0.0, cost_cycles=1, keep_after=0.7, front=False),
    name="jets-linear-widths",
)
_NID_TRAIN = TrainConfig(epochs=60, batch_size=1024, learning_rate=1e-2, weight_decay=0.0, restart_epochs=30)


def _jsc(name: str, model: ModelConfig) -> RunConfig:
    return RunConfig(name, "jets_sim", model, _JSC_TRAIN)


def _nid(name: str, hidden: tuple[int, ...], bits: int, fan_in: int) -> RunConfig:
    model = ModelConfig(
        hidden_layers=hidden,
        input_bitwidth=1,
        hidden_bitwidth=bits,
        output_bitwidth=bits,
        input_fanin=7,
        hidden_fanin=fan_in,
        output_fanin=fan_in,
        input_codes="binary",
    )
    return RunConfig(name, "nid", model, _NID_TRAIN)


def _mnist(name: str, n_luts: int, tau: float) -> RunConfig:
    model = ModelConfig(
        family="differentiable",
        hidden_layers=(n_luts,),
        input_bitwidth=1,
        input_codes="range",
        input_range=(0, 256),
        differentiable=DifferentiableOptions(tau=tau, mapping_until=0.5),
        thermometer=ThermometerOptions(n_thresholds=1, placement="uniform"),
    )
    train = TrainConfig(epochs=30, batch_size=256, learning_rate=2e-2, weight_decay=0.0, shift_pixels=1)
    return RunConfig(name, "mnist", model, train)


def _additive(name: str, hidden: int, cost_weight: float) -> RunConfig:
    model = ModelConfig(
        family="additive",
        hidden_layers=(hidden,),
        input_bitwidth=6,
        input_codes="informative",
        additive=AdditiveOptions(smoothness=1e-5, prune_from=0.25, settle_at=0.5),
    )
    train = TrainConfig(
        epochs=120,
        batch_size=2048,
        learning_rate=1.5e-3,
        weight_decay=0.0,
        cost_weight=cost_weight,
        keep_after=0.9,
        average_decay=0.998,
    )
    return RunConfig(name, "jets_sim", model, train)


def _trees(name: str, dataset: str, bits: int, low: float, options: TreeOptions) -> RunConfig:
    model = ModelConfig(family="trees", input_bitwidth=bits, input_low=low, input_high=0.99, trees=options)
    return RunConfig(name, dataset, model)


_FINE = AdditiveOptions(smoothness=5e-5, smooth_order=2)
_JETS_ADDITIVE_L = (
    _additive("jets-additive-l", 16, 7.3e-6)
    .with_model(additive=_FINE, feature_bits=(6, 6, 6, 8, 6, 8, 6, 6, 6, 6, 6, 6, 6, 6, 8, 6))
    .with_train(batch_size=4096, epochs=180)
)

_JETS_ADDITIVE_FRONT = (
    _additive("jets-additive-front", 16, 1e-5)
    .with_model(feature_bits=_JETS_ADDITIVE_L.model.feature_bits)
    .with_train(batch_size=4096, epochs=900, cost_weight_end=4e-4, cost_cycles=10, keep_after=0.5, front=True)
)

_JETS_TREES = TreeOptions(n_rounds=13, max_depth=5, learning_rate=0.6, leaf_bits=4, min_gain=20.0)
_UNSW_TREES = TreeOptions(n_rounds=40, max_depth=3, learning_rate=0.4, leaf_bits=5, min_gain=5.0)

_JSC_L = ModelConfig(
    hidden_layers=(32, 64, 192, 192, 16),
    input_bitwidth=4,
    hidden_bitwidth=3,
    output_bitwidth=7,
    input_fanin=3,
    hidden_fanin=4,
    output_fanin=5,
)
_JSC_M = ModelConfig(
    input_bitwidth=3, hidden_bitwidth=3, output_bitwidth=3, input_fanin=4, hidden_fanin=4, output_fanin=4
)

PRESETS: Mapping[str, RunConfig] = MappingProxyType(
    {
        "jsc-s": _jsc("jsc-s", ModelConfig()),
        "jsc-m": _jsc("jsc-m", _JSC_M),
        "jsc-l": _jsc("jsc-l", _JSC_L),
        "mnist-dwn-md": _mnist("mnist-dwn-md", 1350, 5.0),
        "mnist-dwn-lg": _mnist("mnist-dwn-lg", 2700, 5.0),
        "jets-additive-xs": _additive("jets-additive-xs", 8, 1.95e-4),
        "jets-additive-s": _additive("jets-additive-s", 8, 7.7e-5).with_train(epochs=200),
        "jets-additive-m": _additive("jets-additive-m", 12, 2.5e-5).with_train(epochs=200),
        "jets-additive-l": _JETS_ADDITIVE_L,
        "jets-linear-widths": _JETS_LINEAR_WIDTHS,
        "jets-linear-front": _JETS_LINEAR_FRONT,
        "jets-additive-front": _JETS_ADDITIVE_FRONT,
        "jets-trees": _trees("jets-trees", "jets_sim", 8, 0.01, _JETS_TREES),
        "unsw-trees": _trees("unsw-trees", "unsw_nb15_82k", 12, 0.001, _UNSW_TREES),
        "nid-s": _nid("nid-s", (593, 100), 2, 7),
        "nid-m": _nid("nid-m", (593, 256, 128, 128), 2, 7),
        "nid-l": _nid("nid-l", (593, 100, 100, 100), 3, 5),
        **MULTI_INPUT_PRESETS,
        **MAP_PRESETS,
    }
)
"""Every published configuration by name."""


def find_config(name_or_path: str) -> RunConfig:
    """A published configuration by name, or one from a TOML file.

    Raises:
        UserError: It is neither.
    """
    if name_or_path in PRESETS:
        return PRESETS[name_or_path]
    if Path(name_or_path).suffix == ".toml" or Path(name_or_path).exists():
        return load_config(name_or_path)
    raise UserError(f"'{name_or_path}' is no TOML file and no known configuration; known are {', '.join(PRESETS)}")
