"""What samples show of a netlist: the codes of every node, and on which samples a turned bit is seen at the ends of its window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS
from lutnet.passes.bits import Bit
from lutnet.passes.dontcare_reach import propagate

__all__ = ["Sight", "Window", "direct_readers", "window_of"]

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Window:
    """The nodes behind a node up to which a change is followed.

    Attributes:
        rows: The nodes that may change, ascending, without the one that is changed.
        ends: Those of them, and perhaps the changed one, that are outputs or read from outside the window.
    """

    rows: tuple[int, ...]
    ends: tuple[int, ...]


def direct_readers(net: Netlist) -> dict[int, list[int]]:
    """The nodes that read each node, wiring too, ascending."""
    found: dict[int, list[int]] = {}
    for node in net.nodes():
        for row in set(node.operands):
            found.setdefault(row, []).append(node.id)
    return found


def window_of(net: Netlist, readers: Mapping[int, list[int]], row: int, levels: int) -> Window:
    """The nodes that depend on a node, through at most ``levels`` computing nodes; 0 for all, up to the outputs."""
    hops = {row: 0}
    stack = [row]
    for here in stack:  # grows; in breadth-first order up to wiring, which costs no hop
        for reader in readers.get(here, ()):
            hop = hops[here] + (not OPS[net.node(reader).op].free)
            if (not levels or hop <= levels) and hop < hops.get(reader, hop + 1):
                hops[reader] = hop
                stack.append(reader)
    outputs = set(net.outputs.tolist())
    ends = [here for here in sorted(hops) if here in outputs or any(r not in hops for r in readers.get(here, ()))]
    return Window(tuple(sorted(set(hops) - {row})), tuple(ends))


class Sight:
    """A netlist on samples.

    Attributes:
        net: The netlist.
        codes: Input codes, int64, shape ``(n_inputs, n_samples)``.
        work: Codes worked out so far, over all nodes.
    """

    def __init__(self, net: Netlist, codes: Ints) -> None:
        self.net = net
        self.codes = codes
        self._values: dict[int, Ints] = dict(zip(net.inputs.tolist(), codes, strict=True))
        propagate(net, self._values, range(net.n_nodes))
        self.work: int = net.n_nodes * codes.shape[1]
        self._signals: dict[Bit, Bools] = {}
        self._observable: dict[Bit, Bools] = {}

    def signal(self, bit: Bit) -> Bools:
        """A bit on every sample."""
        if bit not in self._signals:
            column = ((self._values[bit.row] >> bit.place) & 1).astype(np.bool_)
            self._signals[bit] = np.broadcast_to(column, self.codes.shape[1:])
        return self._signals[bit]

    def observable(self, bit: Bit, window: Window) -> Bools:
        """On which samples the ends of a window change when the bit is turned over."""
        if bit not in self._observable:
            values = {bit.row: self._values[bit.row] ^ np.int64(1 << bit.place)}
            for row in window.rows:
                node = self.net.node(row)
                operands = [values.get(j, self._values[j]) for j in node.operands]
                values[row] = OPS[node.op].kernel(node, operands)
            found = np.zeros(self.codes.shape[1], dtype=np.bool_)
            for row in window.ends:
                found |= values[row] != self._values[row]
            self.work += len(window.rows) * self.codes.shape[1]
            self._observable[bit] = found
        return self._observable[bit]
