"""What a back end is, and the only function that writes its files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import ClassVar

from lutnet.errors import UserError
from lutnet.files import replaced_folder
from lutnet.ir.netlist import Netlist
from lutnet.ir.ops import OPS, OpCode

__all__ = ["Backend", "write_files"]

_MARKER = ".lutnet"


class Backend(ABC):
    """Maps a netlist to text. Subclasses are frozen dataclasses whose fields are the options; they never touch the disk."""

    name: ClassVar[str]
    ops: ClassVar[frozenset[OpCode]]

    @abstractmethod
    def emit(self, net: Netlist) -> dict[PurePosixPath, str]:
        """The files, by path relative to the output folder. Identical netlists give identical text."""

    def check_ops(self, net: Netlist) -> None:
        """Refuses a netlist with an op that this back end cannot write."""
        missing = sorted(OPS[OpCode(code)].name for code in set(net.op.tolist()) if OpCode(code) not in self.ops)
        if missing:
            raise UserError(
                f"the {self.name} back end has no {', '.join(missing)}; lower them with a pass or choose another back end"
            )


def write_files(files: Mapping[PurePosixPath, str], folder: str | Path) -> list[Path]:
    """Writes all files into a folder that appears, or is replaced, in one step.

    A folder that already exists is replaced only when everything in it was written by lutnet, which a marker file in it says.

    Args:
        files: Text by relative path.
        folder: Target folder; its parent must exist or be creatable.

    Returns:
        Paths of the files, in the order of ``files``.

    Raises:
        UserError: The folder cannot be written, holds foreign files, or a path leaves it.
    """
    target = Path(folder)
    for path in files:
        if path.is_absolute() or ".." in path.parts:
            raise UserError(f"refusing to write {path}, which is outside the output folder {target}")
    with replaced_folder(target, _MARKER) as draft:
        (draft / _MARKER).write_text("lutnet wrote the files of this folder and replaces them in its next run\n")
        for path, text in files.items():
            (draft / path).parent.mkdir(parents=True, exist_ok=True)
            (draft / path).write_text(text)
    return [target / path for path in files]
