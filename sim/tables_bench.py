"""Exhaustive sweep of table modules: a shared address counts through all addresses, all outputs are read together."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import Timer

_STEP_NS = 1


@cocotb.test()
async def sweep_tables(dut: Any) -> None:
    """Writes ``sweep_tables.txt`` to the folder ``LUTNET_JOB``: line ``a`` is ``out_data`` at address ``a``, most significant bit first.

    The device under test has ``in_data``, the address, and ``out_data``, the outputs of all tables side by side.
    """
    address, outputs = dut.in_data, dut.out_data
    step = Timer(_STEP_NS, "ns")
    lines = []
    for value in range(1 << len(address)):
        address.value = value
        await step
        lines.append(str(outputs.value))
    (Path(os.environ["LUTNET_JOB"]) / "sweep_tables.txt").write_text("".join(line + "\n" for line in lines))
