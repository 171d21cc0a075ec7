"""SAT proofs: equal designs are proved, every kind of difference is refuted, and the proof says what it covers."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest

from lutnet import LutnetError, Netlist, NetlistBuilder, TruthTable
from lutnet.backends import Blif, Verilog
from lutnet.passes import Pass, Pipeline
from lutnet.testing import mutate_table, random_netlist
from lutnet.tools.yosys import run_yosys
from lutnet.verify import formal
from lutnet.verify.formal import Proof, prove_rtl

TOP = PurePosixPath("lutnet_top.v")
KINDS: list[tuple[Pass, dict[str, Any]]] = [
    (Pipeline(every=0, outputs=False), {"tables": "case", "valid": True}),
    (Pipeline(), {"tables": "indexed", "reset": True, "clock_enable": True, "valid": True}),
    (Pipeline(every=2, inputs=True), {"tables": "lut6", "clock_enable": True}),
    (Pipeline(inputs=True), {"tables": "case", "reset": True, "per_layer": True}),
]


def design(seed: int = 3) -> Netlist:
    """Two layers of tables, a sum and an argmax, three registers deep."""
    rng = np.random.default_rng(seed)
    b = NetlistBuilder()
    x = [b.input(2, f"x{i}") for i in range(4)]
    first = [b.lut(TruthTable((2, 2), 2, rng.integers(0, 4, 16)), [x[i], x[(i + 1) % 4]]) for i in range(4)]
    second = [b.lut(TruthTable((2, 2), 3, rng.integers(0, 8, 16)), [first[i], first[(i + 2) % 4]]) for i in range(3)]
    b.output(b.argmax(second), "class")
    b.output(b.sum(second, [1, -2, 4], bias=3), "total")
    return Pipeline()(b.build())


def prove(net: Netlist, emitted: Netlist | None = None, text: str | None = None, **options: Any) -> Proof:
    backend = Verilog(**options)
    files = backend.emit(emitted if emitted is not None else net) if text is None else {TOP: text}
    return prove_rtl(net, files, backend.interface(net), timeout_s=120.0)


@pytest.mark.parametrize("seed", range(30))
def test_random_designs_are_proved(seed: int) -> None:
    pipeline, options = KINDS[seed % len(KINDS)]
    net = pipeline(random_netlist(seed, n_inputs=1 + seed % 5, n_nodes=10 + seed, max_width=1 + seed % 5))
    found = prove(net, **options)
    assert (found.status, found.scope, found.latency_proved) == ("proved", "netlist", True), found
    assert found.holds


@pytest.mark.parametrize("style", ["case", "indexed", "lut6", "wide"])
@pytest.mark.parametrize("largest", [20_000, 0])
def test_one_flipped_entry_is_refuted(style: str, largest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formal, "_MONOLITHIC_ANDS", largest)
    net = design()
    found = prove(net, emitted=mutate_table(net, seed=2), tables=style)
    assert found.status == "refuted" and found.counterexample is not None and not found.holds
    if found.scope == "netlist":
        assert tuple(net.evaluate([found.counterexample.inputs])[0]) == found.counterexample.expected
        assert found.counterexample.expected != found.counterexample.got
    with pytest.raises(LutnetError, match="input codes"):
        found.require()


@pytest.mark.parametrize("valid", [False, True])
@pytest.mark.parametrize("style", ["case", "indexed", "lut6", "wide"])
def test_large_designs_are_proved_cut_at_their_tables(style: str, valid: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formal, "_MONOLITHIC_ANDS", 0)
    net = design()
    found = prove(net, valid=valid, tables=style)
    assert (found.status, found.scope, found.method) == ("proved", "netlist", "cut at tables"), found
    assert found.n_tables == len(net.tables) and found.latency_proved


def test_wrong_wiring_between_right_tables_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formal, "_MONOLITHIC_ANDS", 0)
    net = design()
    text = Verilog().emit(net)[TOP]
    line = next(line for line in text.splitlines() if "_table (.a({" in line)
    first, second = line.split("{")[1].split("}")[0].split(", ")
    changed = text.replace(line, line.replace(f"{first}, {second}", f"{second}, {first}"))
    assert changed != text
    found = prove(net, text=changed)
    assert found.status == "refuted" and found.scope == "netlist" and found.counterexample is not None


def test_a_register_too_few_is_no_other_function_but_no_proof() -> None:
    net = design()
    text = Verilog().emit(net)[TOP]
    line = next(line for line in text.splitlines() if "_s2 <= " in line)
    name = line.split("<=")[0].strip()
    row = name.split("_")[0]
    changed = text.replace(f"{row}_s2, ", f"{row}, ").replace(f", {row}_s2", f", {row}")
    assert changed != text
    found = prove(net, text=changed)
    assert found.status == "proved" and found.latency_proved is False and not found.holds
    with pytest.raises(LutnetError, match="another number of registers"):
        found.require()


def test_no_time_is_undecided_and_not_proved() -> None:
    found = prove_rtl(design(), Verilog().emit(design()), Verilog().interface(design()), timeout_s=0.1)
    assert found.status == "undecided" and not found.holds
    assert found.to_json()["counterexample"] is None
    found.require()


@pytest.mark.parametrize("seed", range(6))
def test_blif_is_the_netlist(seed: int, tmp_path: Any) -> None:
    """Yosys reads the BLIF, and evaluates it on corners and random inputs."""
    net = random_netlist(seed, n_nodes=25)
    for path, text in Blif(top="dut", cover_bits=seed % 7).emit(net).items():
        (tmp_path / path).write_text(text)
    n_in, n_out = sum(net.input_widths), sum(net.output_widths)
    rng = np.random.default_rng(seed)
    rows = [[int(rng.integers(0, 1 << w)) for w in net.input_widths] for _ in range(4)]
    script = ["read_blif dut.blif"]
    for row, outputs in zip(rows, net.evaluate(rows), strict=True):
        bits = {f"in_data[{i}]": b for i, b in enumerate(bits_of(row, net.input_widths))}
        wanted = {f"out_data[{i}]": b for i, b in enumerate(bits_of(outputs, net.output_widths))}
        sets = " ".join(f"-set {name} {bit}" for name, bit in bits.items())
        proofs = " ".join(f"-prove {name} {bit}" for name, bit in wanted.items())
        script.append(f"sat -verify {sets} {proofs} dut")
    assert len(bits) == n_in and len(wanted) == n_out
    run_yosys("\n".join(script) + "\n", cwd=tmp_path, timeout_s=60.0)


def bits_of(codes: Any, widths: tuple[int, ...]) -> list[int]:
    return [int(code) >> i & 1 for code, width in zip(codes, widths, strict=True) for i in range(width)]
