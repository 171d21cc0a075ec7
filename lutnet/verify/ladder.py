"""Rungs: each says that two descriptions of one design agree, on how many vectors, and how it was found out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lutnet.errors import LutnetError, UserError
from lutnet.verify.equivalence import Comparison

__all__ = ["Rung", "ladder_to_json", "require_rungs", "rungs_from_json", "timed_rung"]


@dataclass(frozen=True)
class Rung:
    """One rung of the bit-exact ladder.

    Attributes:
        name: Which two descriptions are compared.
        vectors: Inputs tried (table entries, for the tables in RTL).
        mismatches: Inputs on which they differ.
        exhaustive: Whether every input was tried.
        seconds: Time that it took.
        detail: How it was found out, and the first difference if there is one.
    """

    name: str
    vectors: int
    mismatches: int
    exhaustive: bool
    seconds: float
    detail: str

    @property
    def holds(self) -> bool:
        """Whether something was compared and nothing differs."""
        return self.vectors > 0 and self.mismatches == 0


def timed_rung(name: str, detail: str, compare: Callable[[], Comparison]) -> Rung:
    """Runs a comparison and makes a rung of it."""
    start = time.perf_counter()
    found = compare()
    seconds = time.perf_counter() - start
    text = detail
    if not found.equal:
        text += f"; {found}" + ("" if found.first is None else f"; first difference at {found.first}")
    return Rung(name, found.n_vectors, found.n_mismatches, found.exhaustive, seconds, text)


def ladder_to_json(rungs: Iterable[Rung]) -> dict[str, dict[str, Any]]:
    """Rungs by name as JSON data."""
    return {rung.name: {key: value for key, value in asdict(rung).items() if key != "name"} for rung in rungs}


def rungs_from_json(data: Mapping[str, Mapping[str, Any]]) -> tuple[Rung, ...]:
    """The inverse of :func:`ladder_to_json`.

    Raises:
        UserError: The data are not of that form.
    """
    try:
        return tuple(Rung(name=name, **values) for name, values in data.items())
    except TypeError as error:
        raise UserError(f"a stored ladder is damaged ({error}); run the step again") from None


def require_rungs(rungs: Iterable[Rung]) -> None:
    """Raises :class:`LutnetError` for the first rung that does not hold."""
    for rung in rungs:
        if not rung.holds:
            raise LutnetError(
                f"rung '{rung.name}' does not hold: {rung.mismatches} of {rung.vectors} vectors differ; {rung.detail}"
            )
