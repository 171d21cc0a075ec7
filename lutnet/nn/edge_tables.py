"""Edge functions: one real function of one quantised input for every pair of input and neuron.

All parametrisations give the functions at the levels of the inputs, in the unit of the neuron's integer sum, as one
tensor of shape ``(in_features, n_levels, out_features)``; level 0 is the smallest value of an input.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from lutnet.errors import UserError
from lutnet.nn.edge_options import AdditiveOptions

__all__ = [
    "EDGE_TABLES",
    "EdgeTables",
    "EntryTables",
    "InputLevels",
    "LookUp",
    "PerceptronTables",
    "SplineTables",
    "make_edge_tables",
]


class EdgeTables(nn.Module, ABC):
    """Base of the parametrisations.

    Attributes:
        in_features: Inputs.
        n_levels: Levels of the widest input.
        out_features: Neurons.
    """

    def __init__(self, in_features: int, n_levels: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.n_levels, self.out_features = in_features, n_levels, out_features

    @abstractmethod
    def forward(self) -> Tensor:
        """The functions at every level, float, shape ``(in_features, n_levels, out_features)``."""

    def _grid(self) -> Tensor:
        """Levels as numbers from -1 to 1, shape ``(n_levels,)``."""
        return torch.linspace(-1.0, 1.0, self.n_levels)


class EntryTables(EdgeTables):
    """The entries themselves are learned; they begin as smooth random functions.

    Attributes:
        entries: Parameter, shape ``(in_features, n_levels, out_features)``.
    """

    def __init__(
        self, in_features: int, n_levels: int, out_features: int, amplitude: float, options: AdditiveOptions
    ) -> None:
        super().__init__(in_features, n_levels, out_features)
        shapes = torch.stack([f(self._grid()) for f in _SHAPES])
        weights = torch.randn(in_features, len(_SHAPES), out_features)
        self.entries = nn.Parameter(amplitude * torch.einsum("iso,sn->ino", weights, shapes))
        _mark(self.entries, options.lr_scale)

    def forward(self) -> Tensor:
        return self.entries


class SplineTables(EdgeTables):
    """``w * silu(t) + B-spline(t)`` of the level ``t``, from -1 to 1: the edges of KAN and KANELÉ.

    Liu et al., "KAN: Kolmogorov-Arnold networks", 2024 (arXiv 2404.19756), Eq. 2.10-2.12. Deviation: uniform knots over
    the levels, and the scale of the spline is part of its coefficients.

    Attributes:
        coefficients: Parameter, shape ``(in_features, cells + degree, out_features)``.
        slope: Parameter w, shape ``(in_features, 1, out_features)``.
    """

    basis: Tensor
    activation: Tensor

    def __init__(
        self, in_features: int, n_levels: int, out_features: int, amplitude: float, options: AdditiveOptions
    ) -> None:
        super().__init__(in_features, n_levels, out_features)
        basis = bspline_basis(self._grid(), options.spline_cells, options.spline_degree)
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("activation", nn.functional.silu(4 * self._grid())[:, None], persistent=False)
        self.coefficients = nn.Parameter(0.3 * amplitude * torch.randn(in_features, basis.shape[1], out_features))
        self.slope = nn.Parameter(0.5 * amplitude * torch.randn(in_features, 1, out_features))
        _mark(self.coefficients, options.lr_scale)
        _mark(self.slope, options.lr_scale)

    def forward(self) -> Tensor:
        return torch.einsum("nb,ibo->ino", self.basis, self.coefficients) + self.activation * self.slope


class PerceptronTables(EdgeTables):
    """A perceptron with one hidden layer of tanh units on every edge: HGQ-LUT.

    Sun et al., HGQ-LUT: an edge is a one-input perceptron with 8 tanh units. Deviation: the output is scaled to the
    integers of the sum by a constant.

    Attributes:
        steepness: Parameter, shape ``(in_features, units, out_features)``; ``shift`` likewise.
        weight: Parameter, shape ``(in_features, units, out_features)``.
    """

    grid: Tensor

    def __init__(
        self, in_features: int, n_levels: int, out_features: int, amplitude: float, options: AdditiveOptions
    ) -> None:
        super().__init__(in_features, n_levels, out_features)
        units = options.mlp_units
        self.register_buffer("grid", self._grid()[None, :, None, None], persistent=False)
        self.amplitude = amplitude
        self.steepness = nn.Parameter(2.0 * torch.randn(in_features, units, out_features))
        self.shift = nn.Parameter(torch.randn(in_features, units, out_features))
        self.weight = nn.Parameter(2.0 * units**-0.5 * torch.randn(in_features, units, out_features))
        for parameter, share in ((self.steepness, 0.1), (self.shift, 0.1), (self.weight, 0.1)):
            _mark(parameter, max(1.0, share * options.lr_scale))

    def forward(self) -> Tensor:
        hidden = torch.tanh(self.grid * self.steepness[:, None] + self.shift[:, None])
        return self.amplitude * (hidden * self.weight[:, None]).sum(dim=2)


EDGE_TABLES: Mapping[str, type[EntryTables | SplineTables | PerceptronTables]] = MappingProxyType(
    {"entries": EntryTables, "perceptron": PerceptronTables, "spline": SplineTables}
)
"""Parametrisations by the name that configurations use."""


def make_edge_tables(
    in_features: int, n_levels: int, out_features: int, amplitude: float, options: AdditiveOptions
) -> EdgeTables:
    """Edge functions with random first weights from torch's global generator.

    Args:
        in_features: Inputs.
        n_levels: Levels of the widest input.
        out_features: Neurons.
        amplitude: Typical size of the functions at the start, in integers of the sum.
        options: Names the parametrisation.

    Raises:
        UserError: There is no parametrisation of that name.
    """
    if options.parametrization not in EDGE_TABLES:
        raise UserError(
            f"model.additive.parametrization is one of {', '.join(EDGE_TABLES)}, got '{options.parametrization}'"
        )
    return EDGE_TABLES[options.parametrization](in_features, n_levels, out_features, amplitude, options)


def bspline_basis(points: Tensor, cells: int, degree: int) -> Tensor:
    """B-splines on uniform knots over -1 to 1 by the recursion of Cox and de Boor, shape ``(n, cells + degree)``."""
    width = 2.0 / cells
    knots = -1.0 + width * torch.arange(-degree, cells + degree + 1, dtype=torch.float64)
    inside = points.double().clamp(-1.0, 1.0 - 1e-9)[:, None]
    basis = ((inside >= knots[:-1]) & (inside < knots[1:])).double()
    for d in range(1, degree + 1):
        rising = (inside - knots[: -d - 1]) / (d * width)
        falling = (knots[d + 1 :] - inside) / (d * width)
        basis = rising * basis[:, :-1] + falling * basis[:, 1:]
    return basis.float()


class InputLevels:
    """Which level a value is: the distinct values of each input in ascending order.

    Attributes:
        values: Distinct values, ascending, float64, shape ``(1 or in_features, n_levels)``; a row that has fewer goes on
            with infinity.
        counts: Levels of each row, int64, shape ``(rows, 1)``.
        table: Value of each code, float64, that all this was made from.
        spacing: Distance of the levels of each row, shape ``(rows,)``, where they are equally spaced in all of them; else
            ``None``.
    """

    def __init__(self, table: Tensor) -> None:
        """Read the value of each code, shape ``(1 or in_features, n_codes)``."""
        table = table.detach().double().clone()
        ordered = table.sort(dim=1).values
        repeated = torch.zeros_like(ordered, dtype=torch.bool)
        repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
        self.values = ordered.masked_fill(repeated, math.inf).sort(dim=1).values
        self.counts = (~repeated).sum(dim=1, keepdim=True)
        self.table = table
        self.spacing = self._spacing()

    def _spacing(self) -> Tensor | None:
        low = self.values[:, :1]
        high = self.values.gather(1, self.counts - 1)
        step = torch.where(high > low, (high - low) / (self.counts - 1).clamp_min(1), 1.0)
        ideal = low + step * torch.arange(self.values.shape[1], device=low.device)
        off = (self.values - ideal).abs().masked_fill(~self.values.isfinite(), 0.0)
        return step[:, 0] if bool((off <= 1e-3 * step).all()) else None

    def indices(self, x: Tensor) -> Tensor:
        """Level of each value, int64, shape of ``x``; the nearest one where arithmetic has left a value between two."""
        if self.spacing is not None:
            place = ((x.detach() - self.values[:, 0].to(x.dtype)) / self.spacing.to(x.dtype)).round()
            return place.clamp_min(0).minimum(self.counts[:, 0].to(x.dtype) - 1).to(torch.int64)
        middles = ((self.values[:, 1:] + self.values[:, :-1]) / 2).to(x.dtype).contiguous()
        columns = x.detach().t().contiguous()
        return torch.searchsorted(middles[0] if len(middles) == 1 else middles, columns).t()

    def of_codes(self) -> Tensor:
        """Level of each code, int64, shape ``(1 or in_features, n_codes)``."""
        return torch.searchsorted(self.values.contiguous(), self.table.contiguous())

    def reached(self, tables: Tensor) -> Tensor:
        """Tables with the entries of levels that no code stands for replaced by others; shape of ``tables``."""
        codes = self.of_codes().expand(len(tables), -1)
        return tables.gather(1, codes[..., None].expand_as(tables))

    def slopes(self, tables: Tensor) -> Tensor:
        """Rise of the functions per unit of value at each level, from the neighbours; shape of ``tables``."""
        last = self.counts - 1
        place = torch.arange(tables.shape[1], device=tables.device)[None]
        above, below = torch.minimum(place + 1, last), torch.minimum((place - 1).clamp_min(0), last)
        run = self.values.gather(1, above) - self.values.gather(1, below)
        run = torch.where(run > 0, run, math.inf).to(tables)
        index = [i.expand(len(tables), -1)[..., None].expand_as(tables) for i in (above, below)]
        return (tables.gather(1, index[0]) - tables.gather(1, index[1])) / run[..., None]


class LookUp(torch.autograd.Function):
    """Sums of table rows: ``embedding_bag`` with a backward pass that adds in place, four times as fast on a CPU."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, table: Tensor) -> Tensor:
        """Sums, shape ``(batch, n)``, of the rows, int64 ``(batch, k)``, of a table ``(n_rows, n)``."""
        ctx.save_for_backward(rows)
        ctx.n_rows = len(table)
        return nn.functional.embedding_bag(rows, table, mode="sum")

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        """Every row of the table receives the gradient of every sum that it is in."""
        (rows,) = ctx.saved_tensors
        out = grad.new_zeros((ctx.n_rows, grad.shape[1]))
        return None, out.index_add_(0, rows.reshape(-1), grad.repeat_interleave(rows.shape[1], dim=0))


def _mark(parameter: nn.Parameter, lr_scale: float) -> None:
    """Set what the trainer reads: a learning rate of its own, and no decay towards zero."""
    parameter.lr_scale = lr_scale  # type: ignore[attr-defined]
    parameter.no_decay = True  # type: ignore[attr-defined]


def _line(t: Tensor) -> Tensor:
    return t


def _bowl(t: Tensor) -> Tensor:
    return 0.5 * (t * t - 0.4)


def _wave(t: Tensor) -> Tensor:
    return 0.5 * torch.sin(3 * t)


_SHAPES = (_line, _bowl, _wave)
