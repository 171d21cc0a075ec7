"""Trees of small tables that act as one wide neuron: NeuraLUT-Assemble.

Andronic and Constantinides, "NeuraLUT-Assemble: hardware-aware assembling of sub-neural networks for efficient LUT inference", FCCM
2025 (arXiv 2504.00592): a neuron of many operands is a tree of tables of few. The leaves have a wiring, which may be learned; each
level above joins neighbouring neurons of the level before, ``n_before = n * fan_in``. A table hides a perceptron with a linear skip
path, and nothing is rectified between the levels of a tree, so that a linear path runs from its leaves to its root:

    ``y = q(norm(A_L(relu(... relu(A_1(x))))  +  R(x)))``

with a signed quantiser q inside a tree and the layer's own at its root. What is added up on the path is quantised after each level,
in training as in the tables: everything that a table knows is the codes of its operands, and so a tree is exact.

A layer is one level of all trees of a layer of wide neurons; the levels may differ in fan-in and bits. Deviations: the learned
quantisers of this package; the constants of R are left to the batch norm.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.nn.families.subnet import SubnetNeurons
from lutnet.nn.lut_layer import TableBudget
from lutnet.nn.multi_input_options import AssembleOptions, SubnetOptions
from lutnet.nn.quantize import Quantizer
from lutnet.nn.width_options import WidthOptions
from lutnet.nn.wiring import Wiring, contiguous_wiring

__all__ = ["AssembleNeurons", "tree_wiring"]


class AssembleNeurons(SubnetNeurons):
    """One level of trees: leaves with a wiring of their own, or neurons that each join some of the level before.

    Attributes:
        joins: Whether the wiring is that of a tree, a partition of the inputs, which nothing may change.
    """

    def __init__(
        self,
        source: Quantizer,
        in_features: int,
        wiring: npt.ArrayLike,
        quantizer: Quantizer,
        *,
        options: AssembleOptions | None = None,
        joins: bool = False,
        budget: TableBudget | None = None,
        widths: WidthOptions | None = None,
    ) -> None:
        """Make the level; weights come from torch's global generator.

        Args:
            source: The quantiser that makes the level's inputs; that of the level before where it joins.
            in_features: Number of columns that the source makes.
            wiring: Integer array, shape ``(out_features, fan_in)``; see :func:`tree_wiring`.
            quantizer: Output quantiser of 1 or ``out_features`` channels; one with a sign below the root of a tree.
            options: What a table hides.
            joins: Whether the level joins the neurons of the level before.
            budget: What the tables may take.
            widths: Whether and how the bits of the operands are learned.

        Raises:
            UserError: Wiring, channels or budget do not fit, or the wiring of a level that joins is no partition of its inputs.
        """
        chosen = options if options is not None else AssembleOptions()
        hidden = SubnetOptions(chosen.width, chosen.depth, chosen.depth if chosen.skip else 0)
        super().__init__(source, in_features, wiring, quantizer, options=hidden, budget=budget, widths=widths)
        self.joins = joins
        if joins:
            self._check_partition()

    def _check_partition(self) -> None:
        count = np.bincount(self.wiring.reshape(-1).cpu().numpy(), minlength=self.in_features)
        wrong = np.flatnonzero(count != 1)
        if len(wrong):
            raise UserError(
                f"every neuron of a tree is joined once, but of the {self.in_features} below {self.out_features} neurons of "
                f"fan-in {self.fan_in} neuron {wrong[0]} is joined {count[wrong[0]]} times; use tree_wiring"
            )


def tree_wiring(n_in: int, n_out: int, fan_in: int, what: str = "a level of a tree") -> Wiring:
    """The wiring of a level that joins: neuron j reads ``fan_in * j`` to ``fan_in * j + fan_in - 1``.

    Args:
        n_in: Neurons of the level before.
        n_out: Neurons of this level.
        fan_in: How many each of them joins.
        what: The level in the message.

    Returns:
        int64, shape ``(n_out, fan_in)``.

    Raises:
        UserError: The level before does not divide into groups of this size.
    """
    if n_in != n_out * fan_in:
        raise UserError(
            f"{what} of {n_out} neurons that join {fan_in} each needs {n_out} * {fan_in} = {n_out * fan_in} neurons before it, got "
            f"{n_in}; change the sizes of the layers or the fan-in"
        )
    return contiguous_wiring(n_in, n_out, fan_in)
