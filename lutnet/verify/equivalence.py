"""Comparing two netlists, or a netlist and anything that maps codes to codes, on many inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.errors import LutnetError, UserError
from lutnet.ir.netlist import Netlist
from lutnet.verify.vectors import make_vectors

__all__ = ["Comparison", "Counterexample", "check_equivalent", "check_ports", "compare_codes", "compare_netlists"]


@dataclass(frozen=True)
class Counterexample:
    """One input on which two sides differ: codes in port order."""

    inputs: tuple[int, ...]
    expected: tuple[int, ...]
    got: tuple[int, ...]

    def __str__(self) -> str:
        return f"input codes {list(self.inputs)}: expected {list(self.expected)}, got {list(self.got)}"


@dataclass(frozen=True)
class Comparison:
    """Result of a comparison.

    Attributes:
        n_vectors: Inputs tried.
        n_mismatches: Inputs on which the sides differ.
        exhaustive: Whether every input was tried.
        first: The first input on which they differ, if any.
    """

    n_vectors: int
    n_mismatches: int
    exhaustive: bool = False
    first: Counterexample | None = None

    @property
    def equal(self) -> bool:
        """Whether vectors were tried and no difference was found."""
        return self.n_vectors > 0 and self.n_mismatches == 0

    def __str__(self) -> str:
        how = "all" if self.exhaustive else ""
        return f"{how} {self.n_vectors} vectors, {self.n_mismatches} differ".strip()


def compare_codes(
    inputs: npt.NDArray[np.integer],
    expected: npt.NDArray[np.integer],
    got: npt.NDArray[np.integer],
    *,
    exhaustive: bool = False,
) -> Comparison:
    """Compares output codes row by row; arrays of shape ``(n, n_inputs)``, ``(n, n_outputs)`` and ``(n, n_outputs)``.

    Raises:
        UserError: Either side has another number of rows or columns: a lost sample is no match.
    """
    if expected.shape != got.shape or len(inputs) != len(expected):
        raise UserError(f"expected outputs of shape {expected.shape} for {len(inputs)} inputs, got {got.shape}")
    wrong = np.flatnonzero((expected != got).any(axis=1))
    first = None
    if len(wrong):
        row = int(wrong[0])
        first = Counterexample(*(tuple(int(v) for v in side[row]) for side in (inputs, expected, got)))
    return Comparison(len(expected), len(wrong), exhaustive, first)


def compare_netlists(
    reference: Netlist,
    candidate: Netlist | Callable[[npt.NDArray[np.int64]], npt.NDArray[np.int64]],
    *,
    n_random: int = 4096,
    seed: int = 0,
) -> Comparison:
    """Compares a netlist with another one, or with a function from input codes to output codes.

    Raises:
        UserError: The ports of two netlists differ.
    """
    if isinstance(candidate, Netlist):
        check_ports(reference, candidate)
    vectors = make_vectors(reference.input_widths, n_random=n_random, seed=seed)
    run = candidate.evaluate if isinstance(candidate, Netlist) else candidate
    return compare_codes(
        vectors.codes, reference.evaluate(vectors.codes), run(vectors.codes), exhaustive=vectors.exhaustive
    )


def check_equivalent(before: Netlist, after: Netlist) -> str:
    """The check to hand to :func:`lutnet.passes.run_passes`: says how many vectors agreed.

    Raises:
        LutnetError: The netlists differ; the message holds a counterexample.
    """
    result = compare_netlists(before, after)
    if not result.equal:
        raise LutnetError(
            f"the function changed on {result.n_mismatches} of {result.n_vectors} vectors, first {result.first}"
        )
    return str(result)


def check_ports(a: Netlist, b: Netlist) -> None:
    """Refuses two netlists whose ports differ in names or widths."""
    for kind in ("input_names", "input_widths", "output_names", "output_widths"):
        left, right = getattr(a, kind), getattr(b, kind)
        if left != right:
            place = next(
                (i for i, (x, y) in enumerate(zip(left, right, strict=False)) if x != y), min(len(left), len(right))
            )
            raise UserError(
                f"the netlists have different {kind.replace('_', ' ')}, from port {place} on: {_at(left, place)} and {_at(right, place)}"
            )


def _at(items: Sequence[object], place: int) -> str:
    return repr(items[place]) if place < len(items) else "nothing"
