"""Throughput against lookup tables of a stream: one small convolutional network of random tables over 28 x 28 bits, at every fold.

    python benchmarks/streaming.py

Writes ``streaming.md`` and ``streaming.json``. The kernels are random, so that synthesis finds nothing to save in them. Mapped streams are
simulated in the tests, not here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lutnet.backends import write_files
from lutnet.ir import NetlistBuilder
from lutnet.ir.estimate import estimate_luts
from lutnet.passes import Pipeline
from lutnet.stream import Axis, StreamDesign, StreamStage, StreamVerilog
from lutnet.tables import TruthTable
from lutnet.testing.streams import random_kernel
from lutnet.tools.yosys import synthesize_xilinx

SIZE = 28


def or_pool(size: int, channels: int) -> StreamStage:
    """An OR of 2 x 2 bits in each channel."""
    builder = NetlistBuilder()
    rows = [builder.input(1) for _ in range(4 * channels)]
    any_bit = TruthTable((1,) * 4, 1, (np.arange(16) > 0).astype(int))
    for channel in range(channels):
        builder.output(builder.lut(any_bit, rows[channel::channels]))
    axis = Axis(size, 2, stride=2)
    return StreamStage(axis, axis, (1,) * channels, Pipeline()(builder.build()))


def convolution(size: int, kernel: int, reads: int, makes: int) -> StreamStage:
    """A table of six inputs a channel, padded to the size of the map."""
    axis = Axis(size, kernel, before=kernel // 2, after=kernel // 2)
    table = random_kernel((1,) * (kernel * kernel * reads), (1,) * makes, seed=kernel, fan_in=6)
    return StreamStage(axis, axis, (1,) * reads, table)


def network() -> StreamDesign:
    """5 x 5 to 16 channels, OR, 3 x 3 to 32 channels, OR: 28 x 28 bits to 7 x 7 of 32 bits."""
    return StreamDesign(
        (convolution(SIZE, 5, 1, 16), or_pool(SIZE, 16), convolution(SIZE // 2, 3, 16, 32), or_pool(SIZE // 2, 32))
    )


def measured(design: StreamDesign, timeout_s: float) -> dict[str, object]:
    """A row of the table."""
    backend = StreamVerilog(tables="wide")
    with tempfile.TemporaryDirectory() as name:
        paths = write_files(backend.emit(design), Path(name) / "rtl")
        sources = [path for path in paths if path.suffix == ".v"]
        stat = synthesize_xilinx(sources, backend.top, name, timeout_s=timeout_s)
    return {
        "pixels_per_clock": design.pixels_per_clock,
        "kernels": [schedule.out_lanes for schedule in design.schedules],
        "clocks_per_image": design.clocks_per_image,
        "latency_cycles": design.latency_cycles,
        "luts": stat.luts,
        "ffs": stat.ffs,
        "estimated_luts": design.estimate.luts,
        "estimated_ffs": design.estimate.ffs,
        "yosys": stat.tool_version,
    }


def markdown(rows: Sequence[dict[str, object]], unrolled_luts: int) -> str:
    """The table, and what the unrolled netlist takes."""
    keys = [
        "pixels_per_clock",
        "kernels",
        "clocks_per_image",
        "latency_cycles",
        "luts",
        "estimated_luts",
        "ffs",
        "estimated_ffs",
    ]
    heads = ["pixels a clock", "kernels", "clocks an image", "latency", "luts", "estimated", "flip-flops", "estimated"]
    lines = [
        "# Streams: throughput against lookup tables",
        "",
        "28 x 28 bits, a 5 x 5 convolution to 16 channels, an OR of 2 x 2, a 3 x 3 convolution to 32 channels, an OR of 2 x 2; every",
        "channel is a random table of six inputs, padding keeps the sizes. `luts` and `flip-flops` are yosys's for UltraScale+, the",
        "`estimated` ones are counted without synthesis. `kernels` stand side by side in each stage.",
        "",
        "| " + " | ".join(heads) + " |",
        "|" + "---:|" * len(heads),
    ]
    for row in rows:
        cells = [", ".join(map(str, row[key])) if key == "kernels" else str(row[key]) for key in keys]  # type: ignore[call-overload]
        lines.append("| " + " | ".join(cells) + " |")
    unrolled = f"Unrolled, an image a clock: an estimated {unrolled_luts:,} lookup tables."
    return "\n".join([*lines, "", unrolled, "", "Made by `python benchmarks/streaming.py`.", ""])


def main() -> None:
    """Measures all folds; rows that a run has left in ``streaming.json`` are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(""))
    parser.add_argument("--folds", type=int, nargs="+", default=list(network().folds))
    parser.add_argument("--timeout-s", type=float, default=3600.0)
    args = parser.parse_args()
    path = args.out.with_suffix(".json")
    rows = json.loads(path.read_text())["rows"] if path.is_file() else []
    design = network()
    unrolled = sum(len(stage.places) * estimate_luts(stage.kernel).luts for stage in design.stages)
    for fold in args.folds:
        if fold in [row["pixels_per_clock"] for row in rows]:
            continue
        rows.append(measured(design.at(fold), args.timeout_s))
        rows.sort(key=lambda row: row["pixels_per_clock"])
        path.write_text(json.dumps({"rows": rows, "unrolled_luts": unrolled}, indent=2) + "\n")
        args.out.with_suffix(".md").write_text(markdown(rows, unrolled))
        print(markdown(rows, unrolled), flush=True)


if __name__ == "__main__":
    main()
