"""What a stage takes on a part with six-input tables, counted without synthesis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.ir.estimate import estimate_luts
from lutnet.ir.netlist import Netlist
from lutnet.ir.registers import register_bits, signals
from lutnet.stream.schedule import Schedule

__all__ = ["StreamEstimate", "counter_bits", "counter_ends", "estimate_stage"]


@dataclass(frozen=True)
class StreamEstimate:
    """Lookup tables and flip-flops of a stream, or of one stage.

    Attributes:
        kernel_luts: Lookup tables of all kernels.
        shell_luts: Lookup tables of counters and masks.
        line_bits: Flip-flops that hold pixels until their windows are complete; a part of ``ffs``.
        ffs: All flip-flops.
    """

    kernel_luts: int
    shell_luts: int
    line_bits: int
    ffs: int

    @property
    def luts(self) -> int:
        """All lookup tables."""
        return self.kernel_luts + self.shell_luts


def estimate_stage(schedule: Schedule) -> StreamEstimate:
    """Counts one stage.

    A counter takes about one lookup table a bit, comparisons included. The line keeps each channel until the last kernel has read it, and
    registered windows hold what the kernels read once more; masks are the synchronous resets of these registers and take no table.
    """
    stage = schedule.stage
    kernel_luts = schedule.out_lanes * estimate_luts(stage.kernel).luts
    registers = schedule.out_lanes * register_bits(stage.kernel) + stage.kernel.latency_cycles
    if schedule.pointwise:
        return StreamEstimate(kernel_luts, shell_luts=0, line_bits=0, ffs=registers)
    reads = _channels_read(stage.kernel).reshape(stage.n_places, stage.n_channels)
    ages = np.full((schedule.lanes, stage.n_channels), -1, dtype=np.int64)
    window_bits = 0
    widths = np.asarray(stage.widths)
    for taps in schedule.taps:
        for tap, wanted in zip(taps, reads, strict=True):
            if tap is not None:
                ages[tap.lane] = np.where(wanted, np.maximum(ages[tap.lane], tap.age), ages[tap.lane])
                window_bits += int(widths[wanted].sum())
    line_bits = int(((ages + 1) * widths).sum())
    spans = {(tap.rows, tap.groups) for taps in schedule.taps for tap in taps if tap is not None and tap.masked}
    counters = sum(bits for bits, last in zip(counter_bits(schedule), counter_ends(schedule), strict=True) if last)
    control = counters + 2 + len(spans)
    return StreamEstimate(
        kernel_luts=kernel_luts,
        shell_luts=counters + 4,
        line_bits=line_bits,
        ffs=line_bits + control + registers + (window_bits + 1 if schedule.masked else 0),
    )


def counter_ends(schedule: Schedule) -> tuple[int, ...]:
    """Last values of the counters of a stage: groups taken, step in the row, row, and steps and rows since the last window."""
    strides = (schedule.every - 1, schedule.stage.rows.stride - 1)
    return (schedule.n_in - 1, schedule.groups - 1, schedule.last_row, *strides)


def counter_bits(schedule: Schedule) -> tuple[int, ...]:
    """Bits of these counters, at least one each."""
    return tuple(max(1, last.bit_length()) for last in counter_ends(schedule))


def _channels_read(net: Netlist) -> npt.NDArray[np.bool_]:
    """The inputs of which an output depends on some bit; bool, shape ``(n_inputs,)``."""
    sources = {signal.source for signal in signals(net)}
    return np.asarray([row in sources for row in net.inputs.tolist()], dtype=np.bool_)
