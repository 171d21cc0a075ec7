"""Throughput of the emulator beside the reference evaluator, Verilator and a gate list in the style of difflogic.

    python benchmarks/emulate.py --runs build/bench --optimised build/opt

All evaluate the same netlist on the same vectors in the same run, one thread each; the emulator also with two. Every result is compared
with the reference. Verilator's model is driven from C++, one vector a clock cycle. The gate list is what difflogic compiles (Petersen et
al., "Deep Differentiable Logic Gate Networks", NeurIPS 2022): one function of two-input gates on `long long`, fed from an array of bools.
It is made from the emulator's own gates, so that it gains from their sharing. The table is written to benchmarks/emulate.md, the rows to
benchmarks/emulate.json; rows of other netlists that are in the file stay.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lutnet import Netlist, NetlistBuilder, ToolError, TruthTable
from lutnet.backends import Verilog, pack_words, unpack_words, write_files
from lutnet.backends.c_logic import Kind, LogicNode
from lutnet.backends.c_lower import circuit_of
from lutnet.backends.c_ternary import expression_of
from lutnet.backends.c_text import order_of
from lutnet.emulate import Emulator
from lutnet.ir import Design, load_design
from lutnet.tools.base import run_tool
from lutnet.tools.compiler import c_compiler
from lutnet.tools.simulators import verilator_tool
from lutnet.verify.vectors import random_codes

HERE = Path(__file__).resolve().parent
RUNS = (
    "jsc-s-seed0",
    "jsc-m-seed0",
    "jsc-l-seed0",
    "jets-additive-s-seed0",
    "jets-trees-seed0",
    "unsw-trees-seed0",
    "mnist-dwn-sm-seed0",
    "mnist-dwn-md-seed0",
)
OPTIMISED = ("jsc-m-seed0-area", "jsc-l-seed0-fast")
RATES = ("packed", "two_threads", "codes", "features", "reference", "verilator", "difflogic")
LANES = 64

TIMED_BYTES = 1 << 27
"""Packed vectors that the emulator is timed on, the compared ones over and over, so that starting threads takes no part of it."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", default="build/bench", help="folder of compiled runs")
    parser.add_argument("--optimised", default="build/opt", help="folder of runs that went through lutnet opt")
    parser.add_argument("--only", nargs="+", help="names of runs; 'random-10000' is a netlist of 10,000 random tables")
    parser.add_argument("--vectors", type=int, default=1 << 20, help="vectors that are compared and timed")
    parser.add_argument("--slow-vectors", type=int, default=1 << 14, help="vectors for Verilator")
    parser.add_argument("--timeout-s", type=float, default=300.0, help="seconds a compiler may take for a competitor")
    args = parser.parse_args()
    paths = {name: Path(args.runs) / name for name in RUNS} | {n: Path(args.optimised) / n for n in OPTIMISED}
    file = HERE / "emulate.json"
    rows: dict[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    wrong = 0
    for name in args.only or [*paths, "random-10000"]:
        design = random_design() if name == "random-10000" else load_design(paths[name] / "netlist.npz")
        rows[name] = measure(design, args.vectors, args.slow_vectors, args.timeout_s)
        wrong += rows[name]["mismatches"]
        print(name, rows[name], flush=True)
        file.write_text(json.dumps(rows, indent=2) + "\n")
        write(rows)
    return 1 if wrong else 0


def random_design() -> Design:
    """Two layers of 5,000 random tables of six bits behind 784 bits, counted and compared: nothing in it can be simplified."""
    rng = np.random.default_rng(0)
    b = NetlistBuilder()
    layer = [b.input(1) for _ in range(784)]
    for _ in range(2):
        tables = [TruthTable((1,) * 6, 1, rng.integers(0, 2, 64)) for _ in range(5000)]
        layer = [b.lut(t, [layer[i] for i in rng.choice(len(layer), 6, replace=False)]) for t in tables]
    b.output(b.argmax([b.sum(layer[500 * i : 500 * i + 500], [1] * 500) for i in range(10)]))
    return Design(b.build())


def measure(design: Design, n: int, n_slow: int, timeout_s: float) -> dict[str, Any]:
    """One row: samples a second of each, and how many results differ."""
    net = design.netlist
    timed = min(n, (1 << 29) // (8 * len(net.inputs)))
    codes = random_codes(net.input_widths, timed, seed=0)
    words = pack_words(codes, net.input_widths)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["LUTNET_CACHE"] = cache
        emulator, start = Emulator(design, threads=1), time.perf_counter()
        emulator.compile()
    compile_s = time.perf_counter() - start
    start = time.perf_counter()
    expected = net.evaluate(codes)
    reference_s = time.perf_counter() - start
    circuit = circuit_of(net)
    row: dict[str, Any] = {
        "nodes": net.n_nodes,
        "gates": len(order_of(circuit.logic, circuit.outputs)),
        "vectors": n,
        "compile_s": compile_s,
        "reference": timed / reference_s,
    }
    packed = emulator.evaluate_packed(words)
    mismatches = int((unpack_words(packed, net.output_widths) != expected).any(axis=1).sum())
    mismatches += int((emulator.evaluate(codes) != expected).any(axis=1).sum())
    for seed in range(1, -(-n // timed)):
        more = random_codes(net.input_widths, timed, seed)
        mismatches += int((emulator.evaluate(more) != net.evaluate(more)).any(axis=1).sum())
    many = np.tile(words, (max(1, TIMED_BYTES // words.nbytes), 1))
    emulator.threads = 2
    mismatches += int((emulator.evaluate_packed(words) != packed).any(axis=1).sum())
    row["two_threads"] = len(many) / best(lambda: emulator.evaluate_packed(many))
    emulator.threads = 1
    row["packed"] = len(many) / best(lambda: emulator.evaluate_packed(many))
    row["codes"] = timed / best(lambda: emulator.evaluate(codes))
    if design.encoder is not None:
        levels = design.encoder.thresholds
        rng, n_features = np.random.default_rng(1), min(timed, (1 << 28) // (8 * len(levels)))
        x = np.stack([rng.choice(each, n_features) + rng.normal(size=n_features) for each in levels], axis=1)
        mismatches += int((emulator.outputs(x) != net.evaluate(design.encoder.encode(x))).any(axis=1).sum())
        row["features"] = n_features / best(lambda: emulator.outputs(x))
    for name, competitor, vectors in (("difflogic", gate_list, timed), ("verilator", verilated, n_slow)):
        try:
            out, seconds = competitor(net, codes[:vectors], timeout_s)
        except ToolError as error:
            row[name + "_failed"] = error.message
            continue
        mismatches += int((out != packed[: len(out)]).any(axis=1).sum())
        row[name] = len(out) / seconds
    return {**row, "mismatches": mismatches}


def best(run: Callable[[], Any], *, budget_s: float = 2.0) -> float:
    """Seconds of the fastest of at least three runs; other programs on the machine disturb some of them."""
    found: list[float] = []
    while len(found) < 3 or (sum(found) < budget_s and len(found) < 200):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


# -- competitors -----------------------------------------------------------------------------------------------------


def gate_list(net: Netlist, codes: np.ndarray, timeout_s: float) -> tuple[np.ndarray, float]:
    """Packed outputs and seconds of a gate list as difflogic compiles it, from bools to bools."""
    circuit, n_in, n_out = circuit_of(net), sum(net.input_widths), sum(net.output_widths)
    if circuit.logic.lookups:
        raise ToolError("a table is read sample by sample, which a gate list cannot")
    nodes = circuit.logic.nodes
    order = order_of(circuit.logic, circuit.outputs)
    inputs = [f"const long long n{i} = inp[{node.a}];" for i, node in enumerate(nodes) if node.kind is Kind.INPUT]
    gates = [f"const long long n{i} = {_gate(nodes[i])};" for i in order]
    outputs = [f"out[{i}] = {_name(literal)};" for i, literal in enumerate(circuit.outputs)]
    body = "\n".join([*inputs, *gates, *outputs])
    text = f"""#include <stdbool.h>
#include <stddef.h>
static void logic_gate_net(long long const *inp, long long *out) {{ const long long n0 = 0; (void)n0;\n{body}\n}}
void apply(bool const *inp, bool *out, size_t len) {{
    long long in_temp[{n_in}], out_temp[{n_out}];
    for (size_t i = 0; i < len; ++i) {{
        for (size_t d = 0; d < {n_in}; ++d) {{
            long long bits = 0;
            for (size_t b = 0; b < 64; ++b)
                bits = (long long)((unsigned long long)bits << 1) + inp[i * {n_in} * 64 + (63 - b) * {n_in} + d];
            in_temp[d] = bits;
        }}
        logic_gate_net(in_temp, out_temp);
        for (size_t b = 0; b < 64; ++b)
            for (size_t d = 0; d < {n_out}; ++d) out[(i * 64 + b) * {n_out} + d] = out_temp[d] >> b & 1;
    }}
}}
"""
    n = min(len(codes), (1 << 28) // n_in) // LANES * LANES
    packed = pack_words(codes[:n], net.input_widths)
    bits = np.ascontiguousarray(np.unpackbits(packed, axis=1, count=n_in, bitorder="little"))
    out = np.empty((n, n_out), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "gates.c").write_text(text)
        flags = ("-O1", "-march=native", "-shared", "-fPIC", "gates.c", "-o", "gates.so")
        run_tool(c_compiler(), flags, cwd=scratch, timeout_s=timeout_s)
        apply = ctypes.CDLL(str(Path(scratch) / "gates.so")).apply
    pointers = ctypes.c_void_p(bits.ctypes.data), ctypes.c_void_p(out.ctypes.data)
    seconds = best(lambda: apply(*pointers, ctypes.c_size_t(n // LANES)))
    return np.packbits(out, axis=1, bitorder="little"), seconds


def _name(literal: int) -> str:
    return f"{'~' if literal & 1 else ''}n{literal >> 1}"


def _gate(node: LogicNode) -> str:
    names = [_name(literal) for literal in node.literals]
    if node.kind is not Kind.TERNARY:
        return f" {'&' if node.kind is Kind.AND else '^'} ".join(names)
    text = expression_of(node.function)
    for parameter, name in zip("abc", names, strict=True):
        text = text.replace(f"({parameter})", name)
    return text


def verilated(net: Netlist, codes: np.ndarray, timeout_s: float) -> tuple[np.ndarray, float]:
    """Packed outputs and seconds of the emitted Verilog in Verilator, driven from C++, one vector a clock cycle."""
    words = pack_words(codes, net.input_widths)
    n_out = (sum(net.output_widths) + 7) // 8
    text = f"""#include "Vlutnet_top.h"
#include <chrono>
#include <cstdio>
#include <cstring>
#include <vector>
double sc_time_stamp() {{ return 0; }}
int main() {{
    const size_t n = {len(codes)}, wide = {words.shape[1]}, narrow = {n_out}, latency = {net.latency_cycles};
    std::vector<unsigned char> in(n * wide), out(n * narrow);
    if (fread(in.data(), 1, in.size(), stdin) != in.size()) return 1;
    Vlutnet_top *top = new Vlutnet_top;
    const auto start = std::chrono::steady_clock::now();
    for (size_t i = 0; i < n + latency; i++) {{
        if (i < n) memcpy(&top->in_data, &in[i * wide], wide);
        {"top->clk = 0; top->eval(); top->clk = 1;" if net.latency_cycles else ""}
        top->eval();
        if (i + 1 >= latency && i + 1 - latency < n) memcpy(&out[(i + 1 - latency) * narrow], &top->out_data, narrow);
    }}
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    FILE *file = fopen("out.bin", "wb");
    fwrite(out.data(), 1, out.size(), file);
    fclose(file);
    printf("%.9f\\n", taken.count());
    return 0;
}}
"""
    if net.latency_cycles == 0:
        text = text.replace("i + 1 >= latency && i + 1 - latency < n", "true").replace("(i + 1 - latency)", "i")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "rtl"
        sources = [path.name for path in write_files(Verilog().emit(net), folder) if path.suffix == ".v"]
        (folder / "main.cpp").write_text(text)
        flags = (
            "--cc",
            "--exe",
            "--build",
            "-O3",
            "--x-assign",
            "fast",
            "--noassert",
            "-Wno-fatal",
            "-MAKEFLAGS",
            "CFG_CXXFLAGS_PCH_I=-include",
            "-CFLAGS",
            "-O3 -march=native",
        )
        tool = verilator_tool()
        run_tool(tool, (*flags, "--top-module", "lutnet_top", *sources, "main.cpp"), cwd=folder, timeout_s=timeout_s)
        times = []
        for _ in range(5):
            done = subprocess.run(
                [folder / "obj_dir" / "Vlutnet_top"], input=words.tobytes(), cwd=folder, capture_output=True, check=True
            )
            times.append(float(done.stdout))
        out = np.frombuffer((folder / "out.bin").read_bytes(), dtype=np.uint8).reshape(len(codes), n_out)
    return out, min(times)


# -- table -----------------------------------------------------------------------------------------------------------


def write(rows: dict[str, Any]) -> None:
    """The table: millions of samples a second."""
    head = (
        "netlist",
        "gates",
        "compile s",
        *(rate.replace("_", " ") for rate in RATES),
        "/ Verilator",
        "/ difflogic",
        "two / one",
    )
    lines = ["# The emulator beside other evaluators", "", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    for name, row in rows.items():
        rates = [f"{row[rate] / 1e6:.4g}" if rate in row else "-" for rate in RATES]
        ratios = [f"{row['packed'] / row[other]:.1f}" if other in row else "-" for other in ("verilator", "difflogic")]
        cells = [f"`{name}`", f"{row['gates']:,}", f"{row['compile_s']:.1f}", *rates, *ratios]
        lines.append("| " + " | ".join([*cells, f"{row['two_threads'] / row['packed']:.2f}"]) + " |")
    n_wrong = sum(row["mismatches"] for row in rows.values())
    vectors = min(row["vectors"] for row in rows.values())
    lines += [
        "",
        "Millions of samples a second. `packed`, `codes` and `features`: the emulator from packed vectors, from 64-bit codes and from",
        "raw float64 features; `two threads`: from packed vectors. `difflogic`: a gate list in its style, from bools; `-` where it does",
        f"not compile in time or has tables of too many bits. {n_wrong} of at least {vectors:,} results a netlist differ from the",
        "reference. Compiling includes writing the C code and is done once for a netlist.",
        "",
        "Made by `python benchmarks/emulate.py --runs build/bench --optimised build/opt`.",
        "",
    ]
    (HERE / "emulate.md").write_text("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
