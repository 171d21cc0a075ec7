"""Quantisers that stand for columns of other quantisers: what the kernel of a convolution reads, and the map that its copies make."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lutnet.errors import UserError
from lutnet.formats import CodeFormat
from lutnet.nn.joins import codes_of_values
from lutnet.nn.quantize import EVERY, Quantizer, Selection

__all__ = ["CodesOf", "WindowCodes", "code_places"]

Integers = npt.NDArray[np.int64]


class CodesOf(Quantizer):
    """Columns that other quantisers make, in any order and as often as one likes; nothing in it is learned.

    It has one channel where it has one column or where its only part has one channel, else one a column.

    Attributes:
        columns: Buffer, for each column its place among all columns of the parts one after the other, int64.
    """

    columns: Tensor

    def __init__(self, parts: Sequence[Quantizer], widths: Sequence[int], columns: npt.ArrayLike) -> None:
        """Make the view.

        Args:
            parts: Quantisers that belong to somebody else: they are not submodules.
            widths: Columns of each part.
            columns: Integers, see the attribute.
        """
        chosen = np.asarray(columns, dtype=np.int64)
        single = len(chosen) == 1 or (len(parts) == 1 and parts[0].channels == 1)
        self._parts = tuple(parts)
        super().__init__(1 if single else len(chosen))
        self._widths = tuple(widths)
        self.register_buffer("columns", torch.from_numpy(chosen), persistent=False)

    @property
    def relaxed(self) -> bool:  # type: ignore[override]
        """Whether a part is relaxed."""
        return any(part.relaxed for part in self._parts)

    @relaxed.setter
    def relaxed(self, value: bool) -> None:
        """Nothing: whether a part is relaxed is the business of the layer that it belongs to."""

    @property
    def bits(self) -> int:
        """Bits of the widest part."""
        return max(part.bits for part in self._parts)

    def formats(self) -> tuple[CodeFormat, ...]:
        pairs = zip(self._parts, self._widths, strict=True)
        every = [fmt for part, width in pairs for fmt in part.feature_formats(width)]
        return tuple(every[column] for column in self.columns[: self.channels].tolist())

    def value_table(self) -> Tensor:
        tables = [part.value_table() for part in self._parts]
        longest = max(table.shape[1] for table in tables)
        rows = [
            torch.cat([table, table[:, -1:].expand(-1, longest - table.shape[1])], dim=1).expand(width, -1)
            for table, width in zip(tables, self._widths, strict=True)
        ]
        return torch.cat(rows)[self.columns[: self.channels].to(tables[0].device)]

    def soft_bits(self) -> Tensor:
        return self._of_columns([part.soft_bits() for part in self._parts])[: self.channels]

    def codes(self, x: Tensor, selected: Selection = EVERY) -> Tensor:
        """Codes of the levels that are nearest; the lowest code where several have one value."""
        table = self.value_table()
        return codes_of_values(table if self.channels == 1 else table[selected], x)

    def fake_quantize(self, x: Tensor) -> Tensor:
        """The nearest levels, straight through."""
        return x + (self.values(self.codes(x)).to(x) - x).detach()

    def live_scale(self) -> Tensor | None:
        scales = [part.live_scale() for part in self._parts]
        if all(scale is None for scale in scales):
            return None
        one = torch.ones(1, device=self.columns.device)
        return self._of_columns([one if scale is None else scale for scale in scales])[: self.channels]

    def tell_parts(self) -> None:
        """Lets the parts ask how many bits of their columns are read."""
        for part in dict.fromkeys(self._parts):
            part.read_by(partial(self._demand, part))

    def _demand(self, part: Quantizer) -> Tensor:
        """Bits that are read of the columns of a part: those of the most demanding one that stands for each."""
        bits = self.needed_bits(len(self.columns))
        columns = self.columns.to(bits.device)
        found = bits.new_zeros(sum(self._widths)).scatter_reduce(0, columns, bits, "amax").split(self._widths)
        mine = [read for other, read in zip(self._parts, found, strict=True) if other is part]
        return torch.stack(mine).amax(dim=0)

    def _of_columns(self, of_parts: Sequence[Tensor]) -> Tensor:
        spread = [found.expand(width) for found, width in zip(of_parts, self._widths, strict=True)]
        return torch.cat(spread)[self.columns.to(spread[0].device)]


class WindowCodes(CodesOf):
    """What a window reads: one column for each of its places, whichever window it is.

    The columns of a map that one place reads in different windows have one format, else a kernel that is shared by all windows would
    not know what their codes stand for.

    Attributes:
        index: Buffer, columns of the map that the windows read, -1 outside of it, int64, shape ``(n_windows, window)``.
    """

    index: Tensor

    def __init__(self, source: Quantizer, n_columns: int, index: Integers, spare: Integers) -> None:
        """Make the view.

        Args:
            source: Makes the map; it is not a submodule.
            n_columns: Columns of the map.
            index: See the attribute.
            spare: A column of the same channel for each place, for places that lie outside of the map in every window.

        Raises:
            UserError: Columns that one place reads have different bits.
        """
        inside = index >= 0
        first = index[inside.argmax(axis=0), np.arange(index.shape[1])]
        super().__init__([source], [n_columns], np.where(first >= 0, first, spare))
        self.register_buffer("index", torch.from_numpy(np.ascontiguousarray(index)), persistent=False)
        self.register_buffer("_inside", torch.from_numpy(inside), persistent=False)
        if source.channels > 1:
            bits = source.feature_bits(n_columns)
            self._check_alike(torch.from_numpy(bits)[:, None], "bits")

    def formats(self) -> tuple[CodeFormat, ...]:
        self.value_table()
        return super().formats()

    def value_table(self) -> Tensor:
        """Values of all codes of each place.

        Raises:
            UserError: Columns that one place reads have different values.
        """
        (source,) = self._parts
        table = source.value_table()
        if len(table) > 1:
            self._check_alike(table, "values")
        return table[self.columns.to(table.device)][: self.channels] if len(table) > 1 else table

    def demand_of_map(self, n_columns: int) -> Tensor:
        """Bits that the windows read of each column of the map, differentiable, shape ``(n_columns,)``."""
        bits = self.needed_bits(self.index.shape[1])
        inside = self._inside.to(bits.device)
        every = bits.expand(inside.shape)[inside]
        return bits.new_zeros(n_columns).scatter_reduce(0, self.index.to(bits.device)[inside], every, "amax")

    def _check_alike(self, table: Tensor, what: str) -> None:
        index, inside = self.index.to(table.device), self._inside.to(table.device)
        other = (table[index.clamp_min(0)] != table[self.columns.to(table.device)]).any(dim=2) & inside
        if bool(other.any()):
            window, place = torch.nonzero(other)[0].tolist()
            raise UserError(
                f"place {place} of a window reads columns {int(self.columns[place])} and {int(index[window, place])} of the map, whose "
                f"codes have different {what}, so that a shared kernel cannot read both; give all columns of a channel one code, such "
                "as model.input_codes = 'range'"
            )


def code_places(fmt: CodeFormat) -> Integers:
    """Place of each code's value among the different values of a format, ascending, int64, shape ``(2**bits,)``."""
    return np.unique(fmt.values(), return_inverse=True)[1].reshape(-1).astype(np.int64)
