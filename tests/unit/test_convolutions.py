"""Convolutions and poolings of every geometry and several families: layers, netlists, and torch's own as reference."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from lutnet.cost import XCVU9P
from lutnet.errors import UserError
from lutnet.formats import Format
from lutnet.ir import OpCode
from lutnet.lower import lower_layer
from lutnet.nn import (
    ArithmeticNeurons,
    DifferentiableLut,
    DifferentiableOptions,
    FixedQuantizer,
    InputQuantizer,
    Layer,
    SparseLinear,
    WidthOptions,
    contiguous_wiring,
    make_quantizer,
    random_wiring,
)
from lutnet.nn.convolution import Convolution
from lutnet.nn.edge_codes import ScoreCodes
from lutnet.nn.maps import Geometry, MapShape
from lutnet.nn.pooling import AveragePool, MaxPool, OrPool
from lutnet.nn.quantize import Quantizer
from lutnet.nn.thermometer import BIPOLAR
from lutnet.testing import check_layer
from lutnet.testing.kernels import additive_kernel, arithmetic_kernel, linear_kernel, two_layer_kernel

BITS = FixedQuantizer(BIPOLAR)
MAP = MapShape(1, (3, 4))


def tree(view: Quantizer, window: int) -> Sequence[Layer]:
    options = DifferentiableOptions(lut_inputs=2, mapping="learned")
    leaves = DifferentiableLut(view, window, 4, options)
    wiring = contiguous_wiring(4, 2, 2)
    return [leaves, DifferentiableLut(leaves.quantizer, 4, 2, options, learned=False, wiring=wiring)]


KERNELS = {
    "linear": linear_kernel,
    "chain": two_layer_kernel,
    "additive": additive_kernel,
    "arithmetic": arithmetic_kernel,
    "tree": tree,
}

GEOMETRIES = {
    "plain": (MAP, Geometry((2,))),
    "sequence": (MapShape(2, (6,)), Geometry((3,), stride=(2,), padding=(1,), padding_end=(0,))),
    "strided": (MAP, Geometry((2,), stride=(1, 2))),
    "padded": (MAP, Geometry((3,), padding=(1,))),
    "grouped": (MapShape(2, (6,), channels_last=True), Geometry((3,), groups=2)),
    "dilated": (MapShape(1, (12,)), Geometry((3,), dilation=(2,))),
    "transposed": (MapShape(3, (4,)), Geometry((2,), stride=(2,), transposed=True)),
    "transposed map": (
        MapShape(2, (2, 3)),
        Geometry((3,), stride=(2,), padding=(1,), output_padding=(1,), transposed=True),
    ),
}


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_every_geometry_is_a_layer(geometry: str) -> None:
    shape, windows = GEOMETRIES[geometry]
    check_layer(
        lambda source, _: Convolution(source, shape, windows, linear_kernel),
        bits=2,
        in_features=shape.n_columns,
        alike=True,
        simulate=geometry == "padded",
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_family_is_a_kernel(kernel: str) -> None:
    shape, windows = MAP, Geometry((2, 3), padding=(0, 1))
    check_layer(
        lambda source, _: Convolution(source, shape, windows, KERNELS[kernel]),
        bits=1 if kernel == "tree" else 2,
        in_features=shape.n_columns,
        alike=True,
        simulate=kernel == "additive",
    )


POOLS = {
    "max": (lambda source, shape, windows: MaxPool(source, shape, windows), 2),
    "wide max": (lambda source, shape, windows: MaxPool(source, shape, windows), 5),
    "or": (lambda source, shape, windows: OrPool(source, shape, windows), 1),
    "average": (lambda source, shape, windows: AveragePool(source, shape, windows, make_quantizer("signed", 3)), 2),
}


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(
    "shape, windows",
    [(MapShape(2, (2, 4)), Geometry((2,), stride=(2,))), (MapShape(1, (8,)), Geometry((3,), padding=(1,)))],
    ids=["map", "sequence"],
)
def test_every_pooling_is_a_layer(pool: str, shape: MapShape, windows: Geometry) -> None:
    make, bits = POOLS[pool]
    check_layer(
        lambda source, _: make(source, shape, windows),
        bits=bits,
        in_features=shape.n_columns,
        alike=True,
        simulate=False,
    )


@pytest.mark.parametrize("pool", ["max", "average"])
def test_channels_with_codes_of_their_own_are_pooled(pool: str) -> None:
    """Wrapped codes stand for other values in every channel."""
    torch.manual_seed(0)
    shape = MapShape(2, (2, 4))
    source = InputQuantizer.over_range(shape.n_columns, 2, -1.0, 1.0)
    before = Convolution(source, shape, Geometry((1,)), additive_kernel)
    layer = POOLS[pool][0](before.quantizer, before.made, Geometry((2,), stride=(2,)))
    assert len(layer.kernels) == 2
    x = source.values(torch.randint(0, 4, (50, shape.n_columns)))
    layer.train()(before.train()(x.float()))
    before.eval()
    codes = before.codes(x)
    values = before.quantizer.values(codes)
    expected = layer.eval().codes(values)
    np.testing.assert_array_equal(lower_layer(layer).evaluate(codes.numpy()), expected)
    assert before.quantizer.formats()[0] != before.quantizer.formats()[-1]
    pooled = functional.max_pool2d(values.view(50, 2, 2, 4), 2).flatten(1)
    if pool == "max":
        np.testing.assert_array_equal(layer(values), pooled)


# -- torch's own as reference ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_exact_sums_are_torchs_convolution(geometry: str) -> None:
    shape, windows = GEOMETRIES[geometry]
    source = make_quantizer("signed", 4)
    torch.manual_seed(0)

    def exact(view: Quantizer, window: int) -> Sequence[Layer]:
        wiring = random_wiring(window, 3, 1, 0)
        return [ArithmeticNeurons(view, window, wiring, ScoreCodes(1.0))]

    layer = Convolution(source, shape, windows, exact).eval()
    codes = torch.randint(0, 16, (20, shape.n_columns))
    integers = torch.from_numpy(source.formats()[0].integers())[codes].double()
    if shape.channels_last:
        integers = integers.view(20, -1, shape.channels).transpose(1, 2)
    maps = integers.reshape(20, shape.channels, *shape.size)
    weights = torch.stack([chain[0].integer_weights() for chain in layer.chains()])
    expected = torchs(maps, weights.double(), shape, windows)
    scales = torch.tensor([fmt.scale for fmt in layer.quantizer.feature_formats(layer.out_features)])
    found = layer(source.values(codes)) / scales
    if shape.channels_last:
        expected = expected.movedim(1, -1)
    np.testing.assert_array_equal(found.round(), expected.flatten(1))
    np.testing.assert_array_equal(lower_layer(layer).evaluate(codes.numpy()), layer.codes(source.values(codes)))


def torchs(maps: Tensor, weights: Tensor, shape: MapShape, geometry: Geometry) -> Tensor:
    """The convolution by torch, for weights of shape ``(groups, window, channels)``."""
    n_axes = len(shape.size)
    axes = [geometry.axis(axis, n_axes) for axis in range(n_axes)]
    kernel = [axis.kernel for axis in axes]
    filters = weights.view(geometry.groups, shape.channels // geometry.groups, *kernel, -1)
    settings = {"stride": [axis.stride for axis in axes], "dilation": [axis.dilation for axis in axes]}
    settings["padding"] = [axis.padding for axis in axes]
    if geometry.transposed:
        function = functional.conv_transpose1d if n_axes == 1 else functional.conv_transpose2d
        settings["output_padding"] = [axis.output_padding for axis in axes]
        return function(maps, filters.movedim(-1, 2).flatten(0, 1), groups=geometry.groups, **settings)
    function = functional.conv1d if n_axes == 1 else functional.conv2d
    return function(maps, filters.movedim(-1, 1).flatten(0, 1), groups=geometry.groups, **settings)


@pytest.mark.parametrize(
    "kind, bits", [("signed", 2), ("signed", 4), ("signed", 6), ("ternary", 2), ("power-of-two", 4)]
)
def test_maxima_and_means_are_torchs_pooling(kind: str, bits: int) -> None:
    torch.manual_seed(bits)
    source, shape = make_quantizer(kind, bits), MapShape(3, (4, 6))
    windows = Geometry((2, 3), stride=(2, 3), padding=(0, 0))
    largest, mean = MaxPool(source, shape, windows), AveragePool(source, shape, windows, make_quantizer("signed", 8))
    top = {"ternary": 3, "power-of-two": (1 << bits) - 1}.get(kind, 1 << bits)
    codes = torch.randint(0, top, (40, shape.n_columns))
    values = source.values(codes)
    maps = values.view(40, 3, 4, 6)
    np.testing.assert_array_equal(largest.eval()(values), functional.max_pool2d(maps, (2, 3)).flatten(1))
    np.testing.assert_array_equal(lower_layer(largest).evaluate(codes.numpy()), largest.codes(values))
    means = functional.avg_pool2d(maps, (2, 3)).flatten(1)
    mean.train()(values.float())
    mean.eval()
    off = (mean(values) - mean.quantizer(means)).abs() / mean.quantizer.formats()[0].scale
    assert float(off.max()) < 1.01 and float((off == 0).double().mean()) > 0.97
    np.testing.assert_array_equal(lower_layer(mean).evaluate(codes.numpy()), mean.codes(values))


def test_padding_of_a_maximum_does_not_count_and_that_of_a_mean_is_zero() -> None:
    source, shape, windows = make_quantizer("signed", 3), MapShape(2, (4, 4)), Geometry((3,), padding=(1,))
    codes = torch.randint(4, 8, (30, shape.n_columns))
    values = source.values(codes)
    assert float(values.max()) < 0
    maps = values.view(30, 2, 4, 4)
    found = MaxPool(source, shape, windows).eval()(values)
    np.testing.assert_array_equal(found, functional.max_pool2d(maps, 3, 1, 1).flatten(1))
    mean = AveragePool(source, shape, windows, make_quantizer("signed", 10))
    mean.train()(values.float())
    expected = functional.avg_pool2d(maps, 3, 1, 1).flatten(1)
    assert float((mean.eval()(values) - expected).abs().max()) < 0.01


def test_a_mean_is_of_equally_spaced_values() -> None:
    source = make_quantizer("power-of-two", 6)
    layer = AveragePool(source, MapShape(1, (4,)), Geometry((2,)), make_quantizer("signed", 4))
    with pytest.raises(UserError, match="64 values from -1 to 1 are none; choose equally spaced codes"):
        layer.codes(source.values(torch.zeros(2, 4, dtype=torch.int64)))


def test_an_or_is_whether_any_bit_is_set() -> None:
    shape = MapShape(2, (6, 6))
    layer = OrPool(BITS, shape, Geometry((3,), stride=(3,)))
    codes = (torch.rand(40, shape.n_columns) < 0.1).long()
    expected = functional.max_pool2d(codes.double().view(40, 2, 6, 6), 3).flatten(1).long()
    np.testing.assert_array_equal(layer.codes(BITS.values(codes)), expected)
    net = lower_layer(layer)
    np.testing.assert_array_equal(net.evaluate(codes.numpy()), expected)
    assert layer.lut_cost(XCVU9P) == 8 * 3 and net.count(OpCode.LUT) == 8 * 2 + 8


# -- weight sharing, budgets and errors ----------------------------------------------------------------------------------


def test_tables_are_shared_by_all_copies_and_counted_for_each() -> None:
    shape = MapShape(1, (8, 8))
    layer = Convolution(BITS, shape, Geometry((3,)), tree)
    net = lower_layer(layer)
    assert layer.n_copies == 36 and net.count(OpCode.LUT) == 36 * 6 and len(net.tables) <= 6
    row = layer.summary("layer0", XCVU9P)
    kernel = sum(inner.lut_cost(XCVU9P) for inner in layer.chains()[0])
    assert row.n_luts == 36 * kernel and row.n_neurons == 36 * 6 and row.n_entries == 6 * 4
    assert row.kind == "Convolution of 36 x DifferentiableLut"
    assert float(layer.cost(XCVU9P)) == 36 * kernel


def test_a_wrong_entry_of_a_shared_table_shows() -> None:
    layer = Convolution(BITS, MapShape(1, (5, 5)), Geometry((2,)), tree)
    codes = np.random.default_rng(0).integers(0, 2, (200, 25))
    expected = layer.codes(BITS.values(torch.from_numpy(codes))).numpy()
    np.testing.assert_array_equal(lower_layer(layer).evaluate(codes), expected)
    entries = layer.chains()[0][1].parameters_of_tables.entries
    with torch.no_grad():
        entries[0, 0] = -entries[0, 0]
    assert (lower_layer(layer).evaluate(codes) != expected).any()


def test_a_map_beyond_the_budget_is_not_unrolled() -> None:
    layer = Convolution(BITS, MapShape(1, (64, 64)), Geometry((3,)), tree, max_luts=20_000)
    with pytest.raises(
        UserError, match=r"3,844 copies of a kernel of 6 lookup tables, 23,064 in all, .* 20,000; .* streaming form"
    ):
        lower_layer(layer)
    assert layer.codes(torch.ones(2, 64 * 64)).shape == (2, 2 * 62 * 62)


def test_a_kernel_cannot_read_columns_of_different_codes() -> None:
    features = np.random.default_rng(0).normal(size=(100, 6)) * np.arange(1, 7)
    values = InputQuantizer.fit_uniform(features, 2, standardize=False)
    with pytest.raises(
        UserError, match="place 0 of a window reads columns 0 and 1 of the map, whose codes have different values"
    ):
        Convolution(values, MapShape(1, (6,)), Geometry((3,)), linear_kernel)
    widths = InputQuantizer.fit_uniform(features, [2, 2, 2, 3, 2, 2])
    with pytest.raises(UserError, match="columns 2 and 3 of the map, whose codes have different bits"):
        Convolution(widths, MapShape(1, (6,)), Geometry((3,)), linear_kernel)


def test_kernels_are_chains_over_their_windows() -> None:
    with pytest.raises(UserError, match="layer over the 4 places of its window, got none"):
        Convolution(BITS, MAP, Geometry((2,)), lambda view, window: [])
    with pytest.raises(UserError, match="got one that reads 3"):
        Convolution(BITS, MAP, Geometry((2,)), lambda view, window: linear_kernel(view, 3))
    with pytest.raises(UserError, match="reads 4 columns, expected the 2 of the layer before it"):
        Convolution(
            BITS, MAP, Geometry((2,)), lambda view, window: [*linear_kernel(view, window), *linear_kernel(view, window)]
        )


@pytest.mark.parametrize(
    "make, message",
    [
        (
            lambda: OrPool(make_quantizer("signed", 2), MAP, Geometry((2,))),
            "the map has codes of 2 bits; choose a max-pool",
        ),
        (lambda: MaxPool(BITS, MAP, Geometry((2,), transposed=True)), "a pooling has no transposed form"),
        (
            lambda: AveragePool(BITS, MAP, Geometry((2,)), make_quantizer("signed", 3, 4)),
            "one quantiser of 1 channel, got 4 channels",
        ),
        (lambda: MaxPool(BITS, MapShape(1, (5, 4)), Geometry((2,), stride=(2,))), "the stride 2 does not divide"),
    ],
)
def test_poolings_that_do_not_fit(make: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()  # type: ignore[operator]


def test_copies_of_a_network_have_their_own_kernels() -> None:
    """Averaged weights are deep copies: a view in a copy is of the copy's own quantisers."""
    first = Convolution(BITS, MAP, Geometry((2,)), linear_kernel)
    second = MaxPool(first.quantizer, first.made, Geometry((2,)))
    twin, _ = copy.deepcopy((first, second))
    x = BITS.values(torch.randint(0, 2, (40, 12)))
    first.train()(x.float())
    before = twin.eval()(x)
    with torch.no_grad():
        first.kernels[0][0].quantizer.step.mul_(3.0)
    np.testing.assert_array_equal(before, twin(x))
    assert twin.quantizer.formats() != first.quantizer.formats()


def test_widths_are_learned_for_what_a_window_reads() -> None:
    source = make_quantizer("signed", 4)
    torch.manual_seed(0)

    def narrow(view: Quantizer, window: int) -> Sequence[Layer]:
        wiring = contiguous_wiring(window, 2, 2)
        widths = WidthOptions(granularity="element", start_bits=2.0, move_from=0.0)
        return [SparseLinear(view, window, wiring, make_quantizer("signed", 4), widths=widths)]

    first = Convolution(source, MapShape(1, (8,)), Geometry((4,), stride=(2,)), narrow)
    second = Convolution(first.quantizer, first.made, Geometry((2,)), narrow_two(first.made))
    np.testing.assert_array_equal(source.needed_bits(8).detach(), np.full(8, 2.0))
    inner = first.chains()[0][0]
    np.testing.assert_array_equal(inner.quantizer.needed_bits(2).detach(), [3.0, 1.0])
    assert second.cost(XCVU9P) > 0
    x = source.values(torch.randint(0, 16, (60, 8)))
    loss = second.train()(first.train()(x.float())).square().mean() + 1e-3 * (first.cost(XCVU9P) + second.cost(XCVU9P))
    loss.backward()
    assert inner.widths.width.grad is not None and bool((inner.widths.width.grad != 0).any())
    codes = source.codes(x)
    np.testing.assert_array_equal(lower_layer(first).evaluate(codes.numpy()), first.codes(x))


def narrow_two(shape: MapShape) -> object:
    """A kernel that reads 3 bits of channel 0 and 1 bit of channel 1."""

    def make(view: Quantizer, window: int) -> Sequence[Layer]:
        wiring = np.arange(window)[None]
        layer = SparseLinear(
            view, window, wiring, make_quantizer("signed", 2), widths=WidthOptions(granularity="element", move_from=0.0)
        )
        with torch.no_grad():
            layer.widths.width.copy_(torch.tensor([3.0, 3.0, 1.0, 1.0]))
        return [layer]

    assert shape.channels == 2
    return make


def test_the_value_outside_is_the_one_nearest_to_zero() -> None:
    layer = Convolution(BITS, MAP, Geometry((2,)), linear_kernel)
    values = torch.tensor([[-1.0, 1.0], [0.5, 2.0], [-3.0, 0.25], [-0.5, 0.5]], dtype=torch.float64)
    np.testing.assert_array_equal(layer.outside(values), [-1.0, 0.5, 0.25, -0.5])
    assert isinstance(layer.quantizer.formats()[0], Format)
