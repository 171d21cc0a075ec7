"""Simulation rungs: emitted RTL in Icarus and Verilator, one sample a clock cycle, through the cocotb benches of ``sim/``.

The simulator runs in processes of its own: nothing of cocotb is imported here, no environment leaks, and vectors and results travel
as files in a folder that is removed afterwards unless the caller names one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from lutnet.backends.interface import RtlInterface
from lutnet.errors import LutnetError, UserError
from lutnet.ir.netlist import Netlist
from lutnet.verify.cosim_run import (
    BENCH_TESTS,
    BenchResult,
    Emitted,
    WrittenDesign,
    run_bench,
    scratch_folder,
    write_sources,
)
from lutnet.verify.cosim_tables import check_tables, check_tables_batch, quicker_for_tables
from lutnet.verify.equivalence import Comparison, compare_codes
from lutnet.verify.harness import batch_of
from lutnet.verify.sources import synthesised_sources
from lutnet.verify.vectors import make_vectors

__all__ = [
    "Emitted",
    "SimulationComparison",
    "check_tables",
    "check_tables_batch",
    "cosimulate",
    "cosimulate_batch",
    "post_synthesis",
    "quicker_for_tables",
    "simulate",
    "write_batch",
]

_STREAM = BENCH_TESTS[:1]


@dataclass(frozen=True)
class SimulationComparison(Comparison):
    """A comparison with what the bench found besides differing samples.

    Attributes:
        problems: One sentence each: another latency, lost or additional outputs, unknown bits, a reset that does not clear, a clock
            enable that does not stop. Each is counted as a mismatch when no sample differs.
    """

    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "; ".join([super().__str__(), *self.problems])


def simulate(
    sources: Sequence[str | Path],
    interface: RtlInterface,
    codes: npt.NDArray[np.integer],
    *,
    simulator: str = "icarus",
    workdir: str | Path | None = None,
    timeout_s: float = 600.0,
) -> npt.NDArray[np.int64]:
    """Output codes of a design for input codes, one sample a clock cycle.

    Args:
        sources: Verilog files; primitives that they use included.
        interface: Ports of the top module.
        codes: Input codes, shape ``(n, n_inputs)``, at least one row.
        simulator: ``"icarus"`` or ``"verilator"``.
        workdir: Existing folder for a new folder with everything that was written; a temporary one that is removed when left out.
        timeout_s: Time for build and run together, seconds.

    Returns:
        int64, shape ``(n, n_outputs)``; a row of -1 is an output with unknown bits or one that never came.

    Raises:
        UserError: The codes do not fit the ports, or there is no such simulator.
        ToolError: The simulator is missing, refuses the sources, or ran out of time.
        LutnetError: A port is missing, or the outputs come at another latency or in another number.
    """
    with scratch_folder(workdir, simulator) as folder:
        paths = [Path(source).resolve() for source in sources]
        found = run_bench(
            folder, paths, interface, codes, None, simulator=simulator, tests=_STREAM, timeout_s=timeout_s
        )
    if found.problems:
        raise LutnetError(f"{interface.top} breaks its interface in {simulator}: {'; '.join(found.problems)}")
    return found.codes


def cosimulate(
    net: Netlist,
    files: Mapping[PurePosixPath, str],
    codes: npt.NDArray[np.integer] | None = None,
    *,
    simulator: str = "icarus",
    workdir: str | Path | None = None,
    timeout_s: float = 600.0,
) -> SimulationComparison:
    """Compares emitted RTL with the netlist: full rate with every code, then gaps, reset and clock enable where the ports exist.

    Args:
        net: The reference; its latency is not used, that of ``interface.json`` is.
        files: What the back end wrote, ``interface.json`` among them.
        codes: Input codes, shape ``(n, n_inputs)``; all inputs, or corners and random ones, when left out.
        simulator: ``"icarus"`` or ``"verilator"``.
        workdir: As in :func:`simulate`.
        timeout_s: As in :func:`simulate`.

    Raises:
        UserError: The codes or the netlist do not fit the ports, or there is no such simulator.
        ToolError: The simulator is missing, refuses the sources, or ran out of time.
    """
    with scratch_folder(workdir, simulator) as folder:
        written = write_sources(folder / "rtl", files)
        return _compare(
            folder, net, written.interface, written.sources, codes, simulator=simulator, timeout_s=timeout_s
        )


def cosimulate_batch(
    designs: Sequence[Emitted],
    *,
    simulator: str = "verilator",
    netlist_path: str | Path | None = None,
    n_random: int = 1000,
    workdir: str | Path | None = None,
    timeout_s: float = 600.0,
) -> tuple[SimulationComparison, ...]:
    """Compares many small designs in one build; each sees all its inputs, or corners and ``n_random`` random ones.

    The designs stand side by side in one generated module, so their top modules need distinct names and the same control ports.
    A problem that is not in one design's samples (reset, clock enable, valid) is reported for all of them.

    Args:
        designs: The designs, at least one.
        simulator: ``"icarus"`` or ``"verilator"``.
        netlist_path: Synthesised netlist of what :func:`write_batch` wrote for these designs, to be simulated instead of their RTL.
        n_random: Random inputs behind the corners, for designs with too many inputs to try all.
        workdir: As in :func:`simulate`.
        timeout_s: As in :func:`simulate`.

    Returns:
        One comparison a design, in the order given.

    Raises:
        UserError: The designs cannot stand in one module, or there is no such simulator.
        ToolError: The simulator is missing, refuses the sources, or ran out of time.
    """
    with scratch_folder(workdir, simulator) as folder:
        written = write_batch(designs, folder / "rtl")
        sources = written.sources if netlist_path is None else synthesised_sources(netlist_path)
        vectors = [make_vectors(design.net.input_widths, n_random=n_random) for design in designs]
        n_rows = max(len(vector.codes) for vector in vectors)
        inputs = [np.resize(vector.codes, (n_rows, vector.codes.shape[1])) for vector in vectors]
        valid = np.ones((n_rows, int(written.interface.valid)), dtype=np.int64)
        expected = [np.hstack([d.net.evaluate(code), valid]) for d, code in zip(designs, inputs, strict=True)]
        found = run_bench(
            folder,
            sources,
            written.interface,
            np.hstack(inputs),
            np.hstack(expected),
            simulator=simulator,
            timeout_s=timeout_s,
        )
    ends = np.cumsum([want.shape[1] for want in expected])[:-1]
    seen = zip(np.split(found.codes, ends, axis=1), np.split(found.gap_codes, ends, axis=1), strict=True)
    results = []
    for vector, want, (full, gaps) in zip(vectors, expected, seen, strict=True):
        results.append(_judge(vector.codes, want, BenchResult(full, gaps, found.problems, ()), vector.exhaustive))
    return tuple(results)


def write_batch(designs: Sequence[Emitted], folder: str | Path) -> WrittenDesign:
    """Writes several designs and the module ``lutnet_batch`` that holds them side by side into a new folder.

    Raises:
        UserError: The designs cannot stand in one module, or the folder cannot be written.
    """
    target = Path(folder).resolve()
    written = [write_sources(target / f"d{i}", design.files) for i, design in enumerate(designs)]
    faces = [entry.interface for entry in written]
    for design, face in zip(designs, faces, strict=True):
        _check_ports(design.net, face)
    batch = batch_of("lutnet_batch", faces)
    (target / "batch.v").write_text(batch.verilog)
    sources = dict.fromkeys([*(path for entry in written for path in entry.sources), target / "batch.v"])
    return WrittenDesign(tuple(sources), batch.interface)


def post_synthesis(
    net: Netlist,
    netlist_path: str | Path,
    interface: RtlInterface,
    codes: npt.NDArray[np.integer] | None = None,
    *,
    simulator: str = "icarus",
    workdir: str | Path | None = None,
    timeout_s: float = 600.0,
) -> SimulationComparison:
    """Compares the Verilog netlist that yosys' ``synth_xilinx`` wrote with the netlist that went in.

    The cells are simulated with yosys' own models (``xilinx/cells_sim.v``).

    Args:
        net: The reference.
        netlist_path: Flat Verilog netlist of the whole design; its ports keep their names.
        interface: Ports of the design.
        codes: As in :func:`cosimulate`.
        simulator: As in :func:`simulate`.
        workdir: As in :func:`simulate`.
        timeout_s: As in :func:`simulate`.
    """
    sources = synthesised_sources(netlist_path)
    with scratch_folder(workdir, simulator) as folder:
        return _compare(folder, net, interface, sources, codes, simulator=simulator, timeout_s=timeout_s)


def _compare(
    folder: Path,
    net: Netlist,
    interface: RtlInterface,
    sources: Sequence[Path],
    codes: npt.NDArray[np.integer] | None,
    *,
    simulator: str,
    timeout_s: float,
) -> SimulationComparison:
    _check_ports(net, interface)
    exhaustive = False
    if codes is None:
        vectors = make_vectors(net.input_widths)
        codes, exhaustive = vectors.codes, vectors.exhaustive
    expected = net.evaluate(codes)
    found = run_bench(folder, sources, interface, codes, expected, simulator=simulator, timeout_s=timeout_s)
    return _judge(codes, expected, found, exhaustive)


def _judge(
    codes: npt.NDArray[np.integer], expected: npt.NDArray[np.int64], found: BenchResult, exhaustive: bool
) -> SimulationComparison:
    """Compares the first ``len(codes)`` samples; one that differs only between gaps differs."""
    count = len(codes)
    got = found.codes[:count].copy()
    gaps = found.gap_codes[:count]
    differs = (gaps != expected[: len(gaps)]).any(axis=1)
    got[: len(gaps)][differs] = gaps[differs]
    result = compare_codes(codes, expected[:count], got, exhaustive=exhaustive)
    problems = found.problems + found.differences
    return SimulationComparison(count, result.n_mismatches or len(problems), exhaustive, result.first, problems)


def _check_ports(net: Netlist, face: RtlInterface) -> None:
    for kind, want, got in (
        ("inputs", net.input_widths, face.input_widths),
        ("outputs", net.output_widths, face.output_widths),
    ):
        if want != got:
            raise UserError(
                f"the netlist has {kind} of {want} bits, the interface of {face.top} {got}; emit the design from this netlist"
            )
