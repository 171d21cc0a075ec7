"""A design on disk: one ``.npz`` with the netlist, the input encoder and the class names. No pickle, a format version,
and equal designs give equal bytes.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lutnet.answers import ANSWERS, Answer, ClassAnswer
from lutnet.errors import LutnetError, UserError
from lutnet.files import replaced_file
from lutnet.formats import InputEncoder, format_from_json, format_to_json
from lutnet.ir.netlist import IR_VERSION, Netlist
from lutnet.ir.rules import COLUMN_DTYPES
from lutnet.tables import MAX_ADDRESS_BITS, TruthTable

__all__ = ["STORE_VERSION", "Design", "load_design", "save_design"]

STORE_VERSION = 1
"""Version of the file layout."""

_MAX_TEXT_BYTES = 1 << 24

_DAMAGE = (
    AttributeError,
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a damaged or foreign archive may raise."""


@dataclass(frozen=True)
class Design:
    """A netlist with what is needed to use it on raw data.

    Attributes:
        netlist: The netlist.
        encoder: Turns raw features into input codes; ``None`` when the inputs are codes already.
        class_names: Names of the classes, numbers or labels that the answer is about; may be empty.
        info: Where the design comes from (configuration, seed, versions); JSON data.
        answer: What the output codes say.
    """

    netlist: Netlist
    encoder: InputEncoder | None = None
    class_names: tuple[str, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)
    answer: Answer = field(default_factory=ClassAnswer)

    def __post_init__(self) -> None:
        formats, widths = self.answer.formats, self.netlist.output_widths
        if formats and tuple(fmt.bits for fmt in formats) != widths:
            raise UserError(
                f"the outputs have {widths} bits, their formats {tuple(fmt.bits for fmt in formats)}; give a format an output"
            )
        if self.encoder is not None and self.encoder.widths != self.netlist.input_widths:
            raise UserError(
                f"the encoder makes codes of {self.encoder.widths} bits, the netlist reads {self.netlist.input_widths}; "
                "use the encoder that was stored with this netlist"
            )


def save_design(path: str | Path, design: Design) -> Path:
    """Writes a design; a file of that name is replaced in one step. Equal designs give equal bytes."""
    target = Path(path)
    arrays = _netlist_arrays(design.netlist)
    header: dict[str, Any] = {
        "store": STORE_VERSION,
        "ir": IR_VERSION,
        "input_names": design.netlist.input_names,
        "output_names": design.netlist.output_names,
        "latency_cycles": design.netlist.latency_cycles,
        "class_names": design.class_names,
        "info": dict(design.info),
        "encoder": None,
        "answer": {
            "kind": design.answer.kind,
            "formats": [format_to_json(fmt) for fmt in design.answer.formats],
            "normal": design.answer.normal,
        },
    }
    if design.encoder is not None:
        header["encoder"] = {
            "feature_names": design.encoder.feature_names,
            "formats": [format_to_json(fmt) for fmt in design.encoder.formats],
        }
        arrays["encoder_thresholds"] = np.concatenate([np.empty(0), *design.encoder.thresholds])
    arrays["header"] = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
    with replaced_file(target) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    return target


def load_design(path: str | Path) -> Design:
    """Reads a design and verifies its netlist.

    Raises:
        UserError: The file is missing, is no design, is damaged, or has another version.
        NetlistError: The stored netlist breaks a rule.
    """
    source = Path(path)
    if not source.is_file():
        raise UserError(f"no netlist at {source}; write one with `lutnet compile`")
    try:
        with source.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = _read_header(arrays, source)
        return _design_of(arrays, header)
    except LutnetError:
        raise
    except _DAMAGE as error:
        raise UserError(
            f"{source} is no lutnet netlist or is damaged ({error}); write it again with `lutnet compile`"
        ) from None


def _read_header(arrays: Mapping[str, npt.NDArray[Any]], source: Path) -> dict[str, Any]:
    raw = arrays["header"]
    if raw.dtype != np.uint8 or raw.size > _MAX_TEXT_BYTES:
        raise ValueError("the header is not text")
    header = json.loads(raw.tobytes())
    if not isinstance(header, dict):
        raise ValueError("the header is no object")
    if (header["store"], header["ir"]) != (STORE_VERSION, IR_VERSION):
        raise UserError(
            f"{source} has store version {header['store']} and netlist version {header['ir']}, this lutnet reads {STORE_VERSION} and "
            f"{IR_VERSION}; convert it with the lutnet that wrote it"
        )
    return header


def _netlist_arrays(net: Netlist) -> dict[str, npt.NDArray[Any]]:
    tables = net.tables
    care = [np.ones(t.n_entries, np.bool_) if t.care is None else t.care for t in tables]
    return {
        **{name: getattr(net, name) for name in COLUMN_DTYPES},
        "table_widths": np.asarray([w for t in tables for w in t.in_widths], dtype=np.uint8),
        "table_arity": np.asarray([len(t.in_widths) for t in tables], dtype=np.int32),
        "table_out": np.asarray([t.out_width for t in tables], dtype=np.uint8),
        "table_codes": np.concatenate([np.empty(0, np.uint32), *(t.codes.astype(np.uint32) for t in tables)]),
        "table_care": np.packbits(np.concatenate([np.empty(0, np.bool_), *care])),
    }


def _tables_of(arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[TruthTable, ...]:
    arity, out, widths = arrays["table_arity"], arrays["table_out"], arrays["table_widths"].tolist()
    codes, care = arrays["table_codes"], np.unpackbits(arrays["table_care"]).astype(np.bool_)
    tables, place, entry = [], 0, 0
    for n_operands, out_width in zip(arity.tolist(), out.tolist(), strict=True):
        in_widths = tuple(widths[place : place + n_operands])
        if sum(in_widths) > MAX_ADDRESS_BITS:
            raise ValueError(f"a table has {sum(in_widths)} address bits")
        end = entry + (1 << sum(in_widths))
        tables.append(TruthTable(in_widths, out_width, codes[entry:end], care[entry:end]))
        place, entry = place + n_operands, end
    return tuple(tables)


def _design_of(arrays: Mapping[str, npt.NDArray[Any]], header: Mapping[str, Any]) -> Design:
    columns = {name: arrays[name] for name in COLUMN_DTYPES}
    net = Netlist(
        **columns,
        tables=_tables_of(arrays),
        input_names=tuple(map(str, header["input_names"])),
        output_names=tuple(map(str, header["output_names"])),
        latency_cycles=int(header["latency_cycles"]),
    ).verify()
    encoder = None
    if header["encoder"] is not None:
        formats = tuple(format_from_json(item) for item in header["encoder"]["formats"])
        ends = np.cumsum([(1 << fmt.bits) - 1 for fmt in formats])
        thresholds = tuple(np.split(arrays["encoder_thresholds"], ends[:-1])) if formats else ()
        encoder = InputEncoder(thresholds, formats, tuple(map(str, header["encoder"]["feature_names"])))
    answer = _answer_from_json(header.get("answer", {"kind": ClassAnswer.kind, "formats": [], "normal": 0}))
    return Design(net, encoder, tuple(map(str, header["class_names"])), dict(header["info"]), answer)


def _answer_from_json(item: Mapping[str, Any]) -> Answer:
    formats = tuple(format_from_json(part) for part in item["formats"])
    return ANSWERS[item["kind"]](formats, int(item["normal"]))
