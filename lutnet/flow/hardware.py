"""Steps three to six: the netlist becomes Verilog, and the Verilog on disk is simulated, proved, and synthesised."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from lutnet.backends.base import write_files
from lutnet.backends.interface import RtlInterface, load_interface
from lutnet.backends.templates import template_path
from lutnet.backends.verilog import Verilog
from lutnet.errors import ToolError, UserError
from lutnet.flow.scripts import VivadoTarget, vivado_files
from lutnet.flow.streaming import is_stream, simulate_stream, synth_stream
from lutnet.ir.netlist import Netlist
from lutnet.ir.store import load_design
from lutnet.report.synth import SynthReport, ecp5_report, unplaced_report, xilinx_report
from lutnet.runs import RunFolder
from lutnet.tools.base import MissingToolError
from lutnet.tools.nextpnr import place_and_route_ecp5
from lutnet.tools.yosys import synthesize_xilinx
from lutnet.verify.cosim import check_tables, cosimulate, post_synthesis
from lutnet.verify.formal import Proof, prove_rtl
from lutnet.verify.ladder import Rung, ladder_to_json, require_rungs, timed_rung
from lutnet.verify.roundtrip import roundtrip

__all__ = ["VivadoTarget", "emit_run", "prove_run", "simulate_run", "synth_run"]


@dataclass(frozen=True, eq=False)
class _Emitted:
    """A run's netlist and the hardware that lies on disk beside it."""

    net: Netlist
    files: dict[PurePosixPath, str]
    sources: list[Path]
    primitives: list[Path]
    interface: RtlInterface


def emit_run(folder: str | Path, backend: Verilog | None = None, target: VivadoTarget | None = None) -> list[Path]:
    """Writes the run's netlist as Verilog, with ``interface.json``, a Vivado script and constraints.

    Raises:
        UserError: There is no netlist, an option is unusable, or the folder cannot be written.
    """
    run = RunFolder(Path(folder))
    chosen = backend if backend is not None else Verilog()
    aim = target if target is not None else VivadoTarget()
    design = load_design(run.netlist)
    net, files = design.netlist, chosen.emit(design.netlist)
    interface = replace(chosen.interface(net), output_formats=design.answer.formats)
    files[PurePosixPath("interface.json")] = interface.to_json()
    files |= vivado_files(files, chosen.top, aim, clocked=net.latency_cycles > 0)
    paths = write_files(files, run.rtl)
    run.drop_results("simulate", "prove", "synth")
    return paths


def simulate_run(
    folder: str | Path,
    *,
    simulators: Sequence[str] = ("icarus", "verilator"),
    n_vectors: int = 2000,
    timeout_s: float = 1800.0,
    on_step: Callable[[str], None] | None = None,
) -> tuple[Rung, ...]:
    """Compares the Verilog on disk with the netlist: every table entry, every simulator, and an independent reader.

    Args:
        folder: Folder of the run, compiled and emitted.
        simulators: Out of ``"icarus"`` and ``"verilator"``.
        n_vectors: Inputs a simulator sees: validation rows and random codes, half each.
        timeout_s: Most seconds of one simulation.
        on_step: Told the name of each rung as it begins.

    Raises:
        UserError: Something is missing; the message says which command makes it.
        ToolError: A simulator failed.
        LutnetError: A rung does not hold.
    """
    run = RunFolder(Path(folder))
    tell = on_step if on_step is not None else _silent
    if is_stream(run):
        return simulate_stream(folder, simulators=simulators, n_vectors=n_vectors, timeout_s=timeout_s, on_step=on_step)
    design = _emitted(run)
    net, files = design.net, design.files
    codes = _codes(run, net, n_vectors)
    rungs = []
    if len(net.tables):
        tell("rtl tables")
        detail = "every address of every table module in simulation == truth table"
        rungs.append(
            timed_rung(
                "rtl tables",
                detail,
                lambda: check_tables(net, Verilog(top=design.interface.top), files, timeout_s=timeout_s),
            )
        )
    for simulator in simulators:
        tell(simulator)
        detail = f"Verilog in {simulator} == netlist, one sample a clock"
        rungs.append(
            timed_rung(
                simulator,
                detail,
                lambda name=simulator: cosimulate(net, files, codes, simulator=name, timeout_s=timeout_s),
            )
        )
    tell("pyverilog")
    detail = "Verilog read by pyverilog and evaluated == netlist"
    rungs.append(timed_rung("pyverilog", detail, lambda: roundtrip(net, files, design.interface, codes)))
    run.save_result("simulate", {"ladder": ladder_to_json(rungs)})
    require_rungs(rungs)
    return tuple(rungs)


def prove_run(folder: str | Path, *, timeout_s: float = 600.0, on_step: Callable[[str], None] | None = None) -> Proof:
    """Proves that the Verilog on disk, its registers transparent, equals the netlist; per neuron where the whole takes too long.

    Raises:
        UserError: Something is missing.
        ToolError: yosys or ABC failed.
        LutnetError: The Verilog is another function; the message has a counterexample.
    """
    run = RunFolder(Path(folder))
    tell = on_step if on_step is not None else _silent
    tell("proof")
    design = _emitted(run)
    proof = prove_rtl(design.net, design.files, design.interface, timeout_s=timeout_s)
    run.save_result("prove", proof.to_json())
    proof.require()
    return proof


def synth_run(
    folder: str | Path,
    *,
    place: bool = True,
    timeout_s: float = 3600.0,
    place_timeout_s: float = 900.0,
    n_vectors: int = 500,
    on_step: Callable[[str], None] | None = None,
) -> tuple[SynthReport, ...]:
    """Counts cells with yosys, simulates the mapped netlist, and places and routes on ECP5.

    Args:
        folder: Folder of the run, compiled and emitted.
        place: Whether to place and route.
        timeout_s: Most seconds of yosys and of the simulation.
        place_timeout_s: Most seconds of placement and routing; a design that does not fit or takes longer has no Fmax, and the
            report says why.
        n_vectors: Inputs that the mapped netlist is simulated with.
        on_step: Told the name of each step as it begins.

    Raises:
        UserError: Something is missing.
        ToolError: A tool failed.
        LutnetError: The mapped netlist is another function.
    """
    run = RunFolder(Path(folder))
    tell = on_step if on_step is not None else _silent
    if is_stream(run):
        return synth_stream(folder, timeout_s=timeout_s, on_step=on_step)
    design = _emitted(run)
    top, latency = design.interface.top, design.interface.latency_cycles
    codes = _codes(run, design.net, n_vectors)
    with tempfile.TemporaryDirectory(prefix="lutnet-synth-") as name:
        work = Path(name)
        tell("yosys synth_xilinx")
        stat = synthesize_xilinx(design.sources, top, work, timeout_s=timeout_s)
        reports = [xilinx_report(stat, latency)]
        tell("post-synthesis simulation")
        detail = "yosys netlist of LUT cells in Icarus == netlist"
        rung = timed_rung(
            "post-synthesis",
            detail,
            lambda: post_synthesis(design.net, stat.netlist_verilog, design.interface, codes, timeout_s=timeout_s),
        )
        if place:
            tell("nextpnr-ecp5")
            reports.append(_placed(design, work, place_timeout_s))
    result = {"reports": [report.to_json() for report in reports], "ladder": ladder_to_json([rung])}
    run.save_result("synth", result)
    require_rungs([rung])
    return tuple(reports)


def _placed(design: _Emitted, work: Path, timeout_s: float) -> SynthReport:
    """Place and route on ECP5; its yosys flow needs the AMD primitives as modules where the design instantiates them."""
    latency = design.interface.latency_cycles
    try:
        timing = place_and_route_ecp5(
            [*design.sources, *design.primitives], design.interface.top, work, timeout_s=timeout_s
        )
    except MissingToolError:
        raise
    except UserError as error:
        return unplaced_report(str(error), latency)
    except ToolError as error:
        if error.returncode is not None:
            raise
        return unplaced_report(error.message, latency)
    return ecp5_report(timing, latency)


def _emitted(run: RunFolder) -> _Emitted:
    if is_stream(run):
        raise UserError(
            f"the Verilog in {run.rtl} is a stream, which is not the function of one sample; compare it with `lutnet simulate "
            f"{run.path}`, or write the netlist with `lutnet emit {run.path}`"
        )
    net = load_design(run.netlist).netlist
    if not (run.rtl / "interface.json").is_file():
        raise UserError(f"no Verilog in {run.rtl}; write it with `lutnet emit {run.path}`")
    interface = load_interface(run.rtl / "interface.json")
    verilog = sorted(run.rtl.glob("*.v"), key=lambda path: (path.stem == interface.top, path.name))
    files = {PurePosixPath(path.name): path.read_text() for path in [*verilog, run.rtl / "interface.json"]}
    sources = list(verilog)
    primitives = [template_path("verilog/xilinx_primitives.v")] if any("LUT6 #(" in t for t in files.values()) else []
    return _Emitted(net, files, sources, primitives, interface)


def _codes(run: RunFolder, net: Netlist, n_vectors: int) -> npt.NDArray[np.int64]:
    """Half of the vectors from each end of the stored ones: validation rows come first, random codes last."""
    if n_vectors < 2:
        raise UserError(f"a simulation needs at least 2 vectors, got {n_vectors}")
    try:
        with run.vectors.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            codes = archive["codes"].astype(np.int64)
        net.evaluate(codes[:1])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UserError(
            f"{run.vectors} is missing or damaged ({error}); run `lutnet compile {run.path}` again"
        ) from None
    half = n_vectors // 2
    return (
        codes if len(codes) <= n_vectors else np.concatenate([codes[:half], codes[len(codes) - (n_vectors - half) :]])
    )


def _silent(_: str) -> None:
    return None
