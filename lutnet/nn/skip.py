"""Layers with a connection around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lutnet.cost import Device, table_luts
from lutnet.errors import UserError
from lutnet.formats import Format
from lutnet.nn.cost import LayerCost
from lutnet.nn.joins import Joined, codes_of_values
from lutnet.nn.layer import Layer, evaluating
from lutnet.nn.lut_layer import TableBudget
from lutnet.nn.quantize import Quantizer
from lutnet.nn.wires import Wires
from lutnet.tables import TruthTable

__all__ = ["AddedSkip", "ConcatSkip"]


class _Skip(Layer):
    """A chain of layers whose inputs go past it as well.

    Attributes:
        chain: The layers.
    """

    def __init__(
        self, source: Quantizer, in_features: int, chain: Sequence[Layer], out_features: int, quantizer: Quantizer
    ) -> None:
        if not chain:
            raise UserError("a connection around layers needs at least one layer, got none")
        reader = source
        for number, layer in enumerate(chain):
            if layer.source is not reader:
                raise UserError(
                    f"layer {number} inside of {type(self).__name__} was made for another source than the quantiser before it"
                )
            reader = layer.quantizer
        super().__init__(source, in_features, out_features, quantizer)
        self.chain = nn.ModuleList(chain)

    @property
    def layers(self) -> list[Layer]:
        """The layers that the connection goes around."""
        return cast("list[Layer]", list(self.chain))

    def inner(self, x: Tensor) -> Tensor:
        """Values of the last layer of the chain."""
        for layer in self.layers:
            x = layer(x)
        return x

    def inner_rows(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        """Rows of the codes of the last layer of the chain."""
        now = list(rows)
        for layer in self.layers:
            now = layer.lower(wires, now)
        return now

    def cost(self, device: Device) -> Tensor:
        parts = [layer.cost(device) for layer in self.layers]
        return torch.stack([part.to(parts[0].device) for part in parts]).sum() + self.join_luts(device)

    def summary(self, name: str, device: Device) -> LayerCost:
        rows = [layer.summary(name, device) for layer in self.layers]
        return LayerCost(
            name=name,
            kind=type(self).__name__,
            n_neurons=sum(row.n_neurons for row in rows),
            address_bits=max(row.address_bits for row in rows),
            out_bits=max(row.out_bits for row in rows),
            n_entries=sum(row.n_entries for row in rows),
            n_luts=sum(row.n_luts for row in rows) + self.join_luts(device),
        )

    def join_luts(self, device: Device) -> int:
        """Lookup tables beside those of the chain."""
        return 0

    def penalty(self) -> Tensor:
        return torch.stack([layer.penalty() for layer in self.layers]).sum()

    def schedule(self, progress: float) -> None:
        for layer in self.layers:
            layer.schedule(progress)

    def after_step(self) -> None:
        for layer in self.layers:
            layer.after_step()

    def extra_repr(self) -> str:
        return f"{self.in_features} -> {self.out_features}"


class ConcatSkip(_Skip):
    """The inputs, then what the chain makes of them: later layers read both. It takes no hardware.

    Huang et al., "Densely connected convolutional networks", CVPR 2017 (arXiv 1608.06993), Eq. 2.
    """

    def __init__(self, source: Quantizer, in_features: int, chain: Sequence[Layer]) -> None:
        """Join.

        Args:
            source: The quantiser of the inputs.
            in_features: Number of inputs.
            chain: Layers, the first of which reads the inputs.

        Raises:
            UserError: The layers do not fit.
        """
        n_made = chain[-1].out_features if chain else 0
        joined = Joined(
            [source, *(layer.quantizer for layer in chain[-1:])], [in_features, *([n_made] if chain else [])]
        )
        super().__init__(source, in_features, chain, in_features + n_made, joined)

    def respond_training(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.inner(x)], dim=1)

    def codes(self, x: Tensor) -> Tensor:
        """Codes; of an input whose value has several the lowest one."""
        self.check_columns(x)
        with evaluating(self):
            last = self.layers[-1].quantizer
            made = codes_of_values(last.value_table().to(x.device), self.inner(x.double()))
            return torch.cat([codes_of_values(self.source.value_table().to(x.device), x), made], dim=1)

    def lower(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        return [*rows, *self.inner_rows(wires, rows)]


class AddedSkip(_Skip):
    """``quantizer(x + chain(x))``: a table of two operands for each column, whatever their formats are.

    He et al., "Deep residual learning for image recognition", CVPR 2016 (arXiv 1512.03385), Eq. 1. Deviation: the sum is quantised,
    so that the widths of a deep chain do not grow.

    Attributes:
        budget: What a table may take.
    """

    def __init__(
        self,
        source: Quantizer,
        in_features: int,
        chain: Sequence[Layer],
        quantizer: Quantizer,
        *,
        budget: TableBudget | None = None,
    ) -> None:
        """Join.

        Args:
            source: The quantiser of the inputs.
            in_features: Number of inputs.
            chain: Layers, the first of which reads the inputs; the last one has as many neurons as there are inputs.
            quantizer: Makes codes of the sums.
            budget: What a table may take.

        Raises:
            UserError: The layers do not fit, or a table exceeds the budget.
        """
        super().__init__(source, in_features, chain, in_features, quantizer)
        if chain[-1].out_features != in_features:
            raise UserError(
                f"a sum with the inputs of a layer needs as many neurons as inputs, got {chain[-1].out_features} neurons and {in_features} "
                "inputs; change the size, or concatenate"
            )
        self.budget = budget if budget is not None else TableBudget()
        self.budget.check(self._address_bits(), type(self).__name__)

    def respond_training(self, x: Tensor) -> Tensor:
        made: Tensor = self.quantizer(x + self.inner(x))
        return made

    def codes(self, x: Tensor) -> Tensor:
        self.check_columns(x)
        with evaluating(self):
            values = x.double()
            return self.quantizer.codes(values + self.inner(values))

    def lower(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        formats = self.quantizer.feature_formats(self.out_features)
        parts = zip(self.tables(), rows, self.inner_rows(wires, rows), formats, strict=True)
        return [
            wires.lut(table, [past, made], signed=isinstance(fmt, Format) and fmt.signed)
            for table, past, made, fmt in parts
        ]

    def tables(self) -> list[TruthTable]:
        """The code of the sum of each column by the codes of its input and of what the chain makes."""
        n = self.in_features
        pairs = zip(self.source.feature_formats(n), self.layers[-1].quantizer.feature_formats(n), strict=True)
        formats = self.quantizer.feature_formats(n)
        found = []
        for column, (past, made) in enumerate(pairs):
            left, right = torch.from_numpy(past.values()), torch.from_numpy(made.values())
            sums = (left[None, :] + right[:, None]).reshape(-1, 1)
            chosen = torch.tensor([0 if self.quantizer.channels == 1 else column])
            codes = self.quantizer.codes(sums.to(chosen.device), chosen)[:, 0].cpu().numpy()
            found.append(TruthTable((past.bits, made.bits), formats[column].bits, codes))
        return found

    def join_luts(self, device: Device) -> int:
        pairs = zip(self._address_bits().tolist(), self.out_bits().tolist(), strict=True)
        return sum(table_luts(address, out, device) for address, out in pairs)

    def _address_bits(self) -> npt.NDArray[np.int64]:
        return self.source.feature_bits(self.in_features) + self.layers[-1].quantizer.feature_bits(self.in_features)
