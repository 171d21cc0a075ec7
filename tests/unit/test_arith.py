"""Sums, comparisons and argmax rewritten into fewer lookup tables."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet import Netlist, NetlistBuilder
from lutnet.ir import OpCode
from lutnet.ir.estimate import estimate_luts
from lutnet.passes import Arith, Pipeline
from lutnet.passes.arith_pairs import Term, shared_pairs
from lutnet.testing import random_netlist
from lutnet.verify.equivalence import compare_netlists


def equal(before: Netlist, after: Netlist) -> bool:
    return compare_netlists(before, after).equal


@pytest.mark.parametrize("seed", range(60))
def test_random_netlists_keep_function_and_latency(seed: int) -> None:
    net = random_netlist(seed, n_inputs=1 + seed % 5, n_nodes=7 + seed % 30, max_width=1 + seed % 6)
    if seed % 2:
        net = Pipeline(every=1 + seed % 2)(net)
    after = Arith(argmax=bool(seed % 3))(net)
    assert equal(net, after)
    assert after.latency_cycles == net.latency_cycles and after.stage.max(initial=0) <= net.stage.max(initial=0)


def test_a_sum_inside_a_sum_gives_its_terms_and_its_constant() -> None:
    b = NetlistBuilder()
    x, y, z = (b.input(4) for _ in range(3))
    inner = b.sum([x, y], [1, -2], bias=3)
    b.output(b.sum([inner, z], [-2, 1], bias=1))
    net = b.build()
    after = Arith()(net)
    assert equal(net, after)
    (node,) = [node for node in after.nodes() if node.op is OpCode.SUM]
    assert sorted(node.coefs) == [-2, 1, 4] and node.imm == -5


def test_a_sum_that_others_read_stays() -> None:
    b = NetlistBuilder()
    x, y, z = (b.input(4) for _ in range(3))
    inner = b.sum([x, y])
    b.output(inner)
    b.output(b.sum([inner, z]))
    assert Arith()(b.build()).count(OpCode.SUM) == 2


def test_registers_are_not_moved() -> None:
    b = NetlistBuilder()
    x, y, z = (b.input(4) for _ in range(3))
    b.output(b.sum([b.sum([x, y]), z]))
    assert Arith()(Pipeline()(b.build())).count(OpCode.SUM) == 2
    assert Arith()(b.build()).count(OpCode.SUM) == 1


def test_shared_pairs_are_added_once() -> None:
    b = NetlistBuilder()
    a, c, d, e = (b.input(5) for _ in range(4))
    b.output(b.sum([a, c, d], [1, -2, 1]))
    b.output(b.sum([a, c, e], [-4, 8, 1]))
    net = b.build()
    after = Arith()(net)
    assert equal(net, after)
    assert after.count(OpCode.SUM) == 3
    assert estimate_luts(after).luts < estimate_luts(net).luts


def test_pairs_of_pairs() -> None:
    sums = {row: tuple(Term(i, 1) for i in (0, 1, 2, row)) for row in (10, 11, 12)}
    found = shared_pairs(sums, lambda: True)
    assert len(found.pairs) == 2
    assert all(len(terms) == 2 for terms in found.terms.values())
    assert shared_pairs(sums, lambda: False).pairs == []


def test_sums_get_the_width_of_their_range() -> None:
    b = NetlistBuilder()
    x, y = b.input(3), b.input(3)
    wide = b.sum([x, y], shape=(9, True))
    b.output(b.threshold(wide, 5))
    net = b.build()
    after = Arith()(net)
    assert equal(net, after)
    assert max(node.width for node in after.nodes() if node.op is OpCode.SUM) == 5


def test_a_comparison_of_a_sum_becomes_its_sign() -> None:
    b = NetlistBuilder()
    x, y = b.input(6), b.input(6)
    b.output(b.threshold(b.sum([x, y], [1, -1]), 7))
    net = b.build()
    after = Arith()(net)
    assert equal(net, after)
    assert [node.imm for node in after.nodes() if node.op is OpCode.THRESHOLD] == [0]
    assert estimate_luts(after).luts < estimate_luts(net).luts


@pytest.mark.parametrize("signed", [(False,) * 5, (True,) * 5, (False, True, True, False, True), (True,)])
@pytest.mark.parametrize("width", [1, 2, 7])
def test_argmax_becomes_a_tournament(signed: tuple[bool, ...], width: int) -> None:
    b = NetlistBuilder()
    b.output(b.argmax([b.input(width + i % 2, signed=kind) for i, kind in enumerate(signed)]))
    net = b.build()
    after = Arith(argmax=True)(net)
    assert equal(net, after)
    assert after.count(OpCode.ARGMAX) == (1 if len(signed) == 1 else 0)
    ties = np.zeros((1, len(signed)), dtype=np.int64)
    np.testing.assert_array_equal(after.evaluate(ties), [[0]])


def test_only_bits_that_differ_are_multiplexed() -> None:
    b = NetlistBuilder()
    top = b.const(1, 1)
    rows = [b.concat([b.input(2), top]) for _ in range(4)]
    b.output(b.argmax(rows))
    after = Arith(argmax=True)(b.build())
    muxes = [node for node in after.nodes() if node.table is not None and node.table.address_bits == 3]
    assert len(muxes) <= 2 * 2 + 1


def test_a_threshold_beyond_the_narrower_sum_stays() -> None:
    net = random_netlist(20, n_inputs=3, n_nodes=20, max_width=1)
    assert compare_netlists(net, Arith(argmax=True)(net)).equal
