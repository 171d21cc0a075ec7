"""Every kind of emitted Verilog is clean under `verilator --lint-only -Wall` and `iverilog -Wall`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lutnet.backends import Verilog, write_files
from lutnet.backends.templates import template_path
from lutnet.passes import Pass, Pipeline, parse_passes
from lutnet.testing import random_netlist
from lutnet.tools.simulators import lint_icarus, lint_verilator

KINDS: list[tuple[Pass, dict[str, Any]]] = [
    (Pipeline(every=0, outputs=False), {"tables": "case", "valid": True}),
    (Pipeline(), {"tables": "case", "reset": True, "clock_enable": True, "valid": True}),
    (Pipeline(every=2, inputs=True), {"tables": "indexed", "clock_enable": True}),
    (Pipeline(every=1, inputs=True), {"tables": "lut6", "reset": True}),
    (Pipeline(), {"tables": "case", "per_layer": True}),
]


@pytest.mark.parametrize("seed", range(20))
def test_emitted_verilog_is_lint_clean(seed: int, tmp_path: Path) -> None:
    pipeline, options = KINDS[seed % len(KINDS)]
    net = random_netlist(seed, n_inputs=1 + seed % 5, n_nodes=10 + seed, max_width=1 + seed % 5)
    if seed % 2:
        for item in parse_passes("fold,narrow,dce"):
            net = item(net)
    paths = write_files(Verilog(**options).emit(pipeline(net)), tmp_path / "rtl")
    sources = [path for path in paths if path.suffix == ".v"]
    if options["tables"] == "lut6":
        sources.append(template_path("verilog/xilinx_primitives.v"))
    for found in (lint_verilator(sources, "lutnet_top"), lint_icarus(sources)):
        assert found.clean, found


def test_the_linter_complains_when_there_is_reason(tmp_path: Path) -> None:
    path = tmp_path / "bad.v"
    path.write_text("module bad (input wire [3:0] a, output wire [1:0] y);\n  assign y = a;\nendmodule\n")
    assert not lint_verilator([path], "bad").clean
