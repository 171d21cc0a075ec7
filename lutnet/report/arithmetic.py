"""What a network would take as arithmetic at 45 nm: the yardstick that energy figures of the literature are given in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lutnet.cost.energy import float_mac_pj, integer_add_pj, integer_multiply_pj
from lutnet.ir.ops import Node, OpCode
from lutnet.report.layers import LabelledNetlist

__all__ = ["Arithmetic", "dense_float_arithmetic", "integer_arithmetic"]


@dataclass(frozen=True)
class Arithmetic:
    """Operations of one inference and their energy by :data:`lutnet.cost.energy.ARITHMETIC_PJ`; memory is not in it.

    Attributes:
        n_multiplications: Products.
        n_additions: Additions, subtractions and comparisons.
        energy_pj: Energy of all of them.
    """

    n_multiplications: int
    n_additions: int
    energy_pj: float

    def __add__(self, other: Arithmetic) -> Arithmetic:
        return Arithmetic(
            self.n_multiplications + other.n_multiplications,
            self.n_additions + other.n_additions,
            self.energy_pj + other.energy_pj,
        )


def integer_arithmetic(source: LabelledNetlist) -> tuple[Arithmetic, ...]:
    """Each layer as sums of products of integers in place of tables.

    A table of some operands is taken as a neuron: each operand is multiplied by a weight of its own width, and the products are added up
    exactly. Sums, comparisons and the argmax are additions of the width that they have.

    Args:
        source: The netlist before passes, with its layers.
    """
    totals = [Arithmetic(0, 0, 0.0)] * len(source.names)
    for node in source.net.nodes():
        label = int(source.labels[node.id])
        if label >= 0:
            totals[label] += _of_node(node)
    return tuple(totals)


def dense_float_arithmetic(sizes: Sequence[int], bits: int = 32) -> Arithmetic:
    """A dense floating-point network: one multiplication and one addition a weight.

    Args:
        sizes: Features, neurons of each hidden layer, classes.
        bits: Width of the numbers, 16 or 32.
    """
    n_macs = sum(before * after for before, after in pairwise(sizes))
    return Arithmetic(n_macs, n_macs, n_macs * float_mac_pj(bits))


def _of_node(node: Node) -> Arithmetic:
    if node.op is OpCode.LUT:
        widths = node.operand_widths
        n_additions = len(widths) - 1
        total_bits = 2 * max(widths) + n_additions.bit_length()
        products = sum(integer_multiply_pj(width) for width in widths)
        return Arithmetic(len(widths), n_additions, products + n_additions * integer_add_pj(total_bits))
    if node.op is OpCode.SUM:
        n_additions = len(node.operands) - 1 + bool(node.imm)
    elif node.op is OpCode.ARGMAX:
        n_additions = len(node.operands) - 1
    else:
        n_additions = int(node.op is OpCode.THRESHOLD)
    width = node.width if node.op is OpCode.SUM else max(node.operand_widths, default=0)
    return Arithmetic(0, n_additions, n_additions * integer_add_pj(width))
