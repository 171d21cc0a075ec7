"""Differentiable lookup tables on MNIST: accuracy, cost, LUTs, flip-flops, latency.

    python benchmarks/mnist.py --data mnist.npz --out build/bench

Runs that are complete in the output folder are not repeated. The table is written to benchmarks/mnist.md, the rows to
benchmarks/mnist.json. Every row has been through the ladder without a mismatch; the test set is read once, by the report.
"""

from __future__ import annotations

import sys

from runner import Benchmark, main

BENCHMARK = Benchmark(
    name="mnist",
    title="Differentiable lookup tables on MNIST",
    text=(
        "54,000 training, 6,000 validation and the 10,000 original test images; weights chosen on validation, training images",
        "moved by up to a pixel. `LUTs` is yosys's estimate for UltraScale+ (dual-output packing counted) of the whole design:",
        "encoder, lookup tables, population counts and argmax. The encoder takes the leading bit of each pixel.",
    ),
    data="mnist.npz",
    configs=("mnist-dwn-md", "mnist-dwn-lg"),
    aims={"mnist-dwn-md": (97.8, 2300), "mnist-dwn-lg": (98.3, 4500)},
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK, __doc__ or ""))
