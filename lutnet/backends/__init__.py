"""Back ends: netlist to text."""

from __future__ import annotations

from lutnet.backends.base import Backend, write_files
from lutnet.backends.blif import Blif
from lutnet.backends.c import CCode
from lutnet.backends.interface import RtlInterface, load_interface
from lutnet.backends.packing import pack_codes, pack_words, unpack_codes, unpack_words
from lutnet.backends.verilog import Verilog

__all__ = [
    "Backend",
    "Blif",
    "CCode",
    "RtlInterface",
    "Verilog",
    "load_interface",
    "pack_codes",
    "pack_words",
    "unpack_codes",
    "unpack_words",
    "write_files",
]
