"""Random kernels and streams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lutnet.errors import UserError
from lutnet.ir.builder import NetlistBuilder
from lutnet.ir.netlist import Netlist
from lutnet.passes.pipeline import Pipeline
from lutnet.stream import Axis, StreamDesign, StreamStage
from lutnet.tables import TruthTable

__all__ = ["random_kernel", "random_stream"]


def random_kernel(
    in_widths: Sequence[int], out_widths: Sequence[int], *, seed: int = 0, fan_in: int = 4, layers: int = 1
) -> Netlist:
    """Random tables on random inputs, one an output, with ``layers - 1`` layers of tables between; registers behind every layer.

    Args:
        in_widths: Bits of the inputs.
        out_widths: Bits of the outputs.
        seed: Of wiring and tables.
        fan_in: Operands of a table.
        layers: Layers of tables.
    """
    rng = np.random.default_rng(seed)
    builder = NetlistBuilder()
    rows = [builder.input(width) for width in in_widths]
    for layer in range(layers):
        last = layer == layers - 1
        made = []
        for width in out_widths if last else [1] * (2 * len(out_widths) + fan_in):
            operands = [rows[i] for i in rng.choice(len(rows), min(fan_in, len(rows)), replace=False)]
            widths = tuple(builder.node(row).width for row in operands)
            table = TruthTable(widths, width, rng.integers(0, 1 << width, 1 << sum(widths)))
            made.append(builder.lut(table, operands))
        rows = made
    for row in rows:
        builder.output(row)
    return Pipeline()(builder.build())


def random_stream(seed: int, *, max_size: int = 9, max_stages: int = 3) -> StreamDesign:
    """A stream of random geometry, kernels, order of columns and pixels a clock, the same for the same seed."""
    rng = np.random.default_rng(seed)
    rows, columns = (int(n) for n in rng.integers(1, max_size + 1, 2))
    widths = _widths(rng)
    stages = []
    for _ in range(int(rng.integers(1, max_stages + 1))):
        down, across = _axis(rng, rows), _axis(rng, columns)
        made = _widths(rng)
        kernel = random_kernel(widths * (down.kernel * across.kernel), made, seed=int(rng.integers(1 << 30)))
        if rng.random() < 0.3:
            kernel = kernel.with_stages(np.zeros(kernel.n_nodes, dtype=np.int32), 0)
        outside = tuple(int(rng.integers(1 << width)) for width in widths)
        stages.append(StreamStage(down, across, widths, kernel, outside))
        rows, columns, widths = down.n_windows, across.n_windows, made
    design = StreamDesign(tuple(stages))
    order = rng.permutation(design.n_inputs).tolist()
    return StreamDesign(design.stages, int(rng.choice(design.folds)), tuple(order))


def _widths(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(rng.integers(1, 3, int(rng.integers(1, 3))).tolist())


def _axis(rng: np.random.Generator, size: int) -> Axis:
    """An axis that a stream can have; most random ones are refused."""
    while True:
        kernel, stride, dilation, before, after = (
            int(rng.integers(low, high)) for low, high in ((1, 5), (1, 4), (1, 3), (0, 4), (-1, 4))
        )
        try:
            return Axis(size, kernel, stride, dilation, before, after)
        except UserError:
            continue
