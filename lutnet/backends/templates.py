"""Reading the hand-written texts of ``rtl_templates/``.

An installed package carries them as ``lutnet/_rtl_templates``; a checkout has them beside the package.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from string import Template

from lutnet.errors import LutnetError

__all__ = ["data_folder", "read_template", "template_path"]


def data_folder(name: str) -> Path:
    """A folder of data that stands beside the package in a checkout and inside it, as ``_<name>``, when installed."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / f"_{name}", package.parent / name):
        if folder.is_dir():
            return folder
    raise LutnetError(f"this installation of lutnet lacks its folder '{name}'; install the package again")


def template_path(name: str) -> Path:
    """Path of a template such as ``verilog/top.v``."""
    return data_folder("rtl_templates") / name


@cache
def read_template(name: str) -> Template:
    """A template such as ``verilog/top.v``; placeholders are written ``${name}``."""
    return Template(template_path(name).read_text())
