"""Settings of families whose tables hide more than a weighted sum, as frozen data; nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from lutnet.errors import UserError
from lutnet.nn.options import one_of

__all__ = ["AdderOptions", "AssembleOptions", "PolynomialOptions", "SubnetOptions"]


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


@dataclass(frozen=True)
class SubnetOptions:
    """Small networks inside tables: ``[model.subnet]``.

    Attributes:
        width: N, units of each hidden layer of a neuron.
        depth: L, affine layers of a neuron, the one that makes its result included; 1 gives a weighted sum.
        skip: S, layers that a skip connection bridges, a divisor of the depth; 0 for no skip connections.
        batch_norm: Whether the result is normalised over the batch; a bias takes its place otherwise.
    """

    width: int = 16
    depth: int = 4
    skip: int = 2
    batch_norm: bool = True

    def __post_init__(self) -> None:
        where = "model.subnet"
        if not (1 <= self.width <= 256 and 1 <= self.depth <= 16):
            raise UserError(f"{where}.width is 1 to 256 and depth 1 to 16, got {self.width} and {self.depth}")
        if self.skip < 0 or (self.skip and self.depth % self.skip):
            raise UserError(
                f"{where}.skip cuts depth into blocks of equal length, or is 0, got {self.skip} for a depth of {self.depth}"
            )


@dataclass(frozen=True)
class AdderOptions:
    """Polynomials joined by an adder: ``[model.adder]``; the fan-ins of ``[model]`` are those of one term.

    Attributes:
        terms: A, polynomials of a neuron, 2 to 8.
        degree: D, most factors of a monomial, 1 to 8; 1 gives weighted sums.
        inner_bits: Bits of the result of a term; 0 for one more than the neuron's code has.
        join: ``"table"`` for a table of the codes of the terms, ``"sum"`` for an adder and a table of its result. Both have the same
            function.
    """

    terms: int = 2
    degree: int = 1
    inner_bits: int = 0
    join: str = "table"

    def __post_init__(self) -> None:
        where = "model.adder"
        one_of(f"{where}.join", self.join, ("table", "sum"))
        if not 2 <= self.terms <= 8:
            raise UserError(f"{where}.terms is 2 to 8, got {self.terms}; one term is the family 'polynomial'")
        if not 1 <= self.degree <= 8:
            raise UserError(f"{where}.degree is 1 to 8, got {self.degree}")
        if self.inner_bits and not 2 <= self.inner_bits <= 16:
            raise UserError(f"{where}.inner_bits is 2 to 16, or 0, got {self.inner_bits}")


@dataclass(frozen=True)
class AssembleOptions:
    """Trees of small tables: ``[model.assemble]``; sizes, fan-ins and bits of all levels are those of ``[model]``.

    Attributes:
        levels: For each layer, the output layer last: 0 for neurons that have a wiring, 1 for a level of a tree, whose neurons join
            neighbouring neurons of the layer before. All 0 when empty.
        width: Units of each hidden layer of a table.
        depth: Affine layers of a table, the one that makes its result included; 1 gives weighted sums.
        skip: Whether every table has a linear path besides, so that one runs from a tree's leaves to its root.
        inner: Quantiser inside trees, a key of ``lutnet.nn.QUANTIZERS``; one with a sign, as nothing is rectified there.
    """

    levels: tuple[int, ...] = ()
    width: int = 16
    depth: int = 2
    skip: bool = True
    inner: str = "hard-tanh"

    def __post_init__(self) -> None:
        where = "model.assemble"
        if any(flag not in (0, 1) for flag in self.levels) or (self.levels and self.levels[0]):
            raise UserError(
                f"{where}.levels has a 0 for each layer with a wiring and a 1 for each that joins the neurons before it, and begins "
                f"with 0, got {list(self.levels)}"
            )
        if not (1 <= self.width <= 256 and 1 <= self.depth <= 16):
            raise UserError(f"{where}.width is 1 to 256 and depth 1 to 16, got {self.width} and {self.depth}")

    def joins(self, layer: int) -> bool:
        """Whether a layer is a level of a tree above its leaves."""
        return 0 <= layer < len(self.levels) and self.levels[layer] == 1
