"""The folder of a run: which file each step of the flow reads and writes.

::

    <run>/model/            config.json, weights.safetensors, reference.safetensors
    <run>/wiring.json       which inputs the neurons read, to be edited and trained with again
    <run>/log.csv           one line an epoch
    <run>/checkpoint.pt     state of an unfinished training
    <run>/front/            front.csv, and a run folder for each network that no other of the run beats
    <run>/netlist.npz       netlist, input encoder, class names
    <run>/vectors.npz       input codes of validation rows, for simulation
    <run>/rtl/              Verilog, interface.json or stream.json, Vivado script and constraints
    <run>/stream/           kernels and windows of a stream, when the Verilog is one
    <run>/results/*.json    what each step measured
    <run>/report.json, report.md
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lutnet.errors import UserError
from lutnet.files import write_text

__all__ = ["RunFolder"]


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def model(self) -> Path:
        """Folder of the trained network."""
        return self.path / "model"

    @property
    def wiring(self) -> Path:
        """File of the network's wirings, of families that have one."""
        return self.path / "wiring.json"

    @property
    def netlist(self) -> Path:
        """File of the compiled design."""
        return self.path / "netlist.npz"

    @property
    def vectors(self) -> Path:
        """File of input codes from the validation set."""
        return self.path / "vectors.npz"

    @property
    def rtl(self) -> Path:
        """Folder of the emitted hardware."""
        return self.path / "rtl"

    @property
    def stream(self) -> Path:
        """Folder of the stream that was emitted."""
        return self.path / "stream"

    @property
    def front(self) -> Path:
        """Folder of the networks of the run that no other beats."""
        return self.path / "front"

    @property
    def checkpoint(self) -> Path:
        """State of an unfinished training."""
        return self.path / "checkpoint.pt"

    @property
    def log(self) -> Path:
        """Table of the epochs."""
        return self.path / "log.csv"

    def save_result(self, step: str, data: Mapping[str, Any]) -> Path:
        """Writes what a step measured."""
        return write_text(self.path / "results" / f"{step}.json", json.dumps(data, indent=2) + "\n")

    def load_result(self, step: str) -> dict[str, Any] | None:
        """What a step measured, or ``None`` when it has not run.

        Raises:
            UserError: The file is damaged.
        """
        path = self.path / "results" / f"{step}.json"
        if not path.is_file():
            return None
        try:
            data = json.loads(path.read_text())
        except ValueError as error:
            raise UserError(f"{path} is damaged ({error}); run `lutnet {step}` again") from None
        if not isinstance(data, dict):
            raise UserError(f"{path} is damaged (it is no object); run `lutnet {step}` again")
        return data

    def drop_results(self, *steps: str) -> None:
        """Removes results that are out of date because an earlier step ran again."""
        for step in steps:
            (self.path / "results" / f"{step}.json").unlink(missing_ok=True)
        for name in ("report.json", "report.md"):
            (self.path / name).unlink(missing_ok=True)
