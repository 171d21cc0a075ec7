"""Every example and every command of the README runs, and the demo leaves what it promises."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(argv: list[str], cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in ("LUTNET_DATA", "LUTNET_CACHE")}
    environment["OMP_NUM_THREADS"] = "1"
    done = subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_demo(tmp_path: Path) -> None:
    run([sys.executable, str(ROOT / "examples" / "demo.py"), "--out", "build/demo", "--epochs", "2"], tmp_path)
    folder = tmp_path / "build" / "demo"
    for name in ("model/weights.safetensors", "netlist.npz", "rtl/lutnet_top.v", "report.md", "report.json"):
        assert (folder / name).is_file(), name
    report = json.loads((folder / "report.json").read_text())
    for key in ("test_accuracy", "float_accuracy", "luts", "ffs", "latency_cycles", "fmax_ecp5_mhz"):
        assert report[key] is not None and report[key] > 0, key
    assert len(report["ladder"]) >= 8
    assert all(rung["vectors"] > 0 and rung["mismatches"] == 0 for rung in report["ladder"].values())
    assert (report["proof"]["status"], report["proof"]["scope"]) == ("proved", "netlist")
    assert report["proof"]["latency_proved"] is True


def test_train_and_emit(tmp_path: Path) -> None:
    printed = run([sys.executable, str(ROOT / "examples" / "train_and_emit.py"), "out", "1"], tmp_path)
    assert "test accuracy of the netlist" in printed
    assert (tmp_path / "out" / "rtl" / "jet_tagger.v").is_file()


def commands() -> list[list[str]]:
    """The `lutnet` commands of the README, in order."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and line[0] == "lutnet"]


def test_the_commands_of_the_readme(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    found = commands()
    assert [line[1] for line in found] == [
        "train",
        "compile",
        "opt",
        "emit",
        "simulate",
        "prove",
        "synth",
        "report",
        "show",
    ]
    for line in found:
        run([sys.executable, "-m", *line], tmp_path)
    assert "proved" in (tmp_path / "run" / "report.md").read_text()
