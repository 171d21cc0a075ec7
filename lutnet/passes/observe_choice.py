"""Which bits a function can read instead: sets of bits that tell apart what samples ask to be told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.passes.bits import Bit
from lutnet.passes.compose import BitTable

__all__ = ["Seen", "support", "table_of"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_TURNS = 24
_PAIRS = 64


@dataclass(frozen=True, eq=False)
class Seen:
    """Samples on which a function's value matters.

    Attributes:
        value: The value there, bool, shape ``(n,)``.
        signal: Any bit of the netlist there, same shape.
    """

    value: Bools
    signal: Callable[[Bit], Bools]

    def address(self, bits: Sequence[Bit]) -> Ints:
        """The bits as one code a sample, bit 0 first."""
        found = np.zeros(len(self.value), dtype=np.int64)
        for place, bit in enumerate(bits):
            found |= self.signal(bit).astype(np.int64) << place
        return found

    def split(self, bits: Sequence[Bit]) -> tuple[Bools, Bools]:
        """At which addresses of some bits the value is 1 on some sample, and at which it is 0; shape ``(2**len(bits),)`` each."""
        address = self.address(bits)
        on = np.zeros(1 << len(bits), dtype=np.bool_)
        off = on.copy()
        on[address[self.value]] = True
        off[address[~self.value]] = True
        return on, off


def support(seen: Seen, keep: Sequence[Bit], candidates: Sequence[Bit], most: int) -> tuple[Bit, ...] | None:
    """The fewest bits, at most ``most`` (0 to 2), that decide the value on all samples together with ``keep``; ``None`` without any.

    Pairs of samples that have to be told apart are taken a few at a time: a set that tells those apart is tried on all samples, and
    where it fails gives the next pairs.
    """
    chosen: tuple[Bit, ...] = ()
    apart = np.zeros((len(candidates), 0), dtype=np.bool_)
    for _ in range(_TURNS):
        on, off = seen.split([*keep, *chosen])
        if not (on & off).any():
            return chosen
        if not most or not candidates:
            return None
        pairs = _pairs(seen, [*keep, *chosen])
        apart = np.concatenate([apart, np.stack([_told_apart(seen, bit, pairs) for bit in candidates])], axis=1)
        places = _cover(apart, most)
        if places is None:
            return None
        chosen = tuple(candidates[place] for place in places)
    return None


def _pairs(seen: Seen, bits: Sequence[Bit]) -> tuple[Ints, Ints]:
    """Some samples with value 1 and as many with value 0 that agree on the bits."""
    address = seen.address(bits)
    on, off = np.flatnonzero(seen.value), np.flatnonzero(~seen.value)
    on, off = on[np.argsort(address[on], kind="stable")], off[np.argsort(address[off], kind="stable")]
    shared = np.intersect1d(address[on], address[off])
    each = max(1, _PAIRS // len(shared))
    left: list[Ints] = []
    right: list[Ints] = []
    for place in shared[:_PAIRS].tolist():
        ends = [np.searchsorted(address[side], [place, place + 1]) for side in (on, off)]
        n = min(each, max(end[1] - end[0] for end in ends))
        for side, end, found in zip((on, off), ends, (left, right), strict=True):
            found.append(side[end[0] + np.arange(n) * 7 % (end[1] - end[0])])
    return np.concatenate(left), np.concatenate(right)


def _told_apart(seen: Seen, bit: Bit, pairs: tuple[Ints, Ints]) -> Bools:
    signal = seen.signal(bit)
    return np.asarray(signal[pairs[0]] ^ signal[pairs[1]])


def _cover(apart: Bools, most: int) -> tuple[int, ...] | None:
    """Rows, at most two, that together hold every column; those first that come first."""
    alone = np.flatnonzero(apart.all(axis=1))
    if len(alone):
        return (int(alone[0]),)
    if most < 2 or not len(apart):
        return None
    missing = np.packbits(~apart, axis=1)
    for place in np.flatnonzero(apart[:, np.argmin(apart.sum(axis=0))]).tolist():
        partners = np.flatnonzero(~(missing & missing[place]).any(axis=1))
        if len(partners):
            return (min(place, int(partners[0])), max(place, int(partners[0])))
    return None


def table_of(seen: Seen, bits: Sequence[Bit], old: BitTable) -> BitTable:
    """The value as a table over the bits; where no sample says, that of the old function with other bits at 0."""
    on, off = seen.split(bits)
    place_of = {bit: place for place, bit in enumerate(bits)}
    new = np.arange(1 << len(bits), dtype=np.int64)
    address = np.zeros_like(new)
    for place, bit in enumerate(old.bits):
        if bit in place_of:
            address |= ((new >> place_of[bit]) & 1) << place
    guess = old.codes[address].astype(np.bool_)
    return BitTable(tuple(bits), np.where(on, True, np.where(off, False, guess)).astype(np.int64), 1)
