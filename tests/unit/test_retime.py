"""Retiming: register counts against hand counts, against every other labelling, and against a synthesiser; the function stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from lutnet import Netlist, NetlistBuilder, TruthTable, UserError
from lutnet.backends import Verilog, write_files
from lutnet.cost import ECP5, XCVU9P
from lutnet.ir.ops import OPS
from lutnet.ir.registers import live_nodes, register_bits, signals
from lutnet.ir.timing import critical_path, stage_levels
from lutnet.passes import Pipeline, retime_flow
from lutnet.passes.base import parse_passes
from lutnet.passes.retime import Retime
from lutnet.passes.retime_flow import LabelProblem
from lutnet.testing import random_netlist
from lutnet.tools.yosys import run_yosys
from lutnet.verify.cosim import Emitted, cosimulate_batch
from lutnet.verify.equivalence import check_equivalent
from lutnet.verify.formal import prove_rtl

XOR = TruthTable((1, 1), 1, np.array([0, 1, 1, 0]))
INVERT = TruthTable((1,), 1, np.array([1, 0]))


def widening(n_levels: int = 4) -> Netlist:
    """A table makes 6 bits of 3 that are needed only after a chain of levels: it pays to delay the 3 bits."""
    b = NetlistBuilder()
    x, row = b.input(3, "x"), b.input(1, "y")
    minterms = np.array([0b10010110, 0b11101000, 0b11001010, 0b00000001, 0b01111110, 0b01000000])
    columns = (minterms[:, None] >> np.arange(8)) & 1
    wide = b.lut(TruthTable((3,), 6, (columns << np.arange(6)[:, None]).sum(axis=0)), [x])
    for _ in range(n_levels):
        row = b.lut(INVERT, [row])
    b.output(b.lut(TruthTable((1, 6), 1, np.arange(128) * 37 % 11 % 2), [row, wide]), "z")
    return b.build()


def wired() -> Netlist:
    """Overlapping slices, a concatenation with a constant, and an output that is wiring."""
    b = NetlistBuilder()
    x, y = b.input(6, "x"), b.input(1, "y")
    low, middle = b.slice(x, 0, 4), b.slice(x, 2, 3)
    first = b.lut(TruthTable((4,), 2, np.arange(16) * 7 % 5 % 4), [low])
    joined = b.concat([first, b.const(2, 2), middle])
    second = b.lut(TruthTable((7,), 2, np.arange(128) * 11 % 13 % 4), [joined])
    third = b.lut(TruthTable((2, 1), 2, np.array([0, 3, 1, 2, 2, 0, 3, 1])), [second, y])
    b.output(third, "code")
    b.output(b.concat([b.slice(x, 5, 1), y]), "passed")
    return b.build()


def fewest_bits(net: Netlist, latency: int, keeps: Callable[[Netlist], bool]) -> int:
    """Register bits of the best labelling of all, by trying them."""
    live = live_nodes(net)
    rows = [node.id for node in net.nodes() if live[node.id] and not OPS[node.op].free]
    best = 1 << 60
    for choice in product(range(latency + 1), repeat=len(rows)):
        labels = dict(zip(rows, choice, strict=True))
        stage: list[int] = []
        for node in net.nodes():
            below = max((stage[j] for j in node.operands), default=0)
            stage.append(max(below, labels.get(node.id, below)))
        if max(stage) <= latency and all(stage[row] == label for row, label in labels.items()):
            labelled = net.with_stages(stage, latency)
            if keeps(labelled):
                best = min(best, register_bits(labelled))
    return best


def registered(net: Netlist) -> bool:
    """Whether every output has a register behind the node that computes it."""
    live = live_nodes(net)
    return all(node.stage < net.latency_cycles for node in net.nodes() if live[node.id] and not OPS[node.op].free)


# -- counting ------------------------------------------------------------------------------------------------------------


def test_register_bits_by_hand() -> None:
    net = wired()
    piped = Pipeline()(net)
    assert piped.latency_cycles == 3
    # bits 2 to 4 of x wait for the second table, y for the third, bit 5 of x and y for the end; each table's code once
    assert register_bits(piped) == 3 + 3 + 3 + 3 * 2
    assert register_bits(net) == 0


def test_readers_share_a_chain_and_dead_logic_has_none() -> None:
    b = NetlistBuilder()
    x = b.input(3, "x")
    b.lut(INVERT, [b.slice(x, 2, 1)])
    one = b.lut(INVERT, [b.slice(x, 0, 1)])
    two = b.lut(XOR, [one, b.slice(x, 0, 1)])
    b.output(b.lut(TruthTable((1, 1, 1), 1, np.arange(8) % 2), [two, b.slice(x, 0, 1), b.slice(x, 1, 1)]), "y")
    net = Pipeline(outputs=False)(b.build())
    assert register_bits(net) == 2 * 2 + 1 + 1
    assert [(signal.source, signal.n_bits) for signal in signals(net)][:2] == [(x, 1), (x, 1)]


def test_a_sum_reads_no_bits_beyond_its_width() -> None:
    b = NetlistBuilder()
    x = b.input(4, "x", signed=True)
    b.output(b.sum([x], [4]), "y")
    b.output(b.threshold(x, -8), "always")
    net = Pipeline(inputs=True, outputs=False)(b.build())
    assert register_bits(net) == 4


def synthesised_bits(net: Netlist, folder: Path) -> int:
    """Flip-flops that yosys leaves of the emitted RTL after dropping unread registers and merging equal ones."""
    write_files(Verilog().emit(net), folder)
    run_yosys(
        "read_verilog lutnet_top.v\nhierarchy -top lutnet_top\nproc\nflatten\nopt\nsimplemap\nopt\ntee -o stat.json stat -json",
        cwd=folder,
        timeout_s=120,
    )
    found = json.loads((folder / "stat.json").read_text())["design"]["num_cells_by_type"]
    return sum(count for kind, count in found.items() if "DFF" in kind)


@pytest.mark.parametrize(
    "net",
    [Pipeline()(wired()), Retime(stages=4)(wired()), Pipeline()(widening()), Retime(stages=6)(widening())],
    ids=["wired", "wired-retimed", "widening", "widening-retimed"],
)
def test_register_bits_are_the_synthesisers(net: Netlist, tmp_path: Path) -> None:
    assert synthesised_bits(net, tmp_path) == register_bits(net)


@pytest.mark.parametrize("seed", range(4))
def test_register_bits_bound_the_synthesisers(seed: int, tmp_path: Path) -> None:
    net = Retime(stages=4)(random_netlist(seed, n_nodes=20))
    assert 0 < synthesised_bits(net, tmp_path) <= register_bits(net)


# -- fewest bits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_no_labelling_has_fewer_bits(seed: int) -> None:
    net = random_netlist(seed, n_inputs=2 + seed % 3, n_nodes=7 + seed % 2, max_width=3)
    every = 1 + seed % 2
    best = Retime(every=every)(net)
    assert stage_levels(best) <= every and registered(best)
    assert register_bits(best) == fewest_bits(
        net, best.latency_cycles, lambda n: stage_levels(n) <= every and registered(n)
    )


@pytest.mark.parametrize("seed", range(12))
def test_no_labelling_within_a_period_has_fewer_bits(seed: int) -> None:
    net = random_netlist(100 + seed, n_inputs=3, n_nodes=8, max_width=4)
    period_ns = critical_path(net, XCVU9P).period_ns * 0.6 + 0.3
    try:
        best = Retime(period_ns=period_ns, device="xcvu9p")(net)
    except UserError as error:
        assert "is shorter than" in str(error)
        return
    assert critical_path(best, XCVU9P).period_ns <= period_ns
    assert register_bits(best) == fewest_bits(
        net, best.latency_cycles, lambda n: critical_path(n, XCVU9P).period_ns <= period_ns and registered(n)
    )


def test_registers_go_where_the_signal_is_narrow() -> None:
    net = widening()
    every = Pipeline()(net)
    best = Retime(every=1)(net)
    assert every.latency_cycles == best.latency_cycles == 5
    assert register_bits(every) == 4 * 6 + 4 + 1
    assert register_bits(best) == 3 * 3 + 6 + 4 + 1
    assert stage_levels(best) == 1
    assert best == Retime()(every)


@pytest.mark.parametrize("seed", range(30))
def test_present_latency_ports_and_longest_stage_are_kept(seed: int) -> None:
    net = random_netlist(seed, n_nodes=30)
    net = Pipeline(every=seed % 4, inputs=seed % 2 == 0, outputs=seed % 3 > 0)(net)
    for device in ("", "ecp5"):
        best = Retime(device=device)(net)
        assert best.latency_cycles == net.latency_cycles
        assert register_bits(best) <= register_bits(net)
        if device:
            assert critical_path(best, ECP5).period_ns <= critical_path(net, ECP5).period_ns
        else:
            assert stage_levels(best) <= max(1, stage_levels(net))
        check_equivalent(net, best)


# -- targets -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("every", [1, 2, 3])
def test_levels_need_the_latency_of_a_pipeline(seed: int, every: int) -> None:
    net = random_netlist(seed, n_nodes=40)
    best = Retime(every=every, inputs=seed % 2 == 0, outputs=seed % 3 > 0)(net)
    piped = Pipeline(every=every, inputs=seed % 2 == 0, outputs=seed % 3 > 0)(net)
    assert stage_levels(best) <= every
    assert best.latency_cycles <= piped.latency_cycles
    assert best.latency_cycles < piped.latency_cycles or register_bits(best) <= register_bits(piped)


def test_stages_are_the_latency_and_the_longest_is_the_shortest() -> None:
    net = widening(7)
    assert net.depth == 8
    assert [stage_levels(Retime(stages=n)(net)) for n in range(1, 10)] == [8, 4, 3, 2, 2, 2, 2, 1, 1]
    assert [Retime(stages=n, inputs=True)(net).latency_cycles for n in (2, 5)] == [2, 5]
    assert Retime(stages=1, outputs=False)(net).latency_cycles == 1
    fast = Retime(stages=4, device="xcvu9p")(net)
    assert critical_path(fast, XCVU9P).period_ns == pytest.approx(0.122 + 2 * 0.37 + 0.085)


def test_a_period_is_met_with_the_fewest_stages() -> None:
    net = widening(7)
    for period_ns, latency in ((0.6, 8), (1.0, 4), (1.3, 3), (9.0, 1)):
        best = Retime(period_ns=period_ns, device="xcvu9p")(net)
        assert best.latency_cycles == latency
        assert critical_path(best, XCVU9P).period_ns <= period_ns


def test_wires_alone_are_registered_as_asked() -> None:
    b = NetlistBuilder()
    b.output(b.input(3, "x"), "y")
    net = b.build()
    assert [Retime(every=1, inputs=i, outputs=o)(net).latency_cycles for i, o in product((False, True), repeat=2)] == [
        0,
        1,
        1,
        2,
    ]
    assert register_bits(Retime(stages=5)(net)) == 15
    assert Retime()(net) == net


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("every=1,stages=2", "one target out of every, stages and period_ns, got every=1 and stages=2"),
        ("every=-1", "retime.every is a number above 0, or 0 for no such target, got -1"),
        ("stages=-2", "retime.stages is a number above 0, or 0 for no such target, got -2"),
        ("period_ns=nan,device=ecp5", "retime.period_ns is a number above 0, or 0 for no such target, got nan"),
        ("period_ns=2.5", "retime.period_ns=2.5 needs a delay model; add device=xcvu9p"),
        ("every=2,device=ecp5", "counts logic levels, but device=ecp5 measures delays"),
        (
            "stages=1,inputs=true",
            "retime.stages=1 is less than the registers at the ports, inputs=True and outputs=True",
        ),
        ("device=mine", "expected a device out of ecp5, xc7a35t, xcvu9p, got 'mine'"),
    ],
)
def test_contradictions_are_refused(options: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        parse_passes(f"retime{{{options}}}", {"retime": Retime})
    assert message in str(caught.value)


def test_a_period_below_one_node_is_refused_with_numbers() -> None:
    with pytest.raises(
        UserError,
        match=r"period_ns=0.5 is shorter than 0.577 ns, which node %\d+ takes alone on xcvu9p \(0.455 ns and 0.122 ns",
    ):
        Retime(period_ns=0.5, device="xcvu9p")(widening())


def test_options_are_written_and_read() -> None:
    item = Retime(period_ns=2.5, device="ecp5", inputs=True)
    assert str(item) == "retime{period_ns=2.5,device=ecp5,inputs=true}"
    assert parse_passes(str(item), {"retime": Retime}) == (item,)


# -- labels --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("simplex_arcs", [10_000, 0], ids=["simplex", "highs"])
@pytest.mark.parametrize("seed", range(60))
def test_labels_have_the_least_cost(seed: int, simplex_arcs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retime_flow, "SIMPLEX_ARCS", simplex_arcs)
    rng = np.random.default_rng(seed)
    n = 5
    problem = LabelProblem()
    low, high = rng.integers(-2, 1, n), rng.integers(1, 3, n)
    low[0] = high[0]
    for i in range(n):
        problem.add_cost(problem.add_label(int(low[i]), int(high[i])), int(rng.integers(-4, 5)))
    gaps = [(int(a), int(b), int(rng.integers(-1, 1))) for a, b in rng.integers(0, n, (6, 2)) if a != b]
    for gap in gaps:
        problem.add_gap(*gap)
    fitting = [
        labels
        for labels in product(*(range(lo, hi + 1) for lo, hi in zip(low, high, strict=True)))
        if all(labels[b] >= labels[a] + least for a, b, least in gaps)
    ]
    if not fitting:
        return
    found = problem.solve()
    assert tuple(found) in fitting
    costs = [np.dot(problem.cost, labels) for labels in fitting]
    assert np.dot(problem.cost, found) == min(costs)
    cheapest = [labels for labels, cost in zip(fitting, costs, strict=True) if cost == min(costs)]
    assert tuple(found) == tuple(np.min(cheapest, axis=0))


@pytest.mark.parametrize("seed", range(6))
def test_both_solvers_give_the_same_stages(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net = random_netlist(seed, n_inputs=8, n_nodes=120)
    simplex = Retime(stages=6)(net)
    monkeypatch.setattr(retime_flow, "SIMPLEX_ARCS", 0)
    assert Retime(stages=6)(net) == simplex


# -- function ------------------------------------------------------------------------------------------------------------


def test_retimed_designs_in_icarus() -> None:
    retimed = [Retime(stages=4)(wired()), Retime(every=1)(widening())]
    retimed += [Retime(period_ns=1.5, device="xcvu9p", inputs=True)(wired())]
    retimed += [Retime(stages=3)(random_netlist(seed, n_nodes=25)) for seed in range(3)]
    designs = [Emitted(net, Verilog(top=f"design{i}").emit(net)) for i, net in enumerate(retimed)]
    for found in cosimulate_batch(designs, simulator="icarus", n_random=50):
        assert found.equal, str(found)


@pytest.mark.parametrize("item", [Retime(stages=4), Retime(every=1, inputs=True)], ids=str)
def test_latency_and_function_are_proved(item: Retime) -> None:
    net = item(wired())
    back = Verilog()
    proof = prove_rtl(net, back.emit(net), back.interface(net))
    assert proof.holds and proof.latency_proved
