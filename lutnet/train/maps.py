"""Convolutions and poolings from configurations, and the thermometer codes in front of them."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from math import prod

import torch

from lutnet.errors import UserError
from lutnet.nn import FAMILIES, Layer, Quantizer, contiguous_wiring, make_quantizer, random_wiring
from lutnet.nn.convolution import Convolution
from lutnet.nn.map_options import MapOptions
from lutnet.nn.maps import MapShape
from lutnet.nn.pooling import AveragePool, MaxPool, OrPool
from lutnet.train.config import ModelConfig
from lutnet.train.layers import additive_layer, boolean_layer, wired_layer

__all__ = ["map_layers", "n_map_columns"]


def n_map_columns(config: ModelConfig, n_features: int) -> int:
    """Columns that the first hidden layer reads: the features, or the values of the last map."""
    if not config.maps:
        return n_features
    shape = _shapes(config, n_features)[-1]
    return shape.n_columns


def map_layers(config: ModelConfig, source: Quantizer, n_features: int) -> list[Layer]:
    """Convolutions and poolings over the features; none for most networks. Weights and wirings come from torch's global generator.

    Args:
        config: The network.
        source: Makes the codes of the features, or their thermometer codes.
        n_features: Number of features.

    Raises:
        UserError: The maps do not fit the features or each other.
    """
    layers: list[Layer] = []
    shapes = _shapes(config, n_features) if config.maps else []
    for options, shape in zip(config.maps, shapes, strict=False):
        layers.append(_map_layer(config, options, source, shape))
        source = layers[-1].quantizer
    return layers


def _shapes(config: ModelConfig, n_features: int) -> list[MapShape]:
    """The map of the features and those that the layers make of it."""
    size = config.map_shape
    if len(size) not in (2, 3) or prod(size) != n_features:
        raise UserError(
            f"model.map_shape is the channels and the size of the features as a map, such as [1, 28, 28], got {list(size)} of "
            f"{prod(size)} values for {n_features} features"
        )
    shapes = [MapShape(size[0], size[1:], config.map_channels_last)]
    n_thresholds = config.thermometer.n_thresholds
    if config.reads_bits and n_thresholds > 1:
        if size[0] > 1 and not config.map_channels_last:
            raise UserError(
                f"thermometer codes put the {n_thresholds} bits of a value side by side, which is no order of a map of {size[0]} "
                "channels one after the other; give the features channel by channel at each position and set model.map_channels_last"
            )
        shapes = [MapShape(size[0] * n_thresholds, size[1:], channels_last=True)]
    for number, options in enumerate(config.maps):
        channels = options.channels if options.kind == "convolution" else shapes[-1].channels
        try:
            shapes.append(options.geometry().output(shapes[-1], channels))
        except UserError as error:
            raise UserError(f"map {number}, a {options.kind}: {error}") from None
    return shapes


def _map_layer(config: ModelConfig, options: MapOptions, source: Quantizer, shape: MapShape) -> Layer:
    geometry = options.geometry()
    if options.kind == "convolution":
        name = options.family or config.family
        if name not in FAMILIES:
            raise UserError(f"model.maps.family is one of {', '.join(sorted(FAMILIES))}, got '{name}'")
        if name == "assemble":
            raise UserError("a kernel has no trees of the family 'assemble'; choose 'subnet' with model.maps.hidden")
        make_kernel = partial(_kernel, config, options, name)
        return Convolution(source, shape, geometry, make_kernel, max_luts=options.max_luts)
    if options.kind == "average-pool":
        quantizer = make_quantizer(options.activation or config.activation, options.bits)
        return AveragePool(source, shape, geometry, quantizer, max_luts=options.max_luts)
    pool = OrPool if options.kind == "or-pool" else MaxPool
    return pool(source, shape, geometry, max_luts=options.max_luts)


def _kernel(config: ModelConfig, options: MapOptions, name: str, view: Quantizer, window: int) -> list[Layer]:
    """The layers of one group's kernel."""
    layers: list[Layer] = []
    sizes = (window, *options.hidden, options.channels // options.groups)
    for number, (width, size) in enumerate(pairwise(sizes)):
        source = layers[-1].quantizer if layers else view
        first = number == 0
        if name == "additive":
            layers.append(additive_layer(config, source, width, size))
        elif name == "differentiable":
            pins = config.differentiable.lut_inputs
            wiring = contiguous_wiring(width, size, pins) if not first and width == size * pins else None
            layers.append(boolean_layer(config, source, width, size, first=first, wiring=wiring))
        else:
            fan_in = 1 if name == "arithmetic" and config.arithmetic.dense else options.fan_in
            n_rows = size * config.adder.terms if name == "adder" else size
            even = not first and width == n_rows * fan_in
            seed = int(torch.randint(1 << 31, ()).item())
            wiring = contiguous_wiring(width, n_rows, fan_in) if even else random_wiring(width, n_rows, fan_in, seed)
            quantizer = make_quantizer(
                options.activation or config.activation, options.bits, size if config.per_channel else 1
            )
            layers.append(wired_layer(config, name, source, width, wiring.reshape(size, -1), quantizer))
    return layers
