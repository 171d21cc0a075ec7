"""Toggles of a netlist, and layers found again after passes."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet.cost.device import XCVU9P, Device
from lutnet.cost.energy import TOGGLE_ENERGIES, integer_add_pj, integer_multiply_pj
from lutnet.errors import UserError
from lutnet.ir import NetlistBuilder, OpCode
from lutnet.ir.estimate import estimate_luts
from lutnet.ir.registers import live_nodes, register_bits
from lutnet.passes import DEFAULT_PASSES, Pipeline, parse_passes, run_passes
from lutnet.report.activity import Switching, register_toggles, toggle_rates
from lutnet.report.arithmetic import dense_float_arithmetic, integer_arithmetic
from lutnet.report.layers import LabelledNetlist, first_part, layer_report, trace_layers
from lutnet.tables import TruthTable
from lutnet.testing import random_netlist
from lutnet.verify.equivalence import check_equivalent
from lutnet.verify.vectors import random_codes

XOR = TruthTable((1, 1), 1, np.array([0, 1, 1, 0]))


def layered(seed: int = 0, n_layers: int = 3, width: int = 8) -> LabelledNetlist:
    """Random tables of three 2-bit operands in layers, and an argmax."""
    rng = np.random.default_rng(seed)
    builder = NetlistBuilder()
    rows = [builder.input(2, f"x{i}") for i in range(width)]
    borders = []
    for _ in range(n_layers):
        picks = [rng.choice(len(rows), 3, replace=False) for _ in range(width)]
        rows = [
            builder.lut(TruthTable((2, 2, 2), 2, rng.integers(0, 4, 64)), [rows[i] for i in pick]) for pick in picks
        ]
        borders.append(rows)
    decision = builder.argmax(rows[:4])
    builder.output(decision, "class")
    names = [f"layer{i}" for i in range(n_layers)] + ["argmax"]
    return LabelledNetlist.from_borders(builder.build(), names, [*borders, [decision]])


def samples(source: LabelledNetlist, n: int = 1000) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 4, (n, len(source.net.inputs)))


def test_toggles_are_changes_from_one_sample_to_the_next() -> None:
    builder = NetlistBuilder()
    x, y = builder.input(2, "x"), builder.input(1, "y")
    builder.output(builder.lut(XOR, [builder.slice(x, 0, 1), y]), "z")
    net = builder.build()
    codes = np.array([[0, 0], [3, 0], [3, 1], [1, 1], [1, 1]])
    rates = toggle_rates(net, codes)
    # x: 2 + 0 + 1 + 0 bits of 2 in 4 steps; y: 1; z = 0, 1, 0, 0, 0
    assert rates[net.inputs].tolist() == [3 / 8, 1 / 4]
    assert rates[net.outputs].tolist() == [2 / 4]
    with pytest.raises(UserError, match="at least 2 samples"):
        toggle_rates(net, codes[:1])


def test_toggles_do_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    source = layered()
    whole = toggle_rates(source.net, samples(source))
    monkeypatch.setattr("lutnet.report.activity._CHUNK_BYTES", 8 * source.net.n_nodes * 7)
    np.testing.assert_array_equal(toggle_rates(source.net, samples(source)), whole)


@pytest.mark.parametrize("seed", range(10))
def test_registers_are_all_registers(seed: int) -> None:
    net, _ = run_passes(random_netlist(seed), [Pipeline()], check=check_equivalent)
    found = register_toggles(net, np.full(net.n_nodes, 0.5))
    assert sum(item.bits for item in found.values()) == register_bits(net)
    assert sum(item.toggles for item in found.values()) == register_bits(net) / 2


def test_a_shift_register_of_a_toggling_bit() -> None:
    builder = NetlistBuilder()
    x, y = builder.input(1, "x"), builder.input(1, "y")
    builder.output(builder.lut(XOR, [x, y]), "z")
    net = builder.build(latency_cycles=2)
    codes = np.array([[0, 0], [1, 0]] * 50)
    source = LabelledNetlist.from_borders(net, ["only"], [net.outputs.tolist()])
    row = layer_report(source, net, codes, XCVU9P).rows[1]
    # the table drives its first register directly; two registers, two nets
    assert row.switching == Switching(1.0, 2.0, 2.0, 2)
    energies = TOGGLE_ENERGIES["xcvu9p"]
    assert row.energy_pj == 3 * energies.cell_pj + 2 * energies.net_pj + 2 * energies.clock_pj
    assert layer_report(source, net, np.zeros_like(codes), XCVU9P).energy_pj == pytest.approx(2 * energies.clock_pj)


def test_layers_are_the_borders_cones() -> None:
    source = layered()
    assert source.labels[source.net.inputs].tolist() == [-1] * 8
    assert all(source.labels[row] <= source.labels[node.id] for node in source.net.nodes() for row in node.operands)
    assert source.labels[source.net.outputs].tolist() == [3]


@pytest.mark.parametrize("passes", [DEFAULT_PASSES, "fold,narrow,decompose,fold,narrow,dedupe,dce"])
def test_layers_are_found_again_after_passes(passes: str) -> None:
    source = layered()
    net, _ = run_passes(source.net, [*parse_passes(passes), Pipeline()], check=check_equivalent)
    traced = trace_layers(source, net, samples(source))
    assert traced.n_recognised >= 0.5 * traced.n_nodes
    assert all(traced.labels[row] <= traced.labels[node.id] for node in net.nodes() for row in node.operands)
    assert traced.labels[net.outputs].tolist() == [3]


def test_layers_without_a_known_bit_are_told_by_their_level() -> None:
    source = layered()
    other = layered(seed=5)
    traced = trace_layers(source, other.net, samples(source))
    tables = (other.net.op == OpCode.LUT) & live_nodes(other.net)
    assert traced.n_recognised < 0.2 * traced.n_nodes
    assert (traced.labels[tables] == other.labels[tables]).mean() > 0.9


def test_layers_add_up_to_the_netlist() -> None:
    source = layered()
    net, _ = run_passes(source.net, [*parse_passes(DEFAULT_PASSES), Pipeline()], check=check_equivalent)
    report = layer_report(source, net, samples(source), XCVU9P)
    assert [row.name for row in report.rows] == ["inputs", *source.names]
    assert sum(row.ffs for row in report.rows) == register_bits(net)
    assert sum(row.latency_cycles for row in report.rows) == net.latency_cycles
    assert [row.latency_cycles for row in report.rows] == [0, 1, 1, 1, 1]
    assert sum(row.luts for row in report.rows) == report.luts == estimate_luts(net).luts
    assert all(row.luts > 0 for row in report.rows[1:])
    assert report.energy_pj == sum(row.energy_pj or 0 for row in report.rows) > 0
    assert report.rows[1].out_bits == 16 and report.rows[0].out_bits == 16


def test_an_unknown_device_has_no_energy() -> None:
    source = layered()
    report = layer_report(source, source.net, samples(source), Device("mine", "part", 6, 5, (7,), 4))
    assert report.energy_pj is None and all(row.energy_pj is None for row in report.rows)


@pytest.mark.parametrize("seed", range(10))
def test_the_first_part_computes_what_the_whole_does(seed: int) -> None:
    net = random_netlist(seed)
    codes = random_codes(net.input_widths, 200, seed=seed)
    inside = np.arange(net.n_nodes) < 2 * net.n_nodes // 3
    inside[net.inputs] = True
    part = first_part(net, inside)
    rows = [int(name[1:]) for name in part.output_names]
    np.testing.assert_array_equal(part.evaluate(codes), net.evaluate_nodes(codes)[:, rows])


def test_arithmetic_by_layer() -> None:
    source = layered(n_layers=1)
    table, argmax = integer_arithmetic(source)
    assert (table.n_multiplications, table.n_additions) == (8 * 3, 8 * 2)
    assert table.energy_pj == pytest.approx(8 * (3 * integer_multiply_pj(2) + 2 * integer_add_pj(6)))
    assert (argmax.n_multiplications, argmax.n_additions) == (0, 3)
    dense = dense_float_arithmetic((16, 64, 5))
    assert dense.n_multiplications == 16 * 64 + 64 * 5
    assert dense.energy_pj == pytest.approx(4.6 * dense.n_multiplications)
