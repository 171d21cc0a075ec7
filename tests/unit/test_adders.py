"""Sums of many operands as trees."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet.errors import LutnetError
from lutnet.ir import NetlistBuilder, OpCode
from lutnet.ir.netlist import Netlist
from lutnet.passes import Adders, Pipeline, run_passes
from lutnet.testing import mutate_table, random_netlist
from lutnet.verify.equivalence import check_equivalent


def popcount(n_bits: int) -> Netlist:
    builder = NetlistBuilder()
    builder.output(builder.sum([builder.input(1) for _ in range(n_bits)]))
    return builder.build()


@pytest.mark.parametrize("n_bits", [1, 2, 3, 4, 5, 7, 8, 31, 100])
def test_population_counts_are_exact_and_balanced(n_bits: int) -> None:
    net = popcount(n_bits)
    after, _ = run_passes(net, [Adders()], check=check_equivalent)
    rows = np.random.default_rng(0).integers(0, 2, (200, n_bits))
    np.testing.assert_array_equal(after.evaluate(rows)[:, 0], rows.sum(axis=1))
    n_luts = after.count(OpCode.LUT)
    assert n_luts <= (n_bits + 4) // 4, f"{n_luts} full adders for {n_bits} bits"
    assert after.depth <= 1 + max(1, int(np.ceil(np.log2(max(n_bits, 2)))))
    for node in after.nodes():
        if node.op is OpCode.SUM and node.id not in after.outputs:
            assert sum(width > 1 for width in node.operand_widths) <= 2


def test_a_full_adder_takes_three_bits_and_a_carry_in_takes_one() -> None:
    after, records = run_passes(popcount(7), [Adders()])
    assert records[0].n_rewrites == 1
    assert after.count(OpCode.LUT) == 2
    sums = [node for node in after.nodes() if node.op is OpCode.SUM]
    assert [node.operand_widths for node in sums] == [(2, 2, 1)]


def test_terms_of_all_kinds_keep_their_value() -> None:
    builder = NetlistBuilder()
    wide = [builder.input(5, signed=True), builder.input(3), builder.input(4, signed=True)]
    bits = [builder.input(1) for _ in range(6)]
    builder.output(builder.sum([*wide, *bits], [-4, 8, 1, 2, 2, 2, -1, -1, -1], bias=-17))
    net = builder.build()
    after, _ = run_passes(net, [Adders(), Pipeline()], check=check_equivalent)
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 1 << np.array(net.input_widths), (500, len(net.inputs)))
    np.testing.assert_array_equal(after.evaluate(codes), net.evaluate(codes))
    assert after.latency_cycles > 1


def test_two_operands_stay_one_sum() -> None:
    builder = NetlistBuilder()
    builder.output(builder.sum([builder.input(4), builder.input(4)]))
    net = builder.build()
    after, records = run_passes(net, [Adders()])
    assert records[0].n_rewrites == 0
    assert after.n_nodes == net.n_nodes


def test_a_wrong_full_adder_is_noticed() -> None:
    after, _ = run_passes(popcount(9), [Adders()])
    with pytest.raises(LutnetError, match=r"function changed|differ"):
        check_equivalent(popcount(9), mutate_table(after))


@pytest.mark.parametrize("seed", range(40))
def test_random_netlists_keep_their_function(seed: int) -> None:
    run_passes(random_netlist(seed), [Adders()], check=check_equivalent)
