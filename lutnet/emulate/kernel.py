"""The compiled functions of a netlist, called from Python on blocks of rows by several threads."""

from __future__ import annotations

import ctypes
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lutnet.emulate.library import TOP, library_bytes
from lutnet.errors import LutnetError
from lutnet.formats import InputEncoder
from lutnet.ir.netlist import Netlist

__all__ = ["BAD_CODE", "BAD_VALUE", "Entry", "Kernel", "Refusal"]

BAD_CODE = 2
"""Status of a function that met a code outside the width of its input."""

BAD_VALUE = 4
"""Status of a function that met a feature that is infinite or no number."""

_BLOCK_BYTES = 1 << 24
"""Input of one call: enough to make the call's own cost nothing, and little enough to be converted in memory."""

_LANES = 512

Entry = Literal["eval", "eval_codes", "eval_bytes", "eval_doubles", "eval_floats"]

_DTYPES: dict[Entry, Any] = {
    "eval": np.uint8,
    "eval_codes": np.int64,
    "eval_bytes": np.uint8,
    "eval_doubles": np.float64,
    "eval_floats": np.float32,
}


@dataclass(frozen=True)
class Refusal:
    """A block that the compiled code refused.

    Attributes:
        status: Why, :data:`BAD_CODE` or :data:`BAD_VALUE`.
        first: Its first row.
        end: The row behind its last one.
    """

    status: int
    first: int
    end: int


class Kernel:
    """The compiled functions of one netlist. They hold no state, so that any number of threads may share a kernel.

    Args:
        net: The netlist.
        encoder: Input quantisers; without them there is no ``eval_doubles`` and no ``eval_floats``.
    """

    def __init__(self, net: Netlist, encoder: InputEncoder | None) -> None:
        self._library = _loaded(library_bytes(net, encoder))

    def __call__(
        self,
        entry: Entry,
        rows: npt.NDArray[Any],
        out: npt.NDArray[Any],
        *,
        threads: int,
        convert: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] | None = None,
    ) -> Refusal | None:
        """Evaluates all rows, block by block.

        Args:
            entry: The function.
            rows: Any layout and dtype, shape ``(n, columns)``; blocks of it are converted to what the function takes.
            out: C-contiguous, shape ``(n, columns)``; int64, or uint8 for ``eval``.
            threads: Threads that blocks are divided among.
            convert: Makes the columns that the function takes out of a block of rows.

        Returns:
            The first block that was refused, if one was.
        """
        n = len(rows)
        per_call = max(_LANES, _BLOCK_BYTES // max(1, rows.shape[1] * rows.itemsize))
        per_call = -(-min(per_call, -(-n // (4 * threads))) // _LANES) * _LANES if threads > 1 else per_call
        function = getattr(self._library, f"{TOP}_{entry}")

        def run(first: int) -> Refusal | None:
            end = min(n, first + per_call)
            block = rows[first:end] if convert is None else convert(rows[first:end])
            block = np.ascontiguousarray(block, dtype=_DTYPES[entry])
            target = out[first:end]
            status = function(block.ctypes.data, block.size, target.ctypes.data, target.size, end - first)
            if status not in (0, BAD_CODE, BAD_VALUE):
                raise LutnetError(
                    f"the compiled netlist returned status {status} for {end - first} rows: out of memory"
                )
            return Refusal(status, first, end) if status else None

        starts = range(0, n, max(1, per_call))
        if threads == 1 or len(starts) < 2:
            return next((found for found in map(run, starts) if found), None)
        with ThreadPoolExecutor(threads) as pool:
            return next((found for found in list(pool.map(run, starts)) if found), None)


def _loaded(library: bytes) -> ctypes.CDLL:
    """A library loaded from a file of its own, so that a cache that is changed meanwhile does no harm."""
    handle, name = tempfile.mkstemp(prefix="lutnet-", suffix=".so")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(library)
        loaded = ctypes.CDLL(name)
    finally:
        Path(name).unlink(missing_ok=True)
    for entry in _DTYPES:
        function = getattr(loaded, f"{TOP}_{entry}", None)
        if function is not None:
            function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]
            function.restype = ctypes.c_int
    return loaded
