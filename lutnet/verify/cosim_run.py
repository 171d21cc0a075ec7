"""Starts a simulator with one of the cocotb benches of ``sim/`` in a process of its own, and reads what the bench left."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

import lutnet
from lutnet.backends.base import write_files
from lutnet.backends.interface import RtlInterface, load_interface
from lutnet.backends.packing import unpack_words
from lutnet.backends.templates import data_folder, template_path
from lutnet.errors import ToolError, UserError
from lutnet.ir.netlist import Netlist
from lutnet.tools.base import MissingToolError, run
from lutnet.tools.simulators import icarus_env, icarus_version, verilator_env, verilator_version

__all__ = [
    "BENCH_TESTS",
    "SIMULATORS",
    "BenchResult",
    "Emitted",
    "WrittenDesign",
    "read_words",
    "run_bench",
    "run_cocotb",
    "scratch_folder",
    "write_sources",
]

SIMULATORS = ("icarus", "verilator")
"""Simulators by the name that cocotb gives them."""

BENCH_TESTS = ("full_rate_stream", "stream_with_gaps", "reset_clears", "enable_freezes")
"""The tests of ``sim/bench.py``."""

_VERILATOR_ARGS = ("-Wno-fatal", "--x-initial", "unique", "--output-split", "200000")
_OUTPUT_CHARACTERS = 4000
_PRIMITIVE = re.compile(r"^ *(LUT6|MUXF[78]) ", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class BenchResult:
    """What a bench saw.

    Attributes:
        codes: Output codes at full rate, int64, shape ``(n, n_outputs)``; -1 for an output with unknown bits or none at all.
        gap_codes: The same for the first samples with gaps between them; no rows when the design has neither valid nor clock enable.
        problems: What no single sample shows, one sentence each.
        differences: What the samples show, for the reader; the codes say it exactly.
    """

    codes: npt.NDArray[np.int64]
    gap_codes: npt.NDArray[np.int64]
    problems: tuple[str, ...]
    differences: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Emitted:
    """A netlist and the files that a Verilog back end wrote for it, ``interface.json`` among them."""

    net: Netlist
    files: Mapping[PurePosixPath, str]


@dataclass(frozen=True)
class WrittenDesign:
    """An emitted design on disk: absolute paths of its Verilog files, cell models that they need among them, and its ports."""

    sources: tuple[Path, ...]
    interface: RtlInterface


@contextmanager
def scratch_folder(workdir: str | Path | None, simulator: str) -> Iterator[Path]:
    """A new folder: a temporary one, or one in ``workdir``, which stays.

    Raises:
        UserError: ``workdir`` does not exist or cannot be written.
    """
    if workdir is None:
        with tempfile.TemporaryDirectory(prefix="lutnet-") as name:
            yield Path(name).resolve()
        return
    try:
        kept = tempfile.mkdtemp(prefix=f"{simulator}-", dir=workdir)
    except OSError as error:
        raise UserError(
            f"cannot write into {workdir}: {error.strerror}; choose a folder that exists and is writable"
        ) from None
    yield Path(kept).resolve()


def write_sources(folder: Path, files: Mapping[PurePosixPath, str]) -> WrittenDesign:
    """Writes what a Verilog back end emitted into a new folder.

    Raises:
        UserError: There is no ``interface.json`` or no Verilog among the files.
    """
    write_files(files, folder)
    sources = [folder / path for path in files if path.suffix in (".v", ".sv")]
    if not sources or not (folder / "interface.json").is_file():
        raise UserError("expected Verilog files and interface.json, got " + (", ".join(map(str, files)) or "no file"))
    if any(_PRIMITIVE.search(text) for text in files.values()):
        sources.append(template_path("verilog/xilinx_primitives.v"))
    return WrittenDesign(tuple(sources), load_interface(folder / "interface.json"))


def run_bench(
    folder: Path,
    sources: Sequence[Path],
    interface: RtlInterface,
    codes: npt.NDArray[np.integer],
    expected: npt.NDArray[np.integer] | None,
    *,
    simulator: str,
    tests: Sequence[str] = BENCH_TESTS,
    timeout_s: float,
) -> BenchResult:
    """Runs tests of ``sim/bench.py`` on a design.

    Args:
        folder: Existing folder for vectors, build and results.
        sources: Absolute paths of the Verilog files.
        interface: Ports of the top module.
        codes: Input codes, shape ``(n, n_inputs)``, at least one row.
        expected: Output codes, shape ``(n, n_outputs)``, or ``None`` to look at nothing but order, number and latency.
        simulator: One of :data:`SIMULATORS`.
        tests: Which of :data:`BENCH_TESTS`.
        timeout_s: Time for build and run, seconds.

    Raises:
        UserError: There is nothing to simulate, or no such simulator.
        ToolError: The simulator is missing, refuses the sources, or ran out of time.
    """
    if codes.ndim != 2 or codes.shape[1] != len(interface.input_widths) or len(codes) == 0:
        raise UserError(
            f"expected at least one row of {len(interface.input_widths)} input codes, got shape {codes.shape}"
        )
    (folder / "interface.json").write_text(interface.to_json())
    vectors = {"inputs": np.asarray(codes, dtype=np.int64)}
    if expected is not None:
        vectors["expected"] = np.asarray(expected, dtype=np.int64)
    np.savez(folder / "vectors.npz", allow_pickle=False, **vectors)
    run_cocotb(folder, sources, interface.top, "bench", simulator=simulator, tests=tests, timeout_s=timeout_s)
    problems: list[str] = []
    differences: list[str] = []
    for name in tests:
        found = json.loads((folder / f"{name}.json").read_text())
        prefix = "" if name == BENCH_TESTS[0] else name.replace("_", " ") + ": "
        problems += [prefix + text for text in found["problems"] if prefix + text not in problems]
        differences += [prefix + text for text in found["differences"]]
    full = _codes(folder / f"{BENCH_TESTS[0]}.txt", interface, len(codes))
    gaps = _codes(folder / f"{BENCH_TESTS[1]}.txt", interface, 0) if BENCH_TESTS[1] in tests else full[:0]
    return BenchResult(full, gaps, tuple(problems), tuple(differences))


def run_cocotb(
    folder: Path,
    sources: Sequence[Path],
    top: str,
    test_module: str,
    *,
    simulator: str,
    tests: Sequence[str],
    timeout_s: float,
) -> None:
    """Builds the sources and runs tests of one module of ``sim/`` with ``LUTNET_JOB`` set to ``folder``.

    Raises:
        UserError: There is no such simulator.
        ToolError: Something is missing, or the build or the simulator failed; the end of its output is in the message.
    """
    version, env = _environment(simulator)
    job = {
        "simulator": simulator,
        "sources": [str(path) for path in sources],
        "top": top,
        "build_args": list(_VERILATOR_ARGS) if simulator == "verilator" else [],
        "build_dir": str(folder / "build"),
        "test_module": test_module,
        "test_filter": rf"\.({'|'.join(tests)})$",
        "env": {"LUTNET_JOB": str(folder), "COCOTB_LOG_LEVEL": "WARNING", "COCOTB_ANSI_OUTPUT": "0"},
    }
    (folder / "job.json").write_text(json.dumps(job, indent=2) + "\n")
    argv = (sys.executable, str(data_folder("sim") / "run.py"), str(folder / "job.json"))
    try:
        done = run(argv, cwd=folder, timeout_s=timeout_s, env=env)
    except ToolError as error:
        raise ToolError(
            f"{simulator} did not finish {top} within {timeout_s:g} s and was stopped; try fewer vectors or a longer time limit",
            argv=argv,
            version=version,
            output=_log(folder) or error.output,
        ) from None
    left = [name for name in tests if not (folder / f"{name}.txt").is_file()]
    if done.returncode or left:
        built = (folder / "build" / "test.log").is_file()
        message = f"{simulator} failed while it ran {top}" if built else f"{simulator} cannot build {top}"
        raise ToolError(
            message, argv=argv, version=version, returncode=done.returncode, output=_log(folder) or done.output
        )


def read_words(path: Path, n_bits: int) -> npt.NDArray[np.int8]:
    """Words of text as bits.

    Args:
        path: File with one word a line, ``n_bits`` characters ``0``, ``1``, ``X``, ``Z`` each, most significant bit first, or none.
        n_bits: Bits of a word.

    Returns:
        int8, shape ``(n, n_bits)``, bit 0 first; -1 for a bit that is unknown or absent.
    """
    lines = path.read_bytes().splitlines()
    raw = np.frombuffer(b"".join(line.rjust(n_bits) for line in lines), dtype=np.uint8).reshape(-1, n_bits)[:, ::-1]
    return np.where(raw == ord("0"), 0, np.where(raw == ord("1"), 1, -1)).astype(np.int8)


def _codes(path: Path, interface: RtlInterface, n_rows: int) -> npt.NDArray[np.int64]:
    """Output codes of a file of words; rows with unknown bits, and rows missing up to ``n_rows``, are -1."""
    bits = read_words(path, interface.out_bits)
    codes = unpack_words(np.packbits(bits == 1, axis=1, bitorder="little"), interface.output_widths)
    codes[(bits < 0).any(axis=1)] = -1
    missing = np.full((max(0, n_rows - len(codes)), codes.shape[1]), -1, dtype=np.int64)
    return np.concatenate([codes, missing])


def _environment(simulator: str) -> tuple[str | None, dict[str, str]]:
    """Version of the simulator, and the variables with which the runner finds it, cocotb and this package."""
    if simulator not in SIMULATORS:
        raise UserError(f"expected a simulator {' or '.join(SIMULATORS)}, got '{simulator}'")
    if find_spec("cocotb") is None or find_spec("cocotb_tools") is None:
        raise MissingToolError(
            "simulation needs cocotb, which is not installed; install it with `pip install lutnet[sim]`"
        )
    root = str(Path(lutnet.__file__).resolve().parent.parent)
    env = {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))}
    if simulator == "icarus":
        return icarus_version(), {**icarus_env(), **env}
    python = sys.executable.replace("\\", "\\\\").replace(" ", "\\ ")
    flags = ["OPT_FAST=-O0", "OPT_SLOW=-O0", "OPT_GLOBAL=-O0", "CFG_CXXFLAGS_PCH_I=-include", f"PYTHON3={python}"]
    return verilator_version(), {**verilator_env(), **env, "MAKEFLAGS": " ".join(flags)}


def _log(folder: Path) -> str:
    """The end of what the simulator, or else the build, printed."""
    for name in ("test.log", "build.log"):
        path = folder / "build" / name
        if path.is_file() and path.stat().st_size:
            return path.read_text(errors="replace")[-_OUTPUT_CHARACTERS:]
    return ""
