"""What torch code may do to codes between layers: each operation by what it does to a stream."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch

from lutnet.errors import UserError
from lutnet.ir.builder import NetlistBuilder
from lutnet.lower.streams import BATCH, Stream, added, joined, largest, split

__all__ = ["FUNCTIONS", "KNOWN", "METHODS", "flattened"]


def _cat(_: NetlistBuilder, tensors: Sequence[Stream], dim: int = 0) -> Stream:
    return joined(tensors, dim)


def _add(builder: NetlistBuilder, left: Any, right: Any) -> Stream:
    if not (isinstance(left, Stream) and isinstance(right, Stream)) or not (left.quantized and right.quantized):
        raise UserError("'+' adds two tensors that layers make; put constants into a layer's bias")
    return added(builder, left, right)


def _argmax(builder: NetlistBuilder, stream: Stream, dim: int | None = None) -> Stream:
    if dim is None or stream.rows.ndim != 1 or stream.axis(dim) != 0:
        raise UserError(
            f"argmax compares the scores along dimension 1 of shape (batch, n), got dimension {dim} and samples of shape {stream.shape}"
        )
    return largest(builder, stream)


def _item(_: NetlistBuilder, found: Any, index: Any) -> Any:
    return found.indexed(index) if isinstance(found, Stream) else found[index]


def _shape(_: NetlistBuilder, found: Any, name: str) -> Any:
    if name != "shape" or not isinstance(found, Stream):
        raise UserError(f"attribute '{name}' of a tensor has no hardware")
    return (BATCH, *found.shape)


def _size(_: NetlistBuilder, stream: Stream, dim: int | None = None) -> Any:
    return (BATCH, *stream.shape) if dim is None else (BATCH, *stream.shape)[dim]


def _split(_: NetlistBuilder, stream: Stream, sizes: int | Sequence[int], dim: int = 0) -> tuple[Stream, ...]:
    return split(stream, sizes, dim)


def _chunk(_: NetlistBuilder, stream: Stream, chunks: int, dim: int = 0) -> tuple[Stream, ...]:
    return split(stream, -(-stream.shape[stream.axis(dim)] // chunks), dim)


def flattened(_: NetlistBuilder, stream: Stream, start_dim: int = 0, end_dim: int = -1) -> Stream:
    """``torch.flatten``."""
    first, last = stream.axis(start_dim), stream.axis(end_dim)
    return stream.reshaped((BATCH, *stream.shape[:first], -1, *stream.shape[last + 1 :]))


def _reshape(_: NetlistBuilder, stream: Stream, *shape: Any) -> Stream:
    return stream.reshaped(shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape)


def _permute(_: NetlistBuilder, stream: Stream, *dims: Any) -> Stream:
    return stream.permuted(dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims)


def _same(_: NetlistBuilder, stream: Stream) -> Stream:
    return stream


_Operation = Callable[..., Any]

FUNCTIONS: Mapping[Any, _Operation] = MappingProxyType(
    {
        torch.argmax: _argmax,
        torch.cat: _cat,
        torch.concat: _cat,
        torch.add: _add,
        operator.add: _add,
        operator.iadd: _add,
        operator.getitem: _item,
        getattr: _shape,
        torch.split: _split,
        torch.chunk: _chunk,
        torch.flatten: flattened,
        torch.reshape: _reshape,
        torch.permute: _permute,
    }
)
"""Functions of torch and Python."""

METHODS: Mapping[Any, _Operation] = MappingProxyType(
    {
        "add": _add,
        "argmax": _argmax,
        "chunk": _chunk,
        "contiguous": _same,
        "flatten": flattened,
        "permute": _permute,
        "reshape": _reshape,
        "size": _size,
        "split": _split,
        "view": _reshape,
    }
)
"""Methods of tensors by name."""

KNOWN = "torch.cat, +, argmax, indexing, chunk, split, flatten, reshape, view and permute"
"""What an error names."""
