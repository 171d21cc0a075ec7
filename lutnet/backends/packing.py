"""Bit packing of the ports ``in_data`` and ``out_data``.

Input 0 takes the least significant bits of ``in_data``, input 1 the bits above it, and so on; ``out_data`` likewise. With widths
``w0, w1, ...`` input ``i`` is ``in_data[w0 + ... + wi - 1 : w0 + ... + w(i-1)]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError

__all__ = ["pack_codes", "pack_words", "unpack_codes", "unpack_words"]


def pack_words(codes: npt.ArrayLike, widths: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Codes as packed vectors in little-endian bytes.

    Args:
        codes: Integers, shape ``(batch, n)``; column ``i`` in ``[0, 2**widths[i])``.
        widths: Bits of each column.

    Returns:
        uint8, shape ``(batch, ceil(sum(widths) / 8))``; bit 0 of byte 0 is bit 0 of the port.
    """
    batch = np.asarray(codes)
    if batch.ndim != 2 or batch.shape[1] != len(widths) or not np.issubdtype(batch.dtype, np.integer):
        raise UserError(f"expected integer codes of shape (batch, {len(widths)}), got {batch.dtype} {batch.shape}")
    for column, width in enumerate(widths):
        if len(batch) and (int(batch[:, column].min()) < 0 or int(batch[:, column].max()) >> width):
            raise UserError(f"column {column} has codes outside 0 to {(1 << width) - 1}")
    bits = [((batch[:, [i]].astype(np.int64) >> np.arange(w)) & 1).astype(np.uint8) for i, w in enumerate(widths)]
    return np.packbits(np.concatenate(bits, axis=1), axis=1, bitorder="little")


def unpack_words(words: npt.NDArray[np.uint8], widths: Sequence[int]) -> npt.NDArray[np.int64]:
    """The inverse of :func:`pack_words`: int64 codes of shape ``(batch, n)``."""
    total = sum(widths)
    if words.ndim != 2 or words.shape[1] != (total + 7) // 8:
        raise UserError(f"expected packed vectors of shape (batch, {(total + 7) // 8}), got {words.shape}")
    bits = np.unpackbits(words, axis=1, bitorder="little", count=total).astype(np.int64)
    out = np.empty((len(words), len(widths)), dtype=np.int64)
    low = 0
    for column, width in enumerate(widths):
        out[:, column] = bits[:, low : low + width] @ (np.int64(1) << np.arange(width, dtype=np.int64))
        low += width
    return out


def pack_codes(codes: npt.ArrayLike, widths: Sequence[int]) -> list[int]:
    """One Python integer a row: the value to put on the packed port."""
    return [int.from_bytes(row.tobytes(), "little") for row in pack_words(codes, widths)]


def unpack_codes(vectors: Iterable[int], widths: Sequence[int]) -> npt.NDArray[np.int64]:
    """Codes from integers read on the packed port: int64, shape ``(batch, n)``."""
    n_bytes = (sum(widths) + 7) // 8
    raw = b"".join(vector.to_bytes(n_bytes, "little") for vector in vectors)
    return unpack_words(np.frombuffer(raw, dtype=np.uint8).reshape(-1, n_bytes), widths)
