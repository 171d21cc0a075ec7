"""Verilog texts of a design, from memory or from disk, with the primitives or cells that they instantiate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from lutnet.backends.templates import template_path
from lutnet.errors import UserError
from lutnet.tools.yosys import share_file

__all__ = ["Sources", "synthesised_sources", "verilog_texts"]

Sources = Mapping[PurePosixPath, str] | Sequence[str | Path]
"""Text by path, as a back end emits it, or paths of files."""

_USES_PRIMITIVE = re.compile(r"^\s*(LUT6|MUXF[789])\b", re.MULTILINE)
_HAS_PRIMITIVE = re.compile(r"\bmodule\s+(LUT6|MUXF[789])\b")


def verilog_texts(files: Sources) -> dict[str, str]:
    """Text of every Verilog file by name; files of other kinds are left out.

    Models of the AMD primitives are added when the design instantiates them and brings none.

    Raises:
        UserError: A file cannot be read, or there is no Verilog.
    """
    if isinstance(files, Mapping):
        texts = {str(path): text for path, text in files.items() if path.suffix == ".v"}
    else:
        texts = {str(path): _read(Path(path)) for path in files if Path(path).suffix == ".v"}
    if not texts:
        raise UserError("expected Verilog files (*.v), got none; emit the design first")
    if any(map(_USES_PRIMITIVE.search, texts.values())) and not any(map(_HAS_PRIMITIVE.search, texts.values())):
        path = template_path("verilog/xilinx_primitives.v")
        texts[path.name] = path.read_text()
    return texts


def synthesised_sources(netlist_path: str | Path) -> tuple[Path, ...]:
    """A netlist that yosys' ``synth_xilinx`` wrote, and the models of its cells.

    Raises:
        UserError: There is no such netlist.
        MissingToolError: Yosys's data folder is not there.
    """
    source = Path(netlist_path).resolve()
    if not source.is_file():
        raise UserError(f"no synthesised netlist at {source}; run the synthesis first")
    return source, share_file("xilinx/cells_sim.v")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the Verilog file {path} ({error}); emit the design again") from None
