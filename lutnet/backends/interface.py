"""The ports of an emitted design, as data that benches and scripts read from ``interface.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lutnet.backends.names import checked_identifier
from lutnet.errors import UserError
from lutnet.formats import CodeFormat, format_from_json, format_to_json

__all__ = ["RtlInterface", "load_interface"]


@dataclass(frozen=True)
class RtlInterface:
    """Ports of the top module.

    Attributes:
        top: Name of the top module.
        input_names: Inputs in port order; input 0 is the least significant part of ``in_data``.
        input_widths: Bits of each input.
        output_names: Outputs in port order; output 0 is the least significant part of ``out_data``.
        output_widths: Bits of each output.
        latency_cycles: Registers from ``in_data`` to ``out_data``; with 0 there is no ``clk``.
        reset: Whether there is a synchronous, active-high ``rst`` that clears every register.
        clock_enable: Whether there is a ``ce`` that stops every register while it is low.
        valid: Whether ``in_valid`` travels with the data to ``out_valid``.
        output_formats: What the codes of each output stand for, ``value = offset + scale * integer``; empty where a code is the
            answer itself.
    """

    top: str
    input_names: tuple[str, ...]
    input_widths: tuple[int, ...]
    output_names: tuple[str, ...]
    output_widths: tuple[int, ...]
    latency_cycles: int
    reset: bool = False
    clock_enable: bool = False
    valid: bool = False
    output_formats: tuple[CodeFormat, ...] = ()

    def __post_init__(self) -> None:
        checked_identifier(self.top, "the name of the top module")
        if self.latency_cycles == 0 and (self.reset or self.clock_enable):
            raise UserError(
                "a design without registers has no reset and no clock enable; pipeline it first or leave both out"
            )

    @property
    def clocked(self) -> bool:
        """Whether the design has a clock."""
        return self.latency_cycles > 0

    @property
    def in_bits(self) -> int:
        """Width of ``in_data``."""
        return sum(self.input_widths)

    @property
    def out_bits(self) -> int:
        """Width of ``out_data``."""
        return sum(self.output_widths)

    def to_json(self) -> str:
        """JSON text, ending in a newline."""
        formats = [format_to_json(fmt) for fmt in self.output_formats]
        return json.dumps({**asdict(self), "output_formats": formats}, indent=2) + "\n"


def load_interface(path: str | Path) -> RtlInterface:
    """Reads ``interface.json``.

    Raises:
        UserError: The file is missing or is no interface.
    """
    try:
        data = json.loads(Path(path).read_text())
        return _from_json(data)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path} is no interface.json of lutnet ({error}); emit the design again with `lutnet emit`"
        ) from None


def _from_json(data: Mapping[str, Any]) -> RtlInterface:
    values = {"output_formats": ()} | {f.name: data[f.name] for f in fields(RtlInterface) if f.name in data}
    for name in ("input_names", "output_names"):
        values[name] = tuple(str(item) for item in values[name])
    for name in ("input_widths", "output_widths"):
        values[name] = tuple(int(item) for item in values[name])
    values["output_formats"] = tuple(format_from_json(item) for item in values["output_formats"])
    return RtlInterface(**values)
