"""Choosing the cheapest plan for a function."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from lutnet.cost.device import Device
from lutnet.passes.decompose.additive import Sum, find_sum
from lutnet.passes.decompose.columns import bound_sets, cut_at, n_columns
from lutnet.passes.decompose.function import Function, output_luts, table_cost
from lutnet.passes.decompose.parts import partitions
from lutnet.passes.decompose.plans import Chain, Leaf, Muxed, Plan, Selected, Split, Summed

__all__ = ["Planner"]

Groups = tuple[tuple[int, ...], ...]

_CARRY_LUTS = 0.5
"""Lookup tables a bit of a carry chain: two propagate functions share one."""

_CLEAR_WIN = 0.25
"""A sum that costs at most this part of the closed form is taken without a look at other plans."""

_SEVERAL_PARTS = 2
"""Partitions into more than two parts that are tried; each takes a linear programme."""


@dataclass
class Planner:
    """Plans functions for one device and remembers what it planned.

    Attributes:
        device: Gives K and the dedicated multiplexers.
        k: Most address bits of a table that is not taken apart, at most the device's K.
        tries: Bound sets looked at for every size.
        seed: Of the random ones.
    """

    device: Device
    k: int
    tries: int
    seed: int
    known: dict[tuple[bytes, Groups], Plan] = field(default_factory=dict)

    @property
    def _widest(self) -> int:
        """Most address bits of a one-bit table that needs no multiplexer made of tables."""
        device = self.device
        return device.wide_mux_inputs[-1] if device.wide_mux_inputs and self.k == device.lut_inputs else self.k

    def plan(self, function: Function, operands: Groups = ()) -> Plan:
        """The cheapest plan found; ``operands`` says which address bits belong together."""
        key = (function.key, operands)
        if key not in self.known:
            self.known[key] = self._reduced(function, operands)
        return self.known[key]

    def _reduced(self, function: Function, operands: Groups) -> Plan:
        support = function.support()
        if len(support) == function.n_bits:
            return self._plan(function, operands)
        new = {place: i for i, place in enumerate(support)}
        groups = tuple(tuple(new[place] for place in group if place in new) for group in operands)
        return Selected(support, self.plan(function.on(support), tuple(group for group in groups if group)))

    def _plan(self, function: Function, operands: Groups) -> Plan:
        leaf = Leaf(function.codes, function.width, output_luts(function.codes, function.width, self.device))
        if function.n_bits <= self.k:
            return leaf
        sums = list(self._sums(function, operands))
        closed_form = function.width * table_cost(function.n_bits, self.device)
        if sums and min(sums, key=_rank).luts < _CLEAR_WIN * closed_form:
            return min(sums, key=_rank)
        if function.width == 1:
            return min([*self._bit_plans(function), *sums], key=_rank)
        parts = tuple(self.plan(function.bit(place)) for place in range(function.width))
        split = Split(parts, sum(part.luts for part in parts), max(part.depth for part in parts))
        return min([split, *sums, *self._cuts(function, 1, split.luts)], key=_rank)

    # -- one output bit ----------------------------------------------------------------------------------------------

    def _bit_plans(self, function: Function) -> Iterator[Plan]:
        n = function.n_bits
        whole = table_cost(n, self.device)
        if n <= self._widest:
            yield Leaf(function.codes, 1, whole)
        else:
            yield self._muxed(function)
        yield from self._cuts(function, 2, whole)

    def _muxed(self, function: Function) -> Plan:
        """Chosen by the one or two address bits whose cofactors are the cheapest."""
        n = function.n_bits
        n_selects = 2 if self.k == self.device.lut_inputs and self.device.mux_select_bits > 1 else 1
        if (n - self._widest) % n_selects:
            n_selects = 1

        def cost(selects: tuple[int, ...]) -> float:
            return sum(
                table_cost(len(part.support()), self.device) for part in _distinct(_cofactors(function, selects))
            )

        selects = min(combinations(range(n - 1, -1, -1), n_selects), key=cost)[::-1]
        cofactors = _cofactors(function, selects)
        branches = tuple(self.plan(part) for part in cofactors)
        luts = sum(self.plan(part).luts for part in _distinct(cofactors)) + table_cost(
            n_selects + (1 << n_selects), self.device
        )
        rest = tuple(place for place in range(n) if place not in selects)
        return Muxed(selects, rest, branches, luts, 1 + max(branch.depth for branch in branches))

    # -- decompositions ----------------------------------------------------------------------------------------------

    def _cuts(self, function: Function, n_best: int, limit: float) -> Iterator[Plan]:
        """Plans of the bound sets that save the most address bits, where they may cost less than the limit."""
        scored = []
        for bound in bound_sets(function, self.k, self.tries, self.seed):
            bits = max(1, (n_columns(function, bound) - 1).bit_length())
            if function.care is not None:
                bits = 1
            left = function.n_bits - len(bound) + bits
            least = bits * table_cost(len(bound), self.device) + function.width * table_cost(left, self.device)
            if bits < len(bound) and (least < limit or left > self.k):
                scored.append((left, least, bound))
        for _, _, bound in sorted(scored)[:n_best]:
            cut = cut_at(function, bound)
            if cut is not None:
                inner, outer = self.plan(cut.inner), self.plan(cut.outer)
                yield Chain(cut.bound, cut.free, inner, outer, inner.luts + outer.luts, inner.depth + outer.depth)

    def _sums(self, function: Function, operands: Groups) -> Iterator[Plan]:
        """Plans with a sum inside."""
        half = 1 << (function.width - 1)
        orders = (0, half) if function.width > 1 else (0,)
        for flip in orders:
            levels = function.codes ^ flip
            left = _SEVERAL_PARTS
            for groups in partitions(operands, self.k):
                if len(groups) > 2:
                    left -= 1
                if left < 0:
                    break
                cube = function.matrix(levels, groups).astype(np.int64)
                care = None if function.care is None else function.matrix(function.care, groups).astype(np.bool_)
                found = find_sum(cube, care, (1 << function.width) - 1)
                if found is not None:
                    yield self._summed(function, groups, found, flip)

    def _summed(self, function: Function, groups: Groups, found: Sum, flip: int) -> Plan:
        parts = tuple(self.plan(Function(part, max(1, int(part.max()).bit_length()))) for part in found.parts)
        steps = np.arange(1 << (found.width - found.shift), dtype=np.int64)
        last = self.plan(Function(np.clip(steps - found.n_below, 0, (1 << function.width) - 1) ^ flip, function.width))
        luts = sum(part.luts for part in parts) + last.luts + _CARRY_LUTS * found.width * (len(parts) - 1)
        depth = max(part.depth for part in parts) + 1 + last.depth
        return Summed(groups, parts, found, last, luts, depth)


def _rank(plan: Plan) -> tuple[float, int]:
    return plan.luts, plan.depth


def _cofactors(function: Function, selects: Sequence[int]) -> list[Function]:
    rest = [place for place in range(function.n_bits) if place not in selects]
    codes = function.matrix(function.codes, [list(selects), rest])
    care = None if function.care is None else function.matrix(function.care, [list(selects), rest])
    return [
        Function(
            np.ascontiguousarray(row, dtype=np.int64), 1, None if care is None else np.asarray(care[i], dtype=np.bool_)
        )
        for i, row in enumerate(codes)
    ]


def _distinct(functions: Sequence[Function]) -> list[Function]:
    return list({function.key: function for function in functions}.values())
