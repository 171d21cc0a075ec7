"""Codes outside care sets: fewer address bits, constants, copies and shared bits, and nothing else changes."""

from __future__ import annotations

import itertools
from functools import partial as partial_of

import numpy as np
import pytest

from lutnet import LutnetError, Netlist, NetlistBuilder, TruthTable, UserError
from lutnet.ir import OpCode
from lutnet.passes import Narrow, parse_passes, run_passes
from lutnet.passes.assign import Assign, Partial, fewest_bits
from lutnet.passes.rare import Rare
from lutnet.testing import random_netlist
from lutnet.verify.equivalence import check_on_care


def partial(seed: int, n_bits: int, cared: float) -> Partial:
    rng = np.random.default_rng(seed)
    care = rng.random(1 << n_bits) < cared
    column = rng.integers(0, 2, 1 << n_bits).astype(bool)
    return Partial(care & column, care & ~column)


def feasible(function: Partial, gone: tuple[int, ...]) -> bool:
    current: Partial | None = function
    for bit in gone:
        current = None if current is None else current.without(bit)
    return current is not None


def one_table(in_widths: tuple[int, ...], width: int, codes: object, care: object) -> Netlist:
    b = NetlistBuilder()
    rows = [b.input(w) for w in in_widths]
    b.output(b.lut(TruthTable(in_widths, width, np.asarray(codes), np.asarray(care)), rows))
    return b.build()


@pytest.mark.parametrize("seed", range(40))
def test_fewest_bits_is_the_minimum(seed: int) -> None:
    n_bits = 2 + seed % 5
    function = partial(seed, n_bits, 0.15 + 0.1 * (seed % 4))
    smaller, gone = fewest_bits(function, range(n_bits), tries=10_000)
    best = max(
        (
            set_
            for n in range(n_bits + 1)
            for set_ in itertools.combinations(range(n_bits), n)
            if feasible(function, set_)
        ),
        key=len,
    )
    assert len(gone) == len(best) and feasible(function, gone)
    assert not (function.on & ~smaller.on).any() and not (function.off & ~smaller.off).any()
    _, greedy = fewest_bits(function, range(n_bits), tries=0)
    assert feasible(function, greedy)
    assert all(not feasible(function, (*greedy, bit)) for bit in range(n_bits) if bit not in greedy)


def test_the_first_in_the_order_goes() -> None:
    same = Partial(np.array([False, False, False, True]), np.array([True, False, False, False]))
    assert fewest_bits(same, [0, 1])[1] == (0,)
    assert fewest_bits(same, [1, 0])[1] == (1,)


def test_constants_copies_and_complements_by_hand() -> None:
    care = [True, True, False, True]
    net = one_table(
        (1, 1), 3, [0b010, 0b011, 0b111, 0b000], care
    )  # never address 2: bits x0 xor x1, not x1, constant 0
    after = Narrow()(Assign()(net))
    table = Assign()(net).tables[0]
    assert table.codes[[0, 1, 3]].tolist() == [0b010, 0b011, 0b000]
    assert (table.codes >> 2).max() == 0
    assert ((table.codes >> 1) & 1).tolist() == [1, 1, 0, 0]
    assert sum(t.out_width for t in after.tables) == 2


def test_bits_of_a_sibling_are_shared() -> None:
    b = NetlistBuilder()
    rows = [b.input(2), b.input(2)]
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2, 16)
    care = rng.random(16) < 0.6
    b.output(b.lut(TruthTable((2, 2), 1, first), rows))
    b.output(b.lut(TruthTable((2, 2), 1, np.where(care, first, 1 - first), care), rows))
    after = Assign()(b.build())
    assert [t.codes.tolist() for t in after.tables] == [first.tolist()] * 2


def test_a_bit_that_all_readers_can_miss_goes() -> None:
    b = NetlistBuilder()
    x, y = b.input(2), b.input(1)
    made = b.lut(TruthTable((2,), 2, np.array([1, 2, 1, 2])), [x])  # codes 0 and 3 never occur
    care = np.isin(np.arange(8) & 3, (1, 2))
    for codes in ([0, 1, 0, 0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1, 1, 0]):
        b.output(b.lut(TruthTable((2, 1), 1, np.array(codes), care), [made, y]))
    net = b.build()
    after, _ = run_passes(net, [Assign(), *parse_passes("narrow,dce")], check=check_on_care)
    assert max(node.table.out_width for node in after.nodes() if node.table is not None) == 1
    reads = [node for node in after.nodes() if node.op is OpCode.LUT]
    assert all(sum(node.operand_widths) <= 2 for node in reads)


def test_values_stay_within_what_sums_hold() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        b = NetlistBuilder()
        x, y = b.input(3), b.input(3)
        codes, care = rng.integers(0, 6, 8), rng.random(8) < 0.5
        care[0] = True
        made = b.lut(TruthTable((3,), 3, codes, care), [x])
        b.output(b.sum([made, y], bias=-2))
        run_passes(b.build(), [Assign(), Narrow()], check=check_on_care)


@pytest.mark.parametrize("seed", range(100))
def test_random_netlists_keep_the_function_on_the_care_set(seed: int) -> None:
    net = random_netlist(seed, n_inputs=1 + seed % 5, n_nodes=10 + seed % 20, max_width=1 + seed % 4)
    rng = np.random.default_rng(seed)
    samples = np.stack([rng.integers(0, 1 << w, 6) for w in net.input_widths], axis=1)
    passes = [Rare(samples=samples), Assign(), *parse_passes("fold,narrow,fold,dedupe,dce")]
    after, _ = run_passes(net, passes, check=partial_of(check_on_care, samples=samples))
    np.testing.assert_array_equal(after.evaluate(samples), net.evaluate(samples))


def test_a_mutant_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Partial, "agrees", lambda self, column: not (self.on & ~column).any())
    with pytest.raises(LutnetError, match="pass 'assign' failed: the function changed"):
        run_passes(one_table((1, 1), 1, [0, 0, 1, 0], [True, True, True, False]), [Assign()], check=check_on_care)


def test_fifteen_address_bits_and_options() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 8, 1 << 15)
    care = rng.random(1 << 15) < 0.02
    after = Assign()(one_table((5, 5, 5), 3, codes, care))
    np.testing.assert_array_equal(after.tables[0].codes[care], codes[care])
    with pytest.raises(UserError, match=r"assign\.tries is a number of at least 0"):
        Assign(tries=-1)
    assert str(Assign()) == "assign" and str(Assign(tries=9)) == "assign{tries=9}"
