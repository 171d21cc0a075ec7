"""Thermometer codes: a feature becomes bits, each of which says whether the feature reaches a threshold.

The bits are comparisons of the feature's fixed-point code with constants, and part of the network: they become
``threshold`` nodes of the netlist, equal ones are shared, unread ones pruned, and every count of lookup tables has them
in it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lutnet.cost import Device, threshold_luts
from lutnet.errors import UserError
from lutnet.formats import Format
from lutnet.nn.cost import LayerCost
from lutnet.nn.inputs import InputQuantizer
from lutnet.nn.layer import Layer
from lutnet.nn.levels import FixedQuantizer
from lutnet.nn.options import THERMOMETERS
from lutnet.nn.wires import Wires

__all__ = ["BIPOLAR", "Thermometer"]

BIPOLAR = Format(1, False, 2.0, -1.0)
"""One bit: code 0 stands for -1 and code 1 for +1."""

MAX_BITS = 1 << 22


class Thermometer(Layer):
    """Bit ``i * n_thresholds + j`` is +1 where feature i reaches its threshold j, and -1 elsewhere.

    Thresholds are positions in units of the source's codes: position p stands for ``code >= round(p)``. Learned ones
    get the gradient of a ramp of ``2 * ramp`` codes around the threshold, a straight-through estimator.

    Attributes:
        positions: Parameter when learned, otherwise buffer, shape ``(n_features, n_thresholds)``, float32, 1 to
            ``2**bits - 1`` of the feature.
        ramp: Half width of the ramp in codes.
    """

    def __init__(
        self, source: InputQuantizer, n_features: int, n_thresholds: int, *, learned: bool = False, ramp: float = 4.0
    ) -> None:
        """Make a layer with equally spaced thresholds; :meth:`fit` moves them to the data.

        Args:
            source: The input quantiser.
            n_features: Number of its features.
            n_thresholds: Thresholds of every feature, at least 1.
            learned: Whether training moves the thresholds.
            ramp: Half width of the ramp of learned thresholds, in codes, positive.

        Raises:
            UserError: The source makes no codes of raw features, or a number is out of range.
        """
        if not isinstance(source, InputQuantizer):
            raise UserError(
                f"a thermometer reads the codes of raw features, got a {type(source).__name__}; put it right behind "
                "the input quantiser"
            )
        if n_thresholds < 1 or ramp <= 0:
            raise UserError(
                f"a thermometer needs at least 1 threshold a feature and a positive ramp, got {n_thresholds} and {ramp}"
            )
        if n_features * n_thresholds > MAX_BITS:
            raise UserError(
                f"a thermometer of {n_features} x {n_thresholds} = {n_features * n_thresholds:,} bits exceeds "
                f"{MAX_BITS:,}; lower the number of thresholds"
            )
        super().__init__(source, n_features, n_features * n_thresholds, FixedQuantizer(BIPOLAR))
        self.ramp = ramp
        even = torch.arange(1, n_thresholds + 1) / (n_thresholds + 1)
        positions = (self._top()[:, None] + 1) * even
        if learned:
            self.positions = nn.Parameter(positions)
            self.positions.no_decay = True
        else:
            self.register_buffer("positions", positions)
        self.after_step()

    @property
    def n_thresholds(self) -> int:
        """Thresholds of a feature."""
        return self.positions.shape[1]

    @torch.no_grad()
    def fit(self, kind: str, x: npt.ArrayLike | Tensor) -> Thermometer:
        """Moves the thresholds to training data.

        Args:
            kind: ``"uniform"``: equally spaced over the codes. ``"quantile"``: between them lie equally many training
                values ("distributive", Bacellar et al., "Differentiable weightless neural networks", ICML 2024, Sec.
                3.4). ``"gaussian"``: the same for the normal distribution with the feature's mean and spread.
            x: Raw features, shape ``(n, n_features)``, finite.

        Returns:
            The layer itself.

        Raises:
            UserError: The kind is unknown or the data do not fit.
        """
        if kind not in THERMOMETERS:
            raise UserError(f"thermometer thresholds are one of {', '.join(THERMOMETERS)}, got '{kind}'")
        even = torch.arange(1, self.n_thresholds + 1).double() / (self.n_thresholds + 1)
        if kind == "uniform":
            found = (self._top()[:, None] + 1) * even
        else:
            codes = self.source.codes(torch.as_tensor(np.asarray(x))).double()
            if kind == "quantile":
                found = torch.from_numpy(np.quantile(codes.numpy(), even.numpy(), axis=0)).t()
            else:
                spread = codes.std(dim=0, unbiased=False)[:, None]
                found = codes.mean(dim=0)[:, None] + spread * torch.special.ndtri(even)
        self.positions.copy_(found)
        self.after_step()
        return self

    @torch.no_grad()
    def read_from(self, other: Thermometer) -> None:
        """Takes the thresholds of a thermometer over another precision: the nearest ones that its own codes can state.

        Args:
            other: A thermometer of as many features and thresholds.
        """
        theirs, ours = other.source.thresholds.numpy(), self.source.thresholds.numpy()
        cuts = other.cuts().numpy()
        for feature, top in enumerate(self._top().long().tolist()):
            raw = theirs[feature][cuts[feature] - 1]
            distance = np.abs(ours[feature, :top, None] - raw[None])
            self.positions[feature] = torch.from_numpy(distance.argmin(axis=0) + 1.0)

    def cuts(self) -> Tensor:
        """The smallest code that reaches each threshold, int64, shape ``(n_features, n_thresholds)``.

        Codes of one value are not told apart: a threshold between them stands at the first of them, and at 0 where no
        code has a smaller value.
        """
        top = self._top().to(self.positions.device)[:, None]
        cuts = torch.minimum(self.positions.detach().round().clamp_min(1), top).long()
        levels = self.source.value_table().to(cuts.device)
        return torch.searchsorted(levels, levels.gather(1, cuts))

    def after_step(self) -> None:
        """Keeps the positions within the codes of their feature."""
        top = self._top().to(self.positions.device)[:, None]
        self.positions.data.clamp_(min=1.0).copy_(torch.minimum(self.positions.data, top))

    def respond_training(self, x: Tensor) -> Tensor:
        at, step = self._crossings(x)
        hard = (x[:, :, None] >= at).float() * 2.0 - 1.0
        if not (x.requires_grad or self.positions.requires_grad):
            return hard.flatten(1)
        moved = at + (self.positions - self.positions.detach()) * step
        soft = ((x[:, :, None] - moved) / (self.ramp * step)).clamp(-1.0, 1.0)
        return (soft + (hard - soft).detach()).flatten(1)

    def codes(self, x: Tensor) -> Tensor:
        self.check_columns(x)
        at, _ = self._crossings(x.detach().double())
        return (x.detach().double()[:, :, None] >= at).long().flatten(1)

    def lower(self, wires: Wires, rows: Sequence[int]) -> list[int]:
        return [
            wires.threshold(row, cut) if cut else wires.const(1, 1)
            for row, cuts in zip(rows, self.cuts().tolist(), strict=True)
            for cut in cuts
        ]

    def cost(self, device: Device) -> Tensor:
        """The closed form: which bits are read is the business of the layer behind."""
        return torch.tensor(float(self.lut_cost(device)), device=self.positions.device)

    def summary(self, name: str, device: Device) -> LayerCost:
        bits = self.source.feature_bits(self.in_features).tolist()
        cuts = [set(row) for row in self.cuts().tolist()]
        return LayerCost(
            name=name,
            kind=type(self).__name__,
            n_neurons=sum(map(len, cuts)),
            address_bits=max(bits),
            out_bits=1,
            n_entries=0,
            n_luts=sum(
                threshold_luts(width, device, cut) for width, row in zip(bits, cuts, strict=True) for cut in row
            ),
        )

    def extra_repr(self) -> str:
        return f"{self.in_features} features x {self.n_thresholds} thresholds"

    def _crossings(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Half way between the values to either side of each threshold, and their distance, in the type of ``x``."""
        levels, cuts = self.source.value_table().to(x.device), self.cuts().to(x.device)
        above, below = levels.gather(1, cuts), levels.gather(1, (cuts - 1).clamp_min(0))
        below = torch.where(cuts > 0, below, above - 1.0)
        return ((above + below) / 2).to(x.dtype), (above - below).to(x.dtype)

    def _top(self) -> Tensor:
        return torch.from_numpy(2.0 ** self.source.feature_bits(self.in_features) - 1).float()
