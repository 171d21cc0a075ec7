"""SAT proofs: Verilog equals netlist with its registers made transparent.

The Verilog goes through yosys into an and-inverter graph; the netlist goes through its own BLIF back end, which formulates
sums, comparisons and argmax in another way than the Verilog; ABC decides whether they are one function.

Two ways lead to a proof of the whole netlist:

* **monolithic**: one equivalence check from input bits to output bits.
* **cut at tables**: every table module equals its table, and the network between the tables, with every table's result a free
  input and every table's address an output, equals the netlist's. By induction along the order of the nodes both together
  imply the whole. This stays fast however deep the netlist is, and is what large designs need.

Where neither decides, the tables alone are what is proved: scope "per neuron".
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lutnet.backends.blif import Blif, cut_blif
from lutnet.backends.interface import RtlInterface
from lutnet.errors import LutnetError, ToolError, UserError
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OpCode
from lutnet.tables import TruthTable
from lutnet.tools.base import tool_version
from lutnet.tools.yosys import yosys_abc, yosys_version
from lutnet.verify.cec import CecResult, check_equivalence, out_of_time, read_aig
from lutnet.verify.equivalence import Counterexample
from lutnet.verify.formal_rtl import RtlModel, read_rtl, read_tables
from lutnet.verify.sources import Sources, verilog_texts

__all__ = ["Proof", "prove_rtl"]

_MONOLITHIC_ANDS = 20_000
"""Graphs of at most so many gates are first tried as a whole."""

_MONOLITHIC_S = 30.0
"""Seconds for that first try."""


@dataclass(frozen=True)
class Proof:
    """What was proved, and how.

    Attributes:
        status: ``"proved"``, ``"refuted"``, or ``"undecided"`` when time ran out.
        scope: ``"netlist"``: inputs to outputs; ``"per neuron"``: every table alone, the wiring between them undecided.
        method: How it was decided.
        n_outputs: Output bits of the netlist.
        n_tables: Distinct tables that were proved one by one; 0 when the whole was decided at once.
        seconds: Wall-clock time.
        counterexample: With ``"refuted"``: an input on which the two differ, evaluated on both sides. In scope "per neuron" it is
            an address of the table that ``method`` names.
        latency_proved: Whether every path from an input bit to an output bit crosses exactly the registers that the interface
            states; ``None`` where there is no Verilog.
        tool_version: Versions of the programs that decided.
    """

    status: str
    scope: str
    method: str
    n_outputs: int
    n_tables: int
    seconds: float
    counterexample: Counterexample | None
    latency_proved: bool | None
    tool_version: str

    @property
    def holds(self) -> bool:
        """Whether the whole netlist is proved, registers included."""
        return self.status == "proved" and self.scope == "netlist" and self.latency_proved is not False

    def require(self) -> None:
        """Raises :class:`LutnetError` when a difference was found; an undecided proof passes."""
        if self.status == "refuted" or self.latency_proved is False:
            raise LutnetError(str(self))

    def to_json(self) -> dict[str, Any]:
        """JSON data."""
        return asdict(self)

    def __str__(self) -> str:
        text = f"{self.status} ({self.scope}, {self.method}): {self.n_outputs} output bits, {self.seconds:.1f} s"
        if self.counterexample is not None:
            text += f"; {self.counterexample}"
        if self.latency_proved is not None:
            text += (
                "; latency proved"
                if self.latency_proved
                else "; some path crosses another number of registers than the latency says"
            )
        return text


def prove_rtl(net: Netlist, files: Sources, interface: RtlInterface, *, timeout_s: float = 600.0) -> Proof:
    """Proves or refutes that Verilog computes a netlist: registers transparent, ``rst`` low, ``ce`` high.

    The number of registers on every path is proved beside it, see :attr:`Proof.latency_proved`, and so is the way of the valid bit
    when there is one.

    Args:
        net: The netlist with at least one output.
        files: Verilog as :class:`lutnet.backends.Verilog` emits it, texts by path or paths; other files are ignored.
        interface: Its ports.
        timeout_s: Most wall-clock seconds, yosys included.

    Raises:
        UserError: Ports do not fit the netlist, or there is no Verilog.
        ToolError: yosys or ABC is missing or failed.
    """
    _check_provable(net)
    if interface.input_widths != net.input_widths or interface.output_widths != net.output_widths:
        raise UserError(
            f"the interface has inputs of {interface.input_widths} and outputs of {interface.output_widths} bits, the netlist "
            f"{net.input_widths} and {net.output_widths}; emit the design again"
        )
    with tempfile.TemporaryDirectory(prefix="lutnet-proof-") as name:
        return _RtlProof(net, verilog_texts(files), interface, Path(name), timeout_s).run()


class _RtlProof:
    """One attempt at a proof; every step takes what is left of the time."""

    def __init__(
        self, net: Netlist, texts: dict[str, str], interface: RtlInterface, folder: Path, timeout_s: float
    ) -> None:
        self.net = _with_valid(net) if interface.valid else net
        self.valid = interface.valid
        self.texts = texts
        self.interface = interface
        self.folder = folder
        self.start = time.monotonic()
        self.timeout_s = timeout_s
        self.latency: bool | None = None

    def run(self) -> Proof:
        """The proof."""
        try:
            model = read_rtl(self.texts, self.interface, self.folder, timeout_s=self._left())
        except ToolError as error:
            if not out_of_time(error):
                raise
            return self._proof(CecResult(None), "netlist", "yosys ran out of time")
        depends = model.latencies is not None
        self.latency = model.latencies == (self.interface.latency_cycles,) * 2 if depends else True
        _write_blif(self.folder / "netlist.blif", self.net)
        n_ands = int(model.whole.read_bytes().split(b" ", 6)[5].split()[0])
        if n_ands <= _MONOLITHIC_ANDS:
            whole = self._whole(model, min(_MONOLITHIC_S, self._left()))
            if whole.status != "undecided":
                return whole
        cut = self._cut(model)
        if cut.status == "proved" and cut.scope == "netlist":
            return cut
        whole = self._whole(model, self._left())
        return whole if whole.status != "undecided" else replace(cut, seconds=time.monotonic() - self.start)

    def _whole(self, model: RtlModel, timeout_s: float) -> Proof:
        result = check_equivalence(self.folder, "netlist.blif", model.whole.name, timeout_s=timeout_s)
        found = None
        if result.equivalent is False:
            bits = _bits_of(result.ones, sum(self.net.input_widths))
            codes = _codes(bits, self.net.input_widths)
            expected = tuple(self.net.evaluate(np.asarray([codes]))[0].tolist())
            got = _codes(read_aig(model.whole).evaluate(bits), self.net.output_widths)
            found = _counterexample(codes, expected, got)
        return self._proof(result, "netlist", "monolithic", found)

    def _cut(self, model: RtlModel) -> Proof:
        """Tables one by one, then the network between them."""
        used = sorted({table for table in self.net.table_id.tolist() if table >= 0})
        if not used:
            return self._proof(CecResult(None), "netlist", "monolithic")
        tables = self._tables(used)
        if tables.status != "proved":
            return tables
        network = self._network(model)
        if network.equivalent:
            return self._proof(network, "netlist", "cut at tables", n_tables=len(used))
        return tables

    def _tables(self, used: list[int]) -> Proof:
        contents = [self.net.tables[i] for i in used]
        bank = _bank(contents)
        _write_blif(self.folder / "bank.blif", bank)
        shapes = [(i, t.address_bits, t.out_width) for i, t in zip(used, contents, strict=True)]
        try:
            aig = read_tables(self.texts, self.interface.top, shapes, self.folder, timeout_s=self._left())
        except ToolError as error:
            if not out_of_time(error):
                raise
            return self._proof(CecResult(None), "per neuron", "yosys ran out of time")
        result = check_equivalence(self.folder, "bank.blif", aig.name, timeout_s=self._left())
        if result.equivalent is not False:
            return self._proof(result, "per neuron", "tables", n_tables=len(used))
        bits = _bits_of(result.ones, sum(bank.input_widths))
        addresses = _codes(bits, bank.input_widths)
        expected = tuple(bank.evaluate(np.asarray([addresses]))[0].tolist())
        got = _codes(read_aig(aig).evaluate(bits), bank.output_widths)
        _counterexample(addresses, expected, got)
        wrong = next(i for i, (x, y) in enumerate(zip(expected, got, strict=True)) if x != y)
        found = Counterexample((addresses[wrong],), (expected[wrong],), (got[wrong],))
        return self._proof(result, "per neuron", f"table t{used[wrong]}", found, n_tables=len(used))

    def _network(self, model: RtlModel) -> CecResult:
        """Whether the networks between the tables are equal; undecided where instances do not match nodes."""
        owners = self.net.table_id.tolist()
        for row, instance in model.instances.items():
            if row >= len(owners) or owners[row] != instance.table:
                return CecResult(None)
        if model.foreign:
            return CecResult(None)
        ports = {row: instance.ports for row, instance in model.instances.items()}
        inputs, outputs = (
            [f"{name}[{i}]" for i in range(bits)] if bits > 1 else [name]
            for name, bits in (("in_data", sum(self.net.input_widths)), ("out_data", sum(self.net.output_widths)))
        )
        text = cut_blif(self.net, ports, top="network", inputs=inputs, outputs=outputs)
        (self.folder / "cut.blif").write_text(text)
        return check_equivalence(self.folder, "cut.blif", model.network.name, timeout_s=self._left(), by_name=True)

    def _proof(
        self, result: CecResult, scope: str, method: str, found: Counterexample | None = None, n_tables: int = 0
    ) -> Proof:
        if found is not None and self.valid and scope == "netlist":
            found = Counterexample(found.inputs[:-1], found.expected, found.got)
        n_outputs = self.interface.out_bits
        seconds = time.monotonic() - self.start
        return Proof(_status(result), scope, method, n_outputs, n_tables, seconds, found, self.latency, _versions())

    def _left(self) -> float:
        return max(0.1, self.timeout_s - (time.monotonic() - self.start))


def _check_provable(net: Netlist) -> None:
    if not len(net.outputs) or not len(net.inputs):
        raise UserError(
            f"a proof needs at least one input and one output, this netlist has {len(net.inputs)} and {len(net.outputs)}"
        )


def _write_blif(path: Path, net: Netlist) -> None:
    (text,) = Blif(cover_bits=0).emit(net).values()
    path.write_text(text)


def _bank(tables: Sequence[TruthTable]) -> Netlist:
    """Tables side by side, each with an input of its own."""
    builder = NetlistBuilder()
    for table in tables:
        address = builder.input(table.address_bits)
        builder.output(builder.lut(TruthTable((table.address_bits,), table.out_width, table.codes), [address]))
    return builder.build()


def _with_valid(net: Netlist) -> Netlist:
    """The netlist with one more input bit that is also its last output: the valid bit."""
    row = net.n_nodes
    return replace(
        net,
        op=np.append(net.op, np.uint8(OpCode.INPUT)),
        width=np.append(net.width, np.uint8(1)),
        signed=np.append(net.signed, False),
        imm=np.append(net.imm, np.int64(0)),
        fanin_ptr=np.append(net.fanin_ptr, net.fanin_ptr[-1]),
        table_id=np.append(net.table_id, np.int32(-1)),
        stage=np.append(net.stage, np.int32(0)),
        inputs=np.append(net.inputs, np.int32(row)),
        outputs=np.append(net.outputs, np.int32(row)),
        input_names=(*net.input_names, _fresh("valid", net.input_names)),
        output_names=(*net.output_names, _fresh("valid", net.output_names)),
    ).verify()


def _fresh(name: str, taken: Sequence[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _counterexample(codes: tuple[int, ...], expected: tuple[int, ...], got: tuple[int, ...]) -> Counterexample:
    """A counterexample that really is one.

    Raises:
        ToolError: The two sides agree on it, so the tool that found it is not to be believed.
    """
    if expected == got:
        raise ToolError(
            f"yosys-abc reported a difference at input codes {list(codes)}, where there is none: {list(got)}"
        )
    return Counterexample(codes, expected, got)


def _bits_of(ones: frozenset[int], n_bits: int) -> list[int]:
    return [int(i in ones) for i in range(n_bits)]


def _codes(bits: Sequence[int], widths: Sequence[int]) -> tuple[int, ...]:
    """Codes of the bits of a packed vector, bit 0 first."""
    codes, low = [], 0
    for width in widths:
        codes.append(sum(bit << place for place, bit in enumerate(bits[low : low + width])))
        low += width
    return tuple(codes)


def _status(result: CecResult) -> str:
    return {True: "proved", False: "refuted", None: "undecided"}[result.equivalent]


def _versions() -> str:
    return f"yosys {yosys_version() or 'unknown'}, ABC {tool_version(yosys_abc()) or 'unknown'}"
