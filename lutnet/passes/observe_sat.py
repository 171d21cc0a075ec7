"""Satisfiability: whether another function in the place of one bit shows at the ends of a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node, OpCode
from lutnet.passes.bits import Bit
from lutnet.passes.compose import BitTable
from lutnet.passes.dontcare_sat import Clauses, holds
from lutnet.passes.observe_window import Window

__all__ = ["Answer", "Questions"]

Ints = npt.NDArray[np.int64]

TRUE = 1


@dataclass(frozen=True, eq=False)
class Answer:
    """What the solver said.

    Attributes:
        proved: Whether the other function can stand there.
        inputs: Codes of the inputs on which it shows, int64, shape ``(n_inputs,)``; ``None`` when proved or unanswered.
    """

    proved: bool
    inputs: Ints | None = None


class _Exact(Clauses):
    """Clauses in which an ``argmax`` is a chain of comparisons, nothing left free but the inputs."""

    def encode(self, node: Node, operands: Sequence[Sequence[int]]) -> list[int]:
        if node.op is not OpCode.ARGMAX:
            return super().encode(node, operands)
        width = max(node.operand_widths) + 1
        values = [_as_unsigned(bits, signed, width) for bits, signed in zip(operands, node.operand_signed, strict=True)]
        best, index = values[0], [-TRUE] * node.width
        for place, value in enumerate(values[1:], start=1):
            larger = -TRUE
            for a, b in zip(value, best, strict=True):
                larger = self.mux(a, self.mux(b, larger, TRUE), self.mux(b, -TRUE, larger))
            best = [self.mux(larger, a, b) for a, b in zip(value, best, strict=True)]
            wanted = [TRUE if (place >> i) & 1 else -TRUE for i in range(node.width)]
            index = [self.mux(larger, a, b) for a, b in zip(wanted, index, strict=True)]
        return index


def _as_unsigned(bits: Sequence[int], signed: bool, width: int) -> list[int]:
    """Two's complement of ``width`` bits with the sign turned over, which orders values as plain numbers."""
    top = bits[-1] if signed else -TRUE
    wide = [*bits, *[top] * (width - len(bits))]
    return [*wide[:-1], -wide[-1]]


class Questions:
    """Questions about one netlist; the clauses of a window are written once."""

    def __init__(self, net: Netlist, conflicts: int) -> None:
        self.net = net
        self.conflicts = conflicts
        self._clauses = _Exact(net)
        self._shown: dict[Bit, int] = {}

    def close(self) -> None:
        """Frees the solver."""
        self._clauses.close()

    def ask(self, bit: Bit, function: BitTable, window: Window) -> Answer:
        """Whether the window's ends stay the same on every input when a bit becomes another function of one output bit."""
        clauses = self._clauses
        shown = self._shown.get(bit)
        if shown is None:
            shown = self._shown[bit] = self._difference(bit, window)
        address = [clauses.bits(source.row)[source.place] for source in function.bits]
        new = clauses.table(function.codes, 1, address)[0]
        old = clauses.bits(bit.row)[bit.place]
        differs = clauses.mux(new, -old, old)
        clauses.solver.conf_budget(self.conflicts)
        answer = clauses.solver.solve_limited(assumptions=[shown, differs])
        if answer:
            return Answer(False, self._inputs(clauses.solver.get_model()))
        return Answer(answer is False)

    def _difference(self, bit: Bit, window: Window) -> int:
        """A literal that implies a difference at an end of the window when the bit is turned over."""
        clauses = self._clauses
        turned = list(clauses.bits(bit.row))
        turned[bit.place] = -turned[bit.place]
        flipped = {bit.row: turned}
        for row in window.rows:
            node = self.net.node(row)
            flipped[row] = clauses.encode(node, [flipped.get(j) or clauses.bits(j) for j in node.operands])
        pairs = [pair for row in window.ends for pair in zip(flipped[row], clauses.bits(row), strict=True)]
        shown = clauses.new()
        clauses.add([-shown, *(clauses.mux(a, -b, b) for a, b in pairs)])
        return shown

    def _inputs(self, model: Sequence[int]) -> Ints:
        found = []
        for row in self.net.inputs.tolist():
            bits = self._clauses.bits(row)
            found.append(sum(holds(model, literal) << place for place, literal in enumerate(bits)))
        return np.asarray(found, dtype=np.int64)
