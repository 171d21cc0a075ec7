"""The bench as a plain cocotb makefile, from a checkout and from an installed package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lutnet
from lutnet.backends import Verilog, write_files
from lutnet.backends.templates import data_folder
from lutnet.ir.store import Design, save_design
from lutnet.passes import Pipeline
from lutnet.testing import random_netlist


def make(sim: Path, **variables: object) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHONPATH"))}
    if sim.name == "_sim":
        env["PYTHONPATH"] = str(sim.parent.parent)
    argv = [
        "make",
        "-C",
        str(sim),
        f"PYTHON={sys.executable}",
        *(f"{name}={value}" for name, value in variables.items()),
    ]
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture
def design(tmp_path: Path) -> Path:
    folder = tmp_path / "design"
    folder.mkdir()
    net = Pipeline()(random_netlist(5, max_width=3))
    save_design(folder / "netlist.npz", Design(net))
    backend = Verilog(top="demo", valid=True, clock_enable=True, reset=True, tables="lut6")
    write_files(backend.emit(net), folder / "rtl")
    return folder


def test_a_right_design_passes_and_a_wrong_one_fails(design: Path) -> None:
    sim = data_folder("sim")
    before = sorted(path.name for path in sim.iterdir())
    done = make(sim, SIM="icarus", DESIGN=design)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TESTS=4 PASS=4 FAIL=0" in done.stdout
    assert (design / "sim_icarus" / "results.xml").is_file()
    assert [name for name in sorted(path.name for path in sim.iterdir()) if name not in before] in ([], ["__pycache__"])

    rtl = design / "rtl" / "demo.v"
    rtl.write_text(rtl.read_text().replace("valid_s1 <= in_valid;", "valid_s1 <= 1'b1;"))
    done = make(sim, SIM="icarus", DESIGN=design)
    assert done.returncode != 0
    assert "valid outputs came out" in done.stdout + done.stderr


def test_an_installed_package_brings_the_bench(design: Path, tmp_path: Path) -> None:
    package = tmp_path / "site" / "lutnet"
    shutil.copytree(Path(lutnet.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "samples"))
    shutil.copytree(data_folder("sim"), package / "_sim", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(data_folder("rtl_templates"), package / "_rtl_templates")
    done = make(package / "_sim", DESIGN=design)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "TESTS=4 PASS=4 FAIL=0" in done.stdout


def test_a_folder_without_a_design_is_named(tmp_path: Path) -> None:
    done = make(data_folder("sim"), DESIGN=tmp_path)
    assert done.returncode != 0
    assert f"no design in '{tmp_path}'" in done.stderr
