"""Codes of internal values: merged, shortened, numbered anew."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet import Netlist, NetlistBuilder, TruthTable, UserError
from lutnet.ir import OpCode
from lutnet.ir.estimate import estimate_luts
from lutnet.passes import Narrow, Pipeline, Recode
from lutnet.testing import random_netlist
from lutnet.verify.equivalence import check_on_care, compare_netlists, on_care
from lutnet.verify.vectors import make_vectors


def chain(first: TruthTable, second: TruthTable, n_readers: int = 1) -> Netlist:
    """A producer, and readers that take it with an input each."""
    b = NetlistBuilder()
    made = b.lut(first, [b.input(width) for width in first.in_widths])
    for _ in range(n_readers):
        b.output(b.lut(second, [made, b.input(second.in_widths[1])]))
    return b.build()


def sparse_table(b: NetlistBuilder, rng: np.random.Generator, rows: list[int]) -> int:
    """A random table that uses some of its codes, with a random care set."""
    widths = tuple(b.node(row).width for row in rows)
    out, size = int(rng.integers(1, 5)), 1 << sum(widths)
    care = rng.random(size) < rng.choice([0.5, 0.8, 1.0])
    codes = rng.integers(0, int(rng.integers(2, (1 << out) + 1)), size)
    return b.lut(TruthTable(widths, out, codes, None if care.all() else care), rows)


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
    a = np.arange(256)
    rng = np.random.default_rng(1)
    low, high = rng.integers(0, 2, 16)[a & 15], rng.integers(0, 2, 16)[a >> 4]
    first = TruthTable((4, 4), 2, np.asarray([0, 3, 1, 2])[low | high << 1])
    net = chain(first, TruthTable((2, 2), 2, rng.permutation(16) & 3))
    after = Narrow()(Recode()(net))
    assert compare_netlists(net, after).equal
    assert estimate_luts(after).luts < estimate_luts(net).luts


def test_codes_that_agree_where_readers_care_become_one() -> None:
    """Codes 0 and 1 differ for the reader only where it cares for one of them; the other's result has to be kept."""
    rng = np.random.default_rng(5)
    first = TruthTable((3, 3), 2, rng.integers(0, 3, 64))
    codes = np.asarray([[0, 1, 2, 3], [3, 1, 2, 0], [1, 2, 3, 0], [0, 0, 0, 0]])
    care = np.asarray([[1, 1, 0, 1], [0, 1, 1, 0], [1, 1, 1, 1], [1, 1, 1, 1]], dtype=bool)
    codes[0, 2] = 0
    second = TruthTable((2, 2), 2, codes.T.reshape(-1), care.T.reshape(-1))
    net = chain(first, second, 2)
    after = Recode()(net)
    check_on_care(net, after)
    vectors = make_vectors(net.input_widths).codes
    assert not (on_care(net, vectors) & ~on_care(after, vectors)).any()
    assert producer_width(net) == 2 and producer_width(after) == 1


def test_long_addresses_get_the_code_that_a_reader_needs() -> None:
    """Each bit of the reader tells four of eight scattered codes apart: it needs two of the three bits of another code."""
    rng = np.random.default_rng(6)
    kind = np.asarray([0, 1, 2, 3, 3, 2, 1, 0])
    first = TruthTable((6, 5), 3, rng.integers(0, 8, 1 << 11))
    address = np.arange(1 << 11)
    tables = rng.integers(0, 2, (4, 256))
    low = tables[kind[address & 7], address >> 3]
    net = chain(first, TruthTable((3, 8), 2, low | 2 * rng.integers(0, 2, 1 << 11)))
    after = Recode(tries=1)(net)
    assert compare_netlists(net, after).equal
    assert estimate_luts(after).luts == estimate_luts(net).luts - 16


@pytest.mark.parametrize("seed", range(40))
def test_random_chains_keep_function_on_their_care_sets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    b = NetlistBuilder()
    layer = [b.input(int(rng.integers(1, 4))) for _ in range(4)]
    for _ in range(3):
        layer = [sparse_table(b, rng, [layer[i] for i in rng.permutation(len(layer))[:2]]) for _ in range(3)]
    for row in layer:
        b.output(row)
    net = b.build()
    after = Recode()(net)
    vectors = make_vectors(net.input_widths).codes
    cared = on_care(net, vectors)
    np.testing.assert_array_equal(net.evaluate(vectors[cared]), after.evaluate(vectors[cared]))
    assert not (cared & ~on_care(after, vectors)).any()


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
