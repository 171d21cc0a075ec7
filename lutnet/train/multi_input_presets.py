"""Published configurations of families of multi-input tables: PolyLUT, NeuraLUT, NeuraLUT-Assemble and PolyLUT-Add.

Layer sizes, bit widths, fan-ins, degrees and widths of sub-networks are those of the papers' released training scripts: ``jsc-m-lite``,
``jsc-xl``, ``hdr`` and ``nid-lite`` of PolyLUT (Andronic and Constantinides, FPT 2023), ``jsc-2l``, ``jsc-5l`` and ``hdr-5l`` of NeuraLUT
(the same, FPL 2024), ``jsc-openml``, ``jsc-cernbox`` and ``mnist-assemble`` of NeuraLUT-Assemble (the same, FCCM 2025), ``hdr-add2`` and
``nid-add2`` of PolyLUT-Add (Lou et al., FPL 2024).

Deviations: hidden codes are signed; training is shorter; the score of a two-class problem is two neurons and an argmax; ``jsc-*`` are
trained on the simulated jets, whichever of the two genuine data sets they are named for. Training settings of ``jsc-openml`` and
``mnist-assemble`` are our own, chosen on validation data, as is the width of the sub-networks in their tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from lutnet.nn.multi_input_options import AdderOptions, AssembleOptions, PolynomialOptions, SubnetOptions
from lutnet.train.config import ModelConfig, RunConfig, TrainConfig
from lutnet.train.polish_options import PolishOptions

__all__ = ["MULTI_INPUT_PRESETS"]

_TREE = (0, 1, 1, 1, 1, 1, 1)


def _model(family: str, hidden: tuple[int, ...], bits: int, fan_in: int, **more: object) -> ModelConfig:
    """A network with one bit width and one fan-in, as far as ``more`` says nothing else."""
    settings: dict[str, object] = {
        "family": family,
        "hidden_layers": hidden,
        "input_bitwidth": bits,
        "hidden_bitwidth": bits,
        "output_bitwidth": bits,
        "input_fanin": fan_in,
        "hidden_fanin": fan_in,
        "output_fanin": fan_in,
    }
    return ModelConfig(**{**settings, **more})  # type: ignore[arg-type]


def _jets(name: str, model: ModelConfig, learning_rate: float, **more: Any) -> RunConfig:
    train = TrainConfig(epochs=100, batch_size=1024, learning_rate=learning_rate, weight_decay=1e-4)
    return RunConfig(name, "jets_sim", model, replace(train, **more))


def _images(name: str, model: ModelConfig, learning_rate: float, **more: Any) -> RunConfig:
    train = TrainConfig(epochs=60, batch_size=128, learning_rate=learning_rate, weight_decay=0.0, shift_pixels=1)
    return RunConfig(name, "mnist", model, replace(train, **more))


def _intrusions(name: str, model: ModelConfig, learning_rate: float) -> RunConfig:
    train = TrainConfig(epochs=60, batch_size=1024, learning_rate=learning_rate, weight_decay=1e-4)
    return RunConfig(name, "nid", model, train)


_TREE_SIZES = (320, 160, 80, 40, 20, 10)
_PIXELS: dict[str, object] = {"input_codes": "range", "input_range": (0, 256)}
_HDR = (256, 100, 100, 100, 100)

_JETS = (
    _jets("jsc-m-lite", _model("polynomial", (64, 32), 3, 4, polynomial=PolynomialOptions(6)), 1e-3),
    _jets(
        "jsc-xl",
        _model(
            "polynomial",
            (128, 64, 64, 64),
            5,
            3,
            input_bitwidth=7,
            input_fanin=2,
            polynomial=PolynomialOptions(4),
        ),
        1e-2,
    ),
    _jets("jsc-2l", _model("subnet", (32,), 4, 3, subnet=SubnetOptions(8, 4, 2)), 1e-3),
    _jets(
        "jsc-5l",
        _model("subnet", (128, 128, 128, 64), 4, 3, input_bitwidth=7, input_fanin=2, subnet=SubnetOptions(16, 4, 2)),
        1e-3,
    ),
    _jets(
        "jsc-openml",
        _model(
            "assemble",
            _TREE_SIZES,
            3,
            2,
            input_codes="informative",
            input_bitwidth=6,
            input_fanin=1,
            output_bitwidth=8,
            assemble=AssembleOptions(_TREE),
            layer_wirings=("learned", *["random"] * 6),
        ),
        1e-2,
        epochs=120,
        average_decay=0.998,
        polish=PolishOptions(6, least_gain=2.0, restarts=30, teacher_weight=1.0, teacher_power=2.0, features=True),
        teacher_layers=(256, 128, 64),
    ),
    _jets(
        "jsc-cernbox",
        _model(
            "assemble",
            _TREE_SIZES,
            4,
            2,
            input_codes="informative",
            input_bitwidth=8,
            input_fanin=1,
            output_bitwidth=8,
            assemble=AssembleOptions(_TREE),
        ),
        3e-3,
        epochs=60,
    ),
)

_IMAGES = (
    _images("hdr", _model("polynomial", _HDR, 2, 6, polynomial=PolynomialOptions(4), **_PIXELS), 4e-3),
    _images("hdr-5l", _model("subnet", _HDR[:-1], 2, 6, subnet=SubnetOptions(16, 4, 2), **_PIXELS), 3e-3),
    _images("hdr-add2", _model("adder", _HDR, 2, 4, adder=AdderOptions(2, 3), **_PIXELS), 4e-3),
    _images(
        "mnist-assemble",
        _model(
            "assemble",
            (2160, 360, 2160, 360, 60),
            1,
            6,
            output_bitwidth=6,
            assemble=AssembleOptions((0, 1, 0, 1, 1, 1)),
            wiring="learned",
            **_PIXELS,
        ),
        4e-3,
        epochs=40,
        batch_size=256,
    ),
)

_BITS: dict[str, object] = {"input_codes": "binary", "input_bitwidth": 1}
_INTRUSIONS = (
    _intrusions(
        "nid-lite", _model("polynomial", (686, 147, 98, 49), 2, 7, polynomial=PolynomialOptions(2), **_BITS), 1e-2
    ),
    _intrusions(
        "nid-add2",
        _model("adder", (100, 100, 50, 50), 2, 3, input_fanin=6, output_fanin=7, adder=AdderOptions(2, 1), **_BITS),
        2e-2,
    ),
)

MULTI_INPUT_PRESETS: Mapping[str, RunConfig] = MappingProxyType(
    {config.name: config for config in (*_JETS, *_IMAGES, *_INTRUSIONS)}
)
"""Published configurations of families of multi-input tables by name."""
