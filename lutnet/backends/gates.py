"""Two-input gates with constant folding and structural hashing: what a bit-level back end builds its networks from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["ONE", "ZERO", "Gate", "Gates"]

ZERO = 0
"""The signal that is always 0."""

ONE = 1
"""The signal that is always 1."""


@dataclass(frozen=True)
class Gate:
    """One gate: ``out`` is 1 where the cover says so.

    Attributes:
        out: Signal that the gate drives.
        pins: Signals that it reads, ``pins[0]`` first in every cube.
        cubes: Products of the on-set, one character a pin: ``0``, ``1`` or ``-``.
        owner: Id of the netlist node that the gate belongs to.
    """

    out: int
    pins: tuple[int, ...]
    cubes: tuple[str, ...]
    owner: int


@dataclass
class Gates:
    """Grows a network of gates. Signals are integers; asking twice for a gate returns the first one's signal.

    Words are lists of signals, least significant bit first.

    Attributes:
        owner: Node that the gates built next belong to.
        gates: Gates so far, in topological order.
    """

    owner: int = -1
    gates: list[Gate] = field(default_factory=list)
    _next: int = 2
    _known: dict[tuple[tuple[int, ...], tuple[str, ...]], int] = field(default_factory=dict)

    def new_signal(self) -> int:
        """A signal that no gate drives."""
        self._next += 1
        return self._next - 1

    def gate(self, pins: tuple[int, ...], cubes: tuple[str, ...]) -> int:
        """The output of a gate with this cover; folds nothing."""
        known = self._known.get((pins, cubes))
        if known is None:
            known = self._known[(pins, cubes)] = self.new_signal()
            self.gates.append(Gate(known, pins, cubes, self.owner))
        return known

    # -- single bits -------------------------------------------------------------------------------------------------

    def not_(self, a: int) -> int:
        """Complement."""
        return ONE - a if a in (ZERO, ONE) else self.gate((a,), ("0",))

    def and_(self, a: int, b: int) -> int:
        """Conjunction."""
        a, b = min(a, b), max(a, b)
        if a == ZERO or a == b:
            return a
        return b if a == ONE else self.gate((a, b), ("11",))

    def or_(self, a: int, b: int) -> int:
        """Disjunction."""
        a, b = min(a, b), max(a, b)
        if a == ZERO or a == b:
            return b
        return ONE if a == ONE else self.gate((a, b), ("1-", "-1"))

    def xor(self, a: int, b: int) -> int:
        """Exclusive or."""
        a, b = min(a, b), max(a, b)
        if a == b:
            return ZERO
        if a in (ZERO, ONE):
            return b if a == ZERO else self.not_(b)
        return self.gate((a, b), ("10", "01"))

    def mux(self, select: int, low: int, high: int) -> int:
        """``high`` where ``select`` is 1, otherwise ``low``."""
        if low == high or select in (ZERO, ONE):
            return high if select == ONE else low
        if low in (ZERO, ONE) and high in (ZERO, ONE):
            return select if high == ONE else self.not_(select)
        if low == ZERO:
            return self.and_(select, high)
        if high == ONE:
            return self.or_(select, low)
        if high == ZERO:
            return self.gate((select, low), ("01",))
        if low == ONE:
            return self.gate((select, high), ("0-", "-1"))
        return self.gate((select, low, high), ("01-", "1-1"))

    # -- words -------------------------------------------------------------------------------------------------------

    def mux_word(self, select: int, low: Sequence[int], high: Sequence[int]) -> list[int]:
        """Bit by bit :meth:`mux`."""
        return [self.mux(select, a, b) for a, b in zip(low, high, strict=True)]

    def add(self, a: Sequence[int], b: Sequence[int], carry: int = ZERO) -> list[int]:
        """Ripple-carry sum of two words of one width, without the last carry."""
        out = []
        for x, y in zip(a, b, strict=True):
            half = self.xor(x, y)
            out.append(self.xor(half, carry))
            carry = self.or_(self.and_(x, y), self.and_(half, carry))
        return out

    def table(self, address: Sequence[int], codes: npt.NDArray[np.integer], out_width: int) -> list[int]:
        """A truth table as multiplexers: the reduced decision diagram whose root tests the highest address bit.

        Args:
            address: Signals of the address.
            codes: Result for every address, shape ``(2**len(address),)``.
            out_width: Bits of the result.
        """
        shifts = np.arange(out_width, dtype=np.int64)[:, np.newaxis]
        level = (codes.astype(np.int64) >> shifts) & 1
        for bit in address:
            pairs = level.reshape(-1, 2)
            span = int(level.max()) + 1
            keys, place = np.unique(pairs[:, 0] * span + pairs[:, 1], return_inverse=True)
            nodes = [self.mux(bit, *divmod(key, span)) for key in keys.tolist()]
            level = np.asarray(nodes, dtype=np.int64)[place.reshape(-1)].reshape(out_width, -1)
        return [int(row[0]) for row in level]
