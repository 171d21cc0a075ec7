"""Geometry of windows over feature maps, against torch's convolutions and poolings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from lutnet.errors import UserError
from lutnet.nn.maps import Geometry, MapShape, windows

RNG = np.random.default_rng(0)

CASES = [
    (MapShape(2, (9,)), Geometry((3,))),
    (MapShape(3, (9,)), Geometry((3,), stride=(2,), padding=(1,))),
    (MapShape(2, (5, 7)), Geometry((3,))),
    (MapShape(1, (28, 28)), Geometry((5,), stride=(1,), padding=(2,))),
    (MapShape(2, (7, 9)), Geometry((3, 5), stride=(2, 1), padding=(0, 2))),
    (MapShape(2, (9, 9)), Geometry((3,), dilation=(2,), padding=(2,))),
    (MapShape(4, (6, 6)), Geometry((2,), stride=(2,), groups=2)),
    (MapShape(4, (6,)), Geometry((3,), groups=4)),
    (MapShape(2, (7,)), Geometry((3,), stride=(2,), dilation=(1,), padding=(3,), transposed=True)),
    (MapShape(2, (4, 5)), Geometry((3,), stride=(2,), padding=(1,), output_padding=(1,), transposed=True)),
    (MapShape(4, (4, 3)), Geometry((3, 2), stride=(2, 3), dilation=(2, 1), groups=2, transposed=True)),
]


@pytest.mark.parametrize("shape, geometry", CASES, ids=str)
def test_sums_over_windows_are_torchs_convolutions(shape: MapShape, geometry: Geometry) -> None:
    index = windows(shape, geometry)
    out = 3 * geometry.groups
    made = geometry.output(shape, out)
    x = RNG.integers(-9, 10, (4, shape.n_columns))
    weight = RNG.integers(-9, 10, (geometry.groups, index.shape[2], 3))
    padded = np.concatenate([x, np.zeros((4, 1), dtype=np.int64)], axis=1)
    sums = np.einsum("bpgw,gwo->bgop", padded[:, index], weight).reshape(4, out, *made.size)
    expected = torchs_convolution(x, weight, shape, geometry)
    np.testing.assert_array_equal(sums, expected.numpy())


def torchs_convolution(
    x: np.ndarray, weight: np.ndarray, shape: MapShape, geometry: Geometry, channels: int = 3
) -> torch.Tensor:
    """The same by torch: integers in float64, which is exact here."""
    n_axes = len(shape.size)
    maps = torch.from_numpy(x).double().reshape(len(x), shape.channels, *shape.size)
    kernel = [geometry.axis(axis, n_axes).kernel for axis in range(n_axes)]
    per_group = shape.channels // geometry.groups
    filters = torch.from_numpy(weight).double().reshape(geometry.groups, per_group, *kernel, channels)
    settings = {
        name: [getattr(geometry.axis(axis, n_axes), name) for axis in range(n_axes)]
        for name in ("stride", "padding", "dilation")
    }
    if geometry.transposed:
        function = functional.conv_transpose1d if n_axes == 1 else functional.conv_transpose2d
        settings["output_padding"] = [geometry.axis(axis, n_axes).output_padding for axis in range(n_axes)]
        return function(maps, filters.movedim(-1, 2).flatten(0, 1), groups=geometry.groups, **settings)
    function = functional.conv1d if n_axes == 1 else functional.conv2d
    return function(maps, filters.movedim(-1, 1).flatten(0, 1), groups=geometry.groups, **settings)


def test_maxima_over_windows_are_torchs_pooling() -> None:
    shape, geometry = MapShape(3, (6, 8)), Geometry((2, 4), stride=(2,), groups=3)
    x = RNG.normal(size=(5, shape.n_columns))
    found = x[:, windows(shape, geometry)].max(axis=3).transpose(0, 2, 1).reshape(5, 3, 3, 3)
    expected = functional.max_pool2d(torch.from_numpy(x).reshape(5, 3, 6, 8), (2, 4), (2, 2))
    np.testing.assert_array_equal(found, expected.numpy())


@pytest.mark.parametrize(
    "geometry", [Geometry((3,)), Geometry((2,), stride=(2,), groups=3), Geometry((2,), padding=(1,))]
)
def test_the_order_of_columns_changes_nothing_else(geometry: Geometry) -> None:
    first, last = MapShape(3, (4, 6)), MapShape(3, (4, 6), channels_last=True)
    where = last.columns().T.reshape(-1)
    of_first, of_last = windows(first, geometry), windows(last, geometry)
    np.testing.assert_array_equal(np.where(of_first >= 0, where[of_first], -1), of_last)
    assert geometry.output(last, 3) == replace(geometry.output(first, 3), channels_last=True)


def test_an_uneven_end_reads_what_torch_reads_at_any_stride() -> None:
    shape = MapShape(1, (8,))
    index = windows(shape, Geometry((3,), stride=(2,), padding=(1,), padding_end=(0,)))
    np.testing.assert_array_equal(index[:, 0], [[-1, 0, 1], [1, 2, 3], [3, 4, 5], [5, 6, 7]])
    cropped = windows(MapShape(1, (7,)), Geometry((2,), stride=(2,), padding_end=(-1,)))
    np.testing.assert_array_equal(cropped[:, 0], [[0, 1], [2, 3], [4, 5]])


def test_a_transposed_convolution_may_name_its_size() -> None:
    shape = MapShape(1, (4,))
    geometry = Geometry((3,), stride=(2,), padding=(1,), transposed=True)
    named = replace(geometry, output_size=(8,))
    assert named.output(shape, 2) == MapShape(2, (8,))
    np.testing.assert_array_equal(windows(shape, named), windows(shape, replace(geometry, output_padding=(1,))))


@pytest.mark.parametrize(
    "shape, geometry, message",
    [
        (
            MapShape(1, (28, 28)),
            {"kernel": (3,), "stride": (2,), "padding": (1,)},
            "27 steps along axis 0, which the stride 2",
        ),
        (
            MapShape(1, (28, 28)),
            {"kernel": (3,), "stride": (2,), "padding": (1,)},
            "set padding_end to 0 to leave 1 positions",
        ),
        (MapShape(1, (4,)), {"kernel": (5,)}, "a window of 5 positions does not fit a map of 4 with padding 0 and 0"),
        (MapShape(1, (6, 6)), {"kernel": (3,), "dilation": (1, 3)}, "a window of 7 positions .* along axis 1"),
        (MapShape(3, (6,)), {"kernel": (3,), "groups": 2}, "2 groups .* reads 3 channels"),
        (
            MapShape(1, (6,)),
            {"kernel": (3, 3)},
            r"kernel has 1 number, or 1: one for each axis of the map, got \[3, 3\]",
        ),
        (
            MapShape(1, (4,)),
            {"kernel": (3,), "stride": (2,), "transposed": True, "output_size": (12,)},
            "makes 9 to 10 positions along axis 0, which output_size 12 contradicts",
        ),
        (
            MapShape(1, (4,)),
            {"kernel": (3,), "stride": (2,), "transposed": True, "output_padding": (2,)},
            "which output_padding 2 contradicts",
        ),
        (MapShape(1, (9_000, 9_000)), {"kernel": (3,), "padding": (1,)}, "81,000,000 windows .* 729,000,000 inputs"),
    ],
)
def test_what_does_not_fit_is_said_with_its_numbers(shape: MapShape, geometry: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        windows(shape, Geometry(**geometry))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"kernel": ()}, r"kernel is at least 1 along each axis, got \[\]"),
        ({"kernel": (3,), "stride": (0,)}, "stride is at least 1"),
        ({"kernel": (3,), "groups": 0}, "groups is at least 1, got 0"),
        ({"kernel": (3,), "output_padding": (1,)}, "for transposed convolutions"),
        ({"kernel": (3,), "transposed": True, "padding_end": (1,)}, "moved by output_padding"),
        ({"kernel": (3,), "transposed": True, "output_padding": (1,), "output_size": (8,)}, "say the same"),
    ],
)
def test_a_geometry_is_consistent(settings: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Geometry(**settings)


@pytest.mark.parametrize("channels, size", [(0, (3,)), (1, ()), (1, (2, 2, 2)), (1, (0,))])
def test_a_map_has_channels_and_one_or_two_axes(channels: int, size: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="a map has at least 1 channel and 1 or 2 axes"):
        MapShape(channels, size)
