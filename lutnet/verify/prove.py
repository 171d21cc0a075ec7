"""Netlist against netlist: proved equal, or refuted by an input.

Three deciders, each on what the one before left open: simulation refutes; :class:`lutnet.verify.sweep.Sweep` merges what both
have in common and decides with truth tables of a few bits; ABC's ``cec`` decides the rest with SAT.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.backends.blif import Blif
from lutnet.errors import LutnetError, ToolError, UserError
from lutnet.ir.netlist import Netlist
from lutnet.tools.base import tool_version
from lutnet.tools.yosys import yosys_abc
from lutnet.verify.cec import CecResult, check_equivalence
from lutnet.verify.equivalence import Counterexample, check_ports, on_care
from lutnet.verify.sweep import Sweep
from lutnet.verify.vectors import make_vectors, random_codes

__all__ = ["NetlistProof", "check_proved", "prove_netlists"]

_N_RANDOM = 2048
_EVERYWHERE_SHARE = 0.5
"""Part of the time in which equality on all inputs is tried where some do not matter."""

_SWEEP_SHARE = 0.5
"""Part of the time that goes to sweeping."""

_N_MORE = 64
_MORE_SHARE = 0.1
"""Random inputs in so many batches, within this part of the time that sweeping left."""


@dataclass(frozen=True)
class NetlistProof:
    """What was decided about two netlists, and how.

    Attributes:
        status: ``"proved"``, ``"refuted"``, or ``"undecided"`` when time ran out.
        method: What decided: ``"identical"``, ``"every input"``, ``"simulation"``, ``"sweeping"`` or ``"sweeping and ABC cec"``.
        on_care: Whether only inputs count for which every table of the first netlist is read at an address that it cares for.
        n_outputs: Output bits.
        n_open: Output bits that sweeping left to ABC.
        n_merged: Bits within the netlists that sweeping proved equal.
        seconds: Wall-clock time.
        counterexample: With ``"refuted"``: an input on which the two differ, evaluated on both sides.
        input_names: Ports of the counterexample; ``output_names`` likewise.
        tool_version: Version of ABC where it decided, otherwise ``None``.
    """

    status: str
    method: str
    on_care: bool
    n_outputs: int
    n_open: int
    n_merged: int
    seconds: float
    counterexample: Counterexample | None
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    tool_version: str | None

    @property
    def holds(self) -> bool:
        """Whether equality is proved."""
        return self.status == "proved"

    def require(self) -> None:
        """Raises :class:`LutnetError` when a difference was found; an undecided proof passes."""
        if self.status == "refuted":
            raise LutnetError(str(self))

    def to_json(self) -> dict[str, Any]:
        """JSON data."""
        return asdict(self)

    def __str__(self) -> str:
        where = " wherever every table of the first is read at an address that it cares for" if self.on_care else ""
        text = f"{self.status} ({self.method}){where}: {self.n_outputs} output bits, {self.seconds:.1f} s"
        if self.counterexample is not None:
            found = self.counterexample
            inputs = ", ".join(f"{name}={code}" for name, code in zip(self.input_names, found.inputs, strict=True))
            wrong = [
                f"{name} is {expected} in the first and {got} in the second"
                for name, expected, got in zip(self.output_names, found.expected, found.got, strict=True)
                if expected != got
            ]
            text += f"; at input codes {inputs}: {'; '.join(wrong)}"
        return text


def prove_netlists(
    a: Netlist, b: Netlist, *, timeout_s: float = 600.0, vectors: npt.NDArray[np.int64] | None = None
) -> NetlistProof:
    """Proves or refutes that two netlists are one function; registers do not matter.

    Don't-cares of ``a`` are honoured: netlists that differ only on inputs on which some table of ``a`` is read at an address that
    it does not care for are proved equal on the others, and ``on_care`` says so.

    Args:
        a: A netlist with at least one output.
        b: A netlist with the same ports.
        timeout_s: Most wall-clock seconds.
        vectors: More inputs to simulate, shape ``(n, n_inputs)``; where ``a`` cares for few inputs, data say which bits may be equal.

    Raises:
        UserError: The ports differ, or there is no output.
        ToolError: ABC is missing or failed.
    """
    start = time.monotonic()
    if any(table.care is not None for table in a.tables):
        tables = tuple(replace(table, care=None) for table in a.tables)
        found = _Attempt(replace(a, tables=tables), b, _EVERYWHERE_SHARE * timeout_s).run(vectors)
        if found.holds or (found.counterexample is not None and _is_cared_for(a, found.counterexample)):
            return found
    return _Attempt(a, b, timeout_s - (time.monotonic() - start)).run(vectors)


def check_proved(before: Netlist, after: Netlist) -> str:
    """The check to hand to :func:`lutnet.passes.run_passes` that proves: says how equality was decided.

    Raises:
        LutnetError: The netlists differ, with a counterexample, or could not be decided in 10 minutes.
    """
    found = prove_netlists(before, after)
    if not found.holds:
        raise LutnetError(str(found))
    return f"{found.status} ({found.method}){' on the care set' if found.on_care else ''}"


def _is_cared_for(net: Netlist, found: Counterexample) -> bool:
    return bool(on_care(net, np.asarray([found.inputs], dtype=np.int64))[0])


class _Attempt:
    def __init__(self, a: Netlist, b: Netlist, timeout_s: float) -> None:
        check_ports(a, b)
        if not len(a.outputs):
            raise UserError("a proof needs at least one output, these netlists have none")
        self.a, self.b = a, b
        self.start = time.monotonic()
        self.timeout_s = timeout_s
        self.on_care = any(table.care is not None for table in a.tables)
        self.n_open = 0
        self.n_merged = 0

    def run(self, vectors: npt.NDArray[np.int64] | None) -> NetlistProof:
        if self.a == self.b:
            return self._proof("proved", "identical")
        made = make_vectors(self.a.input_widths, n_random=_N_RANDOM)
        codes = made.codes if vectors is None else np.concatenate([np.asarray(vectors, dtype=np.int64), made.codes])
        codes = codes[on_care(self.a, codes)]
        wrong = self._differ(codes)
        if wrong is not None:
            return self._proof("refuted", "simulation", wrong)
        if made.exhaustive:
            return self._proof("proved", "every input")
        sweep = Sweep(self.a, codes, self.start + _SWEEP_SHARE * self.timeout_s)
        words = sweep.add(self.b)
        self.n_merged = sweep.n_merged
        both = (
            (x, y) for left, right in zip(sweep.outputs, words, strict=True) for x, y in zip(left, right, strict=True)
        )
        open_bits = [(x, y) for x, y in both if x != y]
        self.n_open = len(open_bits)
        if not open_bits:
            return self._proof("proved", "sweeping")
        return self._simulate() or self._abc(sweep.sides(open_bits))

    def _simulate(self) -> NetlistProof | None:
        """More random inputs: what is left open is more often different than hard."""
        for seed in range(1, _N_MORE + 1):
            if self._left() < (1 - _MORE_SHARE) * (1 - _SWEEP_SHARE) * self.timeout_s:
                break
            codes = random_codes(self.a.input_widths, _N_RANDOM, seed)
            wrong = self._differ(codes[on_care(self.a, codes)])
            if wrong is not None:
                return self._proof("refuted", "simulation", wrong)
        return None

    def _differ(self, codes: npt.NDArray[np.int64]) -> Counterexample | None:
        wrong = np.flatnonzero((self.a.evaluate(codes) != self.b.evaluate(codes)).any(axis=1))
        return self._counterexample(codes[wrong[0]]) if len(wrong) else None

    def _abc(self, sides: tuple[Netlist, Netlist]) -> NetlistProof:
        with tempfile.TemporaryDirectory(prefix="lutnet-proof-") as name:
            folder = Path(name)
            for file, net in zip(("a.blif", "b.blif"), sides, strict=True):
                (text,) = Blif(cover_bits=0).emit(net).values()
                (folder / file).write_text(text)
            result = check_equivalence(folder, "a.blif", "b.blif", timeout_s=self._left())
        method = "sweeping and ABC cec"
        if result.equivalent is not False:
            return self._proof("proved" if result.equivalent else "undecided", method)
        return self._proof("refuted", method, self._found(result))

    def _found(self, result: CecResult) -> Counterexample:
        codes, low = [], 0
        for width in self.a.input_widths:
            codes.append(sum(int(low + place in result.ones) << place for place in range(width)))
            low += width
        found = self._counterexample(np.asarray(codes, dtype=np.int64))
        if found.expected == found.got or not on_care(self.a, np.asarray([codes], dtype=np.int64))[0]:
            raise ToolError(f"yosys-abc reported a difference at input codes {codes}, where there is none")
        return found

    def _counterexample(self, codes: npt.NDArray[np.int64]) -> Counterexample:
        expected, got = (tuple(net.evaluate(codes[np.newaxis])[0].tolist()) for net in (self.a, self.b))
        return Counterexample(tuple(codes.tolist()), expected, got)

    def _left(self) -> float:
        return self.timeout_s - (time.monotonic() - self.start)

    def _proof(self, status: str, method: str, found: Counterexample | None = None) -> NetlistProof:
        return NetlistProof(
            status=status,
            method=method,
            on_care=self.on_care,
            n_outputs=sum(self.a.output_widths),
            n_open=self.n_open,
            n_merged=self.n_merged,
            seconds=time.monotonic() - self.start,
            counterexample=found,
            input_names=self.a.input_names,
            output_names=self.a.output_names,
            tool_version=tool_version(yosys_abc()) if "ABC" in method else None,
        )
