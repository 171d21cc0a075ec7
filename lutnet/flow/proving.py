"""Proof of two designs against each other, each a netlist, the folder of a run, or a folder of emitted Verilog."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutnet.backends.interface import load_interface
from lutnet.errors import UserError
from lutnet.ir.netlist import Netlist
from lutnet.ir.store import load_design
from lutnet.ir.text import from_text
from lutnet.runs import RunFolder
from lutnet.verify.formal import Proof, prove_rtl
from lutnet.verify.prove import NetlistProof, prove_netlists

__all__ = ["prove_pair"]


@dataclass(frozen=True, eq=False)
class _Side:
    """What a path stands for: a netlist, or the folder of Verilog when there is none."""

    path: Path
    netlist: Netlist | None
    vectors: npt.NDArray[np.int64] | None = None


def prove_pair(
    a: str | Path, b: str | Path, *, timeout_s: float = 600.0, on_step: Callable[[str], None] | None = None
) -> NetlistProof | Proof:
    """Proves or refutes that two designs are one function.

    Args:
        a: A netlist (``.npz`` or text), the folder of a run, which stands for its netlist, or a folder with ``interface.json`` and Verilog.
            Don't-cares of its tables are honoured.
        b: The other one; at most one of the two is Verilog.
        timeout_s: Most wall-clock seconds.
        on_step: Told what is being done.

    Raises:
        UserError: A path is neither, both are Verilog, or the ports differ.
        ToolError: yosys or ABC is missing or failed.
    """
    tell = on_step if on_step is not None else (lambda _: None)
    tell("reading")
    left, right = _side(Path(a)), _side(Path(b))
    tell("proof")
    if left.netlist is not None and right.netlist is not None:
        vectors = left.vectors if left.vectors is not None else right.vectors
        if vectors is not None and vectors.shape[1:] != (len(left.netlist.inputs),):
            vectors = None
        return prove_netlists(left.netlist, right.netlist, timeout_s=timeout_s, vectors=vectors)
    net = left.netlist if left.netlist is not None else right.netlist
    if net is None:
        raise UserError(
            f"{a} and {b} are both Verilog; name the netlist of one of them, `lutnet compile` has written it"
        )
    folder = right.path if left.netlist is not None else left.path
    interface = load_interface(folder / "interface.json")
    return prove_rtl(net, sorted(folder.glob("*.v")), interface, timeout_s=timeout_s)


def _side(path: Path) -> _Side:
    if path.is_dir():
        run = RunFolder(path)
        if run.netlist.is_file():
            return _Side(path, load_design(run.netlist).netlist, _vectors(run))
        if (path / "interface.json").is_file():
            return _Side(path, None)
        raise UserError(
            f"{path} holds neither netlist.npz nor interface.json; name a run, a folder of Verilog, or a file"
        )
    if not path.is_file():
        raise UserError(f"no netlist at {path}; name a .npz file, a text file, or a folder")
    if path.suffix == ".npz" or zipfile.is_zipfile(path):
        return _Side(path, load_design(path).netlist)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is neither a .npz netlist nor text ({error})") from None
    return _Side(path, from_text(text))


def _vectors(run: RunFolder) -> npt.NDArray[np.int64] | None:
    """Validation rows as input codes, where the run has them; a damaged file only costs them."""
    try:
        with run.vectors.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            codes = archive["codes"][:2000].astype(np.int64)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    return codes if codes.ndim == 2 else None
