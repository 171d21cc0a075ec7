"""What the tables of Boolean functions are made of: entries, Walsh coefficients, or a choice of gates.

Every parametrisation makes real tables t of shape ``(n, 2**K)``, entry a at the address whose bit k is pin k, and says
which Boolean tables they stand for. Boolean tables are made of comparisons and additions in a fixed order only, so that
they are the same everywhere.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from lutnet.nn.options import DifferentiableOptions

__all__ = [
    "EntryTables",
    "GateTables",
    "TableParameters",
    "WalshTables",
    "difference_matrix",
    "make_parameters",
    "walsh_spectrum",
    "walsh_table",
]


class TableParameters(nn.Module, ABC):
    """Base of all parametrisations."""

    @abstractmethod
    def forward(self) -> Tensor:
        """The real tables, float32 with gradient, shape ``(n, 2**K)``."""

    @abstractmethod
    def boolean(self) -> Tensor:
        """The Boolean tables, bool, same shape; exact."""

    def clip(self) -> None:
        """Called after every step of the optimiser; keeps entries within -1 to 1 where they are the parameters."""


class EntryTables(TableParameters):
    """The entries are the parameters, within -1 to 1 (Bacellar et al., ICML 2024, Sec. 3.1)."""

    def __init__(self, first: Tensor) -> None:
        super().__init__()
        self.entries = nn.Parameter(first.clone())
        self.entries.no_decay = True

    def forward(self) -> Tensor:
        return self.entries * 1.0

    def boolean(self) -> Tensor:
        return self.entries.detach() > 0

    @torch.no_grad()
    def clip(self) -> None:
        self.entries.clamp_(-1.0, 1.0)


class WalshTables(TableParameters):
    """Coefficients of the Walsh functions ``prod_{k in S} x_k``, x = -1 or +1: the WARP parametrisation.

    Gerlach et al., "WARP-LUTs", 2025 (arXiv 2510.15655): ``2**K`` coefficients in place of ``2**(2**K)`` gate logits.
    """

    def __init__(self, first: Tensor) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(walsh_spectrum(first))
        self.coefficients.no_decay = True

    def forward(self) -> Tensor:
        return walsh_table(self.coefficients)

    def boolean(self) -> Tensor:
        return walsh_table(self.coefficients.detach().double()) > 0


class GateTables(TableParameters):
    """A softmax over the 16 gates of two inputs (Petersen et al., NeurIPS 2022, Eq. 1); hardware takes the likeliest.

    Gate g has the Boolean table with entry a equal to bit a of g.
    """

    gates: Tensor

    def __init__(self, first: Tensor) -> None:
        super().__init__()
        codes = torch.arange(16)
        bits = (codes[:, None] >> torch.arange(4)) & 1
        self.register_buffer("gates", bits.float() * 2.0 - 1.0, persistent=False)
        self.logits = nn.Parameter(first @ self.gates.t())
        self.logits.no_decay = True

    def forward(self) -> Tensor:
        return torch.softmax(self.logits, dim=1) @ self.gates

    def boolean(self) -> Tensor:
        return self.gates[self.logits.detach().argmax(dim=1)] > 0


def make_parameters(options: DifferentiableOptions, n_functions: int) -> TableParameters:
    """Fresh tables from torch's global generator.

    ``init = "uniform"``: entries uniform in -1 to 1. ``init = "residual"``: every function starts close to handing on
    its pin 0, so that deep networks start as the identity.
    """
    n_entries = 1 << options.lut_inputs
    first = torch.rand(n_functions, n_entries) * 2.0 - 1.0
    if options.init == "residual":
        passed = (torch.arange(n_entries) & 1).float() * 2.0 - 1.0
        first = 0.75 * passed + 0.25 * first
    kinds: dict[str, type[EntryTables] | type[WalshTables] | type[GateTables]] = {
        "entries": EntryTables,
        "walsh": WalshTables,
        "gates": GateTables,
    }
    return kinds[options.parametrization](first)


def walsh_spectrum(table: Tensor) -> Tensor:
    """Coefficients ``c[s] = mean over a of table[a] * prod_{k in s} x_k(a)``, x_k = +1 where bit k of a is set, else -1.

    Along the last dimension of ``2**K`` numbers, by butterflies in a fixed order.
    """
    return _butterflies(table, lambda low, high: ((high + low) / 2.0, (high - low) / 2.0))


def walsh_table(coefficients: Tensor) -> Tensor:
    """The table ``t[a] = sum_s c[s] * prod_{k in s} x_k(a)``: the inverse of :func:`walsh_spectrum`."""
    return _butterflies(coefficients, lambda even, odd: (even - odd, even + odd))


def _butterflies(x: Tensor, pair: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    half = 1
    while half < x.shape[-1]:
        pairs = x.reshape(*x.shape[:-1], -1, 2, half)
        x = torch.stack(pair(pairs[..., 0, :], pairs[..., 1, :]), dim=-2).reshape(x.shape)
        half *= 2
    return x


def difference_matrix(n_pins: int, decay: float) -> Tensor:
    """The constant matrix M of the extended finite difference, shape ``(2**K, K * 2**K)``.

    ``(t @ M)[k * 2**K + a]`` is the slope of table t at address a towards pin k: the sum over all addresses b of
    ``+-t[b] * decay**h(a, b) / (1 + decay)**(K - 1) / 2``, plus where bit k of b is set, h the number of differing bits
    other than k. Bacellar et al., ICML 2024, Eq. 4-5, with decay 1/3, for which their factor ``0.75**(K - 1)`` is ours;
    decay 0 is the plain finite difference, which is the derivative of the multilinear extension at a corner.
    """
    addresses = torch.arange(1 << n_pins)
    differs = addresses[:, None] ^ addresses[None, :]
    blocks = []
    for pin in range(n_pins):
        others = differs & ~(1 << pin)
        distance = sum(((others >> k) & 1).float() for k in range(n_pins))
        sign = ((addresses >> pin) & 1).float() * 2.0 - 1.0
        weight = torch.where(distance == 0, torch.ones(()), torch.tensor(float(decay)) ** distance)
        blocks.append(sign[:, None] * weight * 0.5 / (1.0 + decay) ** (n_pins - 1))
    return torch.cat(blocks, dim=1)
