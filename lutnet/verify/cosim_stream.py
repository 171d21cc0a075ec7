"""Simulation rungs of streams: emitted Verilog, image by image, through ``sim/stream_bench.py``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from lutnet.backends.base import write_files
from lutnet.backends.packing import unpack_words
from lutnet.errors import UserError
from lutnet.stream.design import StreamDesign
from lutnet.stream.interface import StreamInterface, read_stream_interface
from lutnet.verify.cosim import SimulationComparison
from lutnet.verify.cosim_run import read_words, run_cocotb, scratch_folder
from lutnet.verify.equivalence import compare_codes
from lutnet.verify.sources import synthesised_sources, verilog_texts
from lutnet.verify.vectors import random_codes

__all__ = ["STREAM_TESTS", "cosimulate_stream", "post_synthesis_stream", "stream_vectors"]

STREAM_TESTS = ("images_follow", "images_with_gaps", "image_alone", "reset_forgets")
"""The tests of ``sim/stream_bench.py``."""


_INTERFACE = PurePosixPath("stream.json")


def stream_vectors(design: StreamDesign, n_images: int, *, seed: int = 0) -> npt.NDArray[np.int64]:
    """Random images between two of the lowest and two of the highest codes, so that what crosses from one image into the next shows.

    Args:
        design: Whose input codes they are.
        n_images: How many, at least 5.
        seed: Of the random ones.
    """
    if n_images < 5:
        raise UserError(f"a stream is tried on at least 5 images, got {n_images}")
    codes = random_codes(design.input_widths, n_images, seed)
    highest = (np.int64(1) << np.asarray(design.input_widths)) - 1
    codes[0], codes[1], codes[-2], codes[-1] = 0, highest, highest, 0
    return codes


def cosimulate_stream(
    design: StreamDesign,
    files: Mapping[PurePosixPath, str],
    codes: npt.NDArray[np.integer] | None = None,
    *,
    simulator: str = "icarus",
    workdir: str | Path | None = None,
    timeout_s: float = 600.0,
) -> SimulationComparison:
    """Compares the Verilog of a stream with :meth:`StreamDesign.evaluate`: without gap, with gaps, alone, after a reset.

    Args:
        design: The reference.
        files: What :class:`lutnet.stream.StreamVerilog` wrote, ``stream.json`` among them.
        codes: Flat input codes, shape ``(n, n_inputs)``; :func:`stream_vectors` of 20 images when left out.
        simulator: ``"icarus"`` or ``"verilator"``.
        workdir: Existing folder for a new folder with everything that was written; a temporary one that is removed when left out.
        timeout_s: Time for build and run together, seconds.

    Raises:
        UserError: The codes or the design do not fit the ports, or there is no such simulator.
        ToolError: The simulator is missing, refuses the sources, or ran out of time.
    """
    with scratch_folder(workdir, simulator) as folder:
        texts = {PurePosixPath(name): text for name, text in verilog_texts(files).items()}
        sources = write_files(texts, folder / "rtl")
        face = read_stream_interface(files.get(_INTERFACE, ""), "the emitted stream.json")
        return _compare(folder, design, face, sources, codes, simulator, timeout_s)


def post_synthesis_stream(
    design: StreamDesign,
    netlist_path: str | Path,
    interface: StreamInterface,
    codes: npt.NDArray[np.integer] | None = None,
    *,
    simulator: str = "icarus",
    workdir: str | Path | None = None,
    timeout_s: float = 600.0,
) -> SimulationComparison:
    """Compares the netlist that yosys' ``synth_xilinx`` wrote of a stream with the design; see :func:`cosimulate_stream`.

    Args:
        design: The reference.
        netlist_path: Flat Verilog netlist; its ports keep their names.
        interface: Ports of the stream.
        codes: As in :func:`cosimulate_stream`.
        simulator: As in :func:`cosimulate_stream`.
        workdir: As in :func:`cosimulate_stream`.
        timeout_s: As in :func:`cosimulate_stream`.
    """
    sources = synthesised_sources(netlist_path)
    with scratch_folder(workdir, simulator) as folder:
        return _compare(folder, design, interface, sources, codes, simulator, timeout_s)


def _compare(
    folder: Path,
    design: StreamDesign,
    face: StreamInterface,
    sources: Sequence[Path],
    codes: npt.NDArray[np.integer] | None,
    simulator: str,
    timeout_s: float,
) -> SimulationComparison:
    if (face.order, face.widths, face.out_widths) != (design.order, design.widths, design.stages[-1].out_widths):
        raise UserError(f"the interface of {face.top} is that of another stream; emit the Verilog of this one")
    images = stream_vectors(design, 20) if codes is None else np.asarray(codes)
    if not len(images):
        raise UserError("expected at least one image, got none")
    (folder / "stream.json").write_text(face.to_json())
    (folder / "words.txt").write_text("".join(f"{word:x}\n" for word in face.pack(images)))
    run_cocotb(folder, sources, face.top, "stream_bench", simulator=simulator, tests=STREAM_TESTS, timeout_s=timeout_s)
    expected = design.evaluate(images)
    got = expected.copy()
    problems: list[str] = []
    for name in STREAM_TESTS:
        found = json.loads((folder / f"{name}.json").read_text())["problems"]
        problems += [f"{name.replace('_', ' ')}: {text}" for text in found]
        if not found:
            seen = _results(folder / f"{name}.txt", face)
            wrong = (seen != expected[: len(seen)]).any(axis=1)
            got[: len(seen)][wrong] = seen[wrong]
    result = compare_codes(images, expected, got)
    return SimulationComparison(len(images), result.n_mismatches or len(problems), False, result.first, tuple(problems))


def _results(path: Path, face: StreamInterface) -> npt.NDArray[np.int64]:
    """Codes of the results in a file of groups; -1 for a code with unknown bits."""
    bits = read_words(path, face.out_bits)
    widths = face.out_widths * face.out_pixels_per_clock
    codes = unpack_words(np.packbits(bits == 1, axis=1, bitorder="little"), widths)
    unknown = np.add.reduceat(bits < 0, np.cumsum([0, *widths[:-1]]), axis=1)
    codes[unknown > 0] = -1
    return face.unpack(codes)
