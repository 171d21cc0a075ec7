"""ARFF, the text format of OpenML: dense tables of numbers and names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError

__all__ = ["ArffTable", "read_arff"]

_ATTRIBUTE = re.compile(r"""@attribute\s+('[^']*'|"[^"]*"|\S+)\s+(.+)""", re.IGNORECASE)
_NUMERIC = ("numeric", "real", "integer")
_MAX_HEADER_LINES = 100_000
_MAX_NAME_CHARS = 64


@dataclass(frozen=True, eq=False)
class ArffTable:
    """The columns of an ARFF file, in file order.

    Attributes:
        numeric: Attribute name -> float64 values, shape ``(n,)``.
        nominal: Attribute name -> names, NumPy strings, shape ``(n,)``.
    """

    numeric: dict[str, npt.NDArray[np.float64]]
    nominal: dict[str, npt.NDArray[np.str_]]


def read_arff(path: Path) -> ArffTable:
    """Read a dense ARFF file.

    Attributes may be numeric or nominal (``{a, b}``); names may be quoted; ``%`` starts a comment. Sparse rows, dates,
    relations and missing values (``?``) are refused.

    Raises:
        UserError: The file cannot be read or is not of that kind; the message quotes the line.
    """
    try:
        with path.open(encoding="utf-8", errors="strict") as stream:
            types = _header(stream, path)
            dtype = np.dtype([(f"f{i}", kind) for i, kind in enumerate(types.values())])
            rows = np.loadtxt(stream, dtype=dtype, delimiter=",", comments="%", quotechar="'", ndmin=1)
    except FileNotFoundError:
        raise UserError(f"there is no file '{path}'; check the path") from None
    except (OSError, ValueError) as problem:
        raise UserError(f"'{path}' is not a readable dense ARFF file ({problem}); download it again") from problem
    numeric: dict[str, npt.NDArray[np.float64]] = {}
    nominal: dict[str, npt.NDArray[np.str_]] = {}
    for i, (name, kind) in enumerate(types.items()):
        column = rows[f"f{i}"]
        if kind == "f8":
            numeric[name] = np.ascontiguousarray(column)
        else:
            nominal[name] = np.char.strip(column)
    return ArffTable(numeric, nominal)


def _header(stream: IO[str], path: Path) -> dict[str, str]:
    """Attribute name -> NumPy type, up to and including the line ``@data``."""
    types: dict[str, str] = {}
    for _ in range(_MAX_HEADER_LINES):
        line = stream.readline(1 << 16)
        text = line.strip()
        if not line:
            break
        if not text or text.startswith("%") or text.lower().startswith("@relation"):
            continue
        if text.lower() == "@data":
            if types:
                return types
            break
        match = _ATTRIBUTE.fullmatch(text)
        if match is None:
            raise UserError(
                f"'{path}' has the header line '{text[:80]}', expected @attribute NAME TYPE; give an ARFF file"
            )
        name, kind = match.group(1).strip("'\""), match.group(2).strip()
        if kind.lower() not in _NUMERIC and not (kind.startswith("{") and kind.endswith("}")):
            raise UserError(
                f"attribute '{name}' in '{path}' is of type '{kind[:80]}', expected numeric or {{names}}; "
                "drop the column"
            )
        types[name] = (
            "f8" if kind.lower() in _NUMERIC else f"U{_MAX_NAME_CHARS if len(kind) > _MAX_NAME_CHARS else len(kind)}"
        )
    raise UserError(f"'{path}' has no @attribute lines followed by @data; give an ARFF file")
