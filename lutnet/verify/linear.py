"""Values as weighted sums of bits: how two trees of adders are seen to compute the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lutnet.ir.ops import to_value
from lutnet.passes.bits import ONE, ZERO, Bit
from lutnet.tables import TruthTable

__all__ = ["Form", "LinearForms", "extended", "trimmed"]

_MAX_AFFINE_BITS = 8


@dataclass(frozen=True)
class Form:
    """``bias`` plus each bit times its weight, exactly.

    Attributes:
        bias: Integer added.
        weights: Bits and their factors, none of them 0, in order.
    """

    bias: int
    weights: tuple[tuple[Bit, int], ...]


class LinearForms:
    """Forms of words. A word that has a form is replaced by it wherever it occurs as a whole, the latest row first."""

    def __init__(self) -> None:
        self._of_row: dict[int, tuple[Form, tuple[tuple[Bit, int], ...]]] = {}

    def remember(self, row: int, form: Form, word: Sequence[Bit], signed: bool) -> None:
        """The value of a row, whose code has the given bits, is a form."""
        bits = [(bit, weight) for bit, weight in _weights(word, signed) if bit not in (ZERO, ONE)]
        if len({bit for bit, _ in bits}) == len(bits) == len(word) and all(bit.row == row for bit in word):
            self._of_row[row] = (form, tuple(bits))

    def sum(self, bias: int, terms: Sequence[tuple[int, Sequence[Bit], bool]]) -> Form:
        """The form of ``bias`` plus factor times value, for every factor, word and signedness in ``terms``."""
        weights: dict[Bit, int] = {}
        for factor, word, signed in terms:
            for bit, weight in _weights(word, signed):
                weights[bit] = weights.get(bit, 0) + factor * weight
        waiting = {bit.row for bit in weights}
        while waiting:
            row = max(waiting)
            waiting.discard(row)
            form, bits = self._of_row.get(row, (None, ()))
            factor = weights.get(bits[0][0], 0) // bits[0][1] if bits else 0
            if form is None or not factor or any(weights.get(bit) != factor * weight for bit, weight in bits):
                continue
            for bit, _ in bits:
                del weights[bit]
            bias += factor * form.bias
            for bit, weight in form.weights:
                weights[bit] = weights.get(bit, 0) + factor * weight
                waiting.add(bit.row)
        bias += weights.pop(ONE, 0)
        weights.pop(ZERO, None)
        return Form(bias, tuple(sorted((bit, weight) for bit, weight in weights.items() if weight)))

    def table(self, table: TruthTable, address: Sequence[Bit], signed: bool) -> Form | None:
        """The form of a table's result, such as that of a full adder; ``None`` when it has none."""
        if table.address_bits > _MAX_AFFINE_BITS or table.out_width < 2:
            return None
        values = to_value(table.codes.astype(np.int64), table.out_width, signed)
        slopes = [int(values[1 << place] - values[0]) for place in range(table.address_bits)]
        entries = np.arange(table.n_entries)
        exact = values[0] + sum(slope * ((entries >> place) & 1) for place, slope in enumerate(slopes))
        if (values != exact).any():
            return None
        return self.sum(int(values[0]), [(slope, (bit,), False) for slope, bit in zip(slopes, address, strict=True)])


def _weights(word: Sequence[Bit], signed: bool) -> list[tuple[Bit, int]]:
    """Every bit of a word with what it counts for in the word's value."""
    top = len(word) - 1
    return [(bit, -(1 << place) if signed and place == top else 1 << place) for place, bit in enumerate(word)]


def trimmed(word: Sequence[Bit], signed: bool) -> tuple[tuple[Bit, ...], bool]:
    """The shortest word of the same value, and whether it is signed: repeated signs and leading zeros go."""
    bits = list(word)
    while signed and len(bits) > 1 and bits[-1] == bits[-2]:
        bits.pop()
    signed = signed and bits[-1] != ZERO
    while not signed and len(bits) > 1 and bits[-1] == ZERO:
        bits.pop()
    return tuple(bits), signed


def extended(word: Sequence[Bit], signed: bool, width: int) -> tuple[Bit, ...]:
    """The low ``width`` bits of a word's value."""
    fill = word[-1] if signed else ZERO
    return (*word[:width], *[fill] * (width - len(word)))
