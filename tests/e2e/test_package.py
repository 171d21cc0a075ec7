"""The wheel that users install holds everything that the package reads at run time."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

USE = """
import sys
sys.path.insert(0, sys.argv[1])
import lutnet
from lutnet.backends import Verilog
from lutnet.backends.templates import data_folder
from lutnet.testing import random_netlist
from lutnet.train.data import load

assert lutnet.__file__.startswith(sys.argv[1])
assert (data_folder("sim") / "bench.py").is_file() and str(data_folder("sim")).startswith(sys.argv[1])
assert Verilog().emit(random_netlist(1))
assert load("jets_sim_sample").n_features == 16
"""


def test_an_installed_wheel_is_complete(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, check=True, cwd=ROOT, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    for name in ("lutnet/py.typed", "lutnet/_rtl_templates/verilog/xilinx_primitives.v", "lutnet/_sim/Makefile"):
        assert name in names
    assert not [name for name in names if name.startswith(("tests/", "sim/", "benchmarks/"))]
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "LUTNET_DATA")}
    subprocess.run([sys.executable, "-c", USE, str(tmp_path / "site")], check=True, cwd=tmp_path, env=environment)
