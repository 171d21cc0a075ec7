"""Builds a design and runs a bench on it through cocotb's runner: ``python run.py JOB.json``, in a process of its own.

The job is an object: ``simulator``, ``sources``, ``top``, ``build_args``, ``build_dir``, ``test_module``, ``test_filter`` and
``env`` of the simulation. What the tools print goes to the two files ``build.log`` and ``test.log`` in ``build_dir``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from cocotb_tools.runner import get_runner

__all__ = ["main"]


def main(path: str) -> None:
    """Runs one job; exit status 1 means that the build or the simulator failed, not that a check did."""
    job = json.loads(Path(path).read_text())
    for name in [
        n for n in os.environ if n.startswith(("COCOTB_", "GPI_", "PYGPI_", "PYTEST_")) or n in ("GUI", "WAVES")
    ]:
        del os.environ[name]
    build_dir = Path(job["build_dir"])
    build_dir.mkdir(parents=True, exist_ok=True)
    runner = get_runner(job["simulator"])
    runner.build(
        sources=job["sources"],
        hdl_toplevel=job["top"],
        build_args=job["build_args"],
        build_dir=build_dir,
        timescale=("1ns", "1ps"),
        log_file=build_dir / "build.log",
    )
    runner.test(
        test_module=job["test_module"],
        hdl_toplevel=job["top"],
        hdl_toplevel_lang="verilog",
        test_filter=job["test_filter"],
        build_dir=build_dir,
        extra_env=job["env"],
        log_file=build_dir / "test.log",
    )


if __name__ == "__main__":
    main(sys.argv[1])
