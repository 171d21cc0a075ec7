"""Bits that no output needs as they are: what goes, what takes its place, and that every step is proved."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet import LutnetError, Netlist, NetlistBuilder, TruthTable, UserError
from lutnet.ir.estimate import estimate_luts
from lutnet.passes import Narrow, Observe, parse_passes, run_passes
from lutnet.passes.base import Steps
from lutnet.passes.bits import Bit
from lutnet.passes.compose import BitTable, bit_table
from lutnet.passes.observe_choice import Seen, support
from lutnet.passes.observe_sat import Answer, Questions
from lutnet.passes.observe_state import read_as_values, replaced
from lutnet.passes.observe_window import Sight, direct_readers, window_of
from lutnet.testing import random_netlist
from lutnet.verify.equivalence import check_equivalent, compare_netlists
from lutnet.verify.vectors import make_vectors

CLEAN = "fold,narrow,fold,dedupe,dce"


def bit_lut(b: NetlistBuilder, rows: list[int], function: object) -> int:
    """A table of one output bit over one-bit operands."""
    n = len(rows)
    codes = [int(function(*[(a >> i) & 1 for i in range(n)])) for a in range(1 << n)]  # type: ignore[operator]
    return b.lut(TruthTable((1,) * n, 1, np.asarray(codes)), rows)


def observed(net: Netlist, options: str = "") -> Netlist:
    items = parse_passes(f"observe{options},{CLEAN}")
    after, _ = run_passes(net, items, check=check_equivalent)
    return after


def inputs_of_tables(net: Netlist) -> list[int]:
    return sorted(sum(node.operand_widths) for node in net.nodes() if node.table is not None)


def test_an_input_goes_that_the_reader_hides() -> None:
    b = NetlistBuilder()
    x = [b.input(1) for _ in range(5)]
    inner = bit_lut(b, x[:4], lambda p, q, r, s: (p and q) ^ (r or s))
    b.output(bit_lut(b, [inner, x[0], x[4]], lambda t, p, u: (t and p) ^ u))  # where p is 0 the inner bit does not show
    b.output(bit_lut(b, x[1:], lambda q, r, s, u: q + r + s + u >= 2))
    assert inputs_of_tables(observed(b.build())) == [3, 3, 4]


def test_of_two_bits_that_hide_each_other_one_goes() -> None:
    b = NetlistBuilder()
    x = [b.input(1) for _ in range(6)]
    one = bit_lut(b, x[:4], lambda p, q, r, s: (p and q) or (r and s))
    two = bit_lut(
        b, [x[3], x[2], x[1], x[0], x[4]], lambda s, r, q, p, t: ((p and q) or (r and s)) if t else one_of(p, q, r, s)
    )
    b.output(
        bit_lut(b, [one, two, x[5]], lambda a, c, u: (a or c) ^ u)
    )  # equal bits: each may be 0 as long as the other is not
    after = observed(b.build())
    assert len(inputs_of_tables(after)) == 2


def one_of(p: int, q: int, r: int, s: int) -> int:
    return (p and q) or (r and s)


def test_readers_read_other_bits_instead() -> None:
    b = NetlistBuilder()
    x = [b.input(1) for _ in range(7)]
    lost = bit_lut(b, x[:6], lambda *v: (sum(v[:4]) >= 2) ^ (v[4] & v[5]))
    kept = bit_lut(b, x[:4], lambda *v: sum(v) >= 2)
    other = bit_lut(b, x[4:6], lambda p, q: p & q)
    b.output(kept)
    b.output(other)
    b.output(bit_lut(b, [lost, x[6]], lambda t, u: t ^ u))
    b.output(bit_lut(b, [lost, x[5], x[6]], lambda t, p, u: (t & p) | u))
    after = observed(b.build())
    assert inputs_of_tables(after) == [2, 3, 4, 4]


def test_the_solver_says_what_trying_all_inputs_says() -> None:
    rng = np.random.default_rng(3)
    n_asked = {True: 0, False: 0}
    for seed in range(120):
        net = random_netlist(seed, n_inputs=1 + seed % 4, n_nodes=6 + seed % 14, max_width=3)
        if sum(net.input_widths) > 10:
            continue
        questions = Questions(net, 10_000)
        readers = direct_readers(net)
        for node in net.nodes():
            if node.table is None or node.id in read_as_values(net):
                continue
            old = bit_table(net.node, node.table, node.operands).column(0)
            flips = rng.integers(0, 2, old.codes.shape) & rng.integers(0, 2, old.codes.shape)
            new = BitTable(old.bits, old.codes ^ flips, 1)
            equal = compare_netlists(net, replaced(net, {Bit(node.id, 0): new}).net).equal
            answer = questions.ask(Bit(node.id, 0), new, window_of(net, readers, node.id, 0))
            assert answer.proved == equal
            n_asked[equal] += 1
            if answer.inputs is not None:
                after = replaced(net, {Bit(node.id, 0): new}).net
                one = answer.inputs[None, :]
                assert (net.evaluate(one) != after.evaluate(one)).any()
            near = Questions(net, 10_000).ask(Bit(node.id, 0), new, window_of(net, readers, node.id, 1))
            assert equal or not near.proved  # a window that ends earlier proves less, never more
        questions.close()
    assert min(n_asked.values()) > 20


def test_samples_show_a_turned_bit_where_an_output_changes() -> None:
    for seed in range(30):
        net = random_netlist(seed, n_inputs=2, n_nodes=12, max_width=3)
        codes = make_vectors(net.input_widths, n_random=300).codes
        sight, readers = Sight(net, np.ascontiguousarray(codes.T)), direct_readers(net)
        for node in net.nodes():
            if node.table is None or node.id in read_as_values(net):
                continue
            turned = bit_table(net.node, node.table, node.operands).column(0)
            flipped = replaced(net, {Bit(node.id, 0): BitTable(turned.bits, 1 - turned.codes, 1)}).net
            expected = (net.evaluate(codes) != flipped.evaluate(codes)).any(axis=1)
            found = sight.observable(Bit(node.id, 0), window_of(net, readers, node.id, 0))
            np.testing.assert_array_equal(found, expected)


def test_a_support_tells_apart_all_samples() -> None:
    rng = np.random.default_rng(0)
    signals = {Bit(0, place): rng.integers(0, 2, 500).astype(bool) for place in range(12)}
    bits = sorted(signals)
    value = (signals[bits[0]] & signals[bits[7]]) ^ signals[bits[9]]
    seen = Seen(np.asarray(value), lambda bit: signals[bit])
    assert support(seen, bits[:1], bits[1:], 2) == (bits[7], bits[9])
    assert support(seen, [bits[0], bits[9]], bits[1:8], 2) == (bits[7],)
    assert support(seen, [bits[0], bits[7], bits[9]], bits, 2) == ()
    assert support(seen, bits[:1], bits[1:], 1) is None
    assert support(seen, bits[:1], (), 2) is None


@pytest.mark.parametrize("seed", range(60))
def test_random_netlists_keep_function_depth_and_latency(seed: int) -> None:
    net = random_netlist(seed, n_inputs=1 + seed % 5, n_nodes=10 + seed % 25, max_width=1 + seed % 4)
    net, _ = run_passes(net, parse_passes("pipeline{every=2}" if seed % 2 else "fold"))
    after, _ = run_passes(net, [Observe(levels=seed % 3)], check=check_equivalent)
    assert after.latency_cycles == net.latency_cycles and after.depth <= net.depth
    assert estimate_luts(Narrow()(after)).luts <= estimate_luts(Narrow()(net)).luts
    assert all(table.care is None for table in after.tables) or after == net


def test_equal_netlists_give_equal_bytes_and_the_limit_holds() -> None:
    net = random_netlist(5, n_inputs=3, n_nodes=40, max_width=2)
    steps = Steps()
    after = Observe().rewrite(net, steps)
    assert steps.n_taken > 1 and after == Observe()(net)
    fewer = Steps(1)
    check_equivalent(net, Observe().rewrite(net, fewer))
    assert fewer.n_taken == 1
    assert Observe().rewrite(net, Steps(0)) == net


def test_a_solver_that_agrees_to_everything_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def agrees(*_: object) -> Answer:
        return Answer(True)

    monkeypatch.setattr(Questions, "ask", agrees)
    monkeypatch.setattr(Sight, "observable", lambda self, bit, window: np.zeros(self.codes.shape[1], dtype=bool))
    b = NetlistBuilder()
    x = [b.input(1) for _ in range(4)]
    b.output(bit_lut(b, x, lambda *v: sum(v) >= 2))
    with pytest.raises(LutnetError, match="pass 'observe' failed: the function changed"):
        run_passes(b.build(), [Observe()], check=check_equivalent)


def test_options() -> None:
    assert str(Observe()) == "observe" and str(Observe(levels=2, k=4)) == "observe{k=4,levels=2}"
    for option in ("effort=0", "k=1", "levels=-1", "conflicts=0"):
        with pytest.raises(UserError, match=rf"observe\.{option.split('=', maxsplit=1)[0]} is"):
            parse_passes(f"observe{{{option}}}")
