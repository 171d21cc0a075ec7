"""The netlist: semantics of every op, grammar, text, file and graph."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest

from lutnet import Format, InputEncoder, Netlist, NetlistBuilder, NetlistError, TruthTable, UserError
from lutnet.ir import OPS, Design, OpCode, from_text, load_design, save_design, to_text
from lutnet.ir.ops import Interval, bits_for, code_range
from lutnet.ir.rules import RULES
from lutnet.testing import mutate_table, random_netlist

XOR = TruthTable((1, 1), 1, np.array([0, 1, 1, 0]))


def one_of_each() -> Netlist:
    b = NetlistBuilder()
    x, y = b.input(3, "x", signed=True), b.input(2, "y")
    low = b.slice(x, 0, 1)
    bit = b.lut(XOR, [low, b.slice(y, 1, 1)])
    total = b.sum([x, y, bit], [-4, 2, 1], bias=5)
    b.output(total, "total")
    b.output(b.threshold(x, -2), "at_least")
    b.output(b.argmax([y, x, bit]), "argmax")
    b.output(b.concat([y, bit, b.const(2, 2)]), "concat")
    return b.build()


def test_every_op_means_what_the_specification_says() -> None:
    net = one_of_each()
    inputs = np.array([(x, y) for x in range(8) for y in range(4)])
    expected = []
    for x, y in inputs.tolist():
        value = x - 8 if x >= 4 else x
        bit = (x & 1) ^ (y >> 1)
        total = -4 * value + 2 * y + bit + 5
        numbers = [y, value, bit]
        expected.append(
            [
                total & ((1 << net.output_widths[0]) - 1),
                int(value >= -2),
                numbers.index(max(numbers)),
                y | bit << 2 | 2 << 3,
            ]
        )
    np.testing.assert_array_equal(net.evaluate(inputs), expected)
    assert {OpCode(code) for code in net.op} == set(OPS)


def test_sum_never_wraps_and_is_as_narrow_as_its_range() -> None:
    net = one_of_each()
    row = int(net.outputs[0])
    assert net.ranges[row] == Interval(-4 * 3 + 5, 16 + 6 + 1 + 5)
    assert (int(net.width[row]), bool(net.signed[row])) == bits_for(net.ranges[row]) == (6, True)


@pytest.mark.parametrize(
    ("lo", "hi", "width", "signed"),
    [
        (0, 0, 1, False),
        (0, 1, 1, False),
        (0, 255, 8, False),
        (0, 256, 9, False),
        (-1, 0, 1, True),
        (-128, 127, 8, True),
        (-1, 128, 9, True),
        (-129, 0, 9, True),
        (-1, 1, 2, True),
    ],
)
def test_bits_for(lo: int, hi: int, width: int, signed: bool) -> None:
    assert bits_for(Interval(lo, hi)) == (width, signed)
    assert Interval(lo, hi).within(code_range(width, signed))


def test_equal_nodes_and_tables_are_built_once() -> None:
    b = NetlistBuilder()
    x, y = b.input(1), b.input(1)
    assert b.lut(XOR, [x, y]) == b.lut(TruthTable((1, 1), 1, np.array([0, 1, 1, 0])), [x, y])
    assert b.lut(XOR, [y, x]) != b.lut(XOR, [x, y])
    assert b.const(1, 2) != b.const(1, 2, signed=True)
    b.output(b.lut(XOR, [x, y]))
    assert len(b.build().tables) == 1


def test_hash_consing_takes_the_earlier_stage() -> None:
    b = NetlistBuilder()
    x = b.input(2)
    b.stage = 3
    first = b.slice(x, 0, 1)
    b.stage = 1
    assert b.slice(x, 0, 1) == first
    b.output(first)
    net = b.build(latency_cycles=4)
    assert net.stage[first] == 1 and net.latency_cycles == 4


def test_evaluate_refuses_bad_codes() -> None:
    net = one_of_each()
    with pytest.raises(UserError, match="'y' takes codes 0 to 3, got 0 to 4"):
        net.evaluate([[0, 0], [1, 4]])
    with pytest.raises(UserError, match="integer"):
        net.evaluate([[0.0, 0.0]])
    with pytest.raises(UserError, match="shape"):
        net.evaluate([0, 0])
    assert net.evaluate(np.empty((0, 2), dtype=int)).shape == (0, 4)


def test_evaluate_is_the_same_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    net = random_netlist(5, n_nodes=30)
    codes = np.stack([np.arange(100) % (1 << w) for w in net.input_widths], axis=1)
    whole = net.evaluate(codes)
    monkeypatch.setattr("lutnet.ir.netlist._CHUNK_BYTES", 8 * net.n_nodes * 7)
    np.testing.assert_array_equal(net.evaluate(codes), whole)
    np.testing.assert_array_equal(net.evaluate_nodes(codes)[:, net.outputs], whole)


def test_netlist_is_immutable() -> None:
    net = one_of_each()
    with pytest.raises(ValueError):
        net.width[0] = 5
    with pytest.raises(AttributeError):
        net.width = None  # type: ignore[misc, assignment]


def corrupted(**changes: Any) -> Netlist:
    net = one_of_each()
    columns = {f.name: getattr(net, f.name) for f in fields(net)}
    for name, change in changes.items():
        if callable(change):
            column = columns[name].copy()
            change(column)
            columns[name] = column
        else:
            columns[name] = change
    return Netlist(**columns)


def set_at(place: int, value: Any):  # type: ignore[no-untyped-def]
    return lambda column: column.__setitem__(place, value)


NET = one_of_each()
LUT = int(np.flatnonzero(NET.op == OpCode.LUT)[0])
SUM = int(np.flatnonzero(NET.op == OpCode.SUM)[0])
THRESHOLD = int(np.flatnonzero(NET.op == OpCode.THRESHOLD)[0])
SLICES = np.flatnonzero(NET.op == OpCode.SLICE)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("columns", {"imm": np.zeros(3, np.int64)}),
        ("columns", {"op": NET.op.astype(np.int32)}),
        ("columns", {"fanin_ptr": NET.fanin_ptr[::-1].copy()}),
        ("known-op", {"op": set_at(0, 77)}),
        ("width-bounds", {"width": set_at(0, 63)}),
        ("topological", {"fanin": set_at(0, 999)}),
        ("topological", {"fanin": set_at(0, int(np.repeat(np.arange(NET.n_nodes), np.diff(NET.fanin_ptr))[0]))}),
        ("ports", {"input_names": ("x", "x")}),
        ("ports", {"outputs": np.zeros(0, np.int32), "output_names": ()}),
        ("ports", {"inputs": set_at(1, 0)}),
        ("tables", {"table_id": set_at(LUT, -1)}),
        ("tables", {"tables": (*NET.tables, *NET.tables)}),
        ("tables", {"tables": (*NET.tables, TruthTable((1,), 1, np.array([0, 1])))}),
        ("operands", {"tables": (TruthTable((2,), 1, np.array([0, 1, 1, 0])),)}),
        ("operands", {"signed": set_at(THRESHOLD, True)}),
        ("immediates", {"imm": set_at(int(SLICES[0]), 9)}),
        ("immediates", {"coef": set_at(int(NET.fanin_ptr[SUM]), 3)}),
        ("immediates", {"coef": set_at(int(NET.fanin_ptr[LUT]), 1)}),
        ("immediates", {"imm": set_at(LUT, 1)}),
        ("widths", {"width": set_at(THRESHOLD, 2)}),
        ("sums", {"imm": set_at(SUM, 99)}),
        ("thresholds", {"imm": set_at(THRESHOLD, 4)}),
        ("stages", {"stage": set_at(0, 1)}),
        ("stages", {"stage": set_at(SUM, 2)}),
    ],
)
def test_each_rule_has_a_netlist_that_breaks_it(rule: str, changes: dict[str, Any]) -> None:
    with pytest.raises(NetlistError) as found:
        corrupted(**changes).verify()
    assert found.value.rule == rule, str(found.value)


def test_distinct_rule() -> None:
    text = 'netlist 1\nlatency 0\n%0 = input u2 0 "x" @0\n%1 = slice u1 %0 from 0 @0\n%2 = slice u1 %0 from 0 @0\noutput "y" %2\n'
    with pytest.raises(NetlistError) as found:
        from_text(text)
    assert (found.value.rule, found.value.node) == ("distinct", 2)


def test_every_rule_is_exercised_here() -> None:
    source = Path(__file__).read_text()
    assert all(f'"{rule.name}"' in source for rule in RULES)


@pytest.mark.parametrize("seed", range(30))
def test_text_and_file_give_the_same_netlist_back(seed: int, tmp_path: Path) -> None:
    net = random_netlist(seed, n_nodes=25)
    assert from_text(to_text(net)) == net
    assert to_text(from_text(to_text(net))) == str(net)
    assert load_design(save_design(tmp_path / "n.npz", Design(net))).netlist == net


def test_text_keeps_care_names_and_wide_codes() -> None:
    b = NetlistBuilder()
    x = b.input(2, 'a "quoted" \\ name\n')
    b.output(b.lut(TruthTable((2,), 20, np.array([0, 1 << 19, 5, 77]), np.array([True, False, True, True])), [x]), "ü")
    net = b.build()
    assert from_text(to_text(net)) == net
    assert (
        from_text("# a comment\n".join(to_text(net).partition("\n")[::2]).replace("# a comment", "\n# a comment", 1))
        == net
    )


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("netlist 1", "netlist 2", 1),
        ("slice u1", "slyce u1", 6),
        ("%0 from 0", "0 from 0", 6),
        ("0110", "011", 3),
        ("0110", "01g0", 3),
        ("const u2 2", "const u2 x", 0),
    ],
)
def test_text_errors_name_the_line(old: str, new: str, line: int) -> None:
    text = to_text(one_of_each())
    assert old in text
    with pytest.raises(UserError, match=f"line {line or ''}"):
        from_text(text.replace(old, new, 1))


def test_mutant_of_one_bit_is_another_netlist() -> None:
    net = random_netlist(7)
    mutant = mutate_table(net, seed=1)
    assert mutant != net and to_text(mutant) != to_text(net)


def test_stored_bytes_depend_on_the_design_alone(tmp_path: Path) -> None:
    encoder = InputEncoder(tuple(np.arange(7.0) for _ in range(1)), (Format(3, True, 0.5),), ("x",))
    b = NetlistBuilder()
    b.output(b.slice(b.input(3, "x"), 0, 1), "class")
    design = Design(b.build(), encoder, ("a", "b"), {"seed": 1})
    first = save_design(tmp_path / "1.npz", design).read_bytes()
    assert save_design(tmp_path / "2.npz", design).read_bytes() == first
    again = load_design(tmp_path / "1.npz")
    assert again.class_names == ("a", "b") and again.info == {"seed": 1}
    assert again.encoder is not None and again.encoder.formats == encoder.formats
    np.testing.assert_array_equal(again.encoder.thresholds[0], encoder.thresholds[0])


def test_foreign_damaged_and_newer_files_are_refused(tmp_path: Path) -> None:
    good = save_design(tmp_path / "n.npz", Design(one_of_each())).read_bytes()
    with pytest.raises(UserError, match="no netlist at"):
        load_design(tmp_path / "missing.npz")
    for name, content in {
        "cut": good[: len(good) // 2],
        "text": b"hello",
        "empty": b"",
        "flipped": good[:200] + b"\xff" * 40 + good[240:],
    }.items():
        path = tmp_path / f"{name}.npz"
        path.write_bytes(content)
        with pytest.raises((UserError, NetlistError)):
            load_design(path)
    np.savez(tmp_path / "foreign.npz", a=np.zeros(3))
    with pytest.raises(UserError, match="no lutnet netlist"):
        load_design(tmp_path / "foreign.npz")
    np.savez(tmp_path / "object.npz", header=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="no lutnet netlist"):
        load_design(tmp_path / "object.npz")


def test_an_encoder_that_does_not_fit_is_refused() -> None:
    encoder = InputEncoder((np.array([0.0]),), (Format(1),), ("x",))
    with pytest.raises(UserError, match="encoder"):
        Design(one_of_each(), encoder)


def test_graph_is_a_read_only_view_with_the_netlists_edges() -> None:
    net = random_netlist(11, n_nodes=30)
    graph = net.graph
    edges = {(j, i) for i in range(net.n_nodes) for j in net.operands(i)}
    assert set(graph.edges) == edges and len(graph) == net.n_nodes
    assert {(u, v) for v in graph for u in graph.pred[v]} == edges
    assert nx.is_directed_acyclic_graph(graph)
    assert graph.nodes[0]["op"] == "input"
    copy = nx.DiGraph(graph)
    copy.add_edge(0, net.n_nodes + 5)
    assert nx.ancestors(graph, int(net.outputs[0])) == nx.ancestors(nx.DiGraph(graph), int(net.outputs[0]))
    for change in (lambda: graph.add_edge(0, 1), lambda: graph.remove_node(0), lambda: graph.add_node(99), graph.clear):
        with pytest.raises(nx.NetworkXError, match="read-only"):
            change()
    assert 0 not in graph.adj[0] and "x" not in graph and -1 not in graph
