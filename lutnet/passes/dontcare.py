"""Satisfiability don't-cares: the addresses of tables that no input of the netlist reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import Node
from lutnet.passes.base import Pass, Steps
from lutnet.passes.dontcare_reach import Reach
from lutnet.passes.dontcare_sat import Prover
from lutnet.passes.rebuild import copy_node, rebuild
from lutnet.tables import TruthTable

__all__ = ["DontCare", "reachable", "restrict"]


@dataclass(frozen=True)
class DontCare(Pass):
    """Takes the addresses out of care sets that provably never occur, whatever the inputs. No code changes.

    Every address starts as cared for. Seeded inputs show which addresses occur; most of them are mutants of inputs that reached
    something new, because uniform ones miss most of what is rare. What is left is settled by trying all inputs of a small cone, then
    bounded by the operands seen as tables over their own operands (exact where those are inputs), then asked of a SAT solver.
    A question that costs more than ``conflicts`` is split by the highest address bits; what remains open counts as occurring.
    The bounds are counts, never time, so equal netlists give equal care sets.

    Satisfiability don't-cares as in Mishchenko and Brayton, "SAT-Based Complete Don't-Care Computation for Network
    Optimization", DATE 2005; here over addresses of tables of many-valued codes and without the observability part.

    Attributes:
        exhaustive_bits: Cones of at most this many input bits are tried on every input; also bounds what a case analysis may fix.
        rounds: Batches of 16,384 seeded inputs.
        conflicts: Conflicts that one question to the SAT solver may cost; 0 to ask none.
        attempts: Questions in all that may go unanswered at that price; the tables next to the inputs are asked first.
        seed: Seed of the inputs.
    """

    name: ClassVar[str] = "dontcare"
    exhaustive_bits: int = 18
    rounds: int = 64
    conflicts: int = 500
    attempts: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        for option in ("exhaustive_bits", "rounds", "conflicts", "attempts", "seed"):
            if getattr(self, option) < 0:
                raise UserError(f"dontcare.{option} is a number of at least 0, got {getattr(self, option)}")
        if self.exhaustive_bits > 24:
            raise UserError(
                f"dontcare.exhaustive_bits is at most 24, got {self.exhaustive_bits}: cones are tried in memory"
            )

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        reach = reachable(net, self)
        return restrict(net, reach.possible, steps)


def reachable(net: Netlist, options: DontCare) -> Reach:
    """What ``options`` finds out about the addresses of every table of a netlist."""
    reach = Reach(net)
    if not reach.tables:
        return reach
    if sum(net.input_widths) > options.exhaustive_bits:
        reach.explore(options.rounds, options.seed)
    prover = Prover(reach, conflicts=options.conflicts, attempts=options.attempts, seed=options.seed)
    try:
        for row in reach.tables:
            node = net.node(row)
            if not reach.open(row).any() or reach.enumerate(node, options.exhaustive_bits):
                continue
            reach.bound(node, options.exhaustive_bits)
            if options.conflicts and reach.open(row).any():
                prover.prove(node)
    finally:
        prover.close()
    return reach


def restrict(net: Netlist, possible: Mapping[int, npt.NDArray[np.bool_]], steps: Steps) -> Netlist:
    """The netlist with care sets cut down to the given addresses; an address that was not cared for stays so.

    Args:
        net: A verified netlist.
        possible: For the row of every table bool, shape ``(2**address_bits,)``.
        steps: Counts one rewrite a table whose care set shrinks.
    """

    def visit(builder: NetlistBuilder, node: Node, operands: tuple[int, ...]) -> int:
        if node.table is None:
            return copy_node(builder, node, operands)
        before = np.ones(node.table.n_entries, dtype=np.bool_) if node.table.care is None else node.table.care
        care = before & possible[node.id]
        if np.array_equal(care, before) or not steps.take():
            return copy_node(builder, node, operands)
        table = TruthTable(node.table.in_widths, node.table.out_width, node.table.codes, care)
        return builder.lut(table, operands, signed=node.signed)

    return rebuild(net, visit)
