"""Settings of families whose tables hide more than a weighted sum, as frozen data; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from lutnet.errors import UserError

__all__ = ["PolynomialOptions"]


@dataclass(frozen=True)
class PolynomialOptions:
    """Polynomials inside tables: ``[model.polynomial]``.

    Attributes:
        degree: D, most factors of a monomial, 1 to 8; 1 gives a weighted sum.
        batch_norm: Whether the polynomial is normalised over the batch; a bias takes its place otherwise.
    """

    degree: int = 2
    batch_norm: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.degree <= 8:
            raise UserError(f"model.polynomial.degree is 1 to 8, got {self.degree}")
