"""How often the nodes of a netlist switch when it is fed with samples, one a clock, and what that takes.

A pipelined netlist sees one sample after the other in every stage, so that each wire toggles as often as its code differs between
consecutive samples; the stages only shift this in time. Glitches inside a clock cycle are not simulated; the energies of
:class:`lutnet.cost.energy.ToggleEnergy` are those of toggles with their average share of glitches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lutnet.cost.energy import ToggleEnergy
from lutnet.errors import UserError
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OpCode
from lutnet.ir.registers import Signal, signals

__all__ = ["Registers", "Switching", "chunks", "register_toggles", "toggle_rates"]

_CHUNK_BYTES = 1 << 26


@dataclass(frozen=True)
class Switching:
    """What switches in one clock cycle on average, that is for one sample.

    Attributes:
        lut_toggles: Transitions of lookup-table outputs.
        register_toggles: Transitions of flip-flop outputs.
        net_toggles: Transitions of routed nets.
        register_bits: Flip-flops, all of which are clocked.
    """

    lut_toggles: float
    register_toggles: float
    net_toggles: float
    register_bits: int

    def __add__(self, other: Switching) -> Switching:
        return Switching(
            self.lut_toggles + other.lut_toggles,
            self.register_toggles + other.register_toggles,
            self.net_toggles + other.net_toggles,
            self.register_bits + other.register_bits,
        )

    def energy_pj(self, energies: ToggleEnergy) -> float:
        """Dynamic energy of one sample in pJ: a model, see :class:`lutnet.cost.energy.ToggleEnergy`."""
        cells = self.lut_toggles + self.register_toggles
        return cells * energies.cell_pj + self.net_toggles * energies.net_pj + self.register_bits * energies.clock_pj


@dataclass(frozen=True)
class Registers:
    """The registers behind one node.

    Attributes:
        bits: Flip-flops.
        toggles: Their transitions in a cycle.
        unrouted_toggles: Transitions of bits of the node that nothing reads but its first register, which stands beside it.
    """

    bits: int
    toggles: float
    unrouted_toggles: float


def toggle_rates(net: Netlist, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Toggles of an average bit of every node from one sample to the next: float64, shape ``(n_nodes,)``, 0 to 1.

    Args:
        net: A netlist.
        codes: Input codes in the order in which they arrive, shape ``(n, n_inputs)``, at least 2 rows.

    Raises:
        UserError: There are fewer rows.
    """
    if len(codes) < 2:
        raise UserError(f"counting toggles needs at least 2 samples one after the other, got {len(codes)}")
    counts = np.zeros(net.n_nodes, dtype=np.int64)
    for values in chunks(net, codes, overlap=1):
        changed = values[1:] ^ values[:-1]
        for place in range(int(net.width.max(initial=0))):
            counts += np.count_nonzero(changed >> np.int64(place) & 1, axis=0)
    return np.asarray(counts / (len(codes) - 1) / np.maximum(net.width, 1), dtype=np.float64)


def chunks(net: Netlist, codes: npt.NDArray[np.int64], *, overlap: int = 0) -> Iterator[npt.NDArray[np.int64]]:
    """Codes of all nodes for some rows after the other, each time with the last ``overlap`` rows of the time before."""
    size = max(2, _CHUNK_BYTES // (8 * max(1, net.n_nodes)))
    for start in range(0, len(codes) - overlap, size):
        yield net.evaluate_nodes(codes[start : start + size + overlap])


def register_toggles(net: Netlist, rates: npt.NDArray[np.float64]) -> dict[int, Registers]:
    """The registers behind every input and computing node that anything reads, by row.

    Bits of a node that are delayed in different ways are taken to toggle as often as its average bit.
    """
    found: dict[int, Registers] = {}
    for signal in signals(net):
        row, rate = signal.source, float(rates[signal.source])
        n_registers, here = _chain(net, signal)
        unrouted = 0.0 if here or net.node(row).op is OpCode.INPUT else signal.n_bits * rate
        old = found.get(row, Registers(0, 0.0, 0.0))
        bits = signal.n_bits * n_registers
        found[row] = Registers(old.bits + bits, old.toggles + bits * rate, old.unrouted_toggles + unrouted)
    return found


def _chain(net: Netlist, signal: Signal) -> tuple[int, bool]:
    """Registers that the bits of a signal go through, and whether anything reads them before the first one."""
    own = int(net.stage[signal.source])
    ends = [int(net.stage[row]) for row in signal.readers] + [net.latency_cycles] * signal.is_output
    return max(ends) - own, min(ends) == own
