"""What the bench feeds and what must come out: from a design folder, or from a job that ``lutnet.verify.cosim`` has written."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from checker import Verdict

from lutnet.backends.interface import RtlInterface, load_interface
from lutnet.backends.packing import pack_codes
from lutnet.ir.store import load_design
from lutnet.verify.vectors import make_vectors

__all__ = ["Job", "load_job", "write_result"]


@dataclass(frozen=True)
class Job:
    """One run of the bench.

    Attributes:
        interface: Ports of the design.
        inputs: Value of ``in_data`` of every sample.
        expected: ``out_data`` of every sample as text, most significant bit first; ``None`` when nobody knows.
        results: Folder for what the bench finds; ``None`` when only the log is wanted.
    """

    interface: RtlInterface
    inputs: Sequence[int]
    expected: Sequence[str] | None
    results: Path | None


def load_job() -> Job:
    """The job that the environment names.

    ``LUTNET_JOB`` is a folder with ``interface.json`` and ``vectors.npz`` (codes ``inputs`` and perhaps ``expected``), to which results
    are written. Otherwise ``DESIGN`` is the folder of a design, with ``netlist.npz`` and ``rtl/interface.json``; its inputs are every
    input, or corners and random ones, and ``Netlist.evaluate`` is the model.
    """
    if "LUTNET_JOB" in os.environ:
        folder = Path(os.environ["LUTNET_JOB"])
        interface = load_interface(folder / "interface.json")
        with np.load(folder / "vectors.npz", allow_pickle=False) as vectors:
            expected = vectors["expected"] if "expected" in vectors.files else None
            return Job(
                interface, pack_codes(vectors["inputs"], interface.input_widths), _texts(expected, interface), folder
            )
    folder = Path(os.environ["DESIGN"])
    interface = load_interface(folder / "rtl" / "interface.json")
    net = load_design(folder / "netlist.npz").netlist
    codes = make_vectors(net.input_widths).codes
    return Job(interface, pack_codes(codes, net.input_widths), _texts(net.evaluate(codes), interface), None)


def write_result(job: Job, name: str, verdict: Verdict) -> None:
    """Leaves ``<name>.json`` with what was found, and ``<name>.txt`` with one output word a line, in the job's folder."""
    if job.results is None:
        return
    (job.results / f"{name}.txt").write_text("".join(word + "\n" for word in verdict.outputs))
    (job.results / f"{name}.json").write_text(
        json.dumps({"problems": verdict.problems, "differences": verdict.differences})
    )


def _texts(codes: np.ndarray | None, interface: RtlInterface) -> list[str] | None:
    if codes is None:
        return None
    return [f"{word:0{interface.out_bits}b}" for word in pack_codes(codes, interface.output_widths)]
