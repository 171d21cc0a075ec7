"""Networks of convolutions and poolings as streams: equal to their netlists, or refused with the layer and the reason."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from lutnet.errors import UserError
from lutnet.lower import lower_network, stream_network
from lutnet.nn import (
    DifferentiableLut,
    DifferentiableOptions,
    GroupSum,
    InputQuantizer,
    Layer,
    LutNetwork,
    SparseLinear,
    Thermometer,
    make_quantizer,
    random_wiring,
)
from lutnet.nn.convolution import Convolution
from lutnet.nn.maps import Geometry, MapShape
from lutnet.nn.pooling import AveragePool, MaxPool, OrPool
from lutnet.nn.quantize import Quantizer
from lutnet.testing.kernels import additive_kernel, arithmetic_kernel, linear_kernel, two_layer_kernel
from lutnet.verify.vectors import random_codes


def gates(view: Quantizer, window: int) -> Sequence[Layer]:
    return [DifferentiableLut(view, window, 2, DifferentiableOptions(lut_inputs=3, mapping="random"))]


def inputs(n_features: int, bits: int = 2) -> InputQuantizer:
    return InputQuantizer.over_range(n_features, bits, -1.0, 1.0)


def classes(source: Quantizer, n_columns: int) -> Layer:
    return SparseLinear(
        source, n_columns, random_wiring(n_columns, 3, min(3, n_columns), 5), make_quantizer("signed", 4)
    )


def network(shape: MapShape, *maps: tuple[object, Geometry], bits: int = 2) -> LutNetwork:
    """Maps after each other, given by what makes their kernels or by their kind, and a layer for three classes behind them."""
    torch.manual_seed(3)
    source: Quantizer = inputs(shape.n_columns, bits)
    start, layers = source, []
    for kind, geometry in maps:
        if kind is AveragePool:
            layer: Layer = AveragePool(source, shape, geometry, make_quantizer("signed", 3))
        elif isinstance(kind, type):
            layer = kind(source, shape, geometry)
        else:
            layer = Convolution(source, shape, geometry, kind)  # type: ignore[arg-type]
        layers.append(layer)
        source, shape = layer.quantizer, layer.made  # type: ignore[attr-defined]
    assert isinstance(start, InputQuantizer)
    return LutNetwork(start, [*layers, classes(source, shape.n_columns)])


PLANE = MapShape(1, (6, 8))
NETWORKS = {
    "convolution and pooling": (
        PLANE,
        [(linear_kernel, Geometry((3,), padding=(1,))), (MaxPool, Geometry((2,), (2,)))],
    ),
    "padded pooling": (PLANE, [(linear_kernel, Geometry((2,))), (MaxPool, Geometry((3,), (2,), (1,)))]),
    "padded mean": (PLANE, [(linear_kernel, Geometry((3,))), (AveragePool, Geometry((3,), padding=(1,)))]),
    "chain of layers": (PLANE, [(two_layer_kernel, Geometry((2, 3), stride=(2, 1)))]),
    "grouped": (MapShape(2, (5, 6)), [(linear_kernel, Geometry((3,), groups=2, padding=(1,)))]),
    "grouped, channels last": (
        MapShape(2, (5, 6), True),
        [(two_layer_kernel, Geometry((2,), groups=2)), (linear_kernel, Geometry((2,)))],
    ),
    "dilated": (PLANE, [(additive_kernel, Geometry((2, 3), dilation=(2,), padding=(1, 2)))]),
    "sequence": (
        MapShape(2, (12,)),
        [(arithmetic_kernel, Geometry((3,), (2,), (1,), (0,))), (MaxPool, Geometry((2,), (2,)))],
    ),
    "turned round": (PLANE, [(linear_kernel, Geometry((3,), padding=(1,), transposed=True))]),
    "cropped": (PLANE, [(linear_kernel, Geometry((2,), (2,), padding_end=(-2, 0)))]),
    "map that is one pixel": (
        MapShape(2, (2, 2)),
        [(linear_kernel, Geometry((2,))), (two_layer_kernel, Geometry((1,)))],
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_stream_is_its_network(name: str) -> None:
    shape, maps = NETWORKS[name]
    model = network(shape, *maps)
    net, design = lower_network(model), stream_network(model)
    codes = random_codes(net.input_widths, 300, seed=1)
    expected = net.evaluate(codes)
    assert len(np.unique(expected)) > 1, "a network that says one thing shows nothing"
    np.testing.assert_array_equal(design.evaluate(codes), expected)
    assert len(design.stages) == len(maps) + 1
    assert design.input_widths == net.input_widths


def thermometer_network(placement: str, n_thresholds: int = 2) -> LutNetwork:
    torch.manual_seed(1)
    source = inputs(30, 3)
    encoder = Thermometer(source, 30, n_thresholds)
    encoder.fit(placement, np.random.default_rng(0).normal(size=(200, 30)) * np.linspace(0.1, 1, 30))
    shape = MapShape(n_thresholds, (5, 6), channels_last=True)
    convolution = Convolution(encoder.quantizer, shape, Geometry((2, 3), padding=(0, 1)), gates)
    pool = OrPool(convolution.quantizer, convolution.made, Geometry((2,), stride=(2,)))
    options = DifferentiableOptions(mapping="random")
    dense = DifferentiableLut(pool.quantizer, pool.made.n_columns, 12, options)
    return LutNetwork(source, [encoder, convolution, pool, dense, GroupSum(dense.quantizer, 12, 3, tau=1.0)])


def test_thermometer_codes_are_a_stage_over_pixels() -> None:
    model = thermometer_network("uniform")
    net, design = lower_network(model), stream_network(model)
    codes = random_codes(net.input_widths, 300, seed=1)
    np.testing.assert_array_equal(design.evaluate(codes), net.evaluate(codes))
    assert design.schedules[0].pointwise
    assert design.stages[0].widths == (3,) and design.stages[0].out_widths == (1, 1)
    assert design.estimate.line_bits > 0


def test_networks_that_are_refused() -> None:
    with pytest.raises(UserError, match=r"\(Thermometer\) treat pixel \d+ of 30 otherwise than pixel 0"):
        stream_network(thermometer_network("quantile"))
    source = inputs(4)
    with pytest.raises(UserError, match="no convolution and no pooling"):
        stream_network(LutNetwork(source, [classes(source, 4)]))
    with pytest.raises(
        UserError,
        match="layer 0, a Convolution: a transposed convolution of stride 2 makes 4 pixels along an axis of 2",
    ):
        stream_network(network(MapShape(1, (2, 2)), (linear_kernel, Geometry((2,), stride=(2,), transposed=True))))
    with pytest.raises(
        UserError, match="layer 0, a Convolution: 8 windows at stride 1 along an axis of 6 pixels are more"
    ):
        stream_network(network(PLANE, (linear_kernel, Geometry((3,), padding=(2,)))))


def test_a_layer_between_two_maps_is_refused() -> None:
    source = inputs(16)
    first = Convolution(source, MapShape(1, (4, 4)), Geometry((3,), padding=(1,)), linear_kernel)
    middle = SparseLinear(first.quantizer, 32, random_wiring(32, 16, 2, 0), make_quantizer("signed", 2))
    last = Convolution(middle.quantizer, MapShape(1, (4, 4)), Geometry((3,)), linear_kernel)
    model = LutNetwork(source, [first, middle, last, classes(last.quantizer, 8)])
    with pytest.raises(UserError, match="layer 1 is a SparseLinear between two maps"):
        stream_network(model)


def test_features_of_different_codes_are_refused() -> None:
    source = InputQuantizer([2] * 8 + [3] * 8)
    whole = Convolution(source, MapShape(1, (4, 4)), Geometry((4,)), linear_kernel)
    with pytest.raises(
        UserError, match=r"one code for each channel, the bits of the features of pixel 8 are \[3\], of pixel 0 \[2\]"
    ):
        stream_network(LutNetwork(source, [whole, classes(whole.quantizer, 2)]))
