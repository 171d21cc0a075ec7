"""Dead code elimination: nodes that no output depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OpCode
from lutnet.passes.base import Pass, Steps
from lutnet.passes.rebuild import copy_node, rebuild

__all__ = ["Dce"]


@dataclass(frozen=True)
class Dce(Pass):
    """Drops every node that no output reads, directly or through others. Input ports stay."""

    name: ClassVar[str] = "dce"

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        live = np.zeros(net.n_nodes, dtype=np.bool_)
        live[net.outputs] = True
        live[net.inputs] = True
        for row in range(net.n_nodes - 1, -1, -1):
            if live[row]:
                live[list(net.operands(row))] = True
        dropped = {row for row in reversed(np.flatnonzero(~live & (net.op != OpCode.INPUT)).tolist()) if steps.take()}
        keep = np.asarray([row not in dropped for row in range(net.n_nodes)])
        return rebuild(net, copy_node, keep) if dropped else net
