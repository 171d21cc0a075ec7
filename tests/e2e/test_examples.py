"""Every example and every command of the README runs, and the demo leaves what it promises."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
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


def test_own_module(tmp_path: Path) -> None:
    printed = run([sys.executable, str(ROOT / "examples" / "own_module.py"), "out", "1"], tmp_path)
    assert "test accuracy of the netlist" in printed
    assert (tmp_path / "out" / "rtl" / "own_module.v").is_file()


def commands() -> list[list[str]]:
    """The `lutnet` commands of the README, in order."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and line[0] == "lutnet"]


QUICK_NAMES = {
    "jets-additive-front": "front.toml",
    "jets-additive-s": "additive.toml",
    "jets": "space.toml",
    "12": "1",
    "60": "2",
}
"""What stands in for configurations and counts that take long."""

QUICK_FILES = {
    "front.toml": """
name = "front"
dataset = "jets_sim"
[model]
family = "additive"
hidden_layers = [2]
input_bitwidth = 3
[train]
epochs = 8
cost_weight = 1e-4
cost_weight_end = 1e-3
cost_cycles = 2
front = true
""",
    "additive.toml": """
name = "additive"
dataset = "jets_sim"
[model]
family = "additive"
hidden_layers = [2]
input_bitwidth = 3
[train]
epochs = 2
""",
    "space.toml": """
name = "space"
base = "examples/jets.toml"
[model]
hidden_layers = [8]
[train]
epochs = 1
[space]
layer_bitwidths = [2, 3]
""",
}


def test_the_steps_of_the_readme(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    steps = ["train", "compile", "opt", "emit", "simulate", "prove", "synth", "report", "report", "show"]
    found = commands()[: len(steps)]
    assert [line[1] for line in found] == steps
    for line in found:
        for name in set(line) & {"run1", "run2", "run3"}:
            shutil.copytree(tmp_path / "run", tmp_path / name)
        run([sys.executable, "-m", *line], tmp_path)
    assert "proved" in (tmp_path / "run" / "report.md").read_text()
    assert (tmp_path / "comparison").is_dir()


def test_the_widths_of_the_readme(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for name, text in QUICK_FILES.items():
        (tmp_path / name).write_text(text)
    found = commands()[10:]
    assert [line[1] for line in found] == ["train", "front", "train", "search"]
    assert {name for name in QUICK_NAMES if any(name in line for line in found)} == set(QUICK_NAMES)
    for line in found:
        run([sys.executable, "-m", *(QUICK_NAMES.get(word, word) for word in line)], tmp_path)
    assert len(list((tmp_path / "front" / "front").glob("e*/report.md"))) >= 1
    assert (tmp_path / "search" / "search.md").is_file()
