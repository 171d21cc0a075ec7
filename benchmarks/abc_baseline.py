"""What yosys-abc makes of whole trained netlists: lookup tables after standard scripts for FPGA mapping.

    python benchmarks/abc_baseline.py --runs build/bench

The combinational function of each compiled netlist goes to ABC as it is, inputs to outputs, argmax included. The table is written to
benchmarks/abc_baseline.md, the rows to benchmarks/abc_baseline.json. Rows that are in the file already are kept unless --again is given.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from lutnet.backends import Blif
from lutnet.cost.packing import packed_luts
from lutnet.errors import ToolError
from lutnet.ir import load_design
from lutnet.synth.blif_reader import read_mapped_blif
from lutnet.tools.yosys import run_abc
from lutnet.verify.cec import check_equivalence, out_of_time

__all__ = ["main"]

HERE = Path(__file__).resolve().parent

NETLISTS = ("jsc-s", "jsc-m")

_RESYN2 = "balance; rewrite; refactor; balance; rewrite; rewrite -z; balance; refactor -z; rewrite -z; balance"
_COMPRESS2RS = (
    "balance -l; resub -K 6 -l; rewrite -l; resub -K 6 -N 2 -l; refactor -l; resub -K 8 -l; balance -l; "
    "resub -K 8 -N 2 -l; rewrite -l; resub -K 10 -l; rewrite -z -l; resub -K 10 -N 2 -l; balance -l; resub -K 12 -l; "
    "refactor -z -l; resub -K 12 -N 2 -l; rewrite -z -l; balance -l"
)

SCRIPTS = {
    "if -a": "strash; if -K 6 -a",
    "dch; if -a": "strash; dch; if -K 6 -a",
    "&syn2; if -a; mfs2 -a": "strash; &get -n; &syn2; &put; if -K 6 -a; mfs2 -a",
    "&synch2; if -a; mfs2 -a": "strash; &get -n; &synch2; &put; if -K 6 -a; mfs2 -a",
    "(if -a -C 24; mfs2 -a) x 2": "strash; if -K 6 -a -C 24; mfs2 -a; strash; dch -f; if -K 6 -a -C 24; mfs2 -a",
    "resyn2; if -a; mfs2 -a": f"strash; {_RESYN2}; if -K 6 -a; mfs2 -a",
    "compress2rs; if -a; mfs2 -a": f"strash; {_COMPRESS2RS}; if -K 6 -a; mfs2 -a",
    "(dch; if; mfs2) x 3": "strash" + "; dch; if -K 6; mfs2; strash" * 2 + "; dch; if -K 6; mfs2",
    "(dch -f; if -a; mfs2 -a) x 3": "strash; "
    + "dch -f; if -K 6 -a; mfs2 -a; strash; " * 2
    + "dch -f; if -K 6 -a; mfs2 -a",
}

TEXT = """\
# yosys-abc alone

The combinational function of compiled netlists (default passes), inputs to outputs, argmax included, mapped to tables of 6 inputs
by ABC as it comes with yosys. `cells` are lookup tables, `LUTs` is what yosys would count for them, with dual-output packing; MUXF7 and
MUXF8 are not used. One core, other work beside it; a script that takes longer than {timeout_s:g} s has no row entry. Every
result is proved equal to the netlist by ABC's `cec` where it says so.
"""


def measure(text: str, script: str, n_inputs: int, n_outputs: int, timeout_s: float) -> dict[str, Any]:
    """Lookup tables after one script; ``None`` where it ran out of time."""
    with tempfile.TemporaryDirectory(prefix="lutnet-abc-") as name:
        folder = Path(name)
        (folder / "net.blif").write_text(text)
        start = time.perf_counter()
        try:
            run_abc(f"read_blif net.blif\n{script}\nwrite_blif mapped.blif\n", cwd=folder, timeout_s=timeout_s)
        except ToolError as error:
            if not out_of_time(error):
                raise
            return {"cells": None, "luts": None, "seconds": None, "proved": None}
        seconds = time.perf_counter() - start
        ports = ([f"in_data[{i}]" for i in range(n_inputs)], [f"out_data[{i}]" for i in range(n_outputs)])
        network = read_mapped_blif((folder / "mapped.blif").read_text(), *ports, 6)
        cells = network.cells()
        proved = check_equivalence(folder, "net.blif", "mapped.blif", timeout_s=timeout_s).equivalent
    return {"cells": sum(cells.values()), "luts": packed_luts(cells), "seconds": round(seconds, 1), "proved": proved}


def rows(runs: Path, known: list[dict[str, Any]], timeout_s: float) -> list[dict[str, Any]]:
    """One row a netlist and script; written down as they come."""
    done = {(row["netlist"], row["script"]): row for row in known}
    for name in NETLISTS:
        net = load_design(runs / f"{name}-seed0" / "netlist.npz").netlist
        (text,) = Blif().emit(net).values()
        for label, script in SCRIPTS.items():
            if (name, label) not in done:
                figures = measure(text, script, sum(net.input_widths), sum(net.output_widths), timeout_s)
                done[name, label] = {"netlist": name, "script": label, **figures}
                print(json.dumps(done[name, label]), flush=True)
                write(list(done.values()), timeout_s)
    return list(done.values())


def write(found: list[dict[str, Any]], timeout_s: float) -> None:
    """The table and the rows."""
    (HERE / "abc_baseline.json").write_text(json.dumps(found, indent=1) + "\n")
    lines = [
        TEXT.format(timeout_s=timeout_s),
        "| netlist | script | cells | LUTs | seconds | proved |",
        "|---|---|---|---|---|---|",
    ]
    for row in found:
        figures = ("over time" if row[key] is None else row[key] for key in ("cells", "luts", "seconds"))
        proved = {True: "yes", None: "not decided"}.get(row["proved"], "no") if row["cells"] is not None else ""
        lines.append(f"| {row['netlist']} | `{row['script']}` | " + " | ".join(map(str, figures)) + f" | {proved} |")
    (HERE / "abc_baseline.md").write_text("\n".join(lines) + "\n")


def main() -> int:
    """Measures what is missing and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--runs", type=Path, default=Path("build/bench"), help="folder of the runs (default: %(default)s)"
    )
    parser.add_argument(
        "--timeout-s", type=float, default=900.0, help="seconds a script may take (default: %(default)s)"
    )
    parser.add_argument("--again", action="store_true", help="measure rows that are in the file again")
    args = parser.parse_args()
    path = HERE / "abc_baseline.json"
    known = json.loads(path.read_text()) if path.is_file() and not args.again else []
    write(rows(args.runs, known, args.timeout_s), args.timeout_s)
    return 0


if __name__ == "__main__":
    sys.exit(main())
