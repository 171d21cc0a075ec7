"""The estimate of lookup tables against what yosys counts, and its pieces against counts made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lutnet import Netlist, NetlistBuilder, TruthTable
from lutnet.backends import Verilog, write_files
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
    paths = write_files(Verilog(tables="wide").emit(net), tmp_path)
    found = synthesize_xilinx([path for path in paths if path.suffix == ".v"], "lutnet_top", tmp_path, timeout_s=300)
    assert found.luts is not None and abs(estimate_luts(net).luts - found.luts) <= 0.05 * found.luts


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


@pytest.mark.parametrize(
    ("cells", "luts"),
    [
        ({6: 3}, 3),
        ({5: 1, 1: 1}, 1),
        ({4: 2, 2: 1}, 2),
        ({3: 3}, 2),
        ({3: 1, 2: 2}, 2),
        ({2: 3}, 2),
        ({5: 1, 2: 1}, 2),
        ({}, 0),
    ],
)
def test_small_functions_share_a_table(cells: dict[int, int], luts: int) -> None:
    assert packed_luts(cells) == luts
