"""The pass that takes tables apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lutnet.cost.device import device_named
from lutnet.errors import LutnetError, UserError
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS, Node, OpCode, code_range
from lutnet.passes.base import Pass, Steps
from lutnet.passes.bits import Bit, bits_of, wire
from lutnet.passes.decompose.function import Function
from lutnet.passes.decompose.plans import Plan
from lutnet.passes.decompose.search import Groups, Planner
from lutnet.passes.rebuild import copy_node, rebuild
from lutnet.tables import TruthTable

__all__ = ["Decompose"]


@dataclass(frozen=True)
class Decompose(Pass):
    """Every table of more than ``k`` address bits becomes a network of tables of at most ``k``, or of what the dedicated
    multiplexers of the part reach, and sums.

    For every table the cheapest of these is taken: a sum found inside it (:mod:`lutnet.passes.decompose.additive`), a simple disjoint
    decomposition with several bits (:mod:`lutnet.passes.decompose.columns`), and multiplexers over equal cofactors shared, whose
    closed form :func:`lutnet.cost.luts.muxed_table_luts` is never exceeded.

    Attributes:
        k: Most address bits of a table that stays as it is, 3 up to the device's K; 0 for the device's K.
        device: Name of the device that costs are counted for.
        tries: Bound sets looked at for every table and size.
        seed: Of the random ones among them.
    """

    name: ClassVar[str] = "decompose"
    k: int = 0
    device: str = "xcvu9p"
    tries: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        most = device_named(self.device).lut_inputs
        if self.k and not 3 <= self.k <= most:
            raise UserError(f"decompose.k is 3 to {most} for device '{self.device}', or 0 for {most}, got {self.k}")
        if self.tries < 1:
            raise UserError(f"decompose.tries is at least 1, got {self.tries}")

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        device = device_named(self.device)
        planner = Planner(device, self.k or device.lut_inputs, self.tries, self.seed)
        plans: dict[TruthTable, Plan] = {}

        def visit(builder: NetlistBuilder, node: Node, operands: tuple[int, ...]) -> int:
            if node.op is OpCode.SUM:
                return _sum(builder, node, operands)
            table = node.table
            if table is None or table.address_bits <= planner.k or not steps.take():
                return copy_node(builder, node, operands)
            if table not in plans:
                plans[table] = _plan(planner, table)
            bits = tuple(bit for row in operands for bit in bits_of(builder, row))
            return wire(builder, plans[table].build(builder, bits), node.signed)

        return rebuild(net, visit)


def _plan(planner: Planner, table: TruthTable) -> Plan:
    """A plan that was tried on every address that matters."""
    groups: list[tuple[int, ...]] = []
    low = 0
    for width in table.in_widths:
        groups.append(tuple(range(low, low + width)))
        low += width
    function = Function(table.codes.astype(np.int64), table.out_width, table.care)
    plan = planner.plan(function, tuple(groups))
    got = _evaluate(plan, tuple(groups), table)
    wrong = np.flatnonzero((got != table.codes) & (True if table.care is None else table.care))
    if len(wrong):
        raise LutnetError(
            f"the decomposition of a table of operand widths {table.in_widths} gives {got[wrong[0]]} in place of "
            f"{table.codes[wrong[0]]} at address {wrong[0]}"
        )
    return plan


def _evaluate(plan: Plan, groups: Groups, table: TruthTable) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Codes of the plan at every address of the table."""
    builder = NetlistBuilder()
    address = builder.input(table.address_bits)
    bits = plan.build(builder, tuple(Bit(address, place) for place in range(table.address_bits)))
    builder.output(wire(builder, bits))
    return builder.build().evaluate(np.arange(table.n_entries)[:, None])[:, 0]


def _sum(builder: NetlistBuilder, node: Node, operands: tuple[int, ...]) -> int:
    """The sum in the node's own width. An operand that became wiring of bits has its code's whole range, so the sum
    may need more bits to be valid; the upper ones of them never differ from the sign.
    """
    allowed = code_range(node.width, node.signed)
    draft = Node(
        **{
            **{name: getattr(node, name) for name in node.__dataclass_fields__},
            "operands": operands,
            "operand_widths": tuple(builder.node(row).width for row in operands),
            "operand_signed": tuple(builder.node(row).signed for row in operands),
        }
    )
    if OPS[OpCode.SUM].range(draft, [builder.range(row) for row in operands]).within(allowed):
        return copy_node(builder, node, operands)
    wide = builder.sum(operands, node.coefs, bias=node.imm)
    return builder.slice(wide, 0, node.width, signed=node.signed)
