"""Taking a truth table apart into gates: Shannon expansion with shared, complemented cofactors.

Functions are Python integers: bit ``i`` is the value at address ``i``. A cofactor keeps the whole domain, so that equal functions
are equal integers whatever was tested before them (C. E. Shannon, "The Synthesis of Two-Terminal Switching Circuits", BSTJ 28,
1949; complemented edges: K. S. Brace, R. L. Rudell, R. E. Bryant, "Efficient Implementation of a BDD Package", DAC 1990).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from lutnet.backends.c_logic import FALSE, TRUE, Logic
from lutnet.tables import TruthTable

__all__ = ["LOOKUP_BITS", "table_word"]

FREE_BITS = 6
"""Most address bits of a table whose every cofactor may test another bit first."""

LOOKUP_BITS = 14
"""Address bits from which a table is read sample by sample: its gates would be slower than the two transpositions."""

LOOKUP_GATES = 3000
"""Gates from which a table is read sample by sample: with AVX-512, reading takes as long as that many gates, whatever the table."""


def table_word(logic: Logic, table: TruthTable, address: Sequence[int]) -> list[int]:
    """The bits of a table, as gates or, where that is faster, as a lookup.

    Args:
        logic: The network that grows.
        table: The table.
        address: Literals of its address, bit 0 first.
    """
    n = len(address)
    variable = sum(literal not in (FALSE, TRUE) for literal in address)
    if variable >= LOOKUP_BITS:
        return logic.lookup(table, address)
    functions = _columns(table)
    start = len(logic.nodes)
    plans = _plans(table)
    best, fewest = plans[0], None
    for plan in plans if len(plans) > 1 else ():
        _Expansion(logic, address, plan).word(functions)
        count = len(logic.nodes) - start
        logic.forget(start)
        if fewest is None or count < fewest:
            best, fewest = plan, count
    word = _Expansion(logic, address, best).word(functions)
    if n > FREE_BITS and len(logic.nodes) - start > LOOKUP_GATES:
        logic.forget(start)
        return logic.lookup(table, address)
    return word


def _columns(table: TruthTable) -> list[int]:
    """One function an output bit."""
    bits = (table.codes.astype(np.int64)[np.newaxis, :] >> np.arange(table.out_width)[:, np.newaxis]) & 1
    packed = np.packbits(bits.astype(np.uint8), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]


def _plans(table: TruthTable) -> list[tuple[int, ...]]:
    """Orders of the address bits, first tested first; an empty one leaves the choice to each cofactor."""
    n = table.address_bits
    if n <= FREE_BITS:
        return [()]
    ranked = sorted((rank, operand, bit) for operand, rank, bit in _places(table.in_widths))
    by_rank = tuple(bit for _, _, bit in reversed(ranked))
    return list(dict.fromkeys([tuple(range(n))[::-1], by_rank, tuple(range(n))]))


def _places(widths: Sequence[int]) -> list[tuple[int, int, int]]:
    """Operand, distance from the operand's highest bit (negative), and address bit, of every address bit."""
    found, low = [], 0
    for operand, width in enumerate(widths):
        found += [(operand, rank - width, low + rank) for rank in range(width)]
        low += width
    return found


@lru_cache(maxsize=64)
def _ones(n: int) -> tuple[int, ...]:
    """For each of ``n`` variables, the addresses at which it is 1."""
    full = (1 << (1 << n)) - 1
    return tuple(full // ((1 << (1 << i)) + 1) << (1 << i) for i in range(n))


@lru_cache(maxsize=1 << 12)
def _points(variables: tuple[int, ...]) -> tuple[int, ...]:
    """Addresses with all values of up to three variables, the first one the highest bit; places that are left over do not matter."""
    weights = [1 << variable for variable in variables] + [0] * (3 - len(variables))
    return tuple(sum(weights[place] * (point >> (2 - place) & 1) for place in range(3)) for point in range(8))


class _Expansion:
    """One table under one plan; a cofactor that was built before is found again."""

    def __init__(self, logic: Logic, address: Sequence[int], plan: tuple[int, ...]) -> None:
        self.logic = logic
        self.address = address
        self.plan = plan
        self.n = len(address)
        self.full = (1 << (1 << self.n)) - 1
        self.ones = _ones(self.n)
        self.zeros = [ones >> (1 << i) for i, ones in enumerate(self.ones)]
        self.known: dict[int, int] = {0: FALSE}

    def word(self, functions: Sequence[int]) -> list[int]:
        """Literals of the functions."""
        variables = self.plan or tuple(range(self.n))
        return [self.build(function, variables) for function in functions]

    def build(self, function: int, variables: Sequence[int]) -> int:
        """The literal of a function that depends on some of these variables, in the order of the plan, and on no others."""
        if function & 1:
            return self.build(self.full ^ function, variables) ^ 1
        found = self.known.get(function)
        if found is None:
            found = self.known[function] = self._new(function, variables)
        return found

    def _new(self, function: int, variables: Sequence[int]) -> int:
        if self.plan:
            if len(variables) <= 3:
                return self._leaf(function, variables)
            variable, high, low, others = self._split(function, variables)
        else:
            support = self._support(function, variables)
            if len(support) <= 3:
                return self._leaf(function, support)
            variable, high, low, others = self._cheapest(function, support)
        return self.logic.mux(self.address[variable], self.build(high, others), self.build(low, others))

    def _leaf(self, function: int, variables: Sequence[int]) -> int:
        """The literal of a function that depends on these variables only, three at most."""
        literals = [self.address[variable] for variable in variables] + [FALSE] * (3 - len(variables))
        byte = 0
        for address in reversed(_points(tuple(variables))):
            byte = byte << 1 | (function >> address & 1)
        return self.logic.ternary(byte, literals[0], literals[1], literals[2])

    def _split(self, function: int, variables: Sequence[int]) -> tuple[int, int, int, Sequence[int]]:
        """The variable to test, the two cofactors, and the variables that they may depend on."""
        for place, variable in enumerate(variables):
            high, low = self._cofactors(function, variable)
            if high != low:
                return variable, high, low, variables[place + 1 :]
        raise AssertionError("a function that is not constant depends on a variable")

    def _cheapest(self, function: int, support: Sequence[int]) -> tuple[int, int, int, Sequence[int]]:
        """The same for the variable whose test seems to take the fewest gates, the first one of equal ones."""
        found = []
        for variable in support:
            high, low = self._cofactors(function, variable)
            others = [other for other in support if other != variable]
            rank = self._effort(low, others)
            if high != self.full ^ low:
                rank += self._effort(high, others)
            found.append((rank, variable, high, low, others))
        return min(found)[1:]

    def _effort(self, function: int, variables: Sequence[int]) -> int:
        """A guess of the gates of a function: none when it is known, one for up to three variables, more for every other one."""
        if (self.full ^ function if function & 1 else function) in self.known:
            return 0
        support = len(self._support(function, variables))
        return 0 if support < 2 else 1 << max(0, support - 3)

    def _support(self, function: int, variables: Sequence[int]) -> list[int]:
        """Those of some variables that a function depends on."""
        zeros = self.zeros
        return [variable for variable in variables if (function >> (1 << variable) ^ function) & zeros[variable]]

    def _cofactors(self, function: int, variable: int) -> tuple[int, int]:
        """The function where a variable is 1 and where it is 0, each on the whole domain."""
        ones, shift = self.ones[variable], 1 << variable
        high, low = function & ones, function & (ones >> shift)
        return high | high >> shift, low | low << shift
