"""Evaluating files that are larger than memory, block by block."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.lib.format as npy
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.files import replaced_file

__all__ = ["Rows", "open_rows", "stream"]

_BLOCK_BYTES = 1 << 26


@dataclass(frozen=True)
class Rows:
    """A two-dimensional array in a file.

    Attributes:
        path: The file.
        member: Name of the array in an ``.npz`` file; ``None`` for an ``.npy`` file.
        n_rows: Rows.
        n_columns: Columns.
        dtype: Type of the elements.
    """

    path: Path
    member: str | None
    n_rows: int
    n_columns: int
    dtype: np.dtype[Any]

    @property
    def rows_per_block(self) -> int:
        """Rows that are in memory at a time, 64 MiB of them."""
        return max(1, _BLOCK_BYTES // max(1, self.n_columns * self.dtype.itemsize))

    def blocks(self) -> Iterator[npt.NDArray[Any]]:
        """The rows in order.

        Raises:
            UserError: The file ends early or is damaged.
        """
        if self.member is None:
            array = np.load(self.path, mmap_mode="r", allow_pickle=False)
            for first in range(0, self.n_rows, self.rows_per_block):
                yield array[first : first + self.rows_per_block]
            return
        with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.member}.npy") as file:
            _header(file)
            for first in range(0, self.n_rows, self.rows_per_block):
                count = min(self.rows_per_block, self.n_rows - first)
                n_bytes = count * self.n_columns * self.dtype.itemsize
                try:
                    raw = file.read(n_bytes)
                except (zipfile.BadZipFile, zlib.error) as error:
                    raise UserError(f"'{self.member}' in {self.path} is damaged ({error}); write it again") from None
                if len(raw) != n_bytes:
                    raise UserError(f"'{self.member}' in {self.path} ends early; write it again")
                yield np.frombuffer(raw, dtype=self.dtype).reshape(count, self.n_columns)


def open_rows(path: str | Path, name: str | None = None) -> Rows:
    """Finds an array of rows without reading it.

    Args:
        path: An ``.npy`` file, or an ``.npz`` file, compressed or not.
        name: Array of an ``.npz`` file; default: ``x``, or the only array in it.

    Raises:
        UserError: There is no such file or array, or it is not two-dimensional, not of numbers, or in Fortran order in an ``.npz`` file.
    """
    source = Path(path)
    if not source.is_file():
        raise UserError(f"no data file at {source}; expected an .npy or .npz file")
    try:
        if not zipfile.is_zipfile(source):
            if name is not None:
                raise UserError(f"{source} holds one array without a name; leave out '{name}'")
            array = np.load(source, mmap_mode="r", allow_pickle=False)
            return _checked(Rows(source, None, *_shape(array.shape, source), array.dtype))
        with zipfile.ZipFile(source) as archive:
            member = _member(archive, name, source)
            with archive.open(f"{member}.npy") as file:
                shape, fortran, dtype = _header(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{source} is no NumPy file or is damaged ({error}); write it with numpy.save") from None
    rows = _checked(Rows(source, member, *_shape(shape, source), dtype))
    if fortran and rows.n_rows > 1 and rows.n_columns > 1:
        raise UserError(f"'{member}' in {source} is in Fortran order; save numpy.ascontiguousarray of it")
    return rows


def stream(
    evaluate: Callable[[npt.NDArray[Any]], npt.NDArray[Any]],
    rows: Rows,
    target: str | Path,
    *,
    on_block: Callable[[npt.NDArray[Any]], None] = lambda block: None,
) -> Path:
    """Writes an array of results, one element or row a row, as an ``.npy`` file that appears when it is complete.

    Args:
        evaluate: Makes results from a block of rows, such as :meth:`lutnet.emulate.Emulator.predict`.
        rows: Where the rows come from.
        target: The new file.
        on_block: Told of the results of every block.

    Raises:
        UserError: The data or the target cannot be used; row numbers in messages count from the start of the file.
    """
    done = 0
    with replaced_file(target) as file:
        for block in rows.blocks() if rows.n_rows else [np.empty((0, rows.n_columns), dtype=rows.dtype)]:
            try:
                results = evaluate(block)
            except UserError as error:
                raise UserError(f"rows {done} to {done + len(block) - 1} of {rows.path}: {error}") from None
            if done == 0:
                header = {
                    "descr": results.dtype.str,
                    "fortran_order": False,
                    "shape": (rows.n_rows, *results.shape[1:]),
                }
                npy.write_array_header_1_0(file, header)
            file.write(np.ascontiguousarray(results).tobytes())
            done += len(block)
            on_block(results)
    return Path(target)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy.read_magic(file)
    if version == (1, 0):
        return npy.read_array_header_1_0(file)
    if version == (2, 0):
        return npy.read_array_header_2_0(file)
    raise ValueError(f"array format {version[0]}.{version[1]} is not known")


def _member(archive: zipfile.ZipFile, name: str | None, source: Path) -> str:
    names = [item.removesuffix(".npy") for item in archive.namelist() if item.endswith(".npy")]
    if name is None:
        name = names[0] if len(names) == 1 else "x"
    if name not in names:
        raise UserError(
            f"{source} has no array '{name}', it has {', '.join(sorted(names)) or 'none'}; name one of them"
        )
    return name


def _shape(shape: tuple[int, ...], source: Path) -> tuple[int, int]:
    if len(shape) != 2:
        raise UserError(f"expected rows and columns in {source}, got an array of shape {shape}")
    return shape[0], shape[1]


def _checked(rows: Rows) -> Rows:
    if rows.dtype.kind not in "fiub":
        raise UserError(f"expected numbers in {rows.path}, got dtype {rows.dtype}")
    return rows
