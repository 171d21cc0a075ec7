"""The rules of the house that a program can check."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import lutnet

ROOT = Path(lutnet.__file__).resolve().parent
REPOSITORY = ROOT.parent
SOURCES = sorted(ROOT.rglob("*.py"))
MODULES = sorted(m.name for m in pkgutil.walk_packages([str(ROOT)], "lutnet.") if not m.name.startswith("lutnet._"))

# Each room and the rooms that it may import from. A room may always import from itself.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "files": {"errors"},
    "formats": {"errors"},
    "tables": {"errors"},
    "answers": {"errors", "formats"},
    "cost": {"errors", "formats", "tables"},
    "arith": {"errors", "cost"},
    "ir": {"errors", "answers", "files", "formats", "tables", "cost"},
    "passes": {"errors", "formats", "tables", "cost", "ir"},
    "backends": {"lutnet", "errors", "files", "formats", "tables", "ir", "passes"},
    "stream": {"lutnet", "errors", "files", "ir", "passes", "backends"},
    "tools": {"errors"},
    "verify": {"lutnet", "errors", "files", "formats", "tables", "ir", "passes", "backends", "stream", "tools"},
    "emulate": {"errors", "files", "formats", "tables", "ir", "backends", "tools"},
    "report": {"errors", "files", "formats", "tables", "cost", "ir", "passes", "backends", "tools", "verify"},
    "synth": {"errors", "formats", "tables", "cost", "ir", "passes", "backends", "tools", "verify"},
    "nn": {"errors", "answers", "formats", "tables", "cost", "arith"},
    "trees": {"errors", "files", "formats", "tables", "cost"},
    "train": {"errors", "answers", "files", "formats", "tables", "cost", "nn", "trees"},
    "runs": {"errors", "files"},
    "lower": {"errors", "formats", "tables", "cost", "nn", "trees", "ir", "stream"},
    "testing": {
        "errors",
        "formats",
        "tables",
        "cost",
        "ir",
        "passes",
        "backends",
        "stream",
        "verify",
        "nn",
        "trees",
        "lower",
    },
}
ALLOWED["flow"] = {"lutnet", *ALLOWED} - {"testing", "__main__"}
ALLOWED["search"] = {"lutnet", "flow", *ALLOWED} - {"testing"}
ALLOWED["cli"] = {"lutnet", "flow", *ALLOWED} - {"testing"}
ALLOWED["__main__"] = {"cli"}
ALLOWED["lutnet"] = {"errors", "formats", "ir", "tables"}

# Packages that stay behind a door: only these rooms or files may import them.
DOORS: dict[str, tuple[str, ...]] = {
    "torch": (
        "nn/",
        "train/",
        "lower/module.py",
        "lower/operations.py",
        "lower/network.py",
        "flow/",
        "cli/",
        "testing/heads.py",
        "testing/layers.py",
    ),
    "safetensors": ("train/",),
    "networkx": ("ir/graph.py", "ir/netlist.py", "passes/"),
    "cocotb": ("verify/cosim",),
    "cocotb_tools": ("verify/cosim",),
    "pyverilog": ("verify/roundtrip",),
    "hypothesis": ("testing/netlists.py",),
    "rich": ("cli/",),
    "scipy": ("passes/decompose/relaxation.py", "passes/retime_flow.py"),
    "pysat": ("passes/dontcare_sat.py",),
    "h5py": ("train/data/",),
    "matplotlib": ("report/plots.py",),
    "optuna": ("search/",),
    "sqlalchemy": ("search/store.py",),
    "xgboost": ("trees/boosting.py",),
}


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "lutnet"


def imports_of(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.append(node.module or "")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path: Path) -> None:
    relative = path.relative_to(ROOT)
    room = relative.parts[0].removesuffix(".py") if relative.parts[0] != "__init__.py" else "lutnet"
    for name in imports_of(path):
        top = name.split(".")[0]
        if top == "lutnet":
            target = room_of(name)
            assert target == room or target in ALLOWED[room], f"{relative} ({room}) imports {name}"
        elif top in DOORS:
            assert str(relative).startswith(DOORS[top]), f"{relative} imports {top}, which stays behind {DOORS[top]}"


def test_the_rooms_have_no_cycle() -> None:
    done: list[str] = []
    left = dict(ALLOWED)
    while left:
        ready = [room for room, below in left.items() if below - {room, "lutnet"} <= set(done)]
        assert ready, f"cycle among {sorted(left)}"
        done += ready
        for room in ready:
            del left[room]


def test_importing_lutnet_is_light() -> None:
    code = "import sys, lutnet; print([m for m in ('torch', 'networkx', 'cocotb', 'pyverilog', 'rich') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_listed_and_sorted(name: str) -> None:
    module = importlib.import_module(name)
    names = getattr(module, "__all__", None)
    if names is None:
        assert not _defines(module), f"{name} defines public names and has no __all__"
        return
    assert len(set(names)) == len(names)
    assert all(hasattr(module, n) for n in names)
    assert names == sorted(names, key=_ruff_key), f"{name}.__all__ is not sorted"


def _ruff_key(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that the linter keeps."""
    if name.startswith("__"):
        return 2, name
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


def _defines(module: object) -> bool:
    own = getattr(module, "__name__", "")
    return any(getattr(v, "__module__", None) == own for n, v in vars(module).items() if not n.startswith("_"))


@pytest.mark.parametrize("folder", ["lutnet", "sim", "tests", "examples", "benchmarks"])
def test_files_fit(folder: str) -> None:
    for path in sorted((REPOSITORY / folder).rglob("*.py")):
        assert len(path.read_text().splitlines()) <= 400, f"{path} is longer than 400 lines"


def test_no_pickle_and_no_shell() -> None:
    for path in SOURCES:
        text = path.read_text()
        assert "shell=True" not in text and "os.system" not in text, path
        assert "allow_pickle=True" not in text, path
        for line in text.splitlines():
            if "torch.load(" in line:
                assert "weights_only=True" in line, f"{path}: {line}"
