"""The base of families whose neurons are one table each.

A neuron is any real function of the values of a few operands, followed by a quantiser. The base class turns it into a
truth table and runs it; a family (``lutnet.nn.families``) writes the function down.

Exactness: outside training everything is computed in float64 by the same code, for a table's addresses and for a batch
of data. A family uses only elementwise operations that IEEE 754 rounds exactly (add, subtract, multiply, divide, square
root, minimum, maximum, comparison, rounding, selection) in a fixed order, never a matrix product, a reduction or a
fused multiply-add, whose rounding depends on the shape. Then a result depends neither on the batch size nor on the
other neurons.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lutnet.cost import Device, smooth_sum_luts, smooth_table_luts, table_luts
from lutnet.errors import UserError
from lutnet.formats import Format
from lutnet.nn.cost import LayerCost, bounded_table_luts
from lutnet.nn.joins import codes_of_values
from lutnet.nn.layer import Layer, evaluating
from lutnet.nn.operand_widths import OperandWidths
from lutnet.nn.quantize import Quantizer, Selection
from lutnet.nn.settled_tables import SettledTables, take_settled
from lutnet.nn.width_options import WidthOptions
from lutnet.nn.wires import Wires
from lutnet.nn.wiring import given_wiring
from lutnet.tables import MAX_ADDRESS_BITS, TruthTable, code_dtype

__all__ = ["LutLayer", "TableBudget"]

CHUNK_ELEMENTS = 1 << 19
"""Numbers that one intermediate tensor of an exact evaluation holds (4 MiB of float64), unless one row needs more."""


@dataclass(frozen=True)
class TableBudget:
    """What a layer's tables may take.

    Attributes:
        max_address_bits: Most address bits of one table, up to 24.
        max_entries: Most entries of all tables of the layer together.
    """

    max_address_bits: int = 16
    max_entries: int = 1 << 26

    def __post_init__(self) -> None:
        if not 1 <= self.max_address_bits <= MAX_ADDRESS_BITS:
            raise UserError(f"a table budget allows 1 to {MAX_ADDRESS_BITS} address bits, got {self.max_address_bits}")
        if self.max_entries < 1:
            raise UserError(f"a table budget allows at least 1 entry, got {self.max_entries}")

    def check(self, address_bits: npt.NDArray[np.int64], what: str) -> None:
        """Refuse tables over the budget.

        Args:
            address_bits: Address bits of each neuron.
            what: Name of the layer in the message.

        Raises:
            UserError: The budget is exceeded; the message has the sizes.
        """
        widest = int(address_bits.argmax())
        bits = int(address_bits[widest])
        if bits > self.max_address_bits:
            raise UserError(
                f"neuron {widest} of {what} needs a table of {bits} address bits (2**{bits} entries), the budget "
                f"allows {self.max_address_bits}; lower the fan-in or the bit width, or raise the budget"
            )
        entries = sum(1 << int(neuron_bits) for neuron_bits in address_bits)
        if entries > self.max_entries:
            raise UserError(
                f"the {len(address_bits)} tables of {what} need {entries:,} entries, the budget allows "
                f"{self.max_entries:,}; lower the fan-in, the bit width or the number of neurons, or raise the budget"
            )


class LutLayer(Layer):
    """Neurons that each read a few quantised inputs and become one truth table.

    Attributes:
        in_features: Number of columns that the layer reads.
        out_features: Number of neurons.
        fan_in: Operands of each neuron.
        wiring: int64 buffer, shape ``(out_features, fan_in)``; operand 0 is the least significant part of the address.
        quantizer: Makes the layer's output codes.
        widths: Learned bits of the operands, or ``None`` where every neuron reads all bits.
        quantizes_a_sum: Whether a neuron is a weighted sum of its operands that is quantised, by which its table is decomposed well.
        budget: What the tables may take; checked when the layer is made, before anything of their size exists, and
            again before tabulation.
        settled: Tables in place of those of the function, or ``None``; see :meth:`settle`.
    """

    wiring: Tensor
    settled: SettledTables | None
    quantizes_a_sum: ClassVar[bool] = False

    def __init__(
        self,
        source: Quantizer,
        in_features: int,
        wiring: npt.ArrayLike,
        quantizer: Quantizer,
        *,
        budget: TableBudget | None = None,
        widths: WidthOptions | None = None,
    ) -> None:
        """Make the layer.

        Args:
            source: The quantiser that makes the layer's inputs. It belongs to somebody else: it is not a submodule.
            in_features: Number of columns that the source makes.
            wiring: Integer array, shape ``(out_features, fan_in)``; see ``lutnet.nn.wiring``.
            quantizer: Output quantiser of 1 or ``out_features`` channels.
            budget: What the tables may take.
            widths: Whether and how the bits of the operands are learned.

        Raises:
            UserError: Wiring, channels or budget do not fit.
        """
        indices = given_wiring(wiring.cpu().numpy() if isinstance(wiring, Tensor) else wiring, in_features)
        super().__init__(source, in_features, len(indices), quantizer)
        self.fan_in = indices.shape[1]
        self.budget = budget if budget is not None else TableBudget()
        self.register_buffer("wiring", torch.from_numpy(indices))
        self.cost_form = "table" if widths is None else widths.cost
        if self.cost_form == "sum" and not self.quantizes_a_sum:
            raise UserError(
                f"model.widths.cost = 'sum' is for neurons that quantise a weighted sum, which {type(self).__name__} does not; "
                "choose 'table'"
            )
        self.widths: OperandWidths | None = None
        if widths is not None and widths.granularity != "none":
            self.widths = OperandWidths(source, in_features, self.wiring, widths, self.budget.max_address_bits)
            source.read_by(self._demand)
        self.budget.check(self.address_bits(), type(self).__name__)
        self.settled = None
        self.register_load_state_dict_pre_hook(take_settled)
        self.register_load_state_dict_post_hook(_check_loaded)

    @property
    def scratch(self) -> int:
        """Numbers a neuron and row that :meth:`respond` holds at once; families with wide interiors override it."""
        return self.fan_in

    @abstractmethod
    def respond(self, operands: Tensor, neurons: Selection) -> Tensor:
        """Real-valued outputs of some neurons before quantisation, batch norm included.

        Args:
            operands: Values, shape ``(rows, n, fan_in)``; float32 in training, float64 otherwise.
            neurons: Which n neurons, a slice or int64 indices; ``slice(None)`` in training.

        Returns:
            Shape ``(rows, n)``, dtype of ``operands``. Outside training it obeys the rules at the top of this module.
        """

    def response(self, x: Tensor) -> Tensor:
        """Outputs before quantisation in training, ``(batch, in_features)`` to ``(batch, out_features)``."""
        return self.respond(self.operands(x), slice(None))

    def operands(self, x: Tensor) -> Tensor:
        """Operands as the neurons read them, shape ``(batch, out_features, fan_in)``, batch contiguous in memory."""
        widths = self.widths
        if widths is None or widths.relaxed:
            return self.gather(x, self.wiring)
        if widths.shared:
            return self.gather(widths.narrow_inputs(x), self.wiring)
        return widths.narrow(x, self.wiring)

    def gather(self, x: Tensor, wiring: Tensor) -> Tensor:
        """The operands of neurons, shape ``(batch, n, fan_in)``, batch contiguous in memory."""
        columns = x.t().contiguous().index_select(0, wiring.reshape(-1))
        return columns.view(*wiring.shape, x.shape[0]).permute(2, 0, 1)

    def respond_training(self, x: Tensor) -> Tensor:
        return self.quantizer(self.response(x))  # type: ignore[no-any-return]

    def codes(self, x: Tensor) -> Tensor:
        self.check_columns(x)
        out = torch.empty((x.shape[0], self.out_features), dtype=torch.int64, device=x.device)
        rows = max(1, CHUNK_ELEMENTS // (self.out_features * self.scratch))
        with evaluating(self):
            for begin in range(0, x.shape[0], rows):
                some = x[begin : begin + rows].double()
                if self.settled is None:
                    out[begin : begin + rows] = self.quantizer.codes(self.respond(self.operands(some), slice(None)))
                else:
                    out[begin : begin + rows] = self._look_up(self.settled, some)
        return out

    def settle(
        self, tables: Sequence[npt.NDArray[np.unsignedinteger]], wiring: npt.NDArray[np.int64] | None = None
    ) -> None:
        """Gives the neurons other tables than those of their function; more training goes on from the function.

        Args:
            tables: The codes of each neuron by address, as those of :meth:`tables`.
            wiring: What the neurons read from now on; operands have as many bits as before.

        Raises:
            UserError: Tables or wiring do not fit, or two codes of an input have the same value.
        """
        self.check_settles()
        settled = SettledTables.of(tables)
        settled.check(self.address_bits(), self.out_bits())
        if wiring is not None:
            self._rewire(given_wiring(wiring, self.in_features))
        self.settled = settled.to(self.wiring.device)

    def _rewire(self, wiring: npt.NDArray[np.int64]) -> None:
        bits = self.source.feature_bits(self.in_features)
        before = self.wiring.cpu().numpy()
        if wiring.shape != before.shape or (bits[wiring] != bits[before]).any():
            raise UserError(
                f"a wiring of shape {before.shape} and operands of the same bits as before were expected, got shape {wiring.shape}"
            )
        self.wiring.copy_(torch.from_numpy(wiring))

    def check_settles(self) -> None:
        """Refuse inputs of which two codes have the same value: a table could tell them apart, a forward pass could not."""
        for channel, fmt in enumerate(self.source.formats()):
            if len(np.unique(fmt.values())) < 1 << fmt.bits:
                raise UserError(
                    f"tables settle on codes, but two codes of channel {channel} of the inputs of {type(self).__name__} have the same "
                    "value; choose a quantiser whose values differ"
                )

    def _look_up(self, settled: SettledTables, x: Tensor) -> Tensor:
        """Codes of settled tables for some rows."""
        codes = codes_of_values(self.source.value_table().to(x.device), x)
        widths = torch.from_numpy(self.source.feature_bits(self.in_features)).to(x.device)[self.wiring]
        return settled.look_up(codes[:, self.wiring], widths, torch.from_numpy(self.operand_bits()).to(x.device))

    def address_bits(self) -> npt.NDArray[np.int64]:
        """Address bits of each neuron's table, shape ``(out_features,)``."""
        return self.operand_bits().sum(axis=1)

    def operand_bits(self) -> npt.NDArray[np.int64]:
        """Bits that each neuron reads of each operand, its most significant ones; shape ``(out_features, fan_in)``."""
        if self.widths is not None:
            return self.widths.integers(self.wiring).cpu().numpy()
        bits: npt.NDArray[np.int64] = self.source.feature_bits(self.in_features)[self.wiring.cpu().numpy()]
        return bits

    def tables(self) -> list[TruthTable]:
        """One truth table a neuron, equal to :meth:`codes` on every address; the model is left as it was.

        An operand of which no bit is read is left out of the address. Neurons with operands of the same widths are tabulated
        together, in chunks of bounded memory.

        Raises:
            UserError: The budget is exceeded, or an output is not a finite number.
        """
        self.budget.check(self.address_bits(), type(self).__name__)
        if self.settled is not None:
            return self.settled.tables(self.operand_bits(), self.out_bits())
        signatures, group = np.unique(self.operand_bits(), axis=0, return_inverse=True)
        out_bits = self.out_bits()
        tables: dict[int, TruthTable] = {}
        for number, signature in enumerate(signatures.tolist()):
            neurons = np.flatnonzero(group.reshape(-1) == number)
            codes = self._tabulate(torch.from_numpy(neurons).to(self.wiring.device), signature)
            widths = tuple(width for width in signature if width)
            for neuron, row in zip(neurons.tolist(), codes, strict=True):
                tables[neuron] = TruthTable(widths, int(out_bits[neuron]), row)
        return [tables[neuron] for neuron in range(self.out_features)]

    def gates(self) -> Tensor:
        """How much each operand is used, ``(out_features, fan_in)``, 0 to 1; families with weights override it."""
        return torch.ones(self.wiring.shape, device=self.wiring.device)

    def cost(self, device: Device) -> Tensor:
        """Differentiable estimate of the layer's lookup tables, a scalar; see ``lutnet.nn.cost``."""
        if self.widths is None:
            operand_bits = self.source.soft_bits().to(self.wiring.device).expand(self.in_features)[self.wiring]
            address_bits = (self.gates() * operand_bits).sum(dim=1)
        else:
            address_bits = self.widths.bits(self.wiring).sum(dim=1)
        out_bits = self.quantizer.needed_bits(self.out_features).to(self.wiring.device)
        if self.cost_form == "sum":
            total = bounded = smooth_sum_luts(address_bits, out_bits, device).sum()
        else:
            total = smooth_table_luts(address_bits, out_bits, device).sum()
            bounded = bounded_table_luts(address_bits, out_bits, device).sum()
        if self.widths is None:
            return total
        return total.detach() + self.widths.pressure * (bounded - bounded.detach())

    def schedule(self, progress: float) -> None:
        if self.widths is not None:
            self.widths.schedule(progress)
            self.quantizer.relaxed = self.widths.relaxed

    def after_step(self) -> None:
        if self.widths is not None:
            self.widths.clamp(self.wiring)

    def summary(self, name: str, device: Device) -> LayerCost:
        address_bits = self.address_bits().tolist()
        out_bits = [round(bits) for bits in self.quantizer.needed_bits(self.out_features).tolist()]
        return LayerCost(
            name=name,
            kind=type(self).__name__,
            n_neurons=self.out_features,
            address_bits=max(address_bits),
            out_bits=max(out_bits),
            n_entries=sum(1 << bits for bits in address_bits),
            n_luts=sum(table_luts(bits, out, device) for bits, out in zip(address_bits, out_bits, strict=True)),
        )

    def lower(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        formats = self.quantizer.feature_formats(self.out_features)
        of_inputs = self.source.feature_bits(self.in_features).tolist()
        out = []
        for table, operands, reads, fmt in zip(
            self.tables(), self.wiring.tolist(), self.operand_bits().tolist(), formats, strict=True
        ):
            signed = isinstance(fmt, Format) and fmt.signed
            pairs = zip(operands, reads, strict=True)
            parts = [_top_bits(wires, rows[i], of_inputs[i], bits) for i, bits in pairs if bits]
            if parts:
                out.append(wires.lut(table, parts, signed=signed))
            else:
                out.append(wires.const(int(table.codes[0]), table.out_width, signed=signed))
        return out

    def extra_repr(self) -> str:
        return f"{self.in_features} -> {self.out_features}, fan_in={self.fan_in}"

    def _demand(self) -> Tensor:
        """Bits of each input that the neurons read now; asked for by the source."""
        assert self.widths is not None
        return self.widths.demand(self.wiring)

    def _tabulate(self, neurons: Tensor, signature: list[int]) -> npt.NDArray[np.unsignedinteger]:
        """Codes of neurons that read their operands with the same widths, shape ``(len(neurons), 2**sum(signature))``."""
        n_rows = 1 << sum(signature)
        out = np.empty((len(neurons), n_rows), dtype=code_dtype(self.quantizer.bits))
        rows = min(n_rows, max(1, CHUNK_ELEMENTS // self.scratch))
        block = max(1, CHUNK_ELEMENTS // (rows * self.scratch))
        with evaluating(self):
            wiring = self.wiring[neurons]
            values = [self._values_read(wiring[:, operand], bits) for operand, bits in enumerate(signature)]
            for top in range(0, n_rows, rows):
                address = torch.arange(top, min(top + rows, n_rows), device=self.wiring.device)
                for left in range(0, len(neurons), block):
                    chosen = neurons[left : left + block]
                    operands = _operand_values([part[left : left + block] for part in values], address, signature)
                    response = self.respond(operands, chosen)
                    self._check_finite(response, chosen)
                    codes = self.quantizer.codes(response, chosen)
                    out[left : left + block, top : top + rows] = codes.t().cpu().numpy()
        return out

    def _values_read(self, inputs: Tensor, bits: int) -> Tensor:
        """Value of each code of some inputs' most significant bits, float64, shape ``(len(inputs), 2**bits)``."""
        if self.widths is not None:
            return self.widths.values_read(inputs, bits)
        values = self.source.value_table().to(self.wiring.device)
        return (values[inputs] if len(values) > 1 else values.expand(len(inputs), -1))[:, : 1 << bits]

    def _check_finite(self, response: Tensor, neurons: Tensor) -> None:
        bad = ~torch.isfinite(response).all(dim=0)
        if bool(bad.any()):
            raise UserError(
                f"neuron {int(neurons[bad][0])} of {type(self).__name__} has outputs that are not finite: training "
                "diverged; lower the learning rate or go back to an earlier checkpoint"
            )


def _top_bits(wires: Wires, row: int, width: int, bits: int) -> int:
    return row if bits == width else wires.slice(row, width - bits, bits)


def _check_loaded(layer: LutLayer, _: object) -> None:
    given_wiring(layer.wiring.cpu().numpy(), layer.in_features)
    if layer.settled is not None:
        layer.settled.check(layer.address_bits(), layer.out_bits())


def _operand_values(values: list[Tensor], address: Tensor, signature: list[int]) -> Tensor:
    """Values of the operands at addresses, shape ``(rows, n, fan_in)``, rows contiguous in memory."""
    out = torch.empty((len(values[0]), len(values), len(address)), dtype=torch.float64, device=address.device)
    shift = 0
    for operand, width in enumerate(signature):
        out[:, operand] = values[operand][:, (address >> shift) & ((1 << width) - 1)]
        shift += width
    return out.permute(2, 0, 1)
