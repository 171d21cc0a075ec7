"""A run's network as a stream: emitted, simulated and synthesised beside, or in place of, its netlist."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from lutnet.backends.base import write_files
from lutnet.errors import UserError
from lutnet.flow.models import NetworkModel, load_run_model, torch_outputs
from lutnet.flow.optimising import optimise_design
from lutnet.flow.scripts import VivadoTarget, vivado_files
from lutnet.ir.netlist import Netlist
from lutnet.ir.store import Design, load_design
from lutnet.lower import stream_network
from lutnet.passes import Pipeline
from lutnet.report.synth import SynthReport, xilinx_report
from lutnet.runs import RunFolder
from lutnet.stream import (
    StreamDesign,
    StreamInterface,
    StreamVerilog,
    load_stream,
    load_stream_interface,
    save_stream,
)
from lutnet.tools.yosys import synthesize_xilinx
from lutnet.verify.cosim_stream import cosimulate_stream, post_synthesis_stream, stream_vectors
from lutnet.verify.equivalence import Comparison, compare_codes
from lutnet.verify.ladder import Rung, ladder_to_json, require_rungs, timed_rung
from lutnet.verify.roundtrip import roundtrip
from lutnet.verify.vectors import make_vectors, random_codes

__all__ = ["StreamEmission", "emit_stream", "is_stream", "simulate_stream", "synth_stream"]

_N_VECTORS = 1000
_MAX_GROUPS = 40_000


@dataclass(frozen=True)
class StreamEmission:
    """An emitted stream.

    Attributes:
        design: The stream.
        rungs: The rungs of the ladder from the network to it.
        paths: Files of the hardware.
    """

    design: StreamDesign
    rungs: tuple[Rung, ...]
    paths: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class _Emitted:
    """A stream and its hardware on disk."""

    design: StreamDesign
    files: dict[PurePosixPath, str]
    sources: list[Path]
    interface: StreamInterface


def is_stream(run: RunFolder) -> bool:
    """Whether the run's emitted hardware is a stream."""
    return (run.rtl / "stream.json").is_file()


def emit_stream(
    folder: str | Path,
    *,
    pixels_per_clock: int = 1,
    budget_luts: int | None = None,
    passes: str = "fast",
    backend: StreamVerilog | None = None,
    target: VivadoTarget | None = None,
    timeout_s: float = 600.0,
    on_step: Callable[[str], None] | None = None,
) -> StreamEmission:
    """Makes a stream of the run's model, optimises its kernels, each with proof, and writes it as Verilog in place of the run's.

    Args:
        folder: Folder of the run, with a model; it need not be compiled, so that networks too large to unroll can be streamed.
        pixels_per_clock: Pixels of a row that come in one clock.
        budget_luts: Lookup tables within which as many pixels a clock as possible are taken, in place of ``pixels_per_clock``.
        passes: Preset or passes of ``lutnet opt`` for the kernels; registers follow every logic level unless the passes place them.
        backend: How the Verilog is written.
        target: What the Vivado script asks for.
        timeout_s: Most seconds of the proof of each kernel.
        on_step: Told the name of each step as it begins.

    Raises:
        UserError: There is no model, it cannot be streamed, or the budget is too small.
        LutnetError: A rung does not hold.
    """
    run = RunFolder(Path(folder))
    tell = on_step if on_step is not None else (lambda _: None)
    model = load_run_model(run.model)
    if not isinstance(model, NetworkModel):
        raise UserError(f"the model of {run.path} is no network of layers and has no map to stream; emit its netlist")
    chosen = backend if backend is not None else StreamVerilog()
    tell("stream")
    raw = stream_network(model.saved.network)
    codes = _stored_codes(run, raw, _N_VECTORS)
    expected = raw.evaluate(codes)
    detail = "outputs by torch == stream"
    torch_rung = timed_rung(
        "stream", detail, lambda: compare_codes(codes, torch_outputs(model.saved.network, codes), expected)
    )
    design = raw.map_kernels(lambda net: _optimised(net, passes, timeout_s, tell))
    detail = "stream of optimised kernels, each proved equal where time suffices == stream before"
    rungs = [
        torch_rung,
        timed_rung("stream kernels", detail, lambda: compare_codes(codes, expected, design.evaluate(codes))),
    ]
    if run.netlist.is_file():
        net = load_design(run.netlist).netlist
        detail = "stream == netlist of the run"
        rungs.append(timed_rung("stream netlist", detail, lambda: compare_codes(codes, net.evaluate(codes), expected)))
    require_rungs(rungs)
    design = design.at(pixels_per_clock) if budget_luts is None else design.fold_for(budget_luts)
    tell("emit")
    files = chosen.emit(design)
    aim = target if target is not None else VivadoTarget()
    paths = write_files({**files, **vivado_files(files, chosen.top, aim, clocked=True)}, run.rtl)
    save_stream(run.stream, design)
    run.drop_results("simulate", "prove", "synth")
    run.save_result("stream", {**_figures(design), "ladder": ladder_to_json(rungs)})
    return StreamEmission(design, tuple(rungs), tuple(paths))


def simulate_stream(
    folder: str | Path,
    *,
    simulators: Sequence[str] = ("icarus", "verilator"),
    n_vectors: int = 2000,
    timeout_s: float = 1800.0,
    on_step: Callable[[str], None] | None = None,
) -> tuple[Rung, ...]:
    """Compares the stream's Verilog on disk with the stream: its kernels by an independent reader, the whole in simulators.

    Args:
        folder: Folder of the run, emitted as a stream.
        simulators: Out of ``"icarus"`` and ``"verilator"``.
        n_vectors: Images that a simulator sees, fewer where they are large; half are validation rows, half random.
        timeout_s: Most seconds of one simulation.
        on_step: Told the name of each rung as it begins.

    Raises:
        UserError: Something is missing; the message says which command makes it.
        ToolError: A simulator failed.
        LutnetError: A rung does not hold.
    """
    run = RunFolder(Path(folder))
    tell = on_step if on_step is not None else (lambda _: None)
    found = _emitted(run)
    design, files = found.design, found.files
    codes = _images(run, found, n_vectors)
    tell("pyverilog")
    detail = "Verilog of every kernel read by pyverilog and evaluated == its netlist"
    rungs = [timed_rung("pyverilog", detail, lambda: _reread(found))]
    for simulator in simulators:
        tell(simulator)
        detail = f"Verilog of the stream in {simulator} == stream; without gap, with gaps, alone, after a reset"
        rungs.append(
            timed_rung(
                simulator,
                detail,
                lambda name=simulator: cosimulate_stream(design, files, codes, simulator=name, timeout_s=timeout_s),
            )
        )
    before = run.load_result("stream") or {"ladder": {}}
    run.save_result("simulate", {"ladder": {**before["ladder"], **ladder_to_json(rungs)}})
    require_rungs(rungs)
    return tuple(rungs)


def synth_stream(
    folder: str | Path,
    *,
    timeout_s: float = 3600.0,
    n_vectors: int = 50,
    on_step: Callable[[str], None] | None = None,
) -> tuple[SynthReport, ...]:
    """Counts cells of the stream with yosys and simulates the mapped netlist.

    Args:
        folder: Folder of the run, emitted as a stream.
        timeout_s: Most seconds of yosys and of the simulation.
        n_vectors: Images that the mapped netlist is simulated with, fewer where they are large.
        on_step: Told the name of each step as it begins.

    Raises:
        UserError: Something is missing.
        ToolError: A tool failed.
        LutnetError: The mapped netlist is another function.
    """
    run = RunFolder(Path(folder))
    tell = on_step if on_step is not None else (lambda _: None)
    found = _emitted(run)
    codes = _images(run, found, n_vectors)
    with tempfile.TemporaryDirectory(prefix="lutnet-synth-") as name:
        tell("yosys synth_xilinx")
        stat = synthesize_xilinx(found.sources, found.interface.top, name, timeout_s=timeout_s)
        report = xilinx_report(stat, found.interface.latency_cycles)
        tell("post-synthesis simulation")
        rung = timed_rung(
            "post-synthesis",
            "yosys netlist of LUT cells in Icarus == stream",
            lambda: post_synthesis_stream(
                found.design, stat.netlist_verilog, found.interface, codes, timeout_s=timeout_s
            ),
        )
    run.save_result("synth", {"reports": [report.to_json()], "ladder": ladder_to_json([rung])})
    require_rungs([rung])
    return (report,)


# -- inside ----------------------------------------------------------------------------------------------------------


def _optimised(net: Netlist, passes: str, timeout_s: float, tell: Callable[[str], None]) -> Netlist:
    found = optimise_design(Design(net), passes, timeout_s=timeout_s, on_pass=lambda name: tell(f"kernel: {name}"))
    changed = found.design.netlist
    return changed if changed.latency_cycles else Pipeline()(changed)


def _stored_codes(run: RunFolder, design: StreamDesign, n_rows: int) -> npt.NDArray[np.int64]:
    """Half of the rows from each end of the run's vectors, validation rows and random codes; random ones before it is compiled."""
    if not run.vectors.is_file():
        return random_codes(design.input_widths, n_rows, seed=1)
    try:
        with run.vectors.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            codes = archive["codes"].astype(np.int64)
        design.images(codes[:1])
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UserError(f"{run.vectors} is damaged ({error}); run `lutnet compile {run.path}` again") from None
    half = n_rows // 2
    return codes if len(codes) <= n_rows else np.concatenate([codes[:half], codes[len(codes) - (n_rows - half) :]])


def _images(run: RunFolder, found: _Emitted, n_vectors: int) -> npt.NDArray[np.int64]:
    """Stored codes, then images that show what crosses from one into the next."""
    if n_vectors < 2:
        raise UserError(f"a simulation needs at least 2 vectors, got {n_vectors}")
    n_images = max(2, min(n_vectors, _MAX_GROUPS // found.interface.n_in))
    return np.concatenate([_stored_codes(run, found.design, n_images), stream_vectors(found.design, 5)])


def _reread(found: _Emitted) -> Comparison:
    """All kernels' comparisons as one."""
    backend = StreamVerilog(top=found.interface.top)
    n_vectors = n_mismatches = 0
    first = None
    for i, stage in enumerate(found.design.stages):
        path = PurePosixPath(f"{found.interface.top}_kernel{i}.v")
        codes = make_vectors(stage.kernel.input_widths, n_random=1000).codes[-1000:]
        face = backend.kernel(i).interface(stage.kernel)
        part = roundtrip(stage.kernel, {path: found.files[path]}, face, codes)
        n_vectors, n_mismatches = n_vectors + part.n_vectors, n_mismatches + part.n_mismatches
        first = first if first is not None else part.first
    return Comparison(n_vectors, n_mismatches, first=first)


def _emitted(run: RunFolder) -> _Emitted:
    design = load_stream(run.stream)
    interface = load_stream_interface(run.rtl / "stream.json")
    sources = sorted(run.rtl.glob("*.v"))
    files = {PurePosixPath(path.name): path.read_text() for path in [*sources, run.rtl / "stream.json"]}
    return _Emitted(design, files, sources, interface)


def _figures(design: StreamDesign) -> dict[str, object]:
    return {
        "pixels_per_clock": design.pixels_per_clock,
        "clocks_per_image": design.clocks_per_image,
        "latency_cycles": design.latency_cycles,
        "kernels": [schedule.out_lanes for schedule in design.schedules],
        "estimated_luts": design.estimate.luts,
        "estimated_ffs": design.estimate.ffs,
        "line_bits": design.estimate.line_bits,
    }
