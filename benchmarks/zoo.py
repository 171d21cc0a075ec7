"""Every pass by itself on every compiled run: what it leaves, and whether the result is proved equal.

    python benchmarks/zoo.py --runs build/bench

`rare` is left out: it changes no code, and what passes make of its care sets is in benchmarks/optimizer.md. The table is written to
benchmarks/zoo.md. A result that is refuted ends the run with status 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from lutnet.ir import load_design
from lutnet.ir.estimate import estimate_luts
from lutnet.synth import parse_passes
from lutnet.verify.prove import prove_netlists

HERE = Path(__file__).resolve().parent
PASSES = (
    "fold",
    "narrow",
    "dedupe",
    "dce",
    "absorb",
    "collapse",
    "recode",
    "dontcare",
    "assign",
    "decompose",
    "arith{argmax=true}",
    "adders",
    "abc{script=fast,effort=1}",
    "retime",
)
TIMEOUT_S = 120.0


def main() -> int:
    """Makes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="build/bench", help="folder of compiled runs")
    parser.add_argument("--only", nargs="+", help="names of runs")
    args = parser.parse_args()
    names = args.only or sorted(path.parent.name for path in Path(args.runs).glob("*-seed0/netlist.npz"))
    rows, refuted = [], 0
    for name in names:
        net = load_design(Path(args.runs) / name / "netlist.npz").netlist
        for item in parse_passes(",".join(PASSES)):
            start = time.perf_counter()
            after = item(net)
            seconds = time.perf_counter() - start
            proof = prove_netlists(net, after, timeout_s=TIMEOUT_S)
            refuted += proof.status == "refuted"
            luts = f"{estimate_luts(net).luts:,} -> {estimate_luts(after).luts:,}"
            where = " on the care set" if proof.on_care else ""
            rows.append((f"`{name}`", f"`{item}`", luts, f"{seconds:.1f}", f"{proof.status} ({proof.method}){where}"))
            print(*rows[-1], flush=True)
            write(rows)
    return 1 if refuted else 0


def write(rows: list[tuple[str, ...]]) -> None:
    """The table."""
    head = ("run", "pass", "estimated LUTs", "seconds", "proof")
    lines = ["# Every pass on every network", "", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", "Made by `python benchmarks/zoo.py --runs build/bench`.", ""]
    (HERE / "zoo.md").write_text("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
