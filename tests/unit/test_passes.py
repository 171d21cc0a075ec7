"""Passes keep the function and do what they say."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet import LutnetError, Netlist, NetlistBuilder, TruthTable, UserError
from lutnet.ir import OpCode
from lutnet.passes import DEFAULT_PASSES, PASSES, Dce, Dedupe, Fold, Narrow, Pass, Pipeline, parse_passes, run_passes
from lutnet.passes.base import Steps
from lutnet.testing import mutate_table, random_netlist
from lutnet.verify.equivalence import check_equivalent, compare_netlists


@pytest.mark.parametrize("seed", range(150))
def test_passes_keep_the_function(seed: int) -> None:
    net = random_netlist(seed, n_inputs=1 + seed % 5, n_nodes=7 + seed % 25, max_width=1 + seed % 5)
    if seed % 3 == 0:
        net = Pipeline(every=1 + seed % 2, inputs=bool(seed % 2))(net)
    after, records = run_passes(net, parse_passes(DEFAULT_PASSES), check=check_equivalent)
    assert after.latency_cycles == net.latency_cycles
    assert all(record.checked != "unchecked" for record in records)


@pytest.mark.parametrize("name", sorted(PASSES))
def test_any_number_of_rewrites_keeps_the_function(name: str) -> None:
    kind = PASSES[name]
    for seed in range(8):
        net = random_netlist(seed, n_nodes=25)
        steps = Steps()
        kind().rewrite(net, steps)
        for limit in range(steps.n_taken + 1):
            counted = Steps(limit)
            after = kind().rewrite(net, counted).verify()
            assert counted.n_taken == limit
            assert compare_netlists(net, after, n_random=200).equal


def test_a_pass_that_breaks_the_function_is_caught_and_named() -> None:
    class Breaker(Pass):
        name = "breaker"

        def rewrite(self, net: Netlist, steps: Steps) -> Netlist:
            return mutate_table(net)

        def __str__(self) -> str:
            return self.name

    with pytest.raises(LutnetError, match=r"pass 'breaker' failed: the function changed on .* input codes"):
        run_passes(random_netlist(7), [Fold(), Breaker()], check=check_equivalent)


def test_limit_bisects() -> None:
    net = random_netlist(3, n_nodes=30)
    _, full = run_passes(net, parse_passes(DEFAULT_PASSES))
    total = sum(record.n_rewrites for record in full)
    assert total > 3
    _, some = run_passes(net, parse_passes(DEFAULT_PASSES), limit=3)
    assert sum(record.n_rewrites for record in some) == 3


def test_fold_finds_what_is_known() -> None:
    b = NetlistBuilder()
    x = b.input(2, "x")
    zero = b.const(0, 2)
    b.output(b.lut(TruthTable((2,), 2, np.array([3, 0, 0, 0])), [zero]), "constant_table")
    b.output(b.threshold(b.lut(TruthTable((2,), 3, np.array([4, 5, 6, 7])), [x]), 4), "decided")
    b.output(b.sum([x, zero, b.const(3, 2)], [1, 4, -2]), "sum")
    b.output(b.argmax([zero, b.const(2, 2), x, zero]), "argmax")
    b.output(b.slice(b.concat([x, b.slice(x, 0, 1)]), 0, 2), "wire")
    net = Dce()(Fold()(b.build()))
    ops = [net.node(int(row)).op for row in net.outputs]
    assert ops == [OpCode.CONST, OpCode.CONST, OpCode.SUM, OpCode.ARGMAX, OpCode.INPUT]
    assert len(net.node(int(net.outputs[2])).operands) == 1 and net.node(int(net.outputs[2])).imm == -6


def test_decided_argmax_respects_ties() -> None:
    b = NetlistBuilder()
    x = b.input(1, "x")
    one, big = b.const(1, 1), b.const(2, 2)
    b.output(b.argmax([x, one]), "undecided")
    b.output(b.argmax([one, x]), "first_wins_ties")
    b.output(b.argmax([x, big, one]), "larger")
    net = Fold()(b.build())
    nodes = [net.node(int(row)) for row in net.outputs]
    assert [node.op for node in nodes] == [OpCode.ARGMAX, OpCode.CONST, OpCode.CONST]
    assert [node.imm for node in nodes[1:]] == [0, 1]


def test_dce_and_dedupe_shrink() -> None:
    b = NetlistBuilder()
    x, y = b.input(1, "x"), b.input(2, "y")
    table = TruthTable((1, 2), 1, np.array([0, 1, 1, 0, 0, 0, 1, 1]))
    swapped = TruthTable((2, 1), 1, table.codes.reshape(4, 2).T.reshape(-1))
    b.output(b.lut(table, [x, y]), "a")
    b.output(b.lut(swapped, [y, x]), "b")
    b.output(b.sum([x, y], [2, -1]), "c")
    b.output(b.sum([y, x], [-1, 2]), "d")
    b.lut(TruthTable((1,), 1, np.array([1, 0])), [x])
    net = b.build()
    merged = Dedupe()(net)
    assert compare_netlists(net, merged).equal
    small = Dce()(merged)
    assert small.n_nodes == 4 and len(small.tables) == 1


def test_narrow_drops_bits() -> None:
    b = NetlistBuilder()
    x, y = b.input(2, "x"), b.input(2, "y")
    xs, ys = np.arange(16) & 3, np.arange(16) >> 2
    copies = (xs & 1) | ((xs & 1) << 1) | ((ys >> 1) << 2) | (((xs ^ ys) & 1) << 3) | (((xs ^ ys) & 1) << 4)
    first = b.lut(TruthTable((2, 2), 6, copies), [x, y])
    parity = np.array([bin(code & 0b11000).count("1") & 1 ^ (code & 1) for code in range(64)])
    b.output(b.lut(TruthTable((6,), 1, parity), [first]), "parity")
    b.output(first, "all")
    net = b.build()
    small = Dce()(Narrow()(net))
    assert compare_netlists(net, small).equal
    assert max(table.out_width for table in small.tables) == 1
    assert sum(table.n_entries for table in small.tables) <= 4, "two equal bits cancel and the parity is a copy of x[0]"


def test_narrow_keeps_values_for_sums() -> None:
    b = NetlistBuilder()
    x = b.input(3, "x")
    table = TruthTable((3,), 6, np.array([0, 1, 62, 63, 2, 61, 3, 60]))
    b.output(b.sum([b.lut(table, [x], signed=True), b.lut(table, [x], signed=False)], [4, -1], bias=1), "y")
    net = b.build()
    small = Narrow()(net)
    assert compare_netlists(net, small).equal
    assert sorted(table.out_width for table in small.tables) == [3, 6]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("every", [0, 1, 2, 3])
def test_pipeline_labels(seed: int, every: int) -> None:
    net = random_netlist(seed, n_nodes=30)
    piped = Pipeline(every=every, inputs=True)(net)
    assert compare_netlists(net, piped).equal
    for node in piped.nodes():
        assert all(piped.stage[j] <= node.stage for j in node.operands)
        if every and net.levels[node.id] and OpCode(node.op) in (OpCode.LUT, OpCode.SUM):
            assert node.stage >= 1 + (net.levels[node.id] - 1) // every
    assert piped.latency_cycles == piped.stage.max() + 1
    assert Pipeline(every=0, outputs=False)(net).latency_cycles == 0


def test_passes_are_written_as_text() -> None:
    items = parse_passes("fold, narrow,pipeline{every=2,inputs=true}")
    assert [str(item) for item in items] == ["fold", "narrow", "pipeline{every=2,inputs=true}"]
    assert items[2] == Pipeline(every=2, inputs=True)
    assert parse_passes("") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fold,polish", "unknown pass 'polish'; known passes are absorb"),
        ("pipeline{each=2}", "no option 'each'; its options are every"),
        ("pipeline{every=two}", "number like 1"),
        ("pipeline{inputs=yes}", "true or false"),
        ("fold{", "cannot read"),
        ("pipeline{every=-1}", "at least 0"),
    ],
)
def test_bad_passes_are_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_passes(text)
