"""Small shell scripts that stand in for external programs."""

from __future__ import annotations

from pathlib import Path

import pytest

VARIABLES = (
    "LUTNET_YOSYS",
    "LUTNET_NEXTPNR_ECP5",
    "LUTNET_VERILATOR",
    "LUTNET_IVERILOG",
    "LUTNET_VVP",
    "LUTNET_VIVADO",
)


def fake_program(path: Path, body: str) -> str:
    """Writes an executable shell script and returns its path."""
    path.write_text("#!/bin/sh\n" + body)
    path.chmod(0o755)
    return str(path)


@pytest.fixture(autouse=True)
def no_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests see the installed programs, whatever the shell that runs them has chosen."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
