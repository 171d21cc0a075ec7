"""Comparing two netlists, or a netlist and anything that maps codes to codes, on many inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from lutnet.errors import LutnetError, UserError
from lutnet.ir.netlist import Netlist
from lutnet.tables import pack_address
from lutnet.verify.vectors import make_vectors

__all__ = [
    "Comparison",
    "Counterexample",
    "UncaredRead",
    "check_equivalent",
    "check_on_care",
    "check_ports",
    "compare_codes",
    "compare_netlists",
    "first_uncared",
    "on_care",
    "scrambled",
]

_CHUNK_CODES = 1 << 23


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
    """Compares a netlist with another one, or with a function from input codes to output codes, on all vectors.

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

    Care sets are held to their word: with other codes at all addresses that are not cared for, before or after, every vector must
    still give the same. Use :func:`check_on_care` where care sets come from samples.

    Raises:
        LutnetError: The netlists differ, or an output depends on a code that is not cared for; the message holds a counterexample.
    """
    check_ports(before, after)
    if before == after and all(table.care is None for table in before.tables):
        return "nothing changed"
    vectors = make_vectors(before.input_widths)
    expected = before.evaluate(vectors.codes)
    for which, net in (("before", before), ("after", after)):
        if any(table.care is not None for table in net.tables):
            result = compare_codes(vectors.codes, expected, scrambled(net).evaluate(vectors.codes))
            if not result.equal:
                raise LutnetError(
                    f"an output {which} the pass depends on a code that no care set has, {result.first}; care sets made "
                    "from samples need the check on the care set"
                )
    return _agreed(before, after, vectors.codes, vectors.exhaustive)


def scrambled(net: Netlist, seed: int = 0) -> Netlist:
    """The netlist with other codes, out of those that the table has elsewhere, at every address that is not cared for; a table of one
    code keeps it.
    """
    rng = np.random.default_rng(seed)
    tables = []
    for table in net.tables:
        if table.care is None or not table.care.any():
            tables.append(table)
        else:
            values = np.unique(table.codes[table.care])
            place = np.searchsorted(values, table.codes) + rng.integers(1, max(2, len(values)), table.n_entries)
            others = values[place % len(values)]
            tables.append(table.with_codes(np.where(table.care, table.codes, others)))
    return replace(net, tables=tuple(tables))


def check_on_care(before: Netlist, after: Netlist, samples: npt.NDArray[np.integer] | None = None) -> str:
    """Like :func:`check_equivalent` for care sets made from samples: vectors on which a table before reads outside its care set count
    for nothing. The text says how many those were.

    Args:
        before: A netlist.
        after: What it became.
        samples: Integer input codes to try beside the usual vectors, shape ``(n, n_inputs)``: those that made the care sets, because
            few others lie inside. Give them as ``functools.partial(check_on_care, samples=codes)``.

    Raises:
        LutnetError: The netlists differ on the care set, the message holds a counterexample; or no vector lies inside it.
    """
    check_ports(before, after)
    vectors = make_vectors(before.input_widths)
    codes = vectors.codes if samples is None else np.concatenate([vectors.codes, samples.astype(np.int64)])
    cared = on_care(before, codes)
    n_excluded = len(cared) - int(np.count_nonzero(cared))
    if n_excluded == len(cared):
        raise LutnetError(
            f"all {n_excluded} vectors read outside care sets, so nothing was compared; "
            "give the samples that made the care sets: functools.partial(check_on_care, samples=codes)"
        )
    said = _agreed(before, after, codes[cared], vectors.exhaustive and not n_excluded)
    return f"{said}, {n_excluded} vectors outside care sets" if n_excluded else said


@dataclass(frozen=True)
class UncaredRead:
    """An input that reads a table outside its care set.

    Attributes:
        row: Row of the table.
        address: The address read.
        inputs: Input codes in port order.
    """

    row: int
    address: int
    inputs: tuple[int, ...]


def on_care(net: Netlist, codes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """Which inputs read every table inside its care set: bool, shape ``(n,)``, for codes of shape ``(n, n_inputs)``."""
    cared = np.ones(len(codes), dtype=np.bool_)
    for read in _careful_reads(net, codes):
        cared[read.place] &= read.cared
    return cared


def first_uncared(net: Netlist, codes: npt.NDArray[np.integer]) -> UncaredRead | None:
    """The first read outside a care set that is found among inputs of shape ``(n, n_inputs)``, if any."""
    for read in _careful_reads(net, codes):
        wrong = np.flatnonzero(~read.cared)
        if len(wrong):
            inputs = tuple(int(code) for code in codes[read.place][wrong[0]])
            return UncaredRead(read.row, int(read.address[wrong[0]]), inputs)
    return None


@dataclass(frozen=True, eq=False)
class _Reads:
    """Addresses that a chunk of inputs reads of one table, and which of them its care set holds."""

    place: slice
    row: int
    address: npt.NDArray[np.int64]
    cared: npt.NDArray[np.bool_]


def _careful_reads(net: Netlist, codes: npt.NDArray[np.integer]) -> Iterator[_Reads]:
    """What inputs read of every table that has a care set, in chunks of bounded memory."""
    careful = [node for node in net.nodes() if node.table is not None and node.table.care is not None]
    step = max(1, _CHUNK_CODES // max(1, net.n_nodes))
    for start in range(0, len(codes), step) if careful else ():
        place = slice(start, start + step)
        values = net.evaluate_nodes(codes[place])
        for node in careful:
            if node.table is not None and node.table.care is not None:
                address = pack_address([values[:, row] for row in node.operands], node.table.in_widths)
                yield _Reads(place, node.id, address, node.table.care[address])


def _agreed(before: Netlist, after: Netlist, codes: npt.NDArray[np.int64], exhaustive: bool) -> str:
    result = compare_codes(codes, before.evaluate(codes), after.evaluate(codes), exhaustive=exhaustive)
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
