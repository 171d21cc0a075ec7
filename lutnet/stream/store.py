"""Streams on disk: a folder with the kernels as netlists, and a text that says how their windows move."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lutnet.errors import UserError
from lutnet.files import replaced_folder
from lutnet.ir.store import Design, load_design, save_design
from lutnet.stream.axis import Axis
from lutnet.stream.design import StreamDesign
from lutnet.stream.stage import StreamStage

__all__ = ["STREAM_VERSION", "load_stream", "save_stream"]

STREAM_VERSION = 1
"""Version of the folder's layout."""

_DESIGN = "design.json"


def save_stream(folder: str | Path, design: StreamDesign) -> Path:
    """Writes ``design.json`` and ``kernel<i>.npz`` into a folder that appears, or is replaced, in one step."""
    target = Path(folder)
    stages = [
        {"rows": asdict(stage.rows), "columns": asdict(stage.columns), "widths": stage.widths, "outside": stage.outside}
        for stage in design.stages
    ]
    text = {
        "version": STREAM_VERSION,
        "pixels_per_clock": design.pixels_per_clock,
        "order": design.order,
        "stages": stages,
    }
    with replaced_folder(target, _DESIGN) as draft:
        (draft / _DESIGN).write_text(json.dumps(text) + "\n")
        for i, stage in enumerate(design.stages):
            save_design(draft / f"kernel{i}.npz", Design(stage.kernel))
    return target


def load_stream(folder: str | Path) -> StreamDesign:
    """Reads a stream; its netlists are verified.

    Raises:
        UserError: There is none, it is damaged, or it has another version.
    """
    source = Path(folder)
    if not (source / _DESIGN).is_file():
        raise UserError(f"no stream in {source}; write one with `lutnet emit --backend stream`")
    try:
        data = json.loads((source / _DESIGN).read_text())
        version = data["version"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _damaged(source, error) from None
    if version != STREAM_VERSION:
        raise UserError(f"{source} has stream version {version}, this lutnet reads {STREAM_VERSION}; emit it again")
    try:
        stages = tuple(_stage(item, source / f"kernel{i}.npz") for i, item in enumerate(data["stages"]))
        return StreamDesign(stages, int(data["pixels_per_clock"]), tuple(map(int, data["order"])))
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged(source, error) from None


def _stage(item: Mapping[str, Any], kernel: Path) -> StreamStage:
    return StreamStage(
        Axis(**item["rows"]),
        Axis(**item["columns"]),
        tuple(map(int, item["widths"])),
        load_design(kernel).netlist,
        tuple(map(int, item["outside"])),
    )


def _damaged(source: Path, error: Exception) -> UserError:
    return UserError(
        f"{source} is no stream of lutnet or is damaged ({error}); write it again with `lutnet emit --backend stream`"
    )
