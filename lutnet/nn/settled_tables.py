"""Tables that a layer has in place of its function's: what is left of a network once its entries were chosen one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lutnet.errors import UserError
from lutnet.tables import TruthTable, code_dtype

__all__ = ["SettledTables", "take_settled"]

Integers = npt.NDArray[np.int64]


class SettledTables(nn.Module):
    """The codes of neurons by address.

    Attributes:
        codes: int32 buffer, shape ``(neurons, 2**bits)``, bits those of the widest address; narrower ones leave zeros behind.
    """

    codes: Tensor

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)

    @classmethod
    def of(cls, tables: Sequence[npt.NDArray[np.unsignedinteger]]) -> SettledTables:
        """From the codes of each neuron by address."""
        codes = torch.zeros((len(tables), max(map(len, tables), default=0)), dtype=torch.int32)
        for row, table in zip(codes, tables, strict=True):
            row[: len(table)] = torch.from_numpy(table.astype(np.int32))
        return cls(codes)

    def check(self, address_bits: Integers, out_bits: Integers) -> None:
        """Refuse tables that do not fit neurons with addresses and codes of so many bits.

        Raises:
            UserError: The number of tables, their entries or the bits of a code are others.
        """
        shape = (len(address_bits), 1 << int(address_bits.max()))
        if self.codes.dtype != torch.int32 or tuple(self.codes.shape) != shape:
            raise UserError(
                f"settled tables of {shape[0]} neurons with up to {shape[1]} entries were expected, got {tuple(self.codes.shape)} of "
                f"{self.codes.dtype}"
            )
        limits = torch.from_numpy(1 << out_bits).to(self.codes.device)
        wrong = ((self.codes < 0) | (self.codes >= limits[:, None])).any(dim=1)
        if bool(wrong.any()):
            neuron = int(wrong.nonzero()[0])
            raise UserError(f"the settled table of neuron {neuron} has a code of more than its {out_bits[neuron]} bits")

    def look_up(self, codes: Tensor, widths: Tensor, reads: Tensor) -> Tensor:
        """Output codes, int64, shape ``(rows, neurons)``.

        Args:
            codes: Of the operands, int64, shape ``(rows, neurons, fan_in)``.
            widths: Their bits, ``(neurons, fan_in)``.
            reads: How many of these a neuron reads, its most significant ones.
        """
        address = ((codes >> (widths - reads)) << (reads.cumsum(dim=1) - reads)).sum(dim=2)
        return self.codes.t().gather(0, address).long()

    def tables(self, reads: Integers, out_bits: Integers) -> list[TruthTable]:
        """One truth table a neuron.

        Args:
            reads: Bits of each operand that the neurons read, shape ``(neurons, fan_in)``.
            out_bits: Bits of their codes.
        """
        dtype = code_dtype(int(out_bits.max()))
        return [
            TruthTable(tuple(width for width in widths if width), out, row[: 1 << sum(widths)].astype(dtype))
            for widths, out, row in zip(reads.tolist(), out_bits.tolist(), self.codes.cpu().numpy(), strict=True)
        ]

    def extra_repr(self) -> str:
        return f"{len(self.codes)} tables"


def take_settled(layer: nn.Module, state: Mapping[str, Any], prefix: str, *_: object) -> None:
    """Hook before a state is loaded: a layer gets settled tables where the state has some, and none where it has not."""
    found = state.get(prefix + "settled.codes")
    layer.settled = None if found is None else SettledTables(torch.zeros_like(found))
