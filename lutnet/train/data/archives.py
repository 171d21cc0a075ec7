"""Reading of archives that somebody else wrote: never unpickles, never writes, and reads a bounded number of bytes."""

from __future__ import annotations

import gzip
import math
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError

__all__ = ["MAX_ARCHIVE_BYTES", "read_idx_gz", "read_npz", "read_zip_member"]

MAX_ARCHIVE_BYTES = 1 << 32
"""Most bytes an archive may unpack to."""

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)
"""What the standard library and NumPy raise on truncated, encrypted, exotic or forged archives."""


def read_npz(path: Path, required: Sequence[str], optional: Sequence[str] = ()) -> dict[str, npt.NDArray[np.generic]]:
    """Arrays of an ``.npz`` file by name; others in the file are not read.

    Args:
        path: The file.
        required: Names that must be there.
        optional: Names that are read when they are there.

    Raises:
        UserError: The file is no readable ``.npz``, holds pickled objects, lacks an array, or unpacks to too much.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            missing = [name for name in required if name not in members]
            if missing:
                raise UserError(
                    f"'{path}' has the arrays {', '.join(sorted(members)) or '(none)'}, "
                    f"expected {', '.join(required)}; "
                    f"add {', '.join(missing)} or give another file"
                )
            wanted = {name: members[name] for name in (*required, *optional) if name in members}
            if sum(info.file_size for info in wanted.values()) > MAX_ARCHIVE_BYTES:
                raise UserError(
                    f"'{path}' unpacks to more than the {MAX_ARCHIVE_BYTES} bytes that are read; give a smaller file"
                )
            return {name: _read_array(archive, info) for name, info in wanted.items()}
    except FileNotFoundError:
        raise UserError(f"there is no file '{path}'; check the path") from None
    except _BROKEN as problem:
        raise UserError(
            f"'{path}' is not a readable .npz file of plain arrays ({problem}); it may be cut short, "
            "download or save it again"
        ) from problem


def _read_array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> npt.NDArray[np.generic]:
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        if header is None:
            raise ValueError(f"array '{info.filename}' has the unknown version {version}")
        shape, _, dtype = header(stream)
        if dtype.hasobject:
            raise ValueError(f"array '{info.filename}' holds pickled objects")
        if math.prod(shape) * dtype.itemsize != info.file_size - stream.tell():
            raise ValueError(f"array '{info.filename}' does not have the size that its header announces")
    with archive.open(info) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def read_zip_member(path: Path, suffix: str, max_bytes: int) -> bytes:
    """The first member of a zip file whose name ends in ``suffix``; nothing is unpacked to the disk.

    Raises:
        UserError: The archive is broken, has no such member, or the member is larger than ``max_bytes``.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [
                i.filename
                for i in archive.infolist()
                if i.filename.endswith(suffix) and not i.filename.startswith("__MACOSX")
            ]
            if not names:
                raise UserError(f"'{path}' holds no file that ends in '{suffix}'; give the original archive")
            with archive.open(names[0]) as stream:
                data = stream.read(max_bytes + 1)
    except FileNotFoundError:
        raise UserError(f"there is no file '{path}'; check the path") from None
    except _BROKEN as problem:
        raise UserError(f"'{path}' is not a readable zip file ({problem}); download it again") from problem
    if len(data) > max_bytes:
        raise UserError(
            f"'{names[0]}' in '{path}' is larger than the {max_bytes} bytes that are read; give the original archive"
        )
    return data


def read_idx_gz(path: Path, *, ndim: int, max_bytes: int) -> npt.NDArray[np.uint8]:
    """A gzip-compressed IDX file of unsigned bytes, the format of the MNIST originals.

    Layout: two zero bytes, the type code 8, the number of dimensions, one big-endian 32-bit size a dimension, the data.

    Args:
        path: The file.
        ndim: Number of dimensions expected.
        max_bytes: Most bytes of data that are read.

    Raises:
        UserError: The file is not of that format, or its data are longer or shorter than its header says.
    """
    try:
        with gzip.open(path, "rb") as stream:
            shape = _idx_shape(stream, path, ndim, max_bytes)
            data = stream.read(math.prod(shape) + 1)
    except FileNotFoundError:
        raise UserError(f"there is no file '{path}'; check the path") from None
    except _BROKEN as problem:
        raise UserError(f"'{path}' is not a readable gzip file ({problem}); download it again") from problem
    if len(data) != math.prod(shape):
        held = "more" if len(data) > math.prod(shape) else len(data)
        raise UserError(f"'{path}' announces {math.prod(shape)} bytes of data but holds {held}; download it again")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _idx_shape(stream: gzip.GzipFile | IO[bytes], path: Path, ndim: int, max_bytes: int) -> tuple[int, ...]:
    header = stream.read(4 + 4 * ndim)
    if len(header) != 4 + 4 * ndim or header[:4] != bytes((0, 0, 8, ndim)):
        raise UserError(f"'{path}' is not an IDX file of bytes with {ndim} dimensions; give the original MNIST file")
    shape: tuple[int, ...] = struct.unpack(f">{ndim}I", header[4:])
    if math.prod(shape) > max_bytes:
        raise UserError(
            f"'{path}' announces {math.prod(shape)} bytes of data, more than the {max_bytes} that are read; "
            "download it again"
        )
    return shape
