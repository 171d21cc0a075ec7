"""Shift-and-add graphs of random constant matrices, beside da4ml 0.5.

    python -m venv build/da4ml && build/da4ml/bin/pip install "da4ml==0.5.*"
    python benchmarks/cmvm.py --da4ml build/da4ml/bin/python

da4ml runs in an environment of its own, on the same matrices and with its default search, one process for all of them. Both count
two-operand adders; both results are multiplied out and compared with the matrix. Without `--da4ml` only our own figures are printed. The
table is written to benchmarks/cmvm.md, the rows to benchmarks/cmvm.json.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutnet.arith import adder_graph

HERE = Path(__file__).resolve().parent

SIZES = (8, 16, 24, 32, 48, 64)
BITS = (4, 5, 6, 7, 8)
INPUT_LOW, INPUT_HIGH = -128, 127

PEER = """
import json, sys, time
import numpy as np
from da4ml._version import __version__
from da4ml.cmvm.api import solve
solve(np.eye(2))  # loads what is compiled
print(json.dumps(__version__), flush=True)
for line in sys.stdin:
    matrix = np.array(json.loads(line), dtype=np.float64)
    begin = time.process_time()
    found = solve(matrix)
    seconds = time.process_time() - begin
    adders = sum(op.opcode in (0, 1) for part in found.solutions for op in part.ops)
    exact = bool(np.array_equal(found.kernel, matrix))
    print(json.dumps([adders, int(found.latency[1]), seconds, exact]), flush=True)
"""


@dataclass(frozen=True)
class Row:
    """One matrix; times are of the processor."""

    size: int
    bits: int
    adders: int
    adder_bits: int
    depth: int
    seconds: float
    exact: bool
    peer_adders: int
    peer_depth: int
    peer_seconds: float
    peer_exact: bool

    @property
    def ratio(self) -> float:
        """Our adders over theirs."""
        return self.adders / self.peer_adders if self.peer_adders else math.nan


class Peer:
    """da4ml in a process of its own."""

    def __init__(self, python: str) -> None:
        self.process = subprocess.Popen(
            [python, "-c", PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.version = str(self._read())

    def solve(self, matrix: npt.NDArray[np.int64]) -> tuple[int, int, float, bool]:
        """Adders, depth, seconds, and whether the graph equals the matrix."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(matrix.tolist()) + "\n")
        self.process.stdin.flush()
        return tuple(self._read())  # type: ignore[arg-type, return-value]

    def _read(self) -> object:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit("da4ml ended early; its own message is above")
        return json.loads(line)


def measure(size: int, bits: int, peer: Peer | None) -> Row:
    """One random matrix with entries of every value of so many bits, the lowest left out."""
    rng = np.random.default_rng(size * 10 + bits)
    matrix = rng.integers(-(1 << (bits - 1)) + 1, 1 << (bits - 1), (size, size))
    ends = np.full(size, INPUT_LOW), np.full(size, INPUT_HIGH)
    begin = time.process_time()
    graph = adder_graph(matrix, *ends)
    seconds = time.process_time() - begin
    exact = bool(np.array_equal(graph.matrix(), matrix))
    other = peer.solve(matrix) if peer else (0, 0, math.nan, False)
    return Row(size, bits, graph.adders, int(graph.adder_bits().sum()), graph.depth, seconds, exact, *other)


def table(rows: list[Row], version: str) -> str:
    """Markdown."""
    ratios = [row.ratio for row in rows]
    lines = [
        "# Constant matrices as adders",
        "",
        f"Random square matrices, inputs of 8 bits with sign, beside da4ml {version} (`solve` with its defaults, no bound on depth). "
        "`python benchmarks/cmvm.py --da4ml PYTHON`. Seconds of the processor. Every graph is multiplied out and compared.",
        "",
        f"Adders over da4ml's: mean {np.mean(ratios):.3f}, worst {max(ratios):.3f}; all graphs exact: "
        f"{'yes' if all(row.exact for row in rows) else 'NO'} (ours), {'yes' if all(row.peer_exact for row in rows) else 'NO'} (da4ml).",
        "",
        "| matrix | bits | adders | da4ml | ratio | depth | da4ml | s | da4ml s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.size} x {r.size} | {r.bits} | {r.adders} | {r.peer_adders} | {r.ratio:.3f} | {r.depth} | {r.peer_depth} | {r.seconds:.1f} | "
        f"{r.peer_seconds:.1f} |"
        for r in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--da4ml", help="Python interpreter of an environment with da4ml 0.5")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    args = parser.parse_args()
    peer = Peer(args.da4ml) if args.da4ml else None
    rows = []
    for size in args.sizes:
        for bits in BITS:
            rows.append(measure(size, bits, peer))
            print(rows[-1], flush=True)
    if peer and tuple(args.sizes) == SIZES:
        (HERE / "cmvm.md").write_text(table(rows, peer.version), encoding="utf-8")
        (HERE / "cmvm.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
