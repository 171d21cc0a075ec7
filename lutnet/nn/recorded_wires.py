"""Layers lowered once and built many times: what they ask of :class:`lutnet.nn.wires.Wires`, recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lutnet.nn.wires import Wires
from lutnet.tables import TruthTable

__all__ = ["RecordedWires"]

Step = Callable[[Wires, list[int]], int]


class RecordedWires:
    """Takes the operations of a layer down, with row numbers of its own, and adds them to a netlist for any inputs.

    A layer that is lowered with it is tabulated once, however many copies there are.
    """

    def __init__(self, n_inputs: int) -> None:
        """Begin with the rows 0 to ``n_inputs - 1`` for the inputs."""
        self.inputs = list(range(n_inputs))
        self._steps: list[Step] = []

    def replay(self, wires: Wires, inputs: Sequence[int], outputs: Sequence[int]) -> list[int]:
        """Adds a copy.

        Args:
            wires: Where to add it.
            inputs: Rows in place of the recorded inputs.
            outputs: Recorded rows that are wanted.

        Returns:
            The rows of the wanted results.
        """
        rows = list(inputs)
        for step in self._steps:
            rows.append(step(wires, rows))
        return [rows[row] for row in outputs]

    def const(self, code: int, width: int, *, signed: bool = False) -> int:
        return self._take(lambda wires, rows: wires.const(code, width, signed=signed))

    def lut(self, table: TruthTable, operands: Sequence[int], *, signed: bool = False) -> int:
        places = list(operands)
        return self._take(lambda wires, rows: wires.lut(table, [rows[i] for i in places], signed=signed))

    def sum(
        self,
        operands: Sequence[int],
        coefs: Sequence[int] | None = None,
        *,
        bias: int = 0,
        shape: tuple[int, bool] | None = None,
    ) -> int:
        places, factors = list(operands), None if coefs is None else list(coefs)
        return self._take(lambda wires, rows: wires.sum([rows[i] for i in places], factors, bias=bias, shape=shape))

    def threshold(self, operand: int, at_least: int) -> int:
        return self._take(lambda wires, rows: wires.threshold(rows[operand], at_least))

    def slice(self, operand: int, low: int, width: int, *, signed: bool = False) -> int:
        return self._take(lambda wires, rows: wires.slice(rows[operand], low, width, signed=signed))

    def concat(self, operands: Sequence[int], *, signed: bool = False) -> int:
        places = list(operands)
        return self._take(lambda wires, rows: wires.concat([rows[i] for i in places], signed=signed))

    def _take(self, step: Step) -> int:
        self._steps.append(step)
        return len(self.inputs) + len(self._steps) - 1
