"""What stands around ABC: the reader of its files, the count of lookup tables, cones, and putting cones back."""

from __future__ import annotations

import numpy as np
import pytest

from lutnet import Netlist, NetlistBuilder, ToolError, TruthTable, UserError
from lutnet.passes import Pipeline
from lutnet.passes.bits import Bit
from lutnet.synth import ALL_PASSES, Abc, parse_passes
from lutnet.synth.blif_reader import MappedLut, MappedNetwork, read_mapped_blif
from lutnet.synth.cones import Wiring, find_cones
from lutnet.synth.splice import splice
from lutnet.testing import random_netlist
from lutnet.verify.equivalence import compare_netlists

GOOD = """# written by somebody
.model cone
.inputs a b \\
 c
.outputs x y z
.names n1 c x
1- 1
-1 1
.names a b n1
11 0
0- 0
.names y
 1
.names c z # inverter
0 1
.end
"""


def read(text: str, k: int = 6) -> MappedNetwork:
    return read_mapped_blif(text, ["a", "b", "c"], ["x", "y", "z"], k)


def test_covers_become_tables_in_topological_order() -> None:
    luts = {lut.name: lut for lut in read(GOOD).luts}
    assert list(luts).index("n1") < list(luts).index("x")
    assert luts["n1"].codes.tolist() == [0, 1, 0, 0] and luts["n1"].operands == ("a", "b")
    assert luts["x"].codes.tolist() == [0, 1, 1, 1]
    assert luts["y"].codes.tolist() == [1] and luts["z"].codes.tolist() == [1, 0]


def test_an_empty_cover_is_0_and_a_full_line_may_be_long() -> None:
    text = GOOD.replace(".names y\n 1\n", ".names y\n")
    assert {lut.name: lut.column for lut in read(text).luts}["y"] == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (".model cone\n", "", "expected '.model' first"),
        (".end\n", "", "without '.end'"),
        (".end\n", ".end\n.names q\n", "after '.end'"),
        (".end\n", ".latch x n9 0\n.end\n", "no place in a flat network"),
        (".end\n", ".subckt other a=b\n.end\n", "no place in a flat network"),
        (".end\n", ".model again\n.end\n", "no place in a flat network"),
        (".end\n", ".exdc\n.end\n", "no place in a flat network"),
        (".end\n", ".names a a n7\n11 1\n.end\n", "reads one signal twice"),
        (".end\n", ".names a x\n1 1\n.end\n", "is driven twice"),
        (".end\n", ".names b a\n1 1\n.end\n", "drives an input"),
        (".end\n", ".end \\", "within a line"),
        ("11 0\n", "11 0\n00 1\n", "is no row of this cover"),
        ("11 0\n", "1 0\n", "is no row of this cover"),
        ("11 0\n", "12 0\n", "is no row of this cover"),
        ("11 0\n", "11 2\n", "is no row of this cover"),
        ("11 0\n", "11 0 0\n", "is no row of this cover"),
        (".outputs x y z\n", ".outputs x y z\n11 1\n", "stands outside"),
        (".names n1 c x\n", ".names n2 c x\n", "nothing drives signal 'n2'"),
        (".names y\n 1\n", "", "nothing drives signal 'y'"),
        (".names a b n1", ".names x b n1", "cycle"),
        (".inputs a b", ".inputs b a", "expected 3 inputs"),
        (".inputs a b", ".inputs a", "expected 3 inputs"),
        (".outputs x y z", ".outputs x y", "expected 3 outputs"),
        (".names n1 c x\n1- 1\n-1 1\n", ".names\n", "no place"),
    ],
)
def test_a_strange_file_is_refused(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(ToolError, match=message):
        read(GOOD.replace(old, new))


def test_wide_tables_are_refused() -> None:
    assert read(GOOD, k=2)
    with pytest.raises(ToolError, match="at most 1 inputs, got 2"):
        read(GOOD, k=1)


def test_an_output_that_is_an_input_needs_a_table() -> None:
    with pytest.raises(ToolError, match="no table drives output 'a'"):
        read_mapped_blif(".model m\n.inputs a\n.outputs a\n.end\n", ["a"], ["a"], 6)


def chain() -> Netlist:
    """table, sum, table of the same input and of the sum: two ranks."""
    b = NetlistBuilder()
    x = b.input(3, "x")
    y = b.input(3, "y")
    table = TruthTable((3, 3), 2, np.random.default_rng(0).integers(0, 4, 64))
    first = b.lut(table, [x, y])
    total = b.sum([first, y])
    second = b.lut(table, [x, b.slice(total, 0, 3)])
    third = b.lut(TruthTable((2, 2), 2, np.arange(16) % 3), [second, first])
    b.output(third, "out")
    b.output(b.argmax([first, second]), "which")
    return b.build()


def test_no_cone_is_left_through_a_sum_and_entered_again() -> None:
    net = chain()
    cones = find_cones(net, Wiring.of(net, 14), across=True, max_entries=1 << 20)
    assert [len(cone.rows) for cone in cones] == [1, 2]
    total = next(node.id for node in net.nodes() if any(node.coefs))
    assert {bit.row for bit in cones[1].leaves} == {net.inputs[0], total, cones[0].rows[0]}
    assert cones[0].roots == (Bit(cones[0].rows[0], 0), Bit(cones[0].rows[0], 1))


def test_cones_respect_stages_sizes_and_the_wish_for_single_tables() -> None:
    net = Pipeline()(chain())
    assert len(find_cones(net, Wiring.of(net, 14), across=True, max_entries=1 << 20)) == 3
    net = chain()
    assert [len(c.rows) for c in find_cones(net, Wiring.of(net, 14), across=False, max_entries=1 << 20)] == [1, 1, 1]
    assert [len(c.rows) for c in find_cones(net, Wiring.of(net, 14), across=True, max_entries=100)] == [1, 1, 1]
    small = find_cones(net, Wiring.of(net, 5), across=True, max_entries=1 << 20)
    assert [net.node(row).width for cone in small for row in cone.rows] == [2]


def copied(net: Netlist, **options: int) -> Netlist:
    """Every cone replaced by its own tables, one bit each."""
    wiring = Wiring.of(net, options.get("max_address_bits", 14))
    cones = find_cones(net, wiring, across=True, max_entries=options.get("max_entries", 1 << 20))
    mapped = {}
    for place, cone in enumerate(cones):
        names = {row: [f"i{port}"] for port, row in enumerate(cone.netlist.inputs.tolist())}
        luts, inside = [], Wiring.of(cone.netlist, 24)
        for node in cone.netlist.nodes():
            if node.table is None:
                continue
            address = [names[bit.row][bit.place] if bit.row >= 0 else f"c{bit.place}" for bit in inside.address(node)]
            names[node.id] = [f"n{node.id}_{bit}" for bit in range(node.width)]
            for bit, name in enumerate(names[node.id]):
                column = sum(int(code >> bit & 1) << a for a, code in enumerate(node.table.codes.astype(int)))
                luts.append(MappedLut(name, tuple(address), column))
        constants = [MappedLut("c0", (), 0), MappedLut("c1", (), 1)]
        outputs = []
        for port, row in enumerate(cone.netlist.outputs.tolist()):
            (bit,) = inside.words[row]
            low = names[bit.row][bit.place] if bit.row >= 0 else f"c{bit.place}"
            luts += [MappedLut(f"not{port}", (low,), 1), MappedLut(f"o{port}", (f"not{port}",), 1)]
            outputs.append(f"o{port}")
        inputs = tuple(f"i{port}" for port in range(len(cone.leaves)))
        mapped[place] = MappedNetwork(inputs, tuple(outputs), (*constants, *luts))
    return splice(net, wiring, cones, mapped)


@pytest.mark.parametrize("seed", range(60))
def test_cones_put_back_as_they_are_keep_function_stages_and_ports(seed: int) -> None:
    net = random_netlist(seed, n_nodes=24)
    if seed % 2:
        net = Pipeline(every=1 + seed % 3)(net)
    after = copied(net, max_address_bits=4 + seed % 5, max_entries=64 << seed % 6)
    assert compare_netlists(net, after).equal
    assert (after.latency_cycles, after.output_names) == (net.latency_cycles, net.output_names)


def test_tables_with_the_same_operands_become_one_and_inverters_go_into_their_readers() -> None:
    b = NetlistBuilder()
    x, y = b.input(1, "x"), b.input(1, "y")
    both = b.lut(TruthTable((1, 1), 2, np.array([0, 1, 2, 3])), [x, y])
    b.output(both, "out")
    net = b.build()
    wiring = Wiring.of(net, 14)
    cones = find_cones(net, wiring, across=True, max_entries=64)
    luts = (
        MappedLut("not_x", ("i0",), 1),
        MappedLut("p", ("not_x", "i1"), 0b0001),
        MappedLut("q", ("i1", "i0"), 0b0110),
        MappedLut("r", ("q",), 1),
    )
    found = splice(net, wiring, cones, {0: MappedNetwork(("i0", "i1"), ("p", "r"), luts)})
    tables = [node for node in found.nodes() if node.table is not None]
    assert [(node.table.address_bits, node.width) for node in tables if node.table] == [(2, 2), (1, 1)]
    codes = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    assert found.evaluate(codes)[:, 0].tolist() == [2, 1, 0, 2]


def test_options_are_checked_and_written_as_text() -> None:
    assert str(Abc()) == "abc"
    assert parse_passes("abc{k=4,script=deep,effort=3,across=false},dce")[0] == Abc(4, "deep", 3, False)
    assert ALL_PASSES["abc"] is Abc
    for wrong in ("abc{k=3}", "abc{k=7}", "abc{script=; rm}", "abc{effort=0}"):
        with pytest.raises(UserError, match="abc"):
            parse_passes(wrong)
