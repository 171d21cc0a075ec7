"""Random netlists and mutants.

Needs ``hypothesis`` for the strategies only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lutnet.errors import NetlistError
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OpCode, code_range
from lutnet.tables import TruthTable

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

__all__ = ["mutate_table", "netlists", "random_netlist"]


def mutate_table(net: Netlist, *, seed: int = 0) -> Netlist:
    """The netlist with one bit of one table entry flipped such that an output can tell; for tests of checkers.

    Candidates are tried in seeded order until :meth:`Netlist.evaluate` differs on some tried input; a mutant that would break a rule,
    because a sum is too narrow for it, is passed over.
    """
    from lutnet.passes.rebuild import copy_node, rebuild
    from lutnet.verify.equivalence import compare_netlists

    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(net.op == OpCode.LUT)
    for _ in range(200):
        victim = int(rng.choice(rows))
        table = net.node(victim).table
        assert table is not None
        codes = table.codes.copy()
        codes[rng.integers(len(codes))] ^= codes.dtype.type(1 << rng.integers(table.out_width))

        def visit(
            builder: NetlistBuilder, node: Any, operands: tuple[int, ...], victim: int = victim, codes: Any = codes
        ) -> int:
            if node.id != victim:
                return copy_node(builder, node, operands)
            return builder.lut(node.table.with_codes(codes), operands, signed=node.signed)

        try:
            mutant = rebuild(net, visit)
        except NetlistError:
            continue
        if compare_netlists(net, mutant).n_mismatches:
            return mutant
    raise ValueError("no single-bit mutant of this netlist changes an output")


def random_netlist(seed: int, *, n_inputs: int = 4, n_nodes: int = 16, max_width: int = 4) -> Netlist:
    """A random netlist that uses every op, the same for the same seed."""
    rng = np.random.default_rng(seed)
    builder = NetlistBuilder()
    rows = [builder.input(int(rng.integers(1, max_width + 1)), signed=bool(rng.integers(2))) for _ in range(n_inputs)]
    kinds = [_add_lut, _add_const, _add_sum, _add_threshold, _add_argmax, _add_slice, _add_concat]
    order = [*rng.permutation(len(kinds)), *rng.integers(0, len(kinds), max(0, n_nodes - len(kinds)))]
    for kind in order:
        rows.append(kinds[kind](rng, builder, rows))
    for row in dict.fromkeys([rows[-1], *rng.choice(rows, size=min(3, len(rows)), replace=False).tolist()]):
        builder.output(int(row))
    return builder.build()


def netlists(*, max_inputs: int = 4, max_nodes: int = 20, max_width: int = 4) -> SearchStrategy[Netlist]:
    """Hypothesis strategy: verified netlists of all ops, which shrink towards few nodes."""
    from hypothesis import strategies as st

    return st.builds(
        random_netlist,
        st.integers(0, 2**32 - 1),
        n_inputs=st.integers(1, max_inputs),
        n_nodes=st.integers(7, max_nodes),
        max_width=st.integers(1, max_width),
    )


def _pick(rng: np.random.Generator, builder: NetlistBuilder, rows: list[int], most: int, max_bits: int) -> list[int]:
    """One to ``most`` random rows of at most ``max_bits`` bits together; slices a row that is too wide alone."""
    chosen: list[int] = []
    for row in rng.choice(rows, size=int(rng.integers(1, most + 1))).tolist():
        if sum(builder.node(r).width for r in [*chosen, row]) <= max_bits:
            chosen.append(row)
    if not chosen:
        chosen.append(builder.slice(int(rng.choice(rows)), 0, 1))
    return chosen


def _add_lut(rng: np.random.Generator, builder: NetlistBuilder, rows: list[int]) -> int:
    operands = _pick(rng, builder, rows, 3, 8)
    widths = tuple(builder.node(row).width for row in operands)
    out_width = int(rng.integers(1, 5))
    codes = rng.integers(0, 1 << out_width, 1 << sum(widths))
    if rng.integers(3) == 0:
        codes &= int(rng.integers(0, 1 << out_width))
    return builder.lut(TruthTable(widths, out_width, codes), operands, signed=bool(rng.integers(2)))


def _add_const(rng: np.random.Generator, builder: NetlistBuilder, rows: list[int]) -> int:
    width = int(rng.integers(1, 5))
    return builder.const(int(rng.integers(1 << width)), width, signed=bool(rng.integers(2)))


def _add_sum(rng: np.random.Generator, builder: NetlistBuilder, rows: list[int]) -> int:
    operands = _pick(rng, builder, rows, 4, 24)
    coefs = [int((1 << rng.integers(3)) * rng.choice([-1, 1])) for _ in operands]
    return builder.sum(operands, coefs, bias=int(rng.integers(-9, 10)))


def _add_threshold(rng: np.random.Generator, builder: NetlistBuilder, rows: list[int]) -> int:
    operand = int(rng.choice(rows))
    node = builder.node(operand)
    within = code_range(node.width, node.signed)
    return builder.threshold(operand, int(rng.integers(within.lo, within.hi + 1)))


def _add_argmax(rng: np.random.Generator, builder: NetlistBuilder, rows: list[int]) -> int:
    return builder.argmax(_pick(rng, builder, rows, 6, 48))


def _add_slice(rng: np.random.Generator, builder: NetlistBuilder, rows: list[int]) -> int:
    operand = int(rng.choice(rows))
    low = int(rng.integers(builder.node(operand).width))
    width = int(rng.integers(1, builder.node(operand).width - low + 1))
    return builder.slice(operand, low, width, signed=bool(rng.integers(2)))


def _add_concat(rng: np.random.Generator, builder: NetlistBuilder, rows: list[int]) -> int:
    return builder.concat(_pick(rng, builder, rows, 3, 16), signed=bool(rng.integers(2)))
