"""Tables that move into their readers, cones that become one table, and bits that are made once."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet import Netlist, NetlistBuilder, TruthTable, UserError
from lutnet.ir import OpCode
from lutnet.passes import Absorb, Collapse, Dce, Pipeline
from lutnet.passes.bits import Bit
from lutnet.passes.compose import BitTable, composed
from lutnet.testing import random_netlist
from lutnet.verify.equivalence import compare_netlists


def table(rng: np.random.Generator, widths: tuple[int, ...], out: int) -> TruthTable:
    return TruthTable(widths, out, rng.integers(0, 1 << out, 1 << sum(widths)))


def n_luts(net: Netlist) -> int:
    return Dce()(net).count(OpCode.LUT)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("kind", [Absorb(), Collapse(), Collapse(max_bits=9)], ids=str)
def test_random_netlists_keep_function_and_latency(kind: Absorb | Collapse, seed: int) -> None:
    net = random_netlist(seed, n_inputs=1 + seed % 5, n_nodes=7 + seed % 30, max_width=1 + seed % 4)
    if seed % 2:
        net = Pipeline(every=1 + seed % 3)(net)
    after = kind(net)
    assert compare_netlists(net, after).equal
    assert after.latency_cycles == net.latency_cycles and after.stage.max(initial=0) <= net.stage.max(initial=0)


def test_one_input_tables_move_into_their_readers() -> None:
    rng = np.random.default_rng(0)
    b = NetlistBuilder()
    x, y = b.input(3), b.input(3)
    coded = b.lut(TruthTable((3,), 3, rng.permutation(8)), [x])
    b.output(b.lut(table(rng, (3, 3), 2), [coded, y]))
    b.output(b.lut(table(rng, (3,), 2), [coded]))
    net = b.build()
    after = Absorb()(net)
    assert compare_netlists(net, after).equal
    assert n_luts(after) == 2


def test_a_table_that_would_grow_stays() -> None:
    rng = np.random.default_rng(1)
    b = NetlistBuilder()
    x, y, z = (b.input(3) for _ in range(3))
    b.output(b.lut(table(rng, (2, 3), 2), [b.lut(table(rng, (3, 3), 2), [x, y]), z]))
    assert n_luts(Absorb()(b.build())) == 2


def test_a_table_that_would_grow_by_one_bit_stays() -> None:
    rng = np.random.default_rng(8)
    b = NetlistBuilder()
    x, y = b.input(3), b.input(2)
    b.output(b.lut(table(rng, (2, 2), 2), [b.lut(TruthTable((3,), 2, np.arange(8) % 3), [x]), y]))
    assert n_luts(Absorb()(b.build())) == 2


def test_constants_and_repeated_operands_leave_the_address() -> None:
    rng = np.random.default_rng(2)
    b = NetlistBuilder()
    x = b.input(2)
    inner = b.lut(table(rng, (2,), 2), [x])
    b.output(b.lut(table(rng, (2, 2, 2), 2), [inner, b.const(2, 2), x]))
    net = b.build()
    after = Dce()(Absorb()(net))
    assert compare_netlists(net, after).equal
    assert max(node.table.address_bits for node in after.nodes() if node.table) == 2


@pytest.mark.parametrize("flip", [0, 1, 2, 3])
def test_neurons_equal_up_to_order_and_negation_are_made_once(flip: int) -> None:
    rng = np.random.default_rng(3)
    first = table(rng, (2, 2), 2)
    codes = first.codes.reshape(4, 4)
    swapped = TruthTable((2, 2), 2, (codes.T.reshape(-1) ^ flip))
    b = NetlistBuilder()
    x, y, z = (b.input(2) for _ in range(3))
    rows = [b.lut(first, [x, y]), b.lut(swapped, [y, x])]
    for row in rows:
        b.output(b.lut(table(rng, (2, 2), 2), [row, z]))
    net = b.build()
    after = Dce()(Absorb()(net))
    assert compare_netlists(net, after).equal
    assert after.count(OpCode.LUT) == 3


def test_equal_bits_of_other_stages_stay() -> None:
    rng = np.random.default_rng(4)
    same = table(rng, (2, 2), 2)
    b = NetlistBuilder()
    x, y = b.input(2), b.input(2)
    first = b.lut(same, [x, y])
    b.stage = 1
    second = b.lut(TruthTable((2, 2), 2, same.codes.reshape(4, 4).T.reshape(-1)), [y, x])
    b.output(first)
    b.output(second)
    assert Absorb()(b.build(latency_cycles=2)).count(OpCode.LUT) == 2


def test_values_keep_their_codes() -> None:
    b = NetlistBuilder()
    x = b.input(3)
    a = b.lut(TruthTable((3,), 3, np.arange(8)[::-1].copy()), [x], signed=True)
    c = b.lut(TruthTable((3,), 3, np.arange(8) ^ 5), [x], signed=True)
    b.output(b.sum([a, c]))
    net = b.build()
    assert compare_netlists(net, Absorb()(net)).equal


def test_a_cone_becomes_one_table() -> None:
    rng = np.random.default_rng(5)
    b = NetlistBuilder()
    x, y, z = (b.input(2) for _ in range(3))
    inner = b.lut(table(rng, (2, 2), 2), [x, y])
    b.output(b.lut(table(rng, (2, 2), 2), [inner, z]))
    b.output(b.lut(table(rng, (2, 2), 1), [inner, x]))
    net = b.build()
    after = Collapse()(net)
    assert compare_netlists(net, after).equal
    assert after.count(OpCode.LUT) == 2
    assert Collapse(max_bits=5)(net).count(OpCode.LUT) == 3


def test_outputs_and_other_stages_are_not_collapsed() -> None:
    rng = np.random.default_rng(6)
    b = NetlistBuilder()
    x, y = b.input(2), b.input(2)
    inner = b.lut(table(rng, (2, 2), 2), [x, y])
    b.output(b.lut(table(rng, (2, 2), 2), [inner, x]))
    net = b.build()
    assert Collapse()(Pipeline()(net)).count(OpCode.LUT) == 2
    assert Collapse()(net).count(OpCode.LUT) == 1
    b.output(inner)
    assert Collapse()(b.build()).count(OpCode.LUT) == 2


def test_care_follows_the_composition() -> None:
    bits = (Bit(0, 0), Bit(0, 1), Bit(1, 0))
    inner = BitTable(bits[:2], np.asarray([0, 1, 1, 0]), 1, np.asarray([True, True, True, False]))
    outer = BitTable((bits[2], Bit(7, 0)), np.asarray([0, 1, 2, 3]), 2, np.asarray([True, False, True, True]))
    found = composed(outer, 7, inner)
    assert found.bits == bits
    x = np.arange(8)
    made = inner.codes[x & 3]
    np.testing.assert_array_equal(found.codes, outer.codes[(x >> 2) | (made << 1)])
    np.testing.assert_array_equal(found.care, inner.care[x & 3] & outer.care[(x >> 2) | (made << 1)])


def test_options_are_checked() -> None:
    with pytest.raises(UserError, match="2 to 12"):
        Collapse(max_bits=13)
