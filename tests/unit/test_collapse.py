"""Cones that become one table, and those that would cost more as one."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet import Netlist, NetlistBuilder, TruthTable
from lutnet.ir import OpCode
from lutnet.passes import Collapse
from lutnet.verify.equivalence import compare_netlists


def fan_out(n_readers: int) -> Netlist:
    """One function of six bits, read by two-input tables (half a lookup table each) with an input bit each."""
    rng = np.random.default_rng(0)
    b = NetlistBuilder()
    x, y = b.input(3), b.input(3)
    made = b.lut(TruthTable((3, 3), 1, rng.integers(0, 2, 64)), [x, y])
    for place in range(n_readers):
        b.output(b.lut(TruthTable((1, 1), 1, np.asarray([0, 1, 1, 1])), [made, b.slice(x, place, 1)]))
    return b.build()


@pytest.mark.parametrize(("n_readers", "expected"), [(1, 1), (2, 2), (3, 4)])
def test_a_table_is_copied_into_its_readers_only_without_cost(n_readers: int, expected: int) -> None:
    net = fan_out(n_readers)
    after = Collapse()(net)
    assert compare_netlists(net, after).equal
    assert after.count(OpCode.LUT) == expected


def test_a_table_that_an_output_reads_stays() -> None:
    net = fan_out(1)
    b = NetlistBuilder()
    x, y = b.input(3), b.input(3)
    made = b.lut(next(node.table for node in net.nodes() if node.table is not None), [x, y])
    b.output(made)
    b.output(b.lut(TruthTable((1, 1), 1, np.asarray([0, 1, 1, 1])), [made, b.slice(x, 0, 1)]))
    kept = b.build()
    assert Collapse()(kept) == kept
