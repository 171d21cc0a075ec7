"""Codes of internal values: merged, shortened, numbered anew."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet import Netlist, NetlistBuilder, TruthTable, UserError
from lutnet.ir import OpCode
from lutnet.ir.estimate import estimate_luts
from lutnet.passes import Narrow, Pipeline, Recode
from lutnet.testing import random_netlist
from lutnet.verify.equivalence import compare_netlists


def chain(first: TruthTable, second: TruthTable, n_readers: int = 1) -> Netlist:
    """A producer, and readers that take it with an input each."""
    b = NetlistBuilder()
    made = b.lut(first, [b.input(width) for width in first.in_widths])
    for _ in range(n_readers):
        b.output(b.lut(second, [made, b.input(second.in_widths[1])]))
    return b.build()


def producer_width(net: Netlist) -> int:
    return max(
        node.width for node in net.nodes() if node.table is not None and node.id not in set(net.outputs.tolist())
    )


@pytest.mark.parametrize("seed", range(80))
def test_random_netlists_keep_function_and_latency(seed: int) -> None:
    net = random_netlist(seed, n_inputs=1 + seed % 5, n_nodes=7 + seed % 30, max_width=1 + seed % 4)
    if seed % 2:
        net = Pipeline(every=1 + seed % 3)(net)
    after = Recode(tries=12)(net)
    assert compare_netlists(net, after).equal
    assert after.latency_cycles == net.latency_cycles


def test_codes_that_no_reader_tells_apart_become_one() -> None:
    rng = np.random.default_rng(0)
    first = TruthTable((3, 3), 3, rng.integers(0, 8, 64))
    a = np.arange(32)
    second = TruthTable((3, 2), 2, ((a & 7) % 3 != 1) * 2 + (((a & 7) % 3 == 2) ^ (a >> 3 & 1)))
    net = chain(first, second, 2)
    after = Recode()(net)
    assert compare_netlists(net, after).equal
    assert producer_width(net) == 3 and producer_width(after) == 2
    assert estimate_luts(after).luts < estimate_luts(net).luts


def test_a_cheaper_numbering_is_found() -> None:
    """The producer's bits are mixed; one numbering makes each of them a function of half of the address."""
    a = np.arange(64)
    low, high = np.asarray([0, 1, 1, 0, 1, 0, 0, 1])[a & 7], np.asarray([0, 0, 1, 0, 1, 1, 0, 1])[a >> 3]
    first = TruthTable((3, 3), 2, np.asarray([0, 3, 1, 2])[low | high << 1])
    rng = np.random.default_rng(1)
    net = chain(first, TruthTable((2, 2), 2, rng.permutation(16) & 3))
    after = Narrow()(Recode()(net))
    assert compare_netlists(net, after).equal
    assert estimate_luts(after).luts < estimate_luts(net).luts


def test_codes_that_never_occur_are_free() -> None:
    first = TruthTable((3, 3), 3, np.arange(64) % 4 + 2)
    rng = np.random.default_rng(2)
    net = chain(first, TruthTable((3, 2), 3, rng.integers(0, 8, 32)))
    after = Recode()(net)
    assert compare_netlists(net, after).equal
    assert producer_width(after) == 2


def test_unused_numbers_are_marked_as_not_cared_for() -> None:
    rng = np.random.default_rng(3)
    codes = rng.permutation(24).reshape(3, 8) & 7
    a = np.arange(64)
    second = TruthTable((3, 3), 3, codes[np.minimum((a & 7) // 2, 2), a >> 3])
    net = chain(TruthTable((3, 3), 3, rng.integers(0, 6, 64)), second)
    after = Recode()(net)
    assert compare_netlists(net, after).equal
    cares = [node.table.care for node in after.nodes() if node.table is not None and node.table.care is not None]
    assert [int(care.sum()) for care in cares] == [24]


def test_values_and_outputs_keep_their_codes() -> None:
    b = NetlistBuilder()
    x = b.input(3)
    made = b.lut(TruthTable((3,), 2, np.asarray([0, 3, 0, 3, 1, 1, 2, 2])), [x])
    b.output(made)
    b.output(b.sum([made, b.lut(TruthTable((3,), 2, np.arange(8) % 3), [x])]))
    net = b.build()
    assert Recode()(net) == net


def test_wide_tables_do_not_take_part() -> None:
    rng = np.random.default_rng(4)
    first = TruthTable((5, 5), 3, rng.integers(0, 2, 1024) * 7)
    net = chain(first, TruthTable((3, 2), 2, rng.integers(0, 4, 32)))
    assert Recode(max_bits=8)(net) == net
    assert producer_width(Recode(max_bits=10)(net)) == 1
    assert Recode(max_bits=10)(net).count(OpCode.LUT) == 2


def test_options_are_checked() -> None:
    for options, message in (({"max_bits": 1}, "2 to 12"), ({"tries": 0}, "at least 1")):
        with pytest.raises(UserError, match=message):
            Recode(**options)
