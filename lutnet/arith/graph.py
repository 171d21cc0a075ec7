"""Shift-and-add graphs: what constant matrices become, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lutnet.arith.digits import trailing_zeros
from lutnet.cost import Device
from lutnet.errors import UserError

__all__ = ["AdderGraph", "AdderGraphBuilder", "Sums", "Term"]

Integers = npt.NDArray[np.int64]

PAIRED_INPUTS = 4
"""Inputs of two bits of a two-operand adder, whose carries have wires of their own: both fit one dual-output table."""


class Sums(Protocol):
    """What a graph is built with: the part of a netlist builder that makes sums and constants, see ``docs/ir.md``."""

    def const(self, code: int, width: int, *, signed: bool = False) -> int:
        """A constant code."""

    def sum(
        self,
        operands: Sequence[int],
        coefs: Sequence[int] | None = None,
        *,
        bias: int = 0,
        shape: tuple[int, bool] | None = None,
    ) -> int:
        """Exact ``bias + sum(coef * value)``."""


@dataclass(frozen=True)
class Term:
    """``coef``, plus or minus a power of two, times the value of a row; coefficient 0 is the number 0, of no row."""

    row: int
    coef: int


@dataclass(frozen=True, eq=False)
class AdderGraph:
    """Two-operand adders in topological order that multiply a vector of integers with a constant matrix.

    Rows 0 to ``n_inputs - 1`` are the inputs, row ``n_inputs + k`` is adder k, which makes
    ``value(operands[k, 0]) + coefs[k] * value(operands[k, 1])``. Coefficients are plus or minus powers of two of at least 1.
    Output j is ``out_coefs[j] * value(out_rows[j])``.

    Attributes:
        lows: Least integer of every input, shape ``(n_inputs,)``.
        highs: Largest integer of every input.
        operands: Rows that the adders read, int64, shape ``(n_adders, 2)``.
        coefs: What the second one is multiplied with, int64, shape ``(n_adders,)``.
        out_rows: Row of every output, int64, shape ``(n_outputs,)``.
        out_coefs: Plus or minus a power of two, or 0 where the output is 0 for all inputs.
    """

    lows: Integers
    highs: Integers
    operands: Integers
    coefs: Integers
    out_rows: Integers
    out_coefs: Integers

    @property
    def n_inputs(self) -> int:
        """Number of inputs."""
        return len(self.lows)

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return len(self.out_rows)

    @property
    def adders(self) -> int:
        """Number of two-operand adders."""
        return len(self.operands)

    def depths(self) -> Integers:
        """Adders on the longest path to every row, shape ``(n_inputs + adders,)``."""
        depth = np.zeros(self.n_inputs + self.adders, dtype=np.int64)
        for k, (first, second) in enumerate(self.operands.tolist()):
            depth[self.n_inputs + k] = 1 + max(depth[first], depth[second])
        return depth

    @property
    def depth(self) -> int:
        """Adders on the longest path from an input to an output."""
        used = self.depths()[self.out_rows[self.out_coefs != 0]]
        return int(used.max(initial=0))

    def ranges(self) -> tuple[Integers, Integers]:
        """Least and largest value of every row by interval arithmetic, shape ``(n_inputs + adders,)`` each.

        An input that a row reads more than once may make its interval wider than what is reached.
        """
        low, high = (np.concatenate([end, np.zeros(self.adders, dtype=np.int64)]) for end in (self.lows, self.highs))
        for k, ((first, second), coef) in enumerate(zip(self.operands.tolist(), self.coefs.tolist(), strict=True)):
            ends = sorted((coef * int(low[second]), coef * int(high[second])))
            low[self.n_inputs + k] = low[first] + ends[0]
            high[self.n_inputs + k] = high[first] + ends[1]
        return low, high

    def adder_bits(self) -> Integers:
        """Bits of the carry chain of every adder, shape ``(adders,)``.

        The first operand's bits below the second one's are wires; the chain begins above them.
        """
        low, high = self.ranges()
        width: Integers = np.array(
            [_width(*ends) for ends in zip(low.tolist(), high.tolist(), strict=True)], dtype=np.int64
        )
        bits: Integers = np.maximum(1, width[self.n_inputs :] - trailing_zeros(self.coefs))
        return bits

    def luts(self, device: Device) -> int:
        """Lookup tables of all adders: one a bit, or one for two bits where tables have two outputs."""
        bits = int(self.adder_bits().sum())
        return ceil(bits * (0.5 if device.dual_output_inputs >= PAIRED_INPUTS else 1.0))

    def matrix(self) -> Integers:
        """The matrix that the graph multiplies with, int64, shape ``(n_inputs, n_outputs)``."""
        return self.evaluate(np.eye(self.n_inputs, dtype=np.int64))

    def evaluate(self, x: npt.ArrayLike) -> Integers:
        """Values of the outputs.

        Args:
            x: Integers, shape ``(batch, n_inputs)``.

        Returns:
            int64, shape ``(batch, n_outputs)``.

        Raises:
            UserError: The number of columns is wrong.
        """
        inputs = np.asarray(x, dtype=np.int64)
        if inputs.ndim != 2 or inputs.shape[1] != self.n_inputs:
            raise UserError(f"a graph of {self.n_inputs} inputs reads that many columns, got shape {inputs.shape}")
        values = np.empty((self.n_inputs + self.adders, len(inputs)), dtype=np.int64)
        values[: self.n_inputs] = inputs.T
        for k, ((first, second), coef) in enumerate(zip(self.operands.tolist(), self.coefs.tolist(), strict=True)):
            values[self.n_inputs + k] = values[first] + coef * values[second]
        return np.ascontiguousarray((values[self.out_rows] * self.out_coefs[:, None]).T)

    def lower(self, wires: Sums, rows: Sequence[int]) -> list[Term]:
        """Adds the graph to a netlist; every adder is one ``sum`` of two operands.

        Args:
            wires: Where to add it.
            rows: Rows whose values are the inputs, ``n_inputs`` of them.

        Returns:
            A row and its coefficient for every output, so that whoever adds a constant or compares needs no negation.
        """
        if len(rows) != self.n_inputs:
            raise UserError(f"a graph of {self.n_inputs} inputs needs that many rows, got {len(rows)}")
        built = list(rows)
        for operands, coef in zip(self.operands.tolist(), self.coefs.tolist(), strict=True):
            built.append(wires.sum([built[row] for row in operands], [1, coef]))
        outputs = zip(self.out_rows.tolist(), self.out_coefs.tolist(), strict=True)
        return [Term(built[row], coef) if coef else Term(-1, 0) for row, coef in outputs]


class AdderGraphBuilder:
    """Appends adders; one that exists already is found again.

    Attributes:
        depths: Adders on the longest path to every row so far.
        lows: Least value of every row so far; ``highs`` the largest.
    """

    def __init__(self, lows: npt.ArrayLike, highs: npt.ArrayLike) -> None:
        self.lows: list[int] = np.asarray(lows, dtype=np.int64).tolist()
        self.highs: list[int] = np.asarray(highs, dtype=np.int64).tolist()
        self.n_inputs = len(self.lows)
        self.depths = [0] * self.n_inputs
        self._rows: dict[tuple[int, int, int], int] = {}

    def add(self, first: Term, second: Term) -> Term:
        """The sum of two terms, not both of them 0, as a term."""
        if not first.coef or not second.coef:
            return first if first.coef else second
        if first.row == second.row and _is_power(first.coef + second.coef):
            return Term(first.row, first.coef + second.coef) if first.coef + second.coef else Term(-1, 0)
        low, high = sorted((first, second), key=lambda term: (abs(term.coef), term.row, term.coef))
        key = (low.row, high.row, high.coef // low.coef)
        if key not in self._rows:
            self._rows[key] = self._append(*key)
        return Term(self._rows[key], low.coef)

    def build(self, outputs: Sequence[Term]) -> AdderGraph:
        """The graph with these outputs; adders that none of them needs are left out."""
        keys = list(self._rows)
        needed = np.zeros(self.n_inputs + len(keys), dtype=bool)
        needed[[term.row for term in outputs if term.coef]] = True
        for k in range(len(keys) - 1, -1, -1):
            if needed[self.n_inputs + k]:
                needed[[keys[k][0], keys[k][1]]] = True
        needed[: self.n_inputs] = True
        place = np.cumsum(needed) - 1
        kept = [key for key, keep in zip(keys, needed[self.n_inputs :].tolist(), strict=True) if keep]
        return AdderGraph(
            lows=np.asarray(self.lows[: self.n_inputs], dtype=np.int64),
            highs=np.asarray(self.highs[: self.n_inputs], dtype=np.int64),
            operands=np.asarray([place[[first, second]] for first, second, _ in kept], dtype=np.int64).reshape(-1, 2),
            coefs=np.asarray([coef for *_, coef in kept], dtype=np.int64),
            out_rows=np.asarray([place[term.row] if term.coef else 0 for term in outputs], dtype=np.int64),
            out_coefs=np.asarray([term.coef for term in outputs], dtype=np.int64),
        )

    def _append(self, first: int, second: int, coef: int) -> int:
        ends = sorted((coef * self.lows[second], coef * self.highs[second]))
        self.lows.append(self.lows[first] + ends[0])
        self.highs.append(self.highs[first] + ends[1])
        self.depths.append(1 + max(self.depths[first], self.depths[second]))
        return len(self.lows) - 1


def _is_power(number: int) -> bool:
    return number & (number - 1) == 0 if number >= 0 else _is_power(-number)


def _width(low: int, high: int) -> int:
    """Bits of a code that holds a range, two's complement if it has negative values."""
    if low >= 0:
        return max(1, high.bit_length())
    return 1 + max((-low - 1).bit_length(), high.bit_length() if high > 0 else 0)
