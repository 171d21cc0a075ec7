"""Truth tables and addresses.

Operand 0 is the least significant part of every address; bit 0 is least significant. For operands ``o0, o1, ...`` of
widths ``w0, w1, ...`` the address is ``o0 + (o1 << w0) + (o2 << (w0 + w1)) + ...``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError

__all__ = ["MAX_ADDRESS_BITS", "MAX_TABLE_WIDTH", "TruthTable", "code_dtype", "pack_address", "unpack_address"]

MAX_ADDRESS_BITS = 24
"""A table of 2**24 entries is the largest that may exist; what a user allows is a smaller budget of his own."""

MAX_TABLE_WIDTH = 32
"""Widest output of one table."""


def code_dtype(bits: int) -> np.dtype[np.unsignedinteger]:
    """The smallest unsigned dtype that holds codes of ``bits`` bits (at most 32)."""
    return np.dtype(np.uint8 if bits <= 8 else np.uint16 if bits <= 16 else np.uint32)


@dataclass(frozen=True, eq=False)
class TruthTable:
    """A function from a few codes to one code, written out.

    Attributes:
        in_widths: Bits of each operand; operand 0 is the least significant part of the address.
        out_width: Bits of the result, 1 to 32.
        codes: Result for every address, shape ``(2**sum(in_widths),)``; stored as the smallest unsigned dtype, read-only.
        care: Addresses whose result matters, bool, same shape; ``None`` means all of them.

    Raises:
        UserError: Shapes, widths or codes do not fit each other.
    """

    in_widths: tuple[int, ...]
    out_width: int
    codes: npt.NDArray[np.integer]
    care: npt.NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if any(width < 1 for width in self.in_widths):
            raise UserError(f"operand widths of a table must be at least 1, got {self.in_widths}")
        if self.address_bits > MAX_ADDRESS_BITS:
            raise UserError(
                f"a table of {self.address_bits} address bits has 2**{self.address_bits} entries, more than 2**{MAX_ADDRESS_BITS}; "
                "lower the fan-in or the bit width"
            )
        if not 1 <= self.out_width <= MAX_TABLE_WIDTH:
            raise UserError(f"a table's output has 1 to {MAX_TABLE_WIDTH} bits, got {self.out_width}")
        codes = np.asarray(self.codes)
        if codes.shape != (self.n_entries,):
            raise UserError(
                f"a table of operand widths {self.in_widths} needs codes of shape ({self.n_entries},), got {codes.shape}"
            )
        if not np.issubdtype(codes.dtype, np.integer):
            raise UserError(f"a table's codes must be integers, got dtype {codes.dtype}")
        if int(codes.min()) < 0 or int(codes.max()) >> self.out_width:
            raise UserError(f"a table's codes must fit {self.out_width} bits, got {codes.min()} to {codes.max()}")
        object.__setattr__(self, "codes", _frozen(codes, code_dtype(self.out_width)))
        if self.care is not None:
            care = np.asarray(self.care, dtype=np.bool_)
            if care.shape != (self.n_entries,):
                raise UserError(f"a care set must have shape ({self.n_entries},), got {care.shape}")
            object.__setattr__(self, "care", None if care.all() else _frozen(care, np.dtype(np.bool_)))

    @property
    def address_bits(self) -> int:
        """Number of address bits."""
        return sum(self.in_widths)

    @property
    def n_entries(self) -> int:
        """Number of addresses."""
        return 1 << self.address_bits

    @cached_property
    def key(self) -> bytes:
        """Digest of everything that makes two tables equal."""
        head = repr((self.in_widths, self.out_width, self.care is not None)).encode()
        digest = hashlib.blake2b(head, digest_size=16)
        digest.update(self.codes.tobytes())
        if self.care is not None:
            digest.update(np.packbits(self.care).tobytes())
        return digest.digest()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TruthTable):
            return NotImplemented
        return self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def lookup(self, operands: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
        """Results for a batch: one int64 array of codes an operand, all of one shape; returns that shape."""
        return self.codes[pack_address(operands, self.in_widths)].astype(np.int64)

    def with_codes(self, codes: npt.ArrayLike) -> TruthTable:
        """The same table with other results."""
        return TruthTable(self.in_widths, self.out_width, np.asarray(codes), self.care)


def pack_address(operands: Sequence[npt.NDArray[np.int64]], widths: Sequence[int]) -> npt.NDArray[np.int64]:
    """Addresses of operand codes; operand 0 is least significant.

    Args:
        operands: One integer array an operand, all of one shape or broadcastable, at least one operand.
        widths: Bits of each operand.
    """
    if not operands or len(operands) != len(widths):
        raise UserError(f"an address needs one code a width, got {len(operands)} codes for {len(widths)} widths")
    address = operands[0].astype(np.int64, copy=False)
    shift = widths[0]
    for operand, width in zip(operands[1:], widths[1:], strict=True):
        address = address | (operand.astype(np.int64, copy=False) << shift)
        shift += width
    return address


def unpack_address(address: npt.NDArray[np.int64], widths: Sequence[int]) -> list[npt.NDArray[np.int64]]:
    """The operand codes of addresses: the inverse of :func:`pack_address`."""
    operands = []
    rest = np.asarray(address, dtype=np.int64)
    for width in widths:
        operands.append(rest & ((1 << width) - 1))
        rest = rest >> width
    return operands


def _frozen(array: npt.NDArray[Any], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    copy = np.array(array, dtype=dtype, order="C", copy=True)
    copy.setflags(write=False)
    return copy
