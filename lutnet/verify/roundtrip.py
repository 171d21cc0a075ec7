"""An independent reading of the emitted Verilog: pyverilog parses it, ``rtl_model`` evaluates it, the netlist is compared with it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.backends.interface import RtlInterface
from lutnet.backends.packing import pack_words, unpack_words
from lutnet.backends.templates import template_path
from lutnet.errors import UserError
from lutnet.ir.netlist import Netlist
from lutnet.tools.base import MissingToolError
from lutnet.verify.equivalence import Comparison, compare_codes
from lutnet.verify.rtl_model import Bits, Module, RtlError, Scope, compile_modules

__all__ = ["RereadDesign", "reread", "roundtrip"]

_CHUNK_ROWS = 4096
_DIRECTIVE = re.compile(r"`(?!default_nettype\b)\w*")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_PRIMITIVE = re.compile(r"^\s*(?:LUT6|MUXF[78])\s", re.MULTILINE)


class RereadDesign:
    """A design parsed once and evaluated often.

    Attributes:
        interface: Ports of the top module.
        modules: Every module by name.
    """

    def __init__(self, files: Mapping[PurePosixPath, str], interface: RtlInterface) -> None:
        """Parses and compiles the Verilog files of a design.

        Args:
            files: Text by path; those that do not end in ``.v`` are left out. Models of LUT6 and MUXF are added where they are used.
            interface: Ports of the top module.

        Raises:
            RtlError: The Verilog uses what the model does not know, or lacks the top module or a port.
            MissingToolError: pyverilog is not installed.
        """
        texts = {path: text for path, text in files.items() if path.suffix == ".v"}
        primitives = template_path("verilog/xilinx_primitives.v")
        if any(_PRIMITIVE.search(text) for text in texts.values()):
            texts = {PurePosixPath(primitives.name): primitives.read_text(), **texts}
        self.interface = interface
        self.modules = compile_modules(_parse(texts))
        self._check_ports()

    def evaluate(self, codes: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Output codes of samples that enter one a clock cycle, each read ``latency_cycles`` later.

        A register too few or too many shifts the samples against each other and so shows in the codes. With ``out_valid``, a sample
        whose bit is not set at its cycle has output codes of -1.

        Args:
            codes: Input codes, shape ``(n, n_inputs)``.

        Returns:
            int64, shape ``(n, n_outputs)``.
        """
        parts = [self._stream(codes[i : i + _CHUNK_ROWS]) for i in range(0, len(codes), _CHUNK_ROWS)]
        return np.concatenate([np.empty((0, len(self.interface.output_widths)), np.int64), *parts])

    def _stream(self, codes: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        face = self.interface
        tail = face.latency_cycles + 1
        cycles = np.concatenate([codes, np.repeat(codes[-1:] ^ 1, tail, axis=0)])
        top = Scope(self.modules[face.top], self._inputs(cycles, len(codes)))
        top.evaluate_all()
        window = slice(face.latency_cycles, face.latency_cycles + len(codes))
        found = _columns(top.value("out_data"), len(cycles))
        outputs = unpack_words(np.packbits(found[:, window].T, axis=1, bitorder="little"), face.output_widths)
        if face.valid:
            valid = _columns(top.value("out_valid"), len(cycles))[0]
            outputs[valid[window] == 0] = -1
            if valid[: face.latency_cycles].any() or valid[window.stop :].any():
                raise RtlError(f"{face.top} gives out_valid for cycles in which no sample was valid")
        return outputs

    def _inputs(self, cycles: npt.NDArray[np.integer], n_valid: int) -> dict[str, Bits]:
        face = self.interface
        words = pack_words(cycles, face.input_widths)
        bits = np.unpackbits(words, axis=1, bitorder="little", count=face.in_bits).T
        inputs: dict[str, Bits] = {"in_data": np.ascontiguousarray(bits)}
        if face.clocked:
            inputs["clk"] = np.zeros((1, 1), dtype=np.uint8)
        if face.reset:
            inputs["rst"] = np.zeros((1, 1), dtype=np.uint8)
        if face.clock_enable:
            inputs["ce"] = np.ones((1, 1), dtype=np.uint8)
        if face.valid:
            inputs["in_valid"] = (np.arange(len(cycles)) < n_valid).astype(np.uint8)[None, :]
        return inputs

    def _check_ports(self) -> None:
        face = self.interface
        if face.top not in self.modules:
            raise RtlError(f"the Verilog has no module {face.top}; emit it again")
        module: Module = self.modules[face.top]
        outputs = {"out_data": face.out_bits, **({"out_valid": 1} if face.valid else {})}
        if module.outputs != outputs:
            raise RtlError(f"module {face.top} has outputs {module.outputs}, its interface says {outputs}")


def reread(
    files: Mapping[PurePosixPath, str], interface: RtlInterface, codes: npt.NDArray[np.integer]
) -> npt.NDArray[np.int64]:
    """Output codes of a design as pyverilog reads it; see :class:`RereadDesign`."""
    return RereadDesign(files, interface).evaluate(codes)


def roundtrip(
    net: Netlist, files: Mapping[PurePosixPath, str], interface: RtlInterface, codes: npt.NDArray[np.integer]
) -> Comparison:
    """Compares emitted Verilog, read by pyverilog, with the netlist.

    Args:
        net: The reference.
        files: What the back end wrote.
        interface: Ports of the design.
        codes: Input codes, shape ``(n, n_inputs)``.

    Raises:
        RtlError: The Verilog uses what the model does not know.
        UserError: The netlist does not fit the ports.
    """
    if net.input_widths != interface.input_widths or net.output_widths != interface.output_widths:
        raise UserError("the netlist's ports are not those of the interface; emit the Verilog again")
    return compare_codes(codes, net.evaluate(codes), reread(files, interface, codes))


@cache
def _parser() -> Any:
    """The parser of pyverilog; its grammar tables take most of a second to build and go to a folder that is removed."""
    try:
        from pyverilog.vparser.parser import VerilogParser
    except ImportError:
        raise MissingToolError("pyverilog is not installed; install it with `pip install pyverilog`") from None
    with tempfile.TemporaryDirectory(prefix="lutnet-") as folder:
        return VerilogParser(outputdir=folder, debug=False)


def _parse(texts: Mapping[PurePosixPath, str]) -> list[object]:
    """The module definitions of all files in order."""
    parser = _parser()
    from pyverilog.vparser.parser import ParseError

    definitions: list[object] = []
    for path, text in texts.items():
        directive = _DIRECTIVE.search(_COMMENT.sub("", text))
        if directive is not None:
            raise RtlError(f"{path}: directive {directive[0]} is not known to the model")
        try:
            definitions += parser.parse(text, debug=False).description.definitions
        except ParseError as error:
            raise RtlError(f"{path}: pyverilog cannot parse it: {error}") from None
    return definitions


def _columns(bits: Bits, n: int) -> Bits:
    return np.broadcast_to(bits, (len(bits), n))
