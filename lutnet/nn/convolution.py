"""Layers that run over a feature map: one kernel, shared by all windows.

A kernel is a chain of layers of any families that reads one window. In training and in evaluation the windows are rows of a batch; in
the netlist every position gets a copy of the kernel, the tables of which are stored once. Convolutions of logic: Petersen et al.,
"Convolutional differentiable logic gate networks", NeurIPS 2024 (arXiv 2411.04732), where the kernel is a tree of gates and pooling is
an OR.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn

from lutnet.cost import XCVU9P, Device
from lutnet.errors import UserError
from lutnet.formats import Format
from lutnet.nn.code_views import CodesOf, WindowCodes
from lutnet.nn.cost import LayerCost
from lutnet.nn.layer import Layer
from lutnet.nn.maps import Geometry, MapShape, windows
from lutnet.nn.quantize import Quantizer
from lutnet.nn.recorded_wires import RecordedWires
from lutnet.nn.wires import Wires

__all__ = ["UNROLLED_LUTS", "Convolution", "MakeKernel", "MapLayer"]

MakeKernel: TypeAlias = Callable[[Quantizer, int], Sequence[Layer]]
"""Makes a kernel, called as ``make_kernel(source, window)``: a chain of layers whose first one reads ``window`` columns of ``source``."""

UNROLLED_LUTS = 250_000
"""Lookup tables, closed form, up to which a map is unrolled unless its layer says otherwise."""

CHUNK_ELEMENTS = 1 << 22
"""Inputs of windows that an evaluation holds at once (32 MiB of float64), unless one row needs more."""


class MapLayer(Layer):
    """A map made of another one by kernels that are shared by all windows.

    There is one kernel a group of channels, or one for all groups. The columns of the made map are in the order of the read one.

    Attributes:
        shape: The map that is read.
        geometry: How windows run over it.
        made: The map that is made.
        kernels: The chains of layers.
        max_luts: Lookup tables, closed form, above which :meth:`lower` refuses to unroll.
    """

    quantizer: CodesOf

    def __init__(
        self,
        source: Quantizer,
        shape: MapShape,
        geometry: Geometry,
        make_kernel: MakeKernel,
        *,
        n_kernels: int,
        max_luts: int = UNROLLED_LUTS,
    ) -> None:
        """Make the layer; weights come from torch's global generator.

        Args:
            source: The quantiser that makes the map.
            shape: The map.
            geometry: Of the windows.
            make_kernel: Called once for each kernel.
            n_kernels: 1, or the number of groups.
            max_luts: See the attribute.

        Raises:
            UserError: The geometry does not fit the map, the source has columns of different codes where a kernel is shared, or a kernel
                is no chain over its window.
        """
        source.check_features(shape.n_columns)
        index = windows(shape, geometry).transpose(1, 0, 2)
        parts = [index.reshape(-1, index.shape[2])] if n_kernels == 1 else list(index)
        spare = shape.columns()[0].reshape(n_kernels, -1)
        spare = spare[:, : shape.channels // geometry.groups].repeat(geometry.window_of(shape), axis=1)
        views = [WindowCodes(source, shape.n_columns, part, some) for part, some in zip(parts, spare, strict=True)]
        kernels = [_checked(list(make_kernel(view, view.index.shape[1])), view) for view in views]
        width = kernels[0][-1].out_features
        made = geometry.output(shape, geometry.groups * width)
        ends = [kernel[-1].quantizer for kernel in kernels]
        columns = np.empty(made.n_columns, dtype=np.int64)
        columns[made.columns()] = np.arange(made.channels) % (width * n_kernels)
        super().__init__(source, shape.n_columns, made.n_columns, CodesOf(ends, [width] * n_kernels, columns))
        self.shape, self.geometry, self.made, self.max_luts = shape, geometry, made, max_luts
        self.kernels = nn.ModuleList(nn.ModuleList(kernel) for kernel in kernels)
        self.views = nn.ModuleList(views)
        self.quantizer.tell_parts()
        source.read_by(self._demand)

    def chains(self) -> list[list[Layer]]:
        """The layers of every kernel."""
        return [cast("list[Layer]", list(cast("nn.ModuleList", kernel))) for kernel in self.kernels]

    @property
    def n_copies(self) -> int:
        """Windows that each kernel is applied to."""
        return self.made.n_positions * self.geometry.groups // len(self.kernels)

    def outside(self, values: Tensor) -> Tensor:
        """What a place of a window outside of the map reads: the value nearest to 0, the lower one of two.

        Args:
            values: Values of all codes of each place, shape ``(1 or window, n_codes)``.

        Returns:
            Shape ``(1 or window,)``.
        """
        ordered = values.sort(dim=1).values
        return ordered.gather(1, ordered.abs().argmin(dim=1, keepdim=True))[:, 0]

    # -- training and codes ------------------------------------------------------------------------------------------

    def respond_training(self, x: Tensor) -> Tensor:
        made = []
        for chain, view in zip(self.chains(), self._views(), strict=True):
            values = self._rows(x, view)
            for layer in chain:
                values = layer(values)
            made.append(values)
        return self._joined(made, len(x))

    def codes(self, x: Tensor) -> Tensor:
        self.check_columns(x)
        n_rows = max(1, CHUNK_ELEMENTS // self._views()[0].index.numel())
        parts = [self._codes(part) for part in x.detach().double().split(n_rows)]
        return torch.cat(parts) if parts else torch.empty((0, self.out_features), dtype=torch.int64, device=x.device)

    def _codes(self, x: Tensor) -> Tensor:
        made = []
        for chain, view in zip(self.chains(), self._views(), strict=True):
            values = self._rows(x, view)
            for layer in chain[:-1]:
                values = layer.quantizer.values(layer.codes(values))
            made.append(chain[-1].codes(values))
        return self._joined(made, len(x))

    def _views(self) -> list[WindowCodes]:
        return cast("list[WindowCodes]", list(self.views))

    def _rows(self, x: Tensor, view: WindowCodes) -> Tensor:
        """The windows of a kernel as rows, shape ``(n_windows * batch, window)``, contiguous along the rows."""
        index = view.index.t()
        if bool((index < 0).any()):
            outside = self.outside(view.value_table()).to(x).expand(len(index))
            x = torch.cat([x, outside.expand(len(x), -1)], dim=1)
            place = torch.arange(len(index), device=x.device)[:, None] + self.in_features
            index = torch.where(index < 0, place, index)
        columns = x.t().contiguous().index_select(0, index.reshape(-1))
        return columns.view(len(index), -1).t()

    def _joined(self, made: Sequence[Tensor], batch: int) -> Tensor:
        """Results of the kernels, ``(n_windows * batch, width)`` each, as columns of the map."""
        groups, positions = self.geometry.groups, self.made.n_positions
        whole = torch.stack([part.reshape(-1, positions, batch, part.shape[1]) for part in made]).flatten(0, 1)
        assert len(whole) == groups
        order = (2, 1, 0, 3) if self.made.channels_last else (2, 0, 3, 1)
        return whole.permute(order).reshape(batch, self.out_features)

    def _demand(self) -> Tensor:
        """Bits of each column of the map that the most demanding window reads."""
        return torch.stack([view.demand_of_map(self.in_features) for view in self._views()]).amax(dim=0)

    # -- hardware ----------------------------------------------------------------------------------------------------

    def lower(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        """Adds a copy of its kernel for every window.

        Raises:
            UserError: The copies exceed :attr:`max_luts`, or a kernel cannot become hardware as it is.
        """
        self._check_size()
        out = np.empty(self.out_features, dtype=np.int64)
        columns = self.made.columns().reshape(self.made.n_positions, self.geometry.groups, -1).transpose(1, 0, 2)
        columns = columns.reshape(len(self.kernels), self.n_copies, -1)
        for chain, view, of_windows in zip(self.chains(), self._views(), columns, strict=True):
            recorded = RecordedWires(view.index.shape[1])
            made = recorded.inputs
            for layer in chain:
                made = layer.lower(recorded, made)
            outside = self._outside_rows(wires, view)
            for window, places in zip(view.index.tolist(), of_windows, strict=True):
                read = [rows[column] if column >= 0 else outside[k] for k, column in enumerate(window)]
                out[places] = recorded.replay(wires, read, made)
        return cast("list[int]", out.tolist())

    def cost(self, device: Device) -> Tensor:
        """The estimate of the kernels times their copies; constants at the borders are not counted off."""
        parts = [layer.cost(device) for chain in self.chains() for layer in chain]
        return torch.stack([part.to(parts[0].device) for part in parts]).sum() * self.n_copies

    def summary(self, name: str, device: Device) -> LayerCost:
        """Neurons and lookup tables of all copies; entries are those of the kernels, as shared tables are stored once."""
        rows = [layer.summary(name, device) for chain in self.chains() for layer in chain]
        return LayerCost(
            name=name,
            kind=f"{type(self).__name__} of {self.n_copies} x {rows[0].kind}",
            n_neurons=self.n_copies * sum(row.n_neurons for row in rows),
            address_bits=max(row.address_bits for row in rows),
            out_bits=self.quantizer.bits,
            n_entries=sum(row.n_entries for row in rows),
            n_luts=self.n_copies * sum(row.n_luts for row in rows),
        )

    def penalty(self) -> Tensor:
        return torch.stack([layer.penalty() for chain in self.chains() for layer in chain]).sum()

    def schedule(self, progress: float) -> None:
        for chain in self.chains():
            for layer in chain:
                layer.schedule(progress)

    def after_step(self) -> None:
        for chain in self.chains():
            for layer in chain:
                layer.after_step()

    def extra_repr(self) -> str:
        return f"{self.shape} -> {self.made}"

    def _check_size(self) -> None:
        found = self.summary("", XCVU9P)
        if found.n_luts > self.max_luts:
            raise UserError(
                f"{type(self).__name__} of a map of {self.shape} has {self.n_copies:,} copies of a kernel of "
                f"{found.n_luts // self.n_copies:,} lookup tables, {found.n_luts:,} in all, and unrolls up to {self.max_luts:,}; take a "
                "larger stride or a smaller kernel, raise max_luts, or build the streaming form, which has one kernel"
            )

    def outside_codes(self, view: WindowCodes) -> list[int]:
        """Codes that the places of a kernel's windows read outside of the map, one a place."""
        outside = self.outside(view.value_table()).expand(len(view.columns))
        return cast("list[int]", view.codes(outside[None])[0].tolist())

    def _outside_rows(self, wires: Wires, view: WindowCodes) -> list[int]:
        """Rows that places outside of the map read. A slice keeps their range, so that every copy has the same widths."""
        codes = self.outside_codes(view)
        found = []
        for code, fmt in zip(codes, view.feature_formats(len(codes)), strict=True):
            signed = isinstance(fmt, Format) and fmt.signed
            found.append(wires.slice(wires.const(code, fmt.bits, signed=signed), 0, fmt.bits, signed=signed))
        return found


class Convolution(MapLayer):
    """A map whose channels at each position are what a kernel makes of the window there; every group has a kernel of its own.

    Places outside of the map read the value nearest to 0.
    """

    def __init__(
        self,
        source: Quantizer,
        shape: MapShape,
        geometry: Geometry,
        make_kernel: MakeKernel,
        *,
        max_luts: int = UNROLLED_LUTS,
    ) -> None:
        """Make the layer; arguments and errors as for :class:`MapLayer`. A kernel makes the channels of its group."""
        super().__init__(source, shape, geometry, make_kernel, n_kernels=geometry.groups, max_luts=max_luts)


def _checked(chain: list[Layer], view: WindowCodes) -> list[Layer]:
    """A kernel whose layers fit each other.

    Raises:
        UserError: It is empty, or a layer does not read what comes before it.
    """
    window = view.index.shape[1]
    if not chain or chain[0].source is not view or chain[0].in_features != window:
        got = f"one that reads {chain[0].in_features}" if chain else "none"
        raise UserError(f"a kernel begins with a layer over the {window} places of its window, got {got}")
    for before, layer in pairwise(chain):
        if layer.source is not before.quantizer or layer.in_features != before.out_features:
            raise UserError(
                f"a layer of a kernel reads {layer.in_features} columns, expected the {before.out_features} of the layer before it; "
                "give it that layer's quantiser"
            )
    return chain
