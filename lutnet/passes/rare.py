"""Statistical don't-cares: the addresses of tables that samples hardly ever reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.ir.netlist import Netlist
from lutnet.passes.base import Pass, Steps
from lutnet.passes.dontcare import restrict
from lutnet.tables import pack_address

__all__ = ["Rare", "address_counts"]

_CHUNK = 1 << 14


@dataclass(frozen=True)
class Rare(Pass):
    """Takes the addresses out of care sets that fewer than ``rarity`` samples reach. No code changes.

    Passes behind it may then change the function on other inputs: what it saves is paid in accuracy there, and equality holds
    on the care set only. On the samples themselves nothing changes while ``rarity`` is 1.

    The idea of Cassidy, Andronic, Coward and Constantinides, "ReducedLUT: Table Decomposition with 'Don't Care'
    Conditions", FPGA 2025 (arXiv 2412.18579), where addresses that the training data does not reach are free.

    Attributes:
        rarity: Samples that must reach an address for it to be cared for.
        samples: Integer input codes, shape ``(n, n_inputs)``; no part of the text of the pass, attach them with
            ``dataclasses.replace(rare, samples=codes)``.
    """

    name: ClassVar[str] = "rare"
    rarity: int = 1
    samples: npt.NDArray[np.integer] | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.rarity < 0:
            raise UserError(f"rare.rarity is a number of samples of at least 0, got {self.rarity}")

    def __str__(self) -> str:
        return self.name if self.rarity == 1 else f"{self.name}{{rarity={self.rarity}}}"

    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        if self.samples is None:
            raise UserError(
                "pass 'rare' needs samples to see which addresses are rare; attach training inputs as codes with "
                "dataclasses.replace(rare, samples=codes)"
            )
        return restrict(
            net, {row: counts >= self.rarity for row, counts in address_counts(net, self.samples).items()}, steps
        )


def address_counts(net: Netlist, samples: npt.NDArray[np.integer]) -> dict[int, npt.NDArray[np.int64]]:
    """How often samples read each address of each table.

    Args:
        net: A verified netlist.
        samples: Integer input codes, shape ``(n, n_inputs)``.

    Returns:
        For the row of every table int64 counts, shape ``(2**address_bits,)``.
    """
    tables = {node.id: node.table for node in net.nodes() if node.table is not None}
    counts = {row: np.zeros(table.n_entries, dtype=np.int64) for row, table in tables.items()}
    net.evaluate(samples[:0])
    for start in range(0, len(samples), _CHUNK):
        codes = net.evaluate_nodes(samples[start : start + _CHUNK])
        for row, table in tables.items():
            address = pack_address([codes[:, operand] for operand in net.operands(row)], table.in_widths)
            counts[row] += np.bincount(address, minlength=table.n_entries)
    return counts
