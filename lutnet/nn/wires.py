"""What a layer may build with: the operations of a netlist, as far as layers use them.

Layers describe themselves as hardware without knowing the netlist. ``lutnet.ir.NetlistBuilder`` fits this protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lutnet.tables import TruthTable

__all__ = ["DecisionWires", "Wires"]


class Wires(Protocol):
    """Operations by row number: every method adds a node, or finds an equal one, and returns its row.

    Values, widths and bit order are those of ``docs/ir.md``.
    """

    def const(self, code: int, width: int, *, signed: bool = False) -> int:
        """A constant code of ``width`` bits."""

    def lut(self, table: TruthTable, operands: Sequence[int], *, signed: bool = False) -> int:
        """A table read at the codes of its operands; operand 0 is the least significant part of the address."""

    def sum(
        self,
        operands: Sequence[int],
        coefs: Sequence[int] | None = None,
        *,
        bias: int = 0,
        shape: tuple[int, bool] | None = None,
    ) -> int:
        """Exact ``bias + sum(coef * value)`` in ``shape = (width, signed)``, the narrowest that holds it by default."""

    def threshold(self, operand: int, at_least: int) -> int:
        """One bit: whether the operand's value is ``at_least`` or more."""

    def slice(self, operand: int, low: int, width: int, *, signed: bool = False) -> int:
        """Bits ``low`` to ``low + width - 1`` of the operand."""

    def concat(self, operands: Sequence[int], *, signed: bool = False) -> int:
        """Codes side by side; operand 0 is least significant."""


class DecisionWires(Wires, Protocol):
    """What a head may build with."""

    def argmax(self, operands: Sequence[int]) -> int:
        """Position of the largest value; ties go to the lowest position."""
