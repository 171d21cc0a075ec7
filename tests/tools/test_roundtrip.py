"""The independent reader: what it reads is the netlist, what is wrong is found, what it does not know is refused."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from lutnet import Netlist, NetlistBuilder, TruthTable
from lutnet.backends import Verilog
from lutnet.passes import Pipeline
from lutnet.testing import mutate_table, random_netlist
from lutnet.verify.roundtrip import RereadDesign, roundtrip
from lutnet.verify.rtl_model import RtlError
from lutnet.verify.vectors import make_vectors

TOP = PurePosixPath("lutnet_top.v")
KINDS: list[tuple[Pipeline, dict[str, Any]]] = [
    (Pipeline(every=0, outputs=False), {"tables": "case", "valid": True}),
    (Pipeline(), {"tables": "indexed", "reset": True, "clock_enable": True, "valid": True}),
    (Pipeline(every=2, inputs=True), {"tables": "lut6", "clock_enable": True}),
    (Pipeline(inputs=True), {"tables": "case", "reset": True, "per_layer": True}),
]


def codes_of(net: Netlist) -> np.ndarray:
    codes = make_vectors(net.input_widths, n_random=400).codes
    return np.random.default_rng(0).permutation(codes)


@pytest.mark.parametrize("seed", range(30))
def test_random_designs_equal_their_netlist(seed: int) -> None:
    pipeline, options = KINDS[seed % len(KINDS)]
    net = pipeline(random_netlist(seed, n_inputs=1 + seed % 5, n_nodes=10 + seed, max_width=1 + seed % 5))
    backend = Verilog(**options)
    found = roundtrip(net, backend.emit(net), backend.interface(net), codes_of(net))
    assert found.equal, found.first


def pipelined() -> Netlist:
    b = NetlistBuilder()
    x, y = b.input(3, "x"), b.input(3, "y")
    low = b.lut(TruthTable((3,), 3, np.array([3, 1, 4, 1, 5, 2, 6, 5])), [x])
    high = b.lut(TruthTable((3, 3), 4, np.arange(64) * 7 % 16), [low, y])
    b.output(b.sum([high, x], [2, -1]), "total")
    b.output(b.argmax([high, y]), "class")
    return Pipeline()(b.build())


@pytest.mark.parametrize("style", ["case", "indexed", "lut6", "wide"])
def test_one_flipped_entry_is_found(style: str) -> None:
    net = pipelined()
    backend = Verilog(tables=style)
    files = backend.emit(mutate_table(net, seed=4))
    found = roundtrip(net, files, backend.interface(net), codes_of(net))
    assert 0 < found.n_mismatches < found.n_vectors and found.first is not None


def test_a_register_too_few_or_too_many_is_found() -> None:
    net = pipelined()
    backend = Verilog()
    text = backend.emit(net)[TOP]
    assert "n1_s1 <= n1;" in text
    shorter = text.replace("(.a({n1_s1,", "(.a({n1,").replace("wire unused_bits", "wire unused_bits", 1)
    assert shorter != text
    for changed in (shorter, text.replace("n0_s2 <= n0_s1;", "n0_s2 <= n0;")):
        assert changed != text
        found = roundtrip(net, {TOP: changed}, backend.interface(net), codes_of(net))
        assert found.n_mismatches > found.n_vectors // 4
    latency = net.with_stages(net.stage, net.latency_cycles + 1)
    assert not roundtrip(latency, {TOP: text}, backend.interface(latency), codes_of(net)).equal


def test_a_valid_bit_that_is_early_or_stuck_is_found() -> None:
    net = pipelined()
    backend = Verilog(valid=True)
    text = backend.emit(net)[TOP]
    early = text.replace("assign out_valid = valid_s3;", "assign out_valid = valid_s2;")
    stuck = text.replace("assign out_valid = valid_s3;", "assign out_valid = 1'h1;")
    never = text.replace("assign out_valid = valid_s3;", "assign out_valid = 1'h0;")
    for changed in (early, stuck):
        assert changed != text
        with pytest.raises(RtlError, match="no sample was valid"):
            roundtrip(net, {TOP: changed}, backend.interface(net), codes_of(net))
    assert roundtrip(net, {TOP: never}, backend.interface(net), codes_of(net)).n_mismatches == len(codes_of(net))


def test_wide_ports_and_long_streams() -> None:
    b = NetlistBuilder()
    rows = [b.input(1) for _ in range(593)]
    xor = TruthTable((1, 1), 1, np.array([0, 1, 1, 0]))
    b.output(b.lut(xor, [rows[0], rows[592]]), "y")
    net = Pipeline()(b.build())
    backend = Verilog()
    codes = np.random.default_rng(0).integers(0, 2, (9000, 593))
    found = roundtrip(net, backend.emit(net), backend.interface(net), codes)
    assert found.equal and found.n_vectors == 9000


def reread(body: str, ports: str = "input wire [3:0] in_data, output wire [3:0] out_data") -> RereadDesign:
    b = NetlistBuilder()
    b.output(b.input(4, "x"), "y")
    return RereadDesign({TOP: f"module lutnet_top ({ports});\n{body}\nendmodule\n"}, Verilog().interface(b.build()))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("assign out_data = in_data + 4'hf;", lambda x: (x + 15) % 16),
        ("wire [4:0] s = in_data + 4'hf; assign out_data = {3'h0, s[4]};", lambda x: (x + 15) >> 4),
        ("assign out_data = {in_data[1:0], in_data[3:2]};", lambda x: (x & 3) << 2 | x >> 2),
        ("assign out_data = {4{in_data[2]}};", lambda x: 15 * (x >> 2 & 1)),
        (
            "assign out_data = in_data >= 4'h7 ? ~in_data : in_data - 4'h1;",
            lambda x: (15 - x) if x >= 7 else (x - 1) % 16,
        ),
        ("assign out_data = {3'h0, &in_data};", lambda x: int(x == 15)),
        ("assign out_data = {3'h0, in_data == 4'h9} | (in_data & 4'h8) ^ 4'h2;", lambda x: int(x == 9) | ((x & 8) ^ 2)),
        ("localparam [15:0] T = 16'h8421; assign out_data[3:1] = 3'h0;", None),
    ],
)
def test_expressions_follow_the_standard(body: str, expected: Any) -> None:
    if expected is None:
        with pytest.raises(RtlError):
            reread(body)
        return
    found = reread(body).evaluate(np.arange(16)[:, None])[:, 0]
    assert found.tolist() == [expected(x) for x in range(16)]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("assign out_data = in_data * 4'h3;", "not known"),
        ("assign out_data = in_data << 1;", "not known"),
        ("assign out_data[0] = in_data[0];", "bit 1 of .* has no driver"),
        ("assign out_data = in_data; assign out_data = 4'h0;", "no driver or two"),
        ("wire [3:0] a = out_data; assign out_data = a;", "depends on itself"),
        ("assign out_data = other;", "not declared"),
        ("assign out_data = in_data[5:2];", "not all in in_data"),
        ("other u (.a(in_data), .y(out_data));", "before it is defined"),
        (
            "reg [3:0] q; always @* begin case (in_data) 4'h0: q = 4'h1; endcase end assign out_data = q;",
            "without default",
        ),
        ("assign out_data = 4'hx;", "not known"),
        ("initial begin end assign out_data = in_data;", "not known"),
        ("`define A 1\nassign out_data = in_data;", "directive"),
        ("assign out_data = ;", "cannot parse"),
    ],
)
def test_what_the_model_does_not_know_is_refused(body: str, message: str) -> None:
    with pytest.raises(RtlError, match=message):
        reread(body).evaluate(np.arange(16)[:, None])


def test_nothing_is_left_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lutnet.verify import roundtrip as module

    monkeypatch.chdir(tmp_path)
    module._parser.cache_clear()
    net = pipelined()
    assert roundtrip(net, Verilog().emit(net), Verilog().interface(net), codes_of(net)).equal
    assert list(tmp_path.iterdir()) == []
