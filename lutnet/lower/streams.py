"""Streams of codes in the shape that torch code gives them, and what may be done to them on the way from layer to layer.

Element ``[i, j, ...]`` of a stream is one code of one sample; the batch, dimension 0 of the tensor that it stands for, is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.formats import Codebook, CodeFormat, Format
from lutnet.ir.builder import NetlistBuilder
from lutnet.nn.joins import sum_format

__all__ = ["BATCH", "Batch", "Stream", "added", "joined", "largest", "split"]


class Batch:
    """The number of rows of a tensor, which hardware does not know."""

    def __repr__(self) -> str:
        return "the batch size"


BATCH = Batch()


@dataclass(frozen=True, eq=False)
class Stream:
    """One sample of a tensor.

    Attributes:
        rows: Row of the netlist of every element, or the number of a raw feature, int64.
        formats: What the codes stand for, objects of the shape of ``rows``; ``None`` where raw features are not quantised yet.
    """

    rows: npt.NDArray[np.int64]
    formats: npt.NDArray[np.object_]

    @classmethod
    def of(cls, rows: Sequence[int], formats: Sequence[CodeFormat | None]) -> Stream:
        """A flat stream."""
        kinds = np.empty(len(rows), dtype=np.object_)
        kinds[:] = formats
        return cls(np.asarray(rows, dtype=np.int64), kinds)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape without the batch."""
        return self.rows.shape

    @property
    def quantized(self) -> bool:
        """Whether every element is a code."""
        return all(fmt is not None for fmt in self.formats.reshape(-1))

    def axis(self, dim: int) -> int:
        """The axis of ``rows`` for a dimension of the tensor.

        Raises:
            UserError: It is the batch's, or there is no such dimension.
        """
        n_dims = self.rows.ndim + 1
        if not -n_dims <= dim < n_dims:
            raise UserError(f"the tensor has {n_dims} dimensions, got dimension {dim}")
        if dim % n_dims == 0:
            raise UserError("dimension 0 is the batch: rows are computed one by one and cannot be mixed")
        return dim % n_dims - 1

    def reshaped(self, shape: Sequence[Any]) -> Stream:
        """The same elements in another shape, the batch's included, which stays what it is."""
        if not shape or not (shape[0] is BATCH or shape[0] == -1):
            raise UserError(f"a new shape begins with the batch, x.shape[0] or -1, got {tuple(shape)}")
        wanted = [int(size) for size in shape[1:] if not isinstance(size, Batch)]
        rest = math.prod(size for size in wanted if size != -1)
        if (
            len(wanted) != len(shape) - 1
            or (shape[0] == -1 and -1 in wanted)
            or (-1 not in wanted and rest != self.rows.size)
        ):
            raise UserError(f"a sample of shape {self.shape} does not become one of shape {tuple(shape[1:])}")
        return Stream(self.rows.reshape(wanted), self.formats.reshape(wanted))

    def indexed(self, index: Any) -> Stream:
        """``tensor[index]``; all rows of the batch are taken."""
        parts = index if isinstance(index, tuple) else (index,)
        if not parts or not (parts[0] is Ellipsis or parts[0] == slice(None)):
            raise UserError(f"an index begins with ':' for the batch, got {index!r}")
        rest = parts if parts[0] is Ellipsis else parts[1:]
        for part in rest:
            if not isinstance(part, (int, slice, list, type(Ellipsis), type(None))):
                raise UserError(f"an index is of constants, got {type(part).__name__}")
        try:
            return Stream(self.rows[rest], _as_objects(self.formats[rest]))
        except IndexError as error:
            raise UserError(f"a sample of shape {self.shape} has no part {rest}: {error}") from None

    def permuted(self, dims: Sequence[int]) -> Stream:
        """``tensor.permute(dims)``; the batch stays in front."""
        if not dims or dims[0] != 0 or sorted(dims) != list(range(self.rows.ndim + 1)):
            raise UserError(
                f"a permutation of {self.rows.ndim + 1} dimensions leaves 0, the batch, in place, got {tuple(dims)}"
            )
        axes = [dim - 1 for dim in dims[1:]]
        return Stream(self.rows.transpose(axes), self.formats.transpose(axes))


def joined(streams: Sequence[Stream], dim: int) -> Stream:
    """``torch.cat(streams, dim)``.

    Raises:
        UserError: Along the batch, or the shapes do not fit.
    """
    axis = streams[0].axis(dim)
    try:
        rows = np.concatenate([stream.rows for stream in streams], axis=axis)
    except ValueError:
        shapes = " and ".join(str(stream.shape) for stream in streams)
        raise UserError(f"samples of shape {shapes} cannot be concatenated along dimension {dim}") from None
    return Stream(rows, np.concatenate([stream.formats for stream in streams], axis=axis))


def split(stream: Stream, sizes: int | Sequence[int], dim: int) -> tuple[Stream, ...]:
    """``torch.split(stream, sizes, dim)``.

    Raises:
        UserError: Along the batch, or the sizes do not add up.
    """
    axis = stream.axis(dim)
    length = stream.shape[axis]
    ends = list(range(sizes, length, sizes)) if isinstance(sizes, int) else np.cumsum(sizes).tolist()
    if not isinstance(sizes, int):
        if ends[-1] != length:
            raise UserError(f"parts of {list(sizes)} do not make up the {length} elements along dimension {dim}")
        ends = ends[:-1]
    pairs = zip(np.split(stream.rows, ends, axis=axis), np.split(stream.formats, ends, axis=axis), strict=True)
    return tuple(Stream(rows, formats) for rows, formats in pairs)


def added(builder: NetlistBuilder, left: Stream, right: Stream) -> Stream:
    """``left + right``, exact, in formats of its own.

    Raises:
        UserError: The shapes differ, or values cannot be added as integers.
    """
    if left.shape != right.shape:
        raise UserError(f"samples of shape {left.shape} and {right.shape} cannot be added; expected equal shapes")
    rows, formats = [], []
    columns = zip(*(part.reshape(-1) for part in (left.rows, right.rows, left.formats, right.formats)), strict=True)
    for first, second, *kinds in columns:
        total = sum_format(kinds)
        pairs = zip((first, second), kinds, strict=True)
        operands = [builder.slice(int(row), 0, fmt.bits, signed=fmt.signed) for row, fmt in pairs]
        rows.append(builder.sum(operands, total.factors, shape=(total.format.bits, total.format.signed)))
        formats.append(total.format)
    flat = Stream.of(rows, formats)
    return Stream(flat.rows.reshape(left.shape), flat.formats.reshape(left.shape))


def largest(builder: NetlistBuilder, scores: Stream) -> Stream:
    """Position of the largest value of a flat stream, the lowest of equal ones, as ``torch.argmax`` says.

    Raises:
        UserError: The codes of two elements do not compare like their values.
    """
    fmt = scores.formats[0]
    if any(other != fmt for other in scores.formats) or (
        isinstance(fmt, Codebook) and np.any(np.diff(fmt.values()) < 0)
    ):
        raise UserError(
            "scores that are compared have one format, whose values ascend with the codes; give their layer a quantiser of one channel"
        )
    signed = isinstance(fmt, Format) and fmt.signed
    row = builder.argmax([builder.slice(int(row), 0, fmt.bits, signed=signed) for row in scores.rows])
    flat = Stream.of([row], [Format(builder.node(row).width)])
    return Stream(flat.rows.reshape(()), flat.formats.reshape(()))


def _as_objects(found: Any) -> npt.NDArray[np.object_]:
    """An array again where an index has taken out a single element."""
    if isinstance(found, np.ndarray):
        return found
    single = np.empty((), dtype=np.object_)
    single[()] = found
    return single
