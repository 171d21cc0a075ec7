"""Differentiable lookup tables: K-input Boolean functions whose contents and wiring are learned.

Bacellar et al., "Differentiable weightless neural networks" (DWN), ICML 2024 (arXiv 2410.11112): hard tables, a finite
difference as gradient, a learned mapping in front of the first layer. Petersen et al., "Deep differentiable logic gate
networks", NeurIPS 2022 (arXiv 2210.08277): two-input gates in a continuous relaxation. The parametrisations are in
``lutnet.nn.table_parameters``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lutnet.cost import Device, table_luts
from lutnet.errors import UserError
from lutnet.nn.cost import LayerCost
from lutnet.nn.layer import Layer
from lutnet.nn.levels import FixedQuantizer
from lutnet.nn.options import DifferentiableOptions
from lutnet.nn.quantize import Quantizer
from lutnet.nn.table_parameters import difference_matrix, make_parameters, walsh_spectrum
from lutnet.nn.thermometer import BIPOLAR
from lutnet.nn.wires import Wires
from lutnet.nn.wiring import random_wiring
from lutnet.tables import TruthTable

__all__ = ["DifferentiableLut"]

MAX_SCORES = 1 << 28
"""Most mapping scores of a layer: 1 GiB of float32."""


class DifferentiableLut(Layer):
    """``out_features`` Boolean functions of K bits; bits stand for -1 and +1.

    The table of a function is a vector t of ``2**K`` real numbers, its Boolean table is ``t > 0``. Two ways to train:

    * ``relaxation = "hard"``: the forward pass is the Boolean table itself. Its gradient to t is passed straight through
      to the addressed entry; its gradient to the inputs is the extended finite difference of t.
    * ``relaxation = "soft"``: the forward pass is the multilinear extension of t, exact where the inputs are -1 or +1
      and differentiable in between. From ``harden_from`` to ``harden_until`` (fractions of training) the tables move
      to their signs, so that the network that is judged is the one that was trained.

    Attributes:
        wiring: int64 buffer, shape ``(out_features, K)``: which input a pin reads; the current choice of a learned one.
        scores: Parameter, shape ``(K * out_features, in_features)``, when the mapping is learned: pin k of function j
            (row ``k * out_features + j``) reads the input of largest score; otherwise ``None``.
        parameters_of_tables: Makes t.
    """

    wiring: Tensor

    def __init__(
        self,
        source: Quantizer,
        in_features: int,
        out_features: int,
        options: DifferentiableOptions | None = None,
        *,
        learned: bool | None = None,
        wiring: npt.ArrayLike | None = None,
    ) -> None:
        """Make a layer; weights and wiring come from torch's global generator.

        Args:
            source: Makes bits.
            in_features: Number of bits to choose from.
            out_features: Number of functions.
            options: See :class:`DifferentiableOptions`.
            learned: Whether the mapping is learned; the options' ``mapping`` when left out.
            wiring: Integer array, shape ``(out_features, K)``, in place of a random choice; not with a learned mapping.

        Raises:
            UserError: The source makes wider codes, sizes do not fit, or the scores of a learned mapping are too many.
        """
        options = options if options is not None else DifferentiableOptions()
        learned = options.mapping != "random" if learned is None else learned
        if source.bits != 1:
            raise UserError(
                f"a Boolean function reads bits, its source makes codes of {source.bits} bits; put a thermometer in "
                "between (model.thermometer)"
            )
        super().__init__(source, in_features, out_features, FixedQuantizer(BIPOLAR))
        self.options = options
        self.n_pins = options.lut_inputs
        self.parameters_of_tables = make_parameters(options, out_features)
        seed = int(torch.randint(1 << 31, ()).item())
        self.scores = self._new_scores() if learned else None
        if wiring is not None and learned:
            raise UserError("a learned mapping chooses its wiring itself; give a wiring only with mapping = 'random'")
        self.register_buffer("wiring", self._first_wiring(wiring, seed))
        self.register_buffer("difference", difference_matrix(self.n_pins, options.difference_decay), persistent=False)
        self.hardness = 0.0
        self.frozen = False
        self._held = False
        self.register_load_state_dict_post_hook(_check_loaded)

    def boolean(self) -> Tensor:
        """The Boolean tables, bool, shape ``(out_features, 2**K)``, pin 0 least significant; exact in any mode."""
        return self.parameters_of_tables.boolean()

    def hold_mapping(self) -> None:
        """Trains contents only from now on: a finished mapping would be shaken by an optimiser that begins anew."""
        self.frozen = self._held = True

    def schedule(self, progress: float) -> None:
        options = self.options
        self.frozen = self._held or progress >= options.mapping_until
        if options.relaxation == "soft":
            span = max(options.harden_until - options.harden_from, 1e-9)
            self.hardness = min(1.0, max(0.0, (progress - options.harden_from) / span))

    def after_step(self) -> None:
        self.parameters_of_tables.clip()

    def respond_training(self, x: Tensor) -> Tensor:
        bipolar = self._bipolar(x)
        if self.scores is not None and not self.frozen:
            with torch.no_grad():
                self.wiring.copy_(self.scores.argmax(dim=1).view(self.n_pins, -1).t())
        scores = None if self.frozen else self.scores
        table = self.parameters_of_tables()
        hard = torch.where(self.boolean(), 1.0, -1.0)
        if self.options.relaxation == "hard":
            return _HardTables.apply(bipolar, table, scores, self.wiring, self.difference, hard)
        table = table + self.hardness * (hard - table).detach()
        return _multilinear(_SelectPins.apply(bipolar, scores, self.wiring), table)

    def codes(self, x: Tensor) -> Tensor:
        self.check_columns(x)
        bits = self.source.codes(x).t().contiguous()
        table = self.boolean().long()
        address = torch.zeros((self.out_features, len(x)), dtype=torch.int64, device=x.device)
        for pin in range(self.n_pins):
            address += bits[self.wiring[:, pin]] << pin
        return table.gather(1, address).t()

    def tables(self) -> list[TruthTable]:
        """One truth table a function: K operands of one bit, pin 0 least significant."""
        return [TruthTable((1,) * self.n_pins, 1, row) for row in self.boolean().cpu().numpy().astype(np.uint8)]

    def lower(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        return [
            wires.lut(*_without_repeats(table, [rows[i] for i in pins]))
            for table, pins in zip(self.tables(), self.wiring.tolist(), strict=True)
        ]

    def penalty(self) -> Tensor:
        """``spectral_weight`` times the mean total influence ``sum_S |S| * c_S**2`` of the tables' Walsh coefficients.

        A function with little influence changes rarely when an input flips. DWN penalises all coefficients alike
        (Bacellar et al., Sec. 3.5), which by Parseval's theorem is a weight decay of the entries.
        """
        if self.options.spectral_weight == 0:
            return super().penalty()
        degrees = torch.tensor([bin(s).count("1") for s in range(1 << self.n_pins)], device=self.wiring.device)
        spectrum = walsh_spectrum(self.parameters_of_tables())
        return self.options.spectral_weight * (spectrum.square() * degrees).sum(dim=1).mean()

    def cost(self, device: Device) -> Tensor:
        """The closed form: contents and wiring do not change it."""
        return torch.tensor(float(self.lut_cost(device)), device=self.wiring.device)

    def summary(self, name: str, device: Device) -> LayerCost:
        return LayerCost(
            name=name,
            kind=type(self).__name__,
            n_neurons=self.out_features,
            address_bits=self.n_pins,
            out_bits=1,
            n_entries=self.out_features << self.n_pins,
            n_luts=self.out_features * table_luts(self.n_pins, 1, device),
        )

    def extra_repr(self) -> str:
        mapping = "learned" if self.scores is not None else "fixed"
        return f"{self.in_features} -> {self.out_features}, {self.n_pins} pins, {mapping} mapping"

    def _bipolar(self, x: Tensor) -> Tensor:
        low, high = self.source.value_table()[0].tolist() if self.source.channels == 1 else (None, None)
        if (low, high) == (-1.0, 1.0):
            return x
        levels = self.source.value_table().to(x)
        return (2.0 * x - levels[:, 0] - levels[:, 1]) / (levels[:, 1] - levels[:, 0])

    def _new_scores(self) -> nn.Parameter:
        n_scores = self.n_pins * self.out_features * self.in_features
        if n_scores > MAX_SCORES:
            raise UserError(
                f"a learned mapping of {self.out_features} functions of {self.n_pins} inputs over {self.in_features} "
                f"bits has {n_scores:,} scores, more than {MAX_SCORES:,}; choose mapping = 'random'"
            )
        scores = nn.Parameter(torch.randn(self.n_pins * self.out_features, self.in_features) * 0.01)
        scores.no_decay = True
        scores.lr_scale = self.options.mapping_lr_scale
        return scores

    def _first_wiring(self, wiring: npt.ArrayLike | None, seed: int) -> Tensor:
        if self.scores is not None:
            return self.scores.detach().argmax(dim=1).view(self.n_pins, -1).t().contiguous()
        if wiring is None:
            drawn = random_wiring(self.in_features, self.out_features, self.n_pins, seed)
            order = np.random.default_rng(seed).permuted(drawn, axis=1)
            return torch.from_numpy(order)
        found = np.asarray(wiring)
        if found.shape != (self.out_features, self.n_pins) or found.dtype.kind not in "iu":
            raise UserError(
                f"a wiring is an integer array of shape ({self.out_features}, {self.n_pins}), got {found.dtype} of "
                f"shape {found.shape}"
            )
        if found.min() < 0 or found.max() >= self.in_features:
            raise UserError(f"a wiring names inputs 0 to {self.in_features - 1}, got {found.min()} to {found.max()}")
        return torch.from_numpy(found.astype(np.int64))


class _HardTables(torch.autograd.Function):
    """Boolean tables read at hard bits, with the gradients of DWN.

    The gradient to the inputs is the extended finite difference (Bacellar et al., Eq. 4-5). With D the product of the
    tables and a constant matrix it is a lookup in D at the same address. The gradient to the scores of a learned
    mapping is that of the product of scores and inputs (straight through the choice of the largest).
    """

    @staticmethod
    def forward(ctx, x, table, scores, wiring, difference, hard):  # type: ignore[no-untyped-def]
        n_pins = wiring.shape[1]
        bits = (x.t() > 0).to(torch.uint8).contiguous()
        address = torch.zeros((len(wiring), x.shape[0]), dtype=torch.uint8, device=x.device)
        for pin in range(n_pins):
            address += bits.index_select(0, wiring[:, pin]) << pin
        index = address.long()
        ctx.save_for_backward(x if scores is not None else None, table, wiring, index, difference)
        ctx.n_inputs = x.shape[1]
        return hard.gather(1, index).t().contiguous()

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        x, table, wiring, index, difference = ctx.saved_tensors
        needs_x, needs_table, needs_scores = ctx.needs_input_grad[:3]
        n_pins = wiring.shape[1]
        g = grad.t().contiguous()
        to_table = torch.zeros_like(table).scatter_add_(1, index, g) if needs_table else None
        if not (needs_x or (needs_scores and x is not None)):
            return None, to_table, None, None, None, None
        slopes = (table @ difference).view(len(wiring), n_pins, -1)
        pins = torch.stack([slopes[:, pin].gather(1, index).mul_(g) for pin in range(n_pins)])
        return _to_inputs(ctx, pins, x, wiring, needs_x), to_table, _to_scores(pins, x), None, None, None


class _SelectPins(torch.autograd.Function):
    """The inputs of all pins, shape ``(K, out_features, batch)``, with the gradient of a learned mapping."""

    @staticmethod
    def forward(ctx, x, scores, wiring):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x if scores is not None else None, wiring)
        ctx.n_inputs = x.shape[1]
        columns = x.t().contiguous()
        return columns.index_select(0, wiring.t().reshape(-1)).view(wiring.shape[1], len(wiring), -1)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        x, wiring = ctx.saved_tensors
        return _to_inputs(ctx, grad, x, wiring, ctx.needs_input_grad[0]), _to_scores(grad, x), None


def _to_inputs(ctx, pins: Tensor, x: Tensor | None, wiring: Tensor, needed: bool) -> Tensor | None:  # type: ignore[no-untyped-def]
    if not needed:
        return None
    total = torch.zeros((ctx.n_inputs, pins.shape[2]), dtype=pins.dtype, device=pins.device)
    return total.index_add_(0, wiring.t().reshape(-1), pins.flatten(0, 1)).t()


def _to_scores(pins: Tensor, x: Tensor | None) -> Tensor | None:
    return None if x is None else pins.flatten(0, 1) @ x


def _multilinear(pins: Tensor, table: Tensor) -> Tensor:
    """The multilinear extension of tables.

    Args:
        pins: Inputs between -1 and +1, shape ``(K, n, batch)``.
        table: Values at the corners, shape ``(n, 2**K)``.

    Returns:
        Shape ``(batch, n)``.
    """
    values = table[:, None, :]
    for pin in reversed(range(len(pins))):
        half = values.shape[2] // 2
        up = (pins[pin][:, :, None] + 1.0) / 2.0
        values = values[..., :half] + up * (values[..., half:] - values[..., :half])
    return values[..., 0].t().contiguous()


def _without_repeats(table: TruthTable, operands: list[int]) -> tuple[TruthTable, list[int]]:
    """The table over the different operands only: pins may read the same bit."""
    kept = sorted(set(operands), key=operands.index)
    if len(kept) == len(operands):
        return table, operands
    address = np.arange(1 << len(kept))
    full = np.zeros_like(address)
    for pin, row in enumerate(operands):
        full |= (address >> kept.index(row) & 1) << pin
    return TruthTable((1,) * len(kept), 1, table.codes[full]), kept


def _check_loaded(layer: DifferentiableLut, _: object) -> None:
    if int(layer.wiring.min()) < 0 or int(layer.wiring.max()) >= layer.in_features:
        raise UserError(
            f"the checkpoint's wiring names inputs {int(layer.wiring.min())} to {int(layer.wiring.max())}, the layer has "
            f"{layer.in_features}; it is of another network or damaged"
        )
