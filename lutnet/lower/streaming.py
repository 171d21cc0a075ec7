"""From networks of convolutions and poolings to streams: one kernel a layer, and the rest of the network behind the last map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn, cast

import numpy as np

from lutnet.errors import UserError
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.nn.code_views import WindowCodes
from lutnet.nn.convolution import MapLayer
from lutnet.nn.layer import Layer
from lutnet.nn.maps import AxisGeometry, MapShape
from lutnet.nn.network import LutNetwork
from lutnet.nn.recorded_wires import RecordedWires
from lutnet.stream import Axis, StreamDesign, StreamStage, whole_map
from lutnet.stream.parts import part_of

__all__ = ["stream_network"]


@dataclass(frozen=True)
class _Pixels:
    """Codes of a pixel of a map: bits of each channel, and whether they are two's complement."""

    widths: tuple[int, ...]
    signed: tuple[bool, ...]


def stream_network(model: LutNetwork) -> StreamDesign:
    """The stream of a network, at one pixel a clock and without registers in its kernels.

    Layers in front of the first map, such as thermometer codes, become a stage of their own over single pixels; those behind the last one,
    and the head, a stage over the whole map.

    Args:
        model: A trained network, in any mode; it is left as it is.

    Returns:
        A design whose :meth:`~lutnet.stream.StreamDesign.evaluate` is that of the network's netlist.

    Raises:
        UserError: The network has no map, or a layer in it cannot be made pixel by pixel; the message names it and says why.
    """
    layers = cast("list[Layer]", list(model.layers))
    places = [number for number, layer in enumerate(layers) if isinstance(layer, MapLayer)]
    if not places:
        raise UserError(
            "the network has no convolution and no pooling, so that there is nothing to stream; emit its netlist"
        )
    first, last = places[0], places[-1]
    if places != list(range(first, last + 1)):
        number = next(n for n in range(first, last) if n not in places)
        raise UserError(
            f"layer {number} is a {type(layers[number]).__name__} between two maps; a stream has convolutions and poolings next to each "
            "other and everything else in front of them or behind them"
        )
    maps = cast("list[MapLayer]", layers[first : last + 1])
    stages, pixels, order = _front(model, layers[:first], maps[0].shape)
    made = maps[0].shape
    for number, layer in enumerate(maps, start=first):
        if layer.shape != made:
            raise UserError(
                f"layer {number} reads a map of {layer.shape}, the layer in front of it makes one of {made}"
            )
        try:
            stages.append(_map_stage(layer, pixels))
        except UserError as error:
            raise UserError(f"layer {number}, a {type(layer).__name__}: {error}") from None
        pixels, made = _made(stages[-1].kernel), layer.made
    stages.append(whole_map(_size(made), pixels.widths, _tail(model, layers[last + 1 :], made, pixels)))
    return StreamDesign(tuple(stages), order=order)


# -- in front of the first map ---------------------------------------------------------------------------------------


def _front(
    model: LutNetwork, layers: Sequence[Layer], shape: MapShape
) -> tuple[list[StreamStage], _Pixels, tuple[int, ...]]:
    """The stage over single pixels, if there is one; the pixels that it makes; the columns of the features in the order of the stream."""
    widths = model.input_quantizer.feature_bits(model.n_features)
    if not layers:
        columns = shape.columns()
        _check_alike(widths[columns], "the bits of the features")
        pixel = tuple(widths[columns[0]].tolist())
        return [], _Pixels(pixel, (False,) * len(pixel)), tuple(columns.ravel().tolist())
    builder = NetlistBuilder()
    rows = [builder.input(int(width)) for width in widths]
    for layer in layers:
        rows = layer.lower(builder, rows)
    for row in rows:
        builder.output(row)
    net = builder.build()
    parts = [part_of(net, outputs) for outputs in shape.columns().tolist()]
    kernel = parts[0].net
    names = ", ".join(type(layer).__name__ for layer in layers)
    for number, part in enumerate(parts):
        if len(part.columns) * shape.n_positions != model.n_features or part.net != kernel:
            raise UserError(
                f"the layers in front of the first map ({names}) treat pixel {number} of {shape.n_positions} otherwise than pixel 0, which "
                "a stream cannot, as it has one encoder; give all pixels the same thresholds, such as thermometers placed 'uniform'"
            )
    rows_axis, columns_axis = (Axis(size, 1) for size in _size(shape))
    stage = StreamStage(rows_axis, columns_axis, kernel.input_widths, kernel)
    order = tuple(column for part in parts for column in part.columns)
    return [stage], _made(kernel), order


# -- maps ------------------------------------------------------------------------------------------------------------


def _map_stage(layer: MapLayer, pixels: _Pixels) -> StreamStage:
    """The stage of a convolution or pooling over pixels."""
    n_axes = len(layer.shape.size)
    axes = [_axis(layer.geometry.axis(i, n_axes), layer.shape.size[i], layer.made.size[i]) for i in range(n_axes)]
    rows, columns = axes if n_axes == 2 else (Axis(1, 1), axes[0])
    n_channels, n_places = layer.shape.channels, rows.kernel * columns.kernel
    builder = NetlistBuilder()
    inputs = np.empty((n_places, n_channels), dtype=np.int64)
    for index in np.ndindex(*inputs.shape):
        channel = index[1]
        inputs[index] = builder.input(pixels.widths[channel], signed=pixels.signed[channel])
    # a transposed convolution of stride 1 is one whose windows are turned round
    windows = (inputs[::-1] if layer.geometry.transposed else inputs).T
    groups = windows.reshape(layer.geometry.groups, -1)
    made: list[int] = []
    outside: list[int] = []
    chains, views = layer.chains(), cast("list[WindowCodes]", list(layer.views))
    for number, window in enumerate(groups):
        chain, view = chains[number % len(chains)], views[number % len(views)]
        recorded = RecordedWires(len(window))
        ends = recorded.inputs
        for part in chain:
            ends = part.lower(recorded, ends)
        made += recorded.replay(builder, window.tolist(), ends)
        codes = np.asarray(layer.outside_codes(view)).reshape(-1, n_places)
        _check_alike(codes.T, "codes outside of the map")
        outside += codes[:, 0].tolist()
    for row in made:
        builder.output(row)
    return StreamStage(rows, columns, pixels.widths, builder.build(), tuple(outside))


def _axis(axis: AxisGeometry, size: int, made: int) -> Axis:
    if not axis.transposed:
        return Axis(size, axis.kernel, axis.stride, axis.dilation, axis.padding, axis.padding_end)
    if axis.stride > 1:
        raise UserError(
            f"a transposed convolution of stride {axis.stride} makes {made} pixels along an axis of {size}; a stream without stalls "
            "makes at most as many as come in, so that the layer has to be unrolled"
        )
    before = axis.extent - 1 - axis.padding
    if before < 0:
        raise UserError(
            f"a transposed convolution that takes away {axis.padding} pixels of a window of {axis.extent} leaves pixels of the map out, "
            "which a stream does not do in front of a map"
        )
    return Axis(size, axis.kernel, 1, axis.dilation, before, made + axis.extent - 1 - size - before)


def _made(kernel: Netlist) -> _Pixels:
    return _Pixels(kernel.output_widths, tuple(bool(kernel.signed[row]) for row in kernel.outputs))


# -- behind the last map ---------------------------------------------------------------------------------------------


class _NoFeatures:
    """Stands for the rows of the features, which are gone when the last map is complete."""

    def __getitem__(self, index: int) -> NoReturn:
        raise UserError("the head compares the network's result with its features, which a stream does not keep")


def _tail(model: LutNetwork, layers: Iterable[Layer], shape: MapShape, pixels: _Pixels) -> Netlist:
    """The layers behind the last map and the head, over the whole map pixel by pixel."""
    builder = NetlistBuilder()
    rows = [0] * shape.n_columns
    for place in shape.columns().tolist():
        for column, width, signed in zip(place, pixels.widths, pixels.signed, strict=True):
            rows[column] = builder.input(width, signed=signed)
    for layer in layers:
        rows = layer.lower(builder, rows)
    for name, row in model.head.lower(builder, rows, cast("Sequence[int]", _NoFeatures())).items():
        builder.output(row, name)
    return builder.build()


def _size(shape: MapShape) -> tuple[int, int]:
    """Rows and columns; a sequence is one row."""
    return (shape.size[0], shape.size[1]) if len(shape.size) == 2 else (1, shape.size[0])


def _check_alike(table: np.ndarray, what: str) -> None:
    """Refuses a table of pixels by channels whose rows differ."""
    if (table != table[0]).any():
        pixel = int(np.flatnonzero((table != table[0]).any(axis=1))[0])
        raise UserError(
            f"a stream has one code for each channel, {what} of pixel {pixel} are {table[pixel].tolist()}, of pixel 0 {table[0].tolist()}; "
            "give all pixels one code, such as model.input_codes = 'range'"
        )
