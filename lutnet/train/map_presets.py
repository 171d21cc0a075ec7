"""Networks with convolutions by name; sizes are our own, chosen on validation data.

``mnist-conv``: a window of 5 x 5 pixels, the leading bit of each, moves by two pixels; at every position 16 tables of six learned
pixels make 16 channels, and a layer of tables with a learned mapping reads them all. ``mnist-hybrid``: logic tables over windows, means
of neighbouring positions, edge tables and sums, and two arithmetic layers, the last of which makes the scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from lutnet.nn.edge_options import AdditiveOptions
from lutnet.nn.map_options import MapOptions
from lutnet.nn.options import DifferentiableOptions, ThermometerOptions
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig

__all__ = ["MAP_PRESETS"]

_CONVOLUTION = MapOptions(
    channels=16, kernel=(5,), stride=(2,), padding=(1,), padding_end=(0,), family="differentiable"
)

_CONV = RunConfig(
    "mnist-conv",
    "mnist",
    ModelConfig(
        family="differentiable",
        hidden_layers=(2000,),
        input_bitwidth=1,
        input_codes="range",
        input_range=(0, 256),
        map_shape=(1, 28, 28),
        maps=(_CONVOLUTION,),
        differentiable=DifferentiableOptions(tau=5.0, mapping_until=0.25),
        thermometer=ThermometerOptions(n_thresholds=1, placement="uniform"),
    ),
    TrainConfig(epochs=40, batch_size=256, learning_rate=2e-2, weight_decay=0.0, shift_pixels=1),
)

_HYBRID = replace(
    _CONV.with_model(
        hidden_layers=(16, 16),
        layer_families=("additive", "arithmetic", "arithmetic"),
        hidden_bitwidth=4,
        activation="unsigned",
        maps=(
            replace(_CONVOLUTION, channels=12),
            MapOptions(
                kind="average-pool", kernel=(2,), stride=(2,), padding_end=(-1,), bits=3, activation="hard-tanh"
            ),
        ),
        additive=AdditiveOptions(hidden_bits=4, fraction_bits=5, smoothness=0.0, lr_scale=2.0, settle_at=0.7),
    ).with_train(epochs=22, learning_rate=1e-2, cost_weight=8e-5, average_decay=0.99, keep_after=0.6),
    name="mnist-hybrid",
)

MAP_PRESETS: Mapping[str, RunConfig] = MappingProxyType({preset.name: preset for preset in (_CONV, _HYBRID)})
"""Networks with convolutions by name."""
