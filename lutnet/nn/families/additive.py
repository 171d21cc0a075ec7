"""Additive edge tables: every neuron is an exact sum of one-input tables.

Hoang et al., "KANELÉ: Kolmogorov-Arnold networks for efficient LUT-based evaluation", FPGA 2026: ``y_j = sum_i T_ij(x_i)``,
every surviving edge a table of one quantised input, edges pruned while training with a threshold that warms up. Sun et
al., "HGQ-LUT", 2026: table and adder bits as a differentiable cost, edges that narrow to nothing in training.
Deviations: entries are integers of the neuron's sum, so that edges need no scale and sums no rounding; a hidden code is
a range of bits of the sum, which wraps around, so that nothing saturates; offsets cost nothing (``lutnet.nn.edge_codes``).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from lutnet.cost import Device, table_luts
from lutnet.errors import UserError
from lutnet.nn.cost import LayerCost
from lutnet.nn.edge_codes import ScoreCodes, SumCodes, WrappedCodes
from lutnet.nn.edge_options import AdditiveOptions
from lutnet.nn.edge_tables import InputLevels, LookUp, make_edge_tables
from lutnet.nn.layer import Layer
from lutnet.nn.quantize import Quantizer, straight_through
from lutnet.nn.wires import Wires
from lutnet.tables import TruthTable

__all__ = ["AdditiveEdges", "make_additive_layers"]

ADDER_PAIR_INPUTS = 4
"""Inputs of two bits of an adder, without the carry, which has wires of its own."""

HIDDEN_REACH = 0.15
"""Swing of a hidden sum at the start, as a fraction of the range of its code."""


class AdditiveEdges(Layer):
    """``y_j = quantizer(sum_i T_ij(x_i) + b_j)`` with integer tables T, rounded straight through in training.

    The forward pass looks entries up, so that a step costs as much as its gathers. The gradient to an entry is that of
    the sum; the gradient to an input is the rise between the entries beside the one that was read.

    Attributes:
        tables: Makes the real-valued tables; see :mod:`lutnet.nn.edge_tables`.
        bias: Parameter b, in integers, shape ``(out_features,)``.
        limit: Buffer, largest swing that each edge may have, shape ``(in_features, out_features)``: infinity while edges
            are free, 0 where cut off, ``2**bits - 1`` once the widths are settled.
        address_bits: Bits of each input, int64, shape ``(in_features,)``.
        quantizer: :class:`WrappedCodes` or :class:`ScoreCodes`.
    """

    limit: Tensor
    quantizer: SumCodes

    def __init__(
        self,
        source: Quantizer,
        in_features: int,
        out_features: int,
        quantizer: SumCodes,
        options: AdditiveOptions | None = None,
    ) -> None:
        """Make the layer; weights come from torch's global generator.

        Args:
            source: Makes the layer's inputs.
            in_features: Number of columns that the source makes.
            out_features: Number of neurons.
            quantizer: Makes codes of the sums: of 1 or ``out_features`` channels.
            options: See :class:`AdditiveOptions`.

        Raises:
            UserError: Sizes do not fit, or the quantiser is none for sums.
        """
        super().__init__(source, in_features, out_features, quantizer)
        if not isinstance(quantizer, SumCodes):
            raise UserError(
                f"additive layers make codes of integer sums, expected WrappedCodes or ScoreCodes, got "
                f"{type(quantizer).__name__}"
            )
        self.options = options if options is not None else AdditiveOptions()
        bits = quantizer.sum_bits
        swing = self.options.swing if bits is None else HIDDEN_REACH * 2.0**bits
        amplitude = swing * in_features**-0.5
        self.tables = make_edge_tables(in_features, 1 << source.bits, out_features, amplitude, self.options)
        self.bias = nn.Parameter(torch.zeros(out_features))
        self.bias.lr_scale = self.options.lr_scale  # type: ignore[attr-defined]
        top = 2.0**self.options.edge_bits - 1.0 if self.options.edge_bits else torch.inf
        self.register_buffer("limit", torch.full((in_features, out_features), top))
        self.address_bits = source.feature_bits(in_features)
        self._pressure = 1.0
        self._known_levels: InputLevels | None = None
        quantizer.bind(self._sum_range)

    # -- training ----------------------------------------------------------------------------------------------------

    def respond_training(self, x: Tensor) -> Tensor:
        levels = self._levels(x.device)
        real = self._real_tables()
        rows = self._rows(levels.indices(x))
        sums = LookUp.apply(rows, _flat(straight_through(real, real.round())))
        sums = sums + straight_through(self.bias, self.bias.round())
        if x.requires_grad:
            slopes = functional.embedding(rows, _flat(levels.slopes(real.detach())))
            sums = sums + torch.bmm((x - x.detach()).unsqueeze(1), slopes).squeeze(1)
        return self.quantizer.values_of_sums(sums)

    def penalty(self) -> Tensor:
        """Smoothness: the sum of squared differences of neighbouring entries, or of their differences."""
        return self.options.smoothness * self._real_tables().diff(n=self.options.smooth_order, dim=1).square().sum()

    def schedule(self, progress: float) -> None:
        """Lets the cost's gradient grow and cuts edges off; then settles the widths and lets the cost go.

        Until ``settle_at`` an edge is cut off when it swings by less than a threshold that grows. Then every edge gets the
        number of bits that is nearest to ``log2(1 + swing)``, and the rest of the training makes the best of them. A cycle
        that begins anew frees the widths of the edges that are left.
        """
        opt = self.options
        if opt.edge_bits:
            return
        settled = progress >= opt.settle_at
        if not settled:
            self.limit.masked_fill_(self.limit > 0, torch.inf)
        self._pressure = 0.0 if settled else min(1.0, progress / opt.cost_warmup) if opt.cost_warmup else 1.0
        if opt.prune_from <= progress < 1.0 and not (settled and bool(self.limit.isfinite().all())):
            with torch.no_grad():
                swings = self._swings()
                if settled:
                    self.limit.copy_(2.0 ** torch.log2(1.0 + swings).round() - 1.0)
                else:
                    span = opt.settle_at - opt.prune_from
                    least = opt.prune_swing * (progress - opt.prune_from) / span if span else opt.prune_swing
                    self.limit.masked_fill_(swings < least, 0.0)

    def cost(self, device: Device) -> Tensor:
        """Bits of every edge, ``log2(1 + swing)``, times what a bit of it takes: its table and half an adder.

        The gradient is that of the value times a factor that grows from 0 over ``cost_warmup`` and is 0 from ``settle_at``.
        """
        bits = torch.log2(1.0 + self._swings())
        weights = [table_luts(int(width), 1, device) + adder_bit_luts(device) for width in self.address_bits]
        total = (bits.sum(dim=1) * torch.tensor(weights).to(bits)).sum()
        return total.detach() + self._pressure * (total - total.detach())

    # -- codes -------------------------------------------------------------------------------------------------------

    def codes(self, x: Tensor) -> Tensor:
        self.check_columns(x)
        with torch.no_grad():
            tables = self.integer_tables()
            levels = self._levels(x.device).indices(x.double())
            # float64 adds these integers exactly in any order
            sums = functional.embedding_bag(self._rows(levels), _flat(tables.double()), mode="sum")
            return self.quantizer.codes_of_sums(sums.to(torch.int64) + self._integer_bias())

    def integer_tables(self) -> Tensor:
        """Entries of every edge by level, int64, shape ``(in_features, n_levels, out_features)``; constant where cut off.

        Raises:
            UserError: An entry is not a finite number.
        """
        with torch.no_grad():
            real = self._real_tables()
            if not bool(torch.isfinite(real).all() and torch.isfinite(self.bias).all()):
                raise UserError(
                    f"tables of {type(self).__name__} are not finite: training diverged; lower the learning rate or go back "
                    "to an earlier checkpoint"
                )
            return real.round().to(torch.int64)

    def code_tables(self) -> npt.NDArray[np.int64]:
        """Entries by the code of the input, as they are stored: every edge's smallest is 0; shape as above.

        An input of fewer bits than the widest repeats its last level.
        """
        tables = self.integer_tables()
        by_code = self._levels(tables.device).reached(tables)
        return (by_code - by_code.amin(dim=1, keepdim=True)).cpu().numpy()

    def code_bias(self) -> npt.NDArray[np.int64]:
        """What the sums of stored entries are raised by, at least 0, shape ``(out_features,)``.

        The sums with it, from bit ``dropped_bits`` upwards, are the codes, modulo ``2**bits`` for wrapped codes.
        """
        return self.quantizer.remainders().cpu().numpy()

    # -- hardware ----------------------------------------------------------------------------------------------------

    def lower(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        """Adds a table an edge, a sum a neuron, and the bits of the sum that are its code."""
        tables, bias = self.code_tables(), self.code_bias()
        if not tables.any():
            raise UserError(
                f"no edge of an additive layer of {self.in_features} inputs and {self.out_features} neurons is left, so "
                "that its outputs are constant; lower train.cost_weight or model.additive.prune_swing and train again"
            )
        return [self._lower_neuron(wires, rows, tables[:, :, j], int(bias[j])) for j in range(self.out_features)]

    def summary(self, name: str, device: Device) -> LayerCost:
        """Tables, and a carry chain for every operand beyond a neuron's widest one."""
        out_bits = np.vectorize(lambda top: int(top).bit_length(), otypes=[np.int64])(self.code_tables().max(axis=1))
        address_bits = np.broadcast_to(self.address_bits[:, None], out_bits.shape)
        edges = list(zip(address_bits[out_bits > 0].tolist(), out_bits[out_bits > 0].tolist(), strict=True))
        adder_bits = int(out_bits.sum() - out_bits.max(axis=0).sum())
        return LayerCost(
            name=name,
            kind=type(self).__name__,
            n_neurons=len(edges),
            address_bits=int(self.address_bits.max()),
            out_bits=self.quantizer.bits,
            n_entries=sum(1 << address for address, _ in edges),
            n_luts=sum(table_luts(*edge, device) for edge in edges) + ceil(adder_bits * adder_bit_luts(device)),
        )

    def n_edges(self) -> int:
        """Edges whose integer tables are not constant."""
        return int(np.count_nonzero(self.code_tables().any(axis=1)))

    def extra_repr(self) -> str:
        return f"{self.in_features} -> {self.out_features}, parametrization={self.options.parametrization}"

    def _lower_neuron(self, wires: Wires, rows: Sequence[int], tables: npt.NDArray[np.int64], bias: int) -> int:
        """Tables of shape ``(in_features, n_codes)`` to the row of the neuron's code."""
        operands, top = [], bias
        for row, width, entries in zip(rows, self.address_bits.tolist(), tables, strict=True):
            largest = int(entries.max())
            if largest:
                table = TruthTable((width,), largest.bit_length(), entries[: 1 << width])
                operands.append(wires.lut(table, [row]))
                top += largest
        dropped, bits = self.quantizer.dropped_bits, self.quantizer.bits
        width = min(top.bit_length() - dropped, bits)
        if not operands or width < 1:
            return wires.const(bias >> dropped & ((1 << bits) - 1), bits)
        total = wires.sum(operands, bias=bias, shape=(top.bit_length(), False))
        code = total if width == top.bit_length() else wires.slice(total, dropped, width)
        return code if width == bits else wires.concat([code, wires.const(0, bits - width)])

    # -- inside ------------------------------------------------------------------------------------------------------

    def _real_tables(self) -> Tensor:
        """Tables by level with a gradient, their swing limited; the last level is repeated behind an input's last."""
        tables = self.tables()
        bits = self.address_bits
        if (bits < bits.max()).any():
            last = torch.from_numpy((1 << bits) - 1).to(tables.device)
            place = torch.minimum(torch.arange(tables.shape[1], device=tables.device), last[:, None])
            tables = tables.gather(1, place[..., None].expand_as(tables))
        return torch.minimum(tables, tables.amin(dim=1, keepdim=True) + self.limit[:, None])

    def _swings(self) -> Tensor:
        """Largest entry minus smallest entry of every edge, shape ``(in_features, out_features)``."""
        real = self._real_tables()
        return real.amax(dim=1) - real.amin(dim=1)

    def _integer_bias(self) -> Tensor:
        return self.bias.detach().round().to(torch.int64)

    def _sum_range(self) -> tuple[Tensor, Tensor]:
        """Smallest and largest sum of each neuron over the codes that exist, int64, shape ``(out_features,)``."""
        tables = self.integer_tables()
        reached = self._levels(tables.device).reached(tables)
        bias = self._integer_bias()
        return reached.amin(dim=1).sum(dim=0) + bias, reached.amax(dim=1).sum(dim=0) + bias

    def _levels(self, device: torch.device) -> InputLevels:
        table = self.source.value_table().to(device)
        known = self._known_levels
        if known is None or known.table.device != table.device or not torch.equal(known.table, table.double()):
            known = self._known_levels = InputLevels(table)
        return known

    def _rows(self, levels: Tensor) -> Tensor:
        """Positions of entries in flat tables, shape of ``levels``."""
        return levels + self.tables.n_levels * torch.arange(self.in_features, device=levels.device)


def make_additive_layers(
    source: Quantizer, sizes: Sequence[int], options: AdditiveOptions | None = None
) -> list[AdditiveEdges]:
    """A chain of additive layers: hidden codes between them, scores behind the last one.

    Args:
        source: Makes the inputs: one channel an input.
        sizes: Inputs, hidden neurons of each layer, and classes.
        options: Of all layers.
    """
    if len(sizes) < 2:
        raise UserError(f"an additive network needs a number of inputs and a number of classes, got {list(sizes)}")
    chosen = options if options is not None else AdditiveOptions()
    layers: list[AdditiveEdges] = []
    for index, (width, size) in enumerate(pairwise(sizes)):
        last = index == len(sizes) - 2
        codes: SumCodes = (
            ScoreCodes(chosen.temperature) if last else WrappedCodes(chosen.hidden_bits, size, chosen.fraction_bits)
        )
        layers.append(AdditiveEdges(source, width, size, codes, chosen))
        source = codes
    return layers


def adder_bit_luts(device: Device) -> float:
    """Lookup tables for one bit of a two-operand adder: a function of two inputs in front of the carry chain.

    Two of them share a dual-output lookup table; synthesis counts them so.
    """
    return 0.5 if device.dual_output_inputs >= ADDER_PAIR_INPUTS else 1.0


def _flat(tables: Tensor) -> Tensor:
    return tables.reshape(-1, tables.shape[2])
