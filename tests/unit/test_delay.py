"""Delays against sums made by hand, and critical paths of small netlists."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet import NetlistBuilder, TruthTable
from lutnet.cost import ECP5, XC7A35T, XCVU9P, Device, device_named
from lutnet.cost.delay import (
    DELAYS,
    Delays,
    adder_delay_ps,
    argmax_delay_ps,
    delays_of,
    table_delay_ps,
    threshold_delay_ps,
)
from lutnet.cost.device import DEVICES
from lutnet.errors import UserError
from lutnet.ir.timing import critical_path, node_delays_ps, stage_levels
from lutnet.passes import Pipeline

XOR = TruthTable((1, 1), 1, np.array([0, 1, 1, 0]))
KINDS = {"table": table_delay_ps, "threshold": threshold_delay_ps}


def test_every_device_has_delays() -> None:
    assert set(DELAYS) == set(DEVICES)
    with pytest.raises(UserError, match="expected a device with delays out of ecp5, xc7a35t, xcvu9p, got 'mine'"):
        delays_of(Device("mine", "p", 6, 5, (), 4))


def test_tables_are_leaves_wide_multiplexers_and_lookup_tables() -> None:
    level = 220 + 150
    assert [table_delay_ps(bits, XCVU9P) for bits in (0, 1, 6, 7, 9)] == [0, level, level, level + 85, level + 3 * 85]
    assert [table_delay_ps(bits, XCVU9P) for bits in (10, 11, 12)] == [
        2 * level + 255,
        2 * level + 255,
        3 * level + 255,
    ]
    assert table_delay_ps(8, ECP5) == 2 * (900 + 236) + 3 * 600


def test_adders_are_trees_of_carry_chains() -> None:
    assert adder_delay_ps(8, 1, XC7A35T) == 0
    assert adder_delay_ps(4, 2, XC7A35T) == 600 + 657
    assert adder_delay_ps(5, 2, XC7A35T) == 600 + 657 + 334
    assert adder_delay_ps(16, 2, XC7A35T) == 600 + 657 + 2 * 117 + 334
    assert adder_delay_ps(4, 3, XC7A35T) == adder_delay_ps(4, 4, XC7A35T) == 2 * (600 + 657)


def test_comparisons() -> None:
    assert threshold_delay_ps(6, XCVU9P) == 370
    assert threshold_delay_ps(8, XCVU9P) == 220 + 385
    assert argmax_delay_ps(1, 5, XCVU9P) == 0
    assert argmax_delay_ps(5, 8, XCVU9P) == 3 * (220 + 385 + 370)
    assert argmax_delay_ps(4, 3, XCVU9P) == 3 * 370 < table_delay_ps(12, XCVU9P)
    assert argmax_delay_ps(2, 3, XCVU9P) == 370


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_delays_rise_with_width(kind: str, device: Device) -> None:
    found = [KINDS[kind](bits, device) for bits in range(1, 20)]
    assert found == sorted(found) and found[0] > 0
    for n in (2, 3, 5):
        sums = [adder_delay_ps(width, n, device) for width in (4, 9, 30)]
        assert sums == sorted(sums)


def test_bad_delays_are_refused() -> None:
    with pytest.raises(UserError, match="a delay is at least 0 ps, got mux_ps=-1"):
        Delays(1, -1, 1, 1, 1, 1, 1)
    with pytest.raises(UserError, match="takes at least 1 ps"):
        Delays(0, 1, 1, 1, 1, 0, 1)


def test_critical_path_runs_through_wiring_and_stops_at_registers() -> None:
    b = NetlistBuilder()
    x, y = b.input(1, "x"), b.input(1, "y")
    first = b.lut(XOR, [x, y])
    pair = b.concat([first, y])
    second = b.lut(TruthTable((2,), 1, np.array([0, 0, 1, 0])), [pair])
    b.lut(XOR, [b.lut(XOR, [second, y]), first])
    b.output(second, "z")
    net = b.build()
    path = critical_path(net, XCVU9P)
    assert path.rows == (first, second) and path.stage == 0
    assert path.period_ns == pytest.approx((122 + 2 * 370) / 1000)
    assert stage_levels(net) == 2
    piped = Pipeline()(net)
    assert critical_path(piped, XCVU9P).rows == (first,)
    assert critical_path(piped, XCVU9P).period_ns == pytest.approx(0.492)
    assert stage_levels(piped) == 1


def test_a_path_without_logic_still_needs_a_net() -> None:
    b = NetlistBuilder()
    b.output(b.input(3, "x"), "y")
    net = b.build()
    assert critical_path(net, device_named("xc7a35t")).period_ns == pytest.approx(1.14)
    assert critical_path(net, XC7A35T).rows == () and stage_levels(net) == 0


def test_node_delays_follow_the_operation() -> None:
    b = NetlistBuilder()
    x, y = b.input(8, "x", signed=True), b.input(8, "y", signed=True)
    rows = {
        "add": b.sum([x, y], [1, 1]),
        "shift": b.sum([x], [4]),
        "negate": b.sum([x], [-1]),
        "bias": b.sum([x], [1], bias=3),
        "threshold": b.threshold(x, 5),
        "argmax": b.argmax([x, y]),
        "wire": b.slice(x, 2, 3),
    }
    for name, row in rows.items():
        b.output(row, name)
    delay = {name: int(node_delays_ps(b.build(), XCVU9P)[row]) for name, row in rows.items()}
    one, two = 220 + 385, 220 + 385 + 116
    assert delay == {
        "add": two, "shift": 0, "negate": two, "bias": two, "threshold": one, "argmax": one + 370, "wire": 0
    }  # fmt: skip
