"""What a pass is, how passes are written down, and how a list of them runs with a check after each."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, fields, is_dataclass
from typing import Any, ClassVar

from lutnet.errors import LutnetError, UserError
from lutnet.ir.estimate import estimate_luts
from lutnet.ir.netlist import Netlist
from lutnet.ir.registers import register_bits

__all__ = ["Check", "Pass", "PassRecord", "Steps", "parse_passes", "run_passes"]

Check = Callable[[Netlist, Netlist], str]
"""Compares a netlist before and after a pass: returns how it was checked, raises ``LutnetError`` when they differ."""


@dataclass
class Steps:
    """Counts rewrites and refuses more than ``limit`` of them, so that a fault can be bisected.

    Attributes:
        limit: Rewrites allowed; ``None`` for all.
        n_taken: Rewrites done so far.
    """

    limit: int | None = None
    n_taken: int = 0

    def take(self) -> bool:
        """Whether one more rewrite is allowed; counts it if so."""
        if self.limit is not None and self.n_taken >= self.limit:
            return False
        self.n_taken += 1
        return True


class Pass(ABC):
    """Maps a valid netlist to a valid netlist with the same function and ports. Subclasses are frozen dataclasses whose fields are
    the options; ``str(pass)`` is the text that :func:`parse_passes` reads.
    """

    name: ClassVar[str]

    def __call__(self, net: Netlist) -> Netlist:
        """The rewritten netlist, verified."""
        return self.rewrite(net, Steps())

    @abstractmethod
    def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
        """The netlist after as many rewrites as ``steps`` allows, verified."""

    def __str__(self) -> str:
        options = [
            f"{option.name}={_to_text(getattr(self, option.name))}"
            for option in _options(type(self))
            if getattr(self, option.name) != option.default
        ]
        return self.name + (f"{{{','.join(options)}}}" if options else "")


@dataclass(frozen=True)
class PassRecord:
    """What one pass did.

    Attributes:
        name: The pass with its options.
        n_rewrites: Rewrites done.
        n_nodes_before: Nodes before the pass.
        n_nodes_after: Nodes after the pass.
        seconds: Time of the rewriting alone.
        checked: How the result was compared with what went in; ``"unchecked"`` without a check.
        luts: Lookup tables afterwards, see :func:`lutnet.ir.estimate.estimate_luts`.
        depth: Logic levels afterwards.
        register_bits: Register bits afterwards; 0 before registers are placed.
    """

    name: str
    n_rewrites: int
    n_nodes_before: int
    n_nodes_after: int
    seconds: float
    checked: str
    luts: int
    depth: int
    register_bits: int


def run_passes(
    net: Netlist,
    passes: Sequence[Pass],
    *,
    check: Check | None = None,
    limit: int | None = None,
    on_pass: Callable[[Pass], None] | None = None,
) -> tuple[Netlist, tuple[PassRecord, ...]]:
    """Runs passes in order; each result is verified and, with ``check``, compared with what went in.

    Args:
        net: A verified netlist.
        passes: The passes.
        check: Comparison after each pass; its exception names the pass.
        limit: Rewrites allowed over all passes; the rest of the list then changes nothing.
        on_pass: Told of every pass as it begins.

    Raises:
        UserError: A pass cannot do what its options ask for.
        LutnetError: A pass broke a rule or changed the function; the message names the pass.
    """
    records = []
    left = limit
    for item in passes:
        if on_pass is not None:
            on_pass(item)
        steps = Steps(left)
        start = time.perf_counter()
        try:
            after = item.rewrite(net, steps).verify()
            seconds = time.perf_counter() - start
            checked = check(net, after) if check is not None else "unchecked"
        except UserError as error:
            raise UserError(f"pass '{item}': {error}") from error
        except LutnetError as error:
            raise LutnetError(f"pass '{item}' failed: {error}") from error
        records.append(_record(item, steps, net, after, seconds, checked))
        left = None if left is None else left - steps.n_taken
        net = after
    return net, tuple(records)


def _record(item: Pass, steps: Steps, before: Netlist, after: Netlist, seconds: float, checked: str) -> PassRecord:
    return PassRecord(
        name=str(item),
        n_rewrites=steps.n_taken,
        n_nodes_before=before.n_nodes,
        n_nodes_after=after.n_nodes,
        seconds=seconds,
        checked=checked,
        luts=estimate_luts(after).luts,
        depth=after.depth,
        register_bits=register_bits(after),
    )


_ITEM = re.compile(r"\s*([a-z]+)(?:\{([^{}]*)\})?\s*(?:,|$)")


def parse_passes(text: str, known: Mapping[str, type[Pass]]) -> tuple[Pass, ...]:
    """Passes from text such as ``"fold,narrow,pipeline{every=2}"``.

    Raises:
        UserError: Unknown pass or option, or a value of another type.
    """
    found = []
    place = 0
    while place < len(text):
        match = _ITEM.match(text, place)
        if match is None:
            raise UserError(f"cannot read passes at {text[place:]!r}; write them as 'fold,narrow,pipeline{{every=2}}'")
        place = match.end()
        if match[1] not in known:
            raise UserError(f"unknown pass '{match[1]}'; known passes are {', '.join(sorted(known))}")
        found.append(_make_pass(known[match[1]], match[2] or ""))
    return tuple(found)


def _options(kind: type[Pass]) -> tuple[Field[Any], ...]:
    """Fields that can be written as text; what is not compared, such as samples, is attached in Python."""
    return tuple(item for item in fields(kind) if item.compare) if is_dataclass(kind) else ()


def _make_pass(kind: type[Pass], options: str) -> Pass:
    types = {option.name: option.default for option in _options(kind)}
    values: dict[str, Any] = {}
    for item in filter(None, (part.strip() for part in options.split(","))):
        key, _, value = item.partition("=")
        if key not in types:
            raise UserError(f"pass '{kind.name}' has no option '{key}'; its options are {', '.join(types) or 'none'}")
        values[key] = _from_text(value, types[key], f"{kind.name}.{key}")
    return kind(**values)


def _from_text(value: str, default: Any, where: str) -> Any:
    if isinstance(default, bool):
        if value not in ("true", "false"):
            raise UserError(f"option {where} is true or false, got '{value}'")
        return value == "true"
    try:
        return type(default)(value)
    except ValueError:
        raise UserError(f"option {where} is a number like {default}, got '{value}'") from None


def _to_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
