"""Toggles counted from the netlist against those of the cells that yosys maps it to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lutnet import Netlist
from lutnet.backends import Verilog, write_files
from lutnet.cost.device import XCVU9P
from lutnet.passes import DEFAULT_PASSES, Pipeline, parse_passes, run_passes
from lutnet.report.activity import Switching
from lutnet.report.layers import LabelledNetlist, layer_report
from lutnet.testing import random_netlist
from lutnet.tools.yosys import synthesize_xilinx

Bits = npt.NDArray[np.bool_]


class MappedDesign:
    """A mapped netlist with transparent registers: every wire's value for every sample."""

    def __init__(self, module: dict[str, Any], in_data: Bits) -> None:
        """``in_data`` has one row a sample and one column a bit."""
        self.cells = [cell for cell in module["cells"].values() if cell["type"] != "$scopeinfo"]
        self.values: dict[Any, Bits] = {"0": np.zeros(len(in_data), np.bool_), "1": np.ones(len(in_data), np.bool_)}
        self.values["x"] = self.values["0"]
        self.values.update(zip(module["ports"]["in_data"]["bits"], in_data.T, strict=True))
        waiting = self.cells
        while waiting:
            left = [cell for cell in waiting if not self._evaluate(cell)]
            assert len(left) < len(waiting), f"cannot evaluate {left[0]['type']}"
            waiting = left

    def _evaluate(self, cell: dict[str, Any]) -> bool:
        pins = {
            pin: bits
            for pin, bits in cell["connections"].items()
            if pin not in ("C", "CE") and cell["port_directions"][pin] == "input"
        }
        if any(bit not in self.values for bits in pins.values() for bit in bits):
            return False
        values = {pin: [self.values[bit] for bit in bits] for pin, bits in pins.items()}
        for pin, bits in cell_outputs(cell, values):
            self.values.update(zip(cell["connections"][pin], bits, strict=True))
        return True

    def toggles(self, bits: Any) -> float:
        return float(sum(np.count_nonzero(self.values[bit][1:] ^ self.values[bit][:-1]) for bit in bits)) / (
            len(self.values["0"]) - 1
        )

    def outputs(self, kinds: tuple[str, ...]) -> list[Any]:
        pins = {"O", "Q", "O5", "O6"}
        return [
            bit
            for cell in self.cells
            if cell["type"].startswith(kinds)
            for pin, bits in cell["connections"].items()
            if pin in pins
            for bit in bits
        ]

    def inputs(self, kinds: tuple[str, ...]) -> set[Any]:
        return {
            bit
            for cell in self.cells
            if cell["type"].startswith(kinds)
            for pin, bits in cell["connections"].items()
            if cell["port_directions"][pin] == "input"
            for bit in bits
        }


def cell_outputs(cell: dict[str, Any], pins: dict[str, list[Bits]]) -> Iterator[tuple[str, list[Bits]]]:
    """Values of a cell's outputs by yosys's models of them."""
    kind = cell["type"]
    if kind.startswith("LUT"):
        table = np.array([digit == "1" for digit in reversed(cell["parameters"]["INIT"])])
        address = sum(pins[f"I{i}"][0].astype(np.int64) << i for i in range(int(kind[3])))
        yield "O", [table[address]]
    elif kind.startswith("FD"):
        cleared = pins["D"][0] & ~pins["R"][0] if "R" in pins else pins["D"][0] | pins["S"][0]
        yield "Q", [cleared]
    elif kind == "INV":
        yield "O", [~pins["I"][0]]
    elif kind.startswith("MUXF"):
        yield "O", [np.where(pins["S"][0], pins["I1"][0], pins["I0"][0])]
    elif kind.startswith("CARRY"):
        carry = pins["CI"][0] | pins.get("CYINIT", pins["CI"])[0]
        sums, carries = [], []
        for select, data in zip(pins["S"], pins["DI"], strict=True):
            sums.append(select ^ carry)
            carry = np.where(select, carry, data)
            carries.append(carry)
        yield "O", sums
        yield "CO", carries
    else:
        raise AssertionError(f"a cell of type {kind}")


def unpacked(codes: npt.NDArray[np.int64], widths: tuple[int, ...]) -> Bits:
    """Codes as bits, operand 0 and bit 0 first."""
    return np.concatenate([(codes[:, [i]] >> np.arange(w)) & 1 for i, w in enumerate(widths)], axis=1).astype(np.bool_)


def mapped_switching(net: Netlist, codes: npt.NDArray[np.int64], folder: Path) -> Switching:
    """What switches in the cells of a netlist; a wire is a routed net unless it only joins cells of one slice.

    Within a slice are the wires into carry chains and wide multiplexers, and those from a table or chain to the register behind it.
    """
    paths = write_files(Verilog().emit(net), folder)
    stat = synthesize_xilinx([path for path in paths if path.suffix == ".v"], "lutnet_top", folder, timeout_s=300)
    module = json.loads(stat.netlist_json.read_text())["modules"]["lutnet_top"]
    design = MappedDesign(module, unpacked(codes, net.input_widths))
    got = np.stack([design.values[bit] for bit in module["ports"]["out_data"]["bits"]], axis=1)
    np.testing.assert_array_equal(got, unpacked(net.evaluate(codes), net.output_widths))
    luts, registers = design.outputs(("LUT", "INV")), design.outputs(("FD",))
    driven = {*luts, *registers, *design.outputs(("CARRY", "MUXF"))}
    routed = design.inputs(("LUT", "INV")) | (design.inputs(("FD",)) & set(registers))
    nets = driven & (routed | set(module["ports"]["out_data"]["bits"]))
    ports = set(module["ports"]["in_data"]["bits"]) & design.inputs(("LUT", "INV", "FD", "CARRY", "MUXF"))
    return Switching(design.toggles(luts), design.toggles(registers), design.toggles(nets | ports), len(registers))


def modelled_switching(net: Netlist, codes: npt.NDArray[np.int64]) -> Switching:
    source = LabelledNetlist.from_borders(net, ["all"], [net.outputs.tolist()])
    inputs, layer = layer_report(source, net, codes, XCVU9P).rows
    return inputs.switching + layer.switching


@pytest.mark.parametrize("seed", [1, 4])
def test_the_model_counts_what_mapped_cells_do(seed: int, tmp_path: Path) -> None:
    net, _ = run_passes(random_netlist(seed), [*parse_passes(DEFAULT_PASSES), Pipeline()])
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, 1 << width, 2000) for width in net.input_widths], axis=1)
    found, expected = modelled_switching(net, codes), mapped_switching(net, codes, tmp_path)
    assert found.register_toggles == pytest.approx(expected.register_toggles, rel=0.05)
    assert found.lut_toggles == pytest.approx(expected.lut_toggles, rel=0.25)
    assert found.net_toggles == pytest.approx(expected.net_toggles, rel=0.35)
