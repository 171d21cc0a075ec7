"""Pipelining as labels: every node gets the clock cycle in which it computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from lutnet.errors import UserError
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS
from lutnet.passes.base import Pass, Steps

__all__ = ["Pipeline"]


@dataclass(frozen=True)
class Pipeline(Pass):
    """Registers after every ``every`` logic levels; a layer of tables is one level, so is argmax.

    Attributes:
        every: Levels between registers; 0 for none inside.
        inputs: Whether the inputs are registered before the first level.
        outputs: Whether the outputs are registered after the last level.
    """

    name: ClassVar[str] = "pipeline"
    every: int = 1
    inputs: bool = False
    outputs: bool = True

    def __post_init__(self) -> None:
        if self.every < 0:
            raise UserError(f"pipeline.every is the number of levels between registers, at least 0, got {self.every}")

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        if not steps.take():
            return net
        stage = np.zeros(net.n_nodes, dtype=np.int32)
        for node in net.nodes():
            below = max((int(stage[j]) for j in node.operands), default=0)
            if OPS[node.op].free:
                stage[node.id] = below
            else:
                own = (int(net.levels[node.id]) - 1) // self.every if self.every else 0
                stage[node.id] = max(below, own + int(self.inputs))
        return net.with_stages(stage, int(stage.max(initial=0)) + int(self.outputs))
