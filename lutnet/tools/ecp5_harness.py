"""Registers around an ECP5 netlist, so that every path of a design is timed whatever its number of pins.

The harness works on yosys's JSON of the mapped design, where no tool can optimise it into the design. Every input bit
becomes the output of one register of a shift chain; every output bit is captured by a register, and a second chain of
registers folds the captured bits into a single pin: three pins in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lutnet.errors import UserError

__all__ = ["HARNESS_PREFIX", "add_harness"]

HARNESS_PREFIX = "lutnet_harness_"
"""Start of the name of every harness cell."""

_FF_PARAMETERS = {"CEMUX": "1 ", "CLKMUX": "CLK", "GSR": "DISABLED", "LSRMUX": "LSR", "REGSET": "RESET"}
_FF_PORTS = {"CLK": "input", "DI": "input", "LSR": "input", "Q": "output"}
_LUT_PORTS = {"A": "input", "B": "input", "C": "input", "D": "input", "Z": "output"}
_XOR_A_B = format(0x6666, "016b")


def add_harness(netlist: Mapping[str, Any], top: str, clock: str) -> dict[str, Any]:
    """Puts the harness around the top module.

    Args:
        netlist: Yosys JSON after ``synth_ecp5``, flat.
        top: Name of the top module.
        clock: Name of its clock port; when it has no such port the harness gets one, and the design is combinational.

    Returns:
        A netlist whose top module has the ports ``clock``, ``scan_in`` and ``scan_out``; the argument is unchanged.

    Raises:
        UserError: There is no such module, or it has an ``inout`` port, a wide clock, or no output.
    """
    try:
        module = netlist["modules"][top]
    except KeyError:
        raise UserError(f"the netlist has no module '{top}'") from None
    builder = _Harness(module, clock)
    ports = module["ports"]
    for name, port in ports.items():
        if port["direction"] == "inout":
            raise UserError(f"port '{name}' of '{top}' is inout; timing needs a design of inputs and outputs")
    scan_in = previous = builder.new_net()
    for name, port in ports.items():
        if port["direction"] == "input" and name != clock:
            for bit in port["bits"]:
                previous = builder.register(previous, bit)
    outputs = [bit for port in ports.values() if port["direction"] == "output" for bit in port["bits"]]
    if not outputs:
        raise UserError(f"module '{top}' has no output, so there is nothing to time")
    folded: int | None = None
    for bit in outputs:
        captured = builder.register(bit)
        folded = builder.register(captured if folded is None else builder.xor(captured, folded))
    return {
        **netlist,
        "modules": {
            **netlist["modules"],
            top: {
                **module,
                "ports": {
                    clock: {"direction": "input", "bits": [builder.clock]},
                    "scan_in": {"direction": "input", "bits": [scan_in]},
                    "scan_out": {"direction": "output", "bits": [folded]},
                },
                "cells": {**module["cells"], **builder.cells},
            },
        },
    }


class _Harness:
    """Collects the cells of a harness and hands out its nets."""

    def __init__(self, module: Mapping[str, Any], clock: str) -> None:
        lists = [port["bits"] for port in module["ports"].values()]
        lists += [bits for cell in module["cells"].values() for bits in cell["connections"].values()]
        lists += [net["bits"] for net in module.get("netnames", {}).values()]
        self._next = 1 + max((bit for bits in lists for bit in bits if isinstance(bit, int)), default=1)
        self.cells: dict[str, dict[str, Any]] = {}
        port = module["ports"].get(clock)
        if port is not None and (port["direction"] != "input" or len(port["bits"]) != 1):
            raise UserError(f"the clock '{clock}' must be an input of 1 bit")
        self.clock: int = port["bits"][0] if port is not None else self.new_net()

    def new_net(self) -> int:
        self._next += 1
        return self._next - 1

    def register(self, data: int | str, out: int | None = None) -> int:
        net = self.new_net() if out is None else out
        self._add(
            "TRELLIS_FF", _FF_PARAMETERS, _FF_PORTS, {"CLK": [self.clock], "DI": [data], "LSR": ["0"], "Q": [net]}
        )
        return net

    def xor(self, a: int, b: int) -> int:
        net = self.new_net()
        self._add("LUT4", {"INIT": _XOR_A_B}, _LUT_PORTS, {"A": [a], "B": [b], "C": ["0"], "D": ["0"], "Z": [net]})
        return net

    def _add(self, kind: str, parameters: dict[str, str], ports: dict[str, str], connections: dict[str, Any]) -> None:
        self.cells[f"{HARNESS_PREFIX}{len(self.cells)}"] = {
            "hide_name": 0,
            "type": kind,
            "parameters": dict(parameters),
            "attributes": {},
            "port_directions": dict(ports),
            "connections": connections,
        }
