"""Functions of a few bits while they are taken apart."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lutnet.cost.device import Device
from lutnet.cost.luts import muxed_table_luts

__all__ = ["Function", "output_luts", "table_cost"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Function:
    """A function from ``n_bits`` single bits to a code.

    Attributes:
        codes: Code of every address, int64, shape ``(2**n_bits,)``; bit 0 of the address is least significant.
        width: Bits of the code.
        care: Addresses that matter, bool, same shape, or ``None`` for all.
    """

    codes: Ints
    width: int
    care: Bools | None = None

    @property
    def n_bits(self) -> int:
        """Bits of the address."""
        return len(self.codes).bit_length() - 1

    @cached_property
    def key(self) -> bytes:
        """Digest of everything."""
        digest = hashlib.blake2b(repr((self.width, self.care is None)).encode(), digest_size=16)
        digest.update(np.ascontiguousarray(self.codes).tobytes())
        if self.care is not None:
            digest.update(np.packbits(self.care).tobytes())
        return digest.digest()

    def bit(self, place: int) -> Function:
        """One bit of the code."""
        return Function((self.codes >> place) & 1, 1, self.care)

    def support(self) -> tuple[int, ...]:
        """Address bits that the codes depend on."""
        return tuple(i for i in range(self.n_bits) if _depends(self.codes, i))

    def on(self, places: Sequence[int]) -> Function:
        """The same function with only these address bits, in this order; the others must be idle."""
        address = np.arange(1 << len(places), dtype=np.int64)
        old = np.zeros_like(address)
        for new, place in enumerate(places):
            old |= ((address >> new) & 1) << place
        care = None
        if self.care is not None:
            idle = [i for i in range(self.n_bits) if i not in places]
            care = np.asarray(self.matrix(self.care, [idle, list(places)]).any(axis=0), dtype=np.bool_)
        return Function(self.codes[old], self.width, care)

    def matrix(self, values: npt.NDArray[np.generic], groups: Sequence[Sequence[int]]) -> npt.NDArray[np.generic]:
        """Values of all addresses, one axis a group of address bits; the first bit of a group is least significant."""
        n = self.n_bits
        cube = values.reshape((2,) * n)
        axes = [n - 1 - place for group in groups for place in reversed(group)]
        return np.asarray(cube.transpose(axes).reshape([1 << len(group) for group in groups]))


def _depends(codes: Ints, place: int) -> bool:
    pairs = codes.reshape(-1, 2, 1 << place)
    return not np.array_equal(pairs[:, 0], pairs[:, 1])


def table_cost(n_inputs: int, device: Device) -> float:
    """Lookup tables for one output bit that depends on so many inputs.

    The dedicated multiplexers behind the tables are free. On a part with dual-output tables, a function of two or three inputs
    shares a table with another one, as yosys counts it for AMD parts.
    """
    if n_inputs <= 1:
        return 0.0
    if n_inputs <= 3 and device.dual_output_inputs:
        return 0.5
    if n_inputs <= device.lut_inputs:
        return 1.0
    return float(muxed_table_luts(n_inputs, 1, device))


def output_luts(codes: Ints, width: int, device: Device) -> float:
    """:func:`table_cost` of every distinct output bit of a table, without constants."""
    total, seen = 0.0, set()
    for place in range(width):
        column = (codes >> place) & 1
        key = np.packbits((column ^ column[0]).astype(np.uint8)).tobytes()
        if key not in seen:
            seen.add(key)
            total += table_cost(len(Function(column, 1).support()), device)
    return total
