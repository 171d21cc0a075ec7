"""From quantised trees to netlists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.tables import TruthTable
from lutnet.trees.ensemble import QuantizedEnsemble, Tree

__all__ = ["lower_tree_values", "lower_trees"]

TABLE_KEYS = 8
"""Most comparisons that one table reads. Above the inputs of a lookup table synthesis still finds what is shared."""

Key = tuple[int, int]


def lower_trees(ensemble: QuantizedEnsemble, *, table_keys: int = TABLE_KEYS) -> Netlist:
    """The netlist of an ensemble with its decision: inputs are the codes of the features, the output is the class index.

    Every different comparison is one ``threshold`` node, whatever number of trees reads it. A tree, or the part of it
    that compares at most ``table_keys`` keys, is one table of these bits, addresses that no code can cause being don't
    care; above such parts stand multiplexers. Each output is an exact ``sum``; two classes are told apart by one
    comparison of it, more by ``argmax``. What the outputs begin with costs nothing where leaves have room for it.

    Args:
        ensemble: A quantised ensemble.
        table_keys: Most comparisons of one table, 1 to 12.

    Returns:
        A verified netlist with one input a feature, named after it, and one output ``class``.

    Raises:
        UserError: No tree has an effect, or ``table_keys`` is out of range.
    """
    if not 1 <= table_keys <= 12:
        raise UserError(f"a table of a tree reads 1 to 12 comparisons, got {table_keys}")
    if not any(tree.span > 0 for tree in ensemble.trees):
        raise UserError("no tree of the ensemble has an effect, so that one class always wins; train more rounds")
    builder = NetlistBuilder()
    encoder = ensemble.encoder
    rows = [builder.input(width, name) for width, name in zip(encoder.widths, encoder.feature_names, strict=True)]
    n_outputs = len(ensemble.bias)
    binary = n_outputs == 1
    bias = [0] if binary else [b - min(ensemble.bias) for b in ensemble.bias]
    totals = []
    for output in range(n_outputs):
        trees = [
            tree for tree, to in zip(ensemble.trees, ensemble.outputs, strict=True) if to == output and tree.span > 0
        ]
        raised, left_over = _raise_leaves(trees, bias[output])
        operands = [_TreeParts(builder, rows, tree, table_keys).row() for tree in raised]
        totals.append(
            builder.sum(operands, bias=left_over)
            if operands
            else builder.const(left_over, max(1, left_over.bit_length()))
        )
    if binary:
        builder.output(_above_zero(builder, totals[0], ensemble.bias[0]), "class")
    else:
        builder.output(builder.argmax(totals), "class")
    return builder.build()


def lower_tree_values(ensemble: QuantizedEnsemble, *, table_keys: int = TABLE_KEYS) -> Netlist:
    """The netlist of the trees alone: output ``y<i>`` is the value of tree i."""
    builder = NetlistBuilder()
    encoder = ensemble.encoder
    rows = [builder.input(width, name) for width, name in zip(encoder.widths, encoder.feature_names, strict=True)]
    for i, tree in enumerate(ensemble.trees):
        builder.output(_TreeParts(builder, rows, tree, table_keys).row(), f"y{i}")
    return builder.build()


def _above_zero(builder: NetlistBuilder, total: int, bias: int) -> int:
    """Whether ``total + bias`` is above 0."""
    reach, at_least = builder.range(total), 1 - bias
    if at_least <= reach.lo or at_least > reach.hi:
        return builder.const(int(at_least <= reach.lo), 1)
    return builder.threshold(total, at_least)


def _raise_leaves(trees: Sequence[Tree], bias: int) -> tuple[list[Tree], int]:
    """Trees whose leaves are raised as far as their bits allow, to make up for a bias, and what is left of it."""
    raised = []
    for tree in trees:
        top = int(tree.value[tree.leaves].max())
        step = min(bias, (1 << top.bit_length()) - 1 - top)
        bias -= step
        value = np.where(tree.leaves, tree.value + step, 0)
        raised.append(Tree(tree.feature, tree.threshold, tree.left, tree.right, value))
    return raised, bias


@dataclass
class _TreeParts:
    """One tree as tables and multiplexers."""

    builder: NetlistBuilder
    features: Sequence[int]
    tree: Tree
    table_keys: int

    def row(self) -> int:
        """The row of the tree's value."""
        width = max(1, int(self.tree.value[self.tree.leaves].max()).bit_length())
        return self._part(0, width)

    def _part(self, node: int, width: int) -> int:
        if self.tree.feature[node] < 0:
            return self.builder.const(int(self.tree.value[node]), width)
        keys = sorted(self._keys(node))
        if len(keys) <= self.table_keys:
            return self.builder.lut(self._table(node, keys, width), [self._key(key) for key in keys])
        key = (int(self.tree.feature[node]), int(self.tree.threshold[node]))
        low, high = self._part(int(self.tree.left[node]), width), self._part(int(self.tree.right[node]), width)
        return self._multiplexer(self._key(key), low, high, width)

    def _keys(self, node: int) -> set[Key]:
        if self.tree.feature[node] < 0:
            return set()
        own = (int(self.tree.feature[node]), int(self.tree.threshold[node]))
        return {own} | self._keys(int(self.tree.left[node])) | self._keys(int(self.tree.right[node]))

    def _key(self, key: Key) -> int:
        return self.builder.threshold(self.features[key[0]], key[1])

    def _table(self, node: int, keys: list[Key], width: int) -> TruthTable:
        address = np.arange(1 << len(keys))
        bits = {key: (address >> place) & 1 for place, key in enumerate(keys)}
        possible = np.ones(len(address), dtype=np.bool_)
        for lower, higher in pairwise(keys):
            if lower[0] == higher[0]:
                possible &= bits[lower] >= bits[higher]
        return TruthTable((1,) * len(keys), width, self._values(node, bits, len(address)), possible)

    def _values(self, node: int, bits: dict[Key, npt.NDArray[np.int64]], n: int) -> npt.NDArray[np.int64]:
        """Values of a part of the tree at every address."""
        if self.tree.feature[node] < 0:
            return np.full(n, self.tree.value[node], dtype=np.int64)
        chosen = bits[(int(self.tree.feature[node]), int(self.tree.threshold[node]))]
        left = self._values(int(self.tree.left[node]), bits, n)
        return np.where(chosen == 1, self._values(int(self.tree.right[node]), bits, n), left)

    def _multiplexer(self, select: int, low: int, high: int, width: int) -> int:
        """``high`` where ``select`` is set, else ``low``, bit by bit."""
        if low == high:
            return low
        table = TruthTable((1, 1, 1), 1, np.asarray([0, 0, 1, 0, 0, 1, 1, 1], dtype=np.uint8))
        bits = []
        for bit in range(width):
            below, above = (self.builder.slice(row, bit, 1) for row in (low, high))
            bits.append(below if below == above else self.builder.lut(table, [select, below, above]))
        return self.builder.concat(bits) if width > 1 else bits[0]
