"""Simulation rungs: emitted RTL in Icarus and Verilator, one sample a clock cycle, through the cocotb benches of ``sim/``.

The simulator runs in processes of its own: nothing of cocotb is imported here, no environment leaks, and vectors and results travel
as files in a folder that is removed afterwards unless the caller names one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from lutnet.backends.interface import RtlInterface, load_interface
from lutnet.backends.packing import unpack_words
from lutnet.backends.templates import template_path
from lutnet.backends.verilog import Verilog
from lutnet.errors import LutnetError, UserError
from lutnet.ir.netlist import Netlist
from lutnet.tools.yosys import share_file
from lutnet.verify.bench import BENCH_TESTS, read_words, run_bench
from lutnet.verify.equivalence import Comparison, compare_codes
from lutnet.verify.harness import batch_of, sweeps_of
from lutnet.verify.vectors import make_vectors

__all__ = [
    "Emitted",
    "SimulationComparison",
    "check_tables",
    "cosimulate",
    "cosimulate_batch",
    "post_synthesis",
    "quicker_for_tables",
    "simulate",
]

_STREAM = BENCH_TESTS[:1]
_LINEAR_CASE_NS = 30
_BUILD_S = 15


@dataclass(frozen=True)
class SimulationComparison(Comparison):
    """A comparison with what the bench found besides differing samples.

    Attributes:
        problems: One sentence each: another latency, lost or additional outputs, unknown bits, a reset that does not clear, a clock
            enable that does not stop. Each counts as a mismatch when no sample differs.
    """

    problems: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "; ".join([super().__str__(), *self.problems])


@dataclass(frozen=True, eq=False)
class Emitted:
    """A netlist and the files that a Verilog back end wrote for it, ``interface.json`` among them."""

    net: Netlist
    files: Mapping[PurePosixPath, str]


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
    with _folder(workdir, simulator) as folder:
        paths = [Path(source).resolve() for source in sources]
        found = run_bench(folder, paths, interface, codes, None, simulator=simulator, tests=_STREAM, timeout_s=timeout_s)
    hard = [problem for problem in found.problems if "unknown bits" not in problem]
    if hard:
        raise LutnetError(f"{interface.top} breaks its interface in {simulator}: {'; '.join(hard)}")
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
    with _folder(workdir, simulator) as folder:
        sources, interface = _write_sources(folder, files)
        return _compare(folder, net, interface, sources, codes, simulator=simulator, timeout_s=timeout_s)


def cosimulate_batch(
    designs: Sequence[Emitted],
    *,
    simulator: str = "verilator",
    n_random: int = 1000,
    workdir: str | Path | None = None,
    timeout_s: float = 600.0,
) -> tuple[SimulationComparison, ...]:
    """Compares many small designs in one build; each sees all its inputs, or corners and ``n_random`` random ones.

    The designs stand side by side in one generated module, so their top modules need distinct names and the same control ports.
    A problem that is not in one design's samples (reset, clock enable, valid) is reported for all of them.

    Returns:
        One comparison a design, in the order given.

    Raises:
        UserError: The designs cannot stand in one module, or there is no such simulator.
        ToolError: The simulator is missing, refuses the sources, or ran out of time.
    """
    with _folder(workdir, simulator) as folder:
        written = [_write_sources(folder / f"d{i}", design.files) for i, design in enumerate(designs)]
        faces = [face for _, face in written]
        for design, face in zip(designs, faces, strict=True):
            _check_ports(design.net, face)
        batch = batch_of("lutnet_batch", faces)
        (folder / "batch.v").write_text(batch.verilog)
        sources = list(dict.fromkeys([*(path for paths, _ in written for path in paths), folder / "batch.v"]))
        vectors = [make_vectors(face.input_widths, n_random=n_random) for face in faces]
        n_rows = max(len(vector.codes) for vector in vectors)
        inputs = [np.resize(vector.codes, (n_rows, vector.codes.shape[1])) for vector in vectors]
        outputs = [design.net.evaluate(code) for design, code in zip(designs, inputs, strict=True)]
        ones = np.ones((n_rows, 1), dtype=np.int64)
        expected = [np.hstack([out, ones]) if face.valid else out for out, face in zip(outputs, faces, strict=True)]
        found = run_bench(
            folder, sources, batch.interface, np.hstack(inputs), np.hstack(expected), simulator=simulator, timeout_s=timeout_s
        )
    shared = tuple(problem for problem in found.problems if "samples differ" not in problem or "with gaps" in problem)
    ends = np.cumsum([want.shape[1] for want in expected])[:-1]
    results = []
    for vector, want, got in zip(vectors, expected, np.split(found.codes, ends, axis=1), strict=True):
        n = len(vector.codes)
        results.append(_with_problems(compare_codes(vector.codes, want[:n], got[:n], exhaustive=vector.exhaustive), shared))
    return tuple(results)


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
    source = Path(netlist_path).resolve()
    if not source.is_file():
        raise UserError(f"no synthesised netlist at {source}; run the synthesis first")
    with _folder(workdir, simulator) as folder:
        sources = [source, share_file("xilinx/cells_sim.v")]
        return _compare(folder, net, interface, sources, codes, simulator=simulator, timeout_s=timeout_s)


def check_tables(
    net: Netlist,
    backend: Verilog,
    files: Mapping[PurePosixPath, str],
    *,
    simulator: str | None = None,
    workdir: str | Path | None = None,
    timeout_s: float = 1800.0,
) -> Comparison:
    """Drives every table module through all its addresses and compares every output with the netlist's table.

    Addresses that a table does not care about are compared as well: the emitted codes are the stored ones.

    Args:
        net: The netlist.
        backend: The back end that wrote ``files``; it names the table modules.
        files: What it wrote.
        simulator: ``"icarus"``, ``"verilator"``, or ``None`` for :func:`quicker_for_tables`.
        workdir: As in :func:`simulate`.
        timeout_s: Time for each build and run, seconds.

    Returns:
        ``n_vectors`` is the number of entries of all tables; ``first`` holds table id and address as inputs.
    """
    chosen = quicker_for_tables(net) if simulator is None else simulator
    modules = backend.table_modules(net)
    n_wrong, first = 0, None
    with _folder(workdir, chosen) as folder:
        sources, _ = _write_sources(folder, files)
        for sweep in sweeps_of("lutnet_sweep", modules, net.tables):
            got = _swept(folder, sources, sweep, chosen, timeout_s)

    raise NotImplementedError


@contextmanager
def _folder(workdir: str | Path | None, simulator: str) -> Iterator[Path]:
    if workdir is None:
        with tempfile.TemporaryDirectory(prefix="lutnet_sim_") as name:
            yield Path(name)
    else:
        try:
            name = tempfile.mkdtemp(prefix=f"{simulator}_", dir=workdir)
        except OSError as error:
            raise UserError(f"cannot write into {workdir}: {error.strerror}; choose a folder that exists and is writable") from None
        yield Path(name).resolve()
