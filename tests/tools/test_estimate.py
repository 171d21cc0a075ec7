"""The estimate of lookup tables against what yosys counts, and its pieces against counts made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lutnet import Netlist, NetlistBuilder, TruthTable
from lutnet.backends import Verilog, write_files
from lutnet.cost.comparisons import comparison_cells
from lutnet.cost.packing import packed_luts
from lutnet.ir.estimate import estimate_luts, table_cells
from lutnet.passes import parse_passes, run_passes
from lutnet.tools.yosys import synthesize_xilinx


def neurons(argmax: bool) -> Netlist:
    """Eight weighted sums of four operands of three bits, and the argmax of four of them."""
    rng = np.random.default_rng(2)
    b = NetlistBuilder()
    inputs = [b.input(3) for _ in range(8)]
    a = np.arange(1 << 12)
    rows = []
    for _ in range(8):
        total = sum(weight * ((a >> 3 * i) & 7) for i, weight in enumerate(rng.normal(size=4)))
        levels = np.clip(np.floor(2 * (total - total.mean()) / total.std()) + 4, 0, 7).astype(np.int64)
        rows.append(b.lut(TruthTable((3, 3, 3, 3), 3, levels), [inputs[i] for i in rng.choice(8, 4, replace=False)]))
    for row in [*rows, b.argmax(rows[:4])] if argmax else rows:
        b.output(row)
    return b.build()


@pytest.mark.parametrize("argmax", [False, True])
def test_the_estimate_of_a_decomposed_netlist_is_what_yosys_counts(argmax: bool, tmp_path: Path) -> None:
    net, _ = run_passes(neurons(argmax), parse_passes("decompose,fold,narrow,fold,dedupe,dce"))
    luts = synthesised(net, tmp_path)
    assert abs(estimate_luts(net).luts - luts) <= 0.05 * luts


def synthesised(net: Netlist, folder: Path) -> int:
    """Lookup tables by yosys."""
    paths = write_files(Verilog(tables="wide").emit(net), folder)
    found = synthesize_xilinx([path for path in paths if path.suffix == ".v"], "lutnet_top", folder, timeout_s=300)
    assert found.luts is not None
    return found.luts


def test_tables_count_by_the_inputs_of_each_output_bit() -> None:
    a = np.arange(64)
    copies = (a & 1) | (a >> 1 & 1 ^ 1) << 1
    majority = np.asarray([bin(x & 31).count("1") >= 3 for x in a]).astype(np.int64)
    parity = np.asarray([bin(x).count("1") & 1 for x in a])
    table = TruthTable((6,), 5, copies | majority << 2 | parity << 3 | (1 - parity) << 4)
    assert table_cells(table) == ((5, 1), (6, 1))
    wide = TruthTable((8,), 1, np.random.default_rng(0).integers(0, 2, 256))
    assert table_cells(wide) == ((6, 4),)


def test_what_no_output_needs_is_not_counted() -> None:
    b = NetlistBuilder()
    x, y = b.input(4), b.input(4)
    b.lut(TruthTable((4,), 4, np.random.default_rng(1).permutation(16)), [x])
    b.output(b.sum([x, y]))
    found = estimate_luts(b.build())
    assert found.cells == {2: 4} and found.luts == 2


def test_three_operands_of_which_one_is_a_bit_take_one_carry_chain() -> None:
    b = NetlistBuilder()
    x, y, z = b.input(4), b.input(4), b.input(1)
    b.output(b.sum([x, y, z]))
    assert estimate_luts(b.build()).cells == {2: 4}


def test_a_function_joins_its_only_reader_where_six_inputs_suffice() -> None:
    for n_outer, cells in ((3, {5: 1}), (4, {6: 1}), (5, {3: 1, 5: 1})):
        b = NetlistBuilder()
        x = [b.input(1) for _ in range(3 + n_outer)]
        parity = np.asarray([bin(a).count("1") & 1 for a in range(1 << 5)])
        inner = b.lut(TruthTable((1,) * 3, 1, parity[:8]), x[:3])
        b.output(b.lut(TruthTable((1,) * n_outer, 1, parity[: 1 << n_outer]), [inner, *x[3 : 2 + n_outer]]))
        net = b.build()
        assert estimate_luts(net).cells == cells
        registered = net.with_stages([int(level > 1) for level in net.levels], 1)
        assert estimate_luts(registered).cells == {3: 1} | ({n_outer: 1} if n_outer > 3 else {3: 2})


def test_comparisons_share_what_they_have_in_common() -> None:
    cells = {cell.name: cell.inputs for cell in comparison_cells(8, (0, 128, 129, 205, 237, 300))}
    assert cells["at least", 8, 129] == (7, 6, 5, 4, 3, ("at least", 3, 1))
    assert cells["at least", 8, 205][-1] == cells["at least", 8, 237][-1] == ("at least", 3, 5)
    assert cells["at least", 3, 5] == (2, 1, 0) and len(cells) == 5
    more = {cell.name: cell.inputs for cell in comparison_cells(8, (200, 201, 205))}
    assert more["at least", 8, 200] == (("all", 6, 8), ("any", 4, 6), 3) and more["all", 6, 8] == (6, 7)


@pytest.mark.parametrize("seed", range(20))
def test_the_cells_of_comparisons_compare(seed: int) -> None:
    rng = np.random.default_rng(seed)
    width = int(rng.integers(1, 13))
    constants = tuple(sorted({int(c) for c in rng.integers(0, 1 << width, 12)}))
    cells = {cell.name: cell.inputs for cell in comparison_cells(width, constants)}
    x = np.arange(1 << width)
    for name, inputs in cells.items():
        kind, low, high = name
        assert 1 <= len(inputs) <= 6
        read = {bit for bit in inputs if isinstance(bit, int)}
        if kind != "at least":
            assert read == set(range(low, high))
            continue
        value = (x & ((1 << low) - 1)) >= high
        seen = np.zeros(len(x), dtype=np.int64)
        for place, part in enumerate(inputs):
            column = _value(part, x)
            seen |= column.astype(np.int64) << place
        for address in np.unique(seen):  # what a cell reads decides what it says
            assert len(np.unique(value[seen == address])) == 1


def _value(part: int | tuple[str, int, int], x: np.ndarray) -> np.ndarray:
    if isinstance(part, int):
        return (x >> part) & 1
    kind, low, high = part
    if kind == "at least":
        return (x & ((1 << low) - 1)) >= high
    field = (x >> low) & ((1 << (high - low)) - 1)
    return field == (1 << (high - low)) - 1 if kind == "all" else field > 0


def test_comparisons_are_counted_once_for_all_readers_of_a_code(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    b = NetlistBuilder()
    for _ in range(4):
        x = b.input(8)
        for constant in sorted(rng.choice(255, 24, replace=False) + 1):
            b.output(b.threshold(x, int(constant)))
    net = b.build()
    luts = synthesised(net, tmp_path)
    assert abs(estimate_luts(net).luts - luts) <= 0.08 * luts


def test_sums_of_sums_in_one_stage_stay_carry_chains(tmp_path: Path) -> None:
    b = NetlistBuilder()
    rows = [b.input(4) for _ in range(16)]
    while len(rows) > 1:
        rows = [b.sum(pair) for pair in zip(rows[::2], rows[1::2], strict=True)]
    b.output(rows[0])
    net = b.build()
    luts = synthesised(net, tmp_path)
    assert abs(estimate_luts(net).luts - luts) <= 0.05 * luts


@pytest.mark.parametrize(
    ("cells", "luts"),
    [
        ({6: 3}, 3),
        ({5: 1, 1: 1}, 1),
        ({4: 2, 2: 1}, 2),
        ({3: 3}, 3),
        ({3: 3, 2: 2}, 3),
        ({3: 1, 2: 2}, 2),
        ({2: 3}, 2),
        ({5: 1, 2: 1}, 2),
        ({}, 0),
    ],
)
def test_small_functions_share_a_table(cells: dict[int, int], luts: int) -> None:
    assert packed_luts(cells) == luts
