"""Plans: networks of small tables and sums that equal a function, ready to be built."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.ir.builder import NetlistBuilder
from lutnet.passes.bits import Bit, wire
from lutnet.passes.decompose.additive import Sum
from lutnet.passes.small_tables import build_table

__all__ = ["Bits", "Chain", "Leaf", "Muxed", "Plan", "Selected", "Split", "Summed"]

Ints = npt.NDArray[np.int64]
Bits = tuple[Bit, ...]

_MUX2 = np.asarray([(a >> (a >> 2)) & 1 for a in range(8)], dtype=np.int64)
_MUX4 = np.asarray([(a >> (a >> 4)) & 1 for a in range(64)], dtype=np.int64)


class Plan(ABC):
    """How a function of some bits is made.

    Attributes:
        luts: Estimated lookup tables; see :func:`lutnet.passes.decompose.function.table_cost`.
        depth: Tables and carry chains on the longest path.
    """

    luts: float
    depth: int

    @abstractmethod
    def build(self, builder: NetlistBuilder, bits: Bits) -> Bits:
        """The bits of the code, bit 0 first, from the bits of the address."""


@dataclass(frozen=True, eq=False)
class Leaf(Plan):
    """One table of all address bits."""

    codes: Ints
    width: int
    luts: float
    depth: int = 1

    def build(self, builder: NetlistBuilder, bits: Bits) -> Bits:
        return build_table(builder, self.codes, self.width, bits)


@dataclass(frozen=True, eq=False)
class Selected(Plan):
    """A plan that reads only some of the address bits."""

    places: tuple[int, ...]
    plan: Plan

    @property
    def luts(self) -> float:  # type: ignore[override]
        """Of the plan."""
        return self.plan.luts

    @property
    def depth(self) -> int:  # type: ignore[override]
        """Of the plan."""
        return self.plan.depth

    def build(self, builder: NetlistBuilder, bits: Bits) -> Bits:
        return self.plan.build(builder, tuple(bits[place] for place in self.places))


@dataclass(frozen=True, eq=False)
class Split(Plan):
    """Output bits made one by one."""

    parts: tuple[Plan, ...]
    luts: float
    depth: int

    def build(self, builder: NetlistBuilder, bits: Bits) -> Bits:
        return tuple(bit for part in self.parts for bit in part.build(builder, bits))


@dataclass(frozen=True, eq=False)
class Chain(Plan):
    """``outer(inner(bound bits), free bits)``: a simple disjoint decomposition."""

    bound: tuple[int, ...]
    free: tuple[int, ...]
    inner: Plan
    outer: Plan
    luts: float
    depth: int

    def build(self, builder: NetlistBuilder, bits: Bits) -> Bits:
        coded = self.inner.build(builder, tuple(bits[place] for place in self.bound))
        return self.outer.build(builder, coded + tuple(bits[place] for place in self.free))


@dataclass(frozen=True, eq=False)
class Muxed(Plan):
    """One output bit chosen among two or four by one or two address bits."""

    selects: tuple[int, ...]
    rest: tuple[int, ...]
    branches: tuple[Plan, ...]
    luts: float
    depth: int

    def build(self, builder: NetlistBuilder, bits: Bits) -> Bits:
        below = tuple(bits[place] for place in self.rest)
        ends = tuple(branch.build(builder, below)[0] for branch in self.branches)
        selects = tuple(bits[place] for place in self.selects)
        return build_table(builder, _MUX4 if len(selects) > 1 else _MUX2, 1, ends + selects)


@dataclass(frozen=True, eq=False)
class Summed(Plan):
    """Tables of parts of the address, added up, and the level read off the upper bits of the sum."""

    groups: tuple[tuple[int, ...], ...]
    parts: tuple[Plan, ...]
    sum: Sum
    last: Plan
    luts: float
    depth: int

    def build(self, builder: NetlistBuilder, bits: Bits) -> Bits:
        terms = []
        for group, part in zip(self.groups, self.parts, strict=True):
            terms.append(wire(builder, part.build(builder, tuple(bits[place] for place in group))))
        total = builder.sum(terms)
        upper = tuple(Bit(total, place) for place in range(self.sum.shift, self.sum.width))
        return self.last.build(builder, upper)
