"""Learned bit widths: how many of the bits of each operand a neuron reads.

A neuron that reads an operand with n bits reads the n most significant ones of its code; codes that agree in them stand for
their mean. A width of 0 removes the connection. Bits of a code that no neuron reads any more are not made.

Sun et al., "HGQ: high granularity quantization for real-time neural networks on FPGAs", 2024 (arXiv 2405.00645), Section III-B:
widths are real numbers, rounded in the forward pass; since the error of rounding to a step ``2**-n`` is proportional to the step, the
gradient to n is ``-ln(2) * (q(x) - x)`` times that to q(x). Deviations: the widths belong to the operands of tables, whose
cost is exponential in their sum; a value is cut off in place of rounded, so that all readers share one code.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lutnet.errors import UserError
from lutnet.nn.edge_tables import InputLevels
from lutnet.nn.quantize import Quantizer, straight_through
from lutnet.nn.width_options import WidthOptions
from lutnet.nn.width_phases import WidthPhases

__all__ = ["OperandWidths"]


GRADIENT_MEMORY = 0.95
"""Decay a step of the optimiser's memory of the size of gradients to widths, which falls by magnitudes as tables shrink."""


class OperandWidths(WidthPhases, nn.Module):
    """Widths of the operands of one layer's neurons.

    Attributes:
        width: Parameter, bits as real numbers, float32, shape ``(1,)`` for one a layer, ``(in_features,)`` for one an input
            or ``(out_features, fan_in)`` for one a connection.
        of_inputs: Buffer, bits that each input has, int64, shape ``(in_features,)``.
        relaxed: Whether values are left as they are: the phase of real-valued hidden codes.
        moving: Whether widths receive gradients.
        pressure: Factor on the gradient of the cost, 0 to 1.
    """

    of_inputs: Tensor

    def __init__(
        self, source: Quantizer, in_features: int, wiring: Tensor, options: WidthOptions, max_address_bits: int
    ) -> None:
        """Make the widths.

        Args:
            source: Makes the layer's inputs.
            in_features: Number of columns that the source makes.
            wiring: Which of them each neuron reads, int64, shape ``(out_features, fan_in)``.
            options: Granularity and first width.
            max_address_bits: Most bits of one neuron's address, at any time.

        Raises:
            UserError: Nothing is to be learned.
        """
        super().__init__()
        if options.granularity == "none":
            raise UserError("widths are learned by layer, channel or element, got granularity 'none'")
        self.options = options
        self.max_address_bits = max_address_bits
        self._source = (source,)
        of_inputs = torch.from_numpy(source.feature_bits(in_features))
        self.register_buffer("of_inputs", of_inputs, persistent=False)
        first = options.start_bits or max_address_bits / wiring.shape[1]
        shape = {"layer": (1,), "channel": (in_features,), "element": tuple(wiring.shape)}[options.granularity]
        self.width = nn.Parameter(torch.full(shape, float(first)))
        self.width.lr_scale = options.lr_scale  # type: ignore[attr-defined]
        self.width.no_decay = True  # type: ignore[attr-defined]
        self.width.beta2 = GRADIENT_MEMORY  # type: ignore[attr-defined]
        self._known: InputLevels | None = None
        self._labels = torch.empty(0)
        self.clamp(wiring)

    @property
    def shared(self) -> bool:
        """Whether all readers of an input read it with the same width."""
        return self.options.granularity != "element"

    def schedule(self, progress: float) -> None:
        """Moves and settles; see :class:`WidthOptions`."""
        self.enter_phase(self.options, progress)

    @torch.no_grad()
    def clamp(self, wiring: Tensor) -> None:
        """Brings widths back to 0 and more, to what the operands have, and to the most bits of an address."""
        if self.options.granularity == "layer":
            self.width.clamp_(0.0, float(self.of_inputs.max()))
        elif self.options.granularity == "channel":
            self.width.copy_(self.width.clamp_min(0.0).minimum(self.of_inputs.to(self.width)))
        else:
            self.width.copy_(self.width.clamp_min(0.0).minimum(self.of_inputs[wiring].to(self.width)))
        while True:
            over = self.integers(wiring).sum(dim=1) > self.max_address_bits
            if not bool(over.any()):
                return
            if self.shared:
                self.width.sub_(0.25).clamp_min_(0.0)
            else:
                self.width[over] = (self.width[over] - 0.25).clamp_min(0.0)

    def real(self, wiring: Tensor) -> Tensor:
        """Widths of all connections, real-valued, shape ``(out_features, fan_in)``."""
        if self.options.granularity == "element":
            return self.width
        by_input = self.width.expand(len(self.of_inputs)).minimum(self.of_inputs.to(self.width))
        return by_input[wiring]

    def integers(self, wiring: Tensor) -> Tensor:
        """Bits that each neuron reads of each operand, int64, shape ``(out_features, fan_in)``."""
        return self.real(wiring).detach().round().to(torch.int64).clamp_min(0).minimum(self.of_inputs[wiring])

    def bits(self, wiring: Tensor) -> Tensor:
        """The integers as real numbers with the gradient of the real widths."""
        real = self.real(wiring)
        return straight_through(real, self.integers(wiring).to(real))

    def demand(self, wiring: Tensor) -> Tensor:
        """Bits that the most demanding reader of each input reads, shape ``(in_features,)``, differentiable."""
        none = self.width.new_zeros(len(self.of_inputs))
        return none.scatter_reduce(0, wiring.reshape(-1), self.bits(wiring).reshape(-1), "amax")

    def code_values(self) -> Tensor:
        """Value of every code read with every width, float64, shape ``(1 or in_features, widest + 1, n_codes)``."""
        table = self._source[0].value_table().to(self.width.device).double()
        self._levels(table)
        labels = self._labels
        count = torch.zeros_like(labels, dtype=torch.float64).scatter_add_(2, labels, torch.ones_like(labels).double())
        by_code = table[:, None].expand(labels.shape)
        total = torch.zeros_like(by_code).scatter_add_(2, labels, by_code)
        return (total / count.clamp_min(1.0)).gather(2, labels)

    def values_read(self, inputs: Tensor, bits: int) -> Tensor:
        """Value of each code of some inputs' ``bits`` most significant bits, float64, shape ``(len(inputs), 2**bits)``."""
        table = self.code_values()
        codes = torch.arange(1 << bits, device=inputs.device) << (self.of_inputs[inputs] - bits)[:, None]
        return (table[inputs] if len(table) > 1 else table.expand(len(inputs), -1, -1))[:, bits].gather(1, codes)

    def level_values(self) -> Tensor:
        """The same by level, the smallest value first."""
        by_code = self.code_values()
        of_codes = self._levels(self._source[0].value_table().to(by_code.device).double()).of_codes()
        of_level = torch.zeros_like(of_codes)
        of_level.scatter_(1, of_codes, torch.arange(of_codes.shape[1], device=by_code.device).expand_as(of_codes))
        return by_code.gather(2, of_level[:, None].expand(by_code.shape))

    def narrow(self, x: Tensor, wiring: Tensor) -> Tensor:
        """Operands as the neurons read them.

        Args:
            x: Values of the inputs, shape ``(batch, in_features)``.
            wiring: As given when the widths were made.

        Returns:
            Shape ``(batch, out_features, fan_in)``, dtype of ``x``, with gradients to ``x`` and to the widths; batch contiguous.
        """
        flat = wiring.reshape(-1)
        out = self._narrowed(x, flat, self.real(wiring).reshape(-1), self.integers(wiring).reshape(-1))
        return out.view(*wiring.shape, -1).permute(2, 0, 1)

    def narrow_inputs(self, x: Tensor) -> Tensor:
        """Inputs as all their readers read them, shape ``(batch, in_features)``; for shared widths."""
        every = torch.arange(x.shape[1], device=x.device)
        real = self.real(every[:, None])[:, 0]
        bits = real.detach().round().to(torch.int64).clamp_min(0).minimum(self.of_inputs)
        return self._narrowed(x, every, real, bits).t()

    def _narrowed(self, x: Tensor, inputs: Tensor, width: Tensor, bits: Tensor) -> Tensor:
        """Some inputs, int64 ``(n,)``, read with some widths, shape ``(n, batch)``."""
        table = self.level_values().to(x.dtype)
        levels = self._levels(self._source[0].value_table().to(x.device).double()).indices(x).t().contiguous()
        rows = bits + (inputs * table.shape[1] if len(table) > 1 else 0)
        places = levels.index_select(0, inputs).add_((rows * table.shape[2])[:, None])
        found: Tensor = _Narrow.apply(x, width if self.moving else width.detach(), inputs, table.reshape(-1)[places])
        return found

    def _levels(self, table: Tensor) -> InputLevels:
        """The levels of the inputs now, and with them the labels of the codes that a width does not tell apart."""
        known = self._known
        if known is None or known.table.device != table.device or not torch.equal(known.table, table):
            levels = InputLevels(table)
            if known is None or not torch.equal(known.of_codes(), levels.of_codes()):
                self._labels = self._merged_codes(levels.of_codes().cpu()).to(table.device)
            known = self._known = levels
        return known

    def _merged_codes(self, level_of_code: Tensor) -> Tensor:
        """A number for each code and width that is equal for codes which are read alike.

        Codes that agree in the bits that are read are read alike, and so are codes of one value, since a value is all that a layer
        knows of its input.

        Args:
            level_of_code: Shape ``(1 or in_features, n_codes)``.

        Returns:
            int64, shape ``(1 or in_features, widest + 1, n_codes)``.
        """
        n_rows, n_codes = level_of_code.shape
        of_inputs = self.of_inputs.cpu() if n_rows > 1 else self.of_inputs.cpu().max().reshape(1)
        widest = int(of_inputs.max())
        codes = np.arange(n_codes)
        out = np.empty((n_rows, widest + 1, n_codes), dtype=np.int64)
        for row, (bits, level) in enumerate(zip(of_inputs.tolist(), level_of_code.numpy(), strict=True)):
            for width in range(widest + 1):
                cell = np.minimum(codes, (1 << bits) - 1) >> max(0, bits - width)
                out[row, width] = _joined(cell, level)
        return torch.from_numpy(out)


class _Narrow(torch.autograd.Function):
    """Values that replace those of some inputs, with the gradient of these and that to the widths."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, width: Tensor, inputs: Tensor, read: Tensor) -> Tensor:
        """``read``, shape ``(n, batch)``, in place of the columns ``inputs`` of ``x``."""
        if width.requires_grad:
            ctx.save_for_backward(inputs, x.t().index_select(0, inputs) - read)
        else:
            ctx.save_for_backward(inputs)
        ctx.n_inputs = x.shape[1]
        return read

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """Straight through to ``x``; ``-ln(2) * (read - x)`` to each width."""
        inputs, *errors = ctx.saved_tensors
        grad = grad.contiguous()
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = grad.new_zeros((ctx.n_inputs, grad.shape[1])).index_add_(0, inputs, grad).t()
        to_width = torch.linalg.vecdot(grad, errors[0]) * math.log(2.0) if errors else None
        return to_x, to_width, None, None


def _joined(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The finest grouping in which whoever has an equal number in one of two groupings is together; numbered by a member."""
    label = np.arange(len(first))
    while True:
        before = label.copy()
        for groups in (first, second):
            least = np.full(int(groups.max()) + 1, len(first))
            np.minimum.at(least, groups, label)
            label = least[groups]
        if np.array_equal(label, before):
            return label
