"""Convolutional table networks and a hybrid on MNIST, unrolled: accuracy, cost, LUTs after the optimiser, latency.

    python benchmarks/convolutions.py --data mnist.npz --out build/bench

Runs that are complete in the output folder are not repeated. The table is written to benchmarks/convolutions.md, the rows to
benchmarks/convolutions.json. Every row has been through the ladder without a mismatch; the test set is read once, by the report.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from runner import Benchmark, row_of, tell, train_if_missing, write_table

from lutnet.flow.finishing import finish_run
from lutnet.train.data import load
from lutnet.train.presets import find_config

BENCHMARK = Benchmark(
    name="convolutions",
    title="Convolutions on MNIST",
    text=(
        "54,000 training, 6,000 validation and the 10,000 original test images; sizes and weights chosen on validation, training images",
        "moved by up to a pixel. `LUTs` is yosys's estimate for UltraScale+ (dual-output packing counted) of the whole unrolled and",
        "pipelined design after `lutnet opt -p fast`: every copy of the kernels, what reads them, and the decision.",
        "`mnist-conv`: 16 tables of 6 learned pixels over windows of 5 x 5, one bit a pixel, stride 2; 2,000 tables with a learned",
        "mapping; population counts. `mnist-hybrid`: 12 such tables, means of 2 x 2 positions, additive edge tables, arithmetic layers.",
        "Training times are those of a core with several times its work.",
    ),
    data="mnist.npz",
    configs=("mnist-conv", "mnist-hybrid"),
    aims={"mnist-conv": (98.5, 6500)},
    reference=False,
)


def main() -> int:
    """Runs what is missing in the output folder and writes table and rows beside the scripts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="mnist.npz; without it LUTNET_DATA, the cache, or a download")
    parser.add_argument("--out", default="build/bench", help="folder of the runs")
    parser.add_argument("--configs", nargs="+", default=list(BENCHMARK.configs))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    args = parser.parse_args()
    torch.set_num_threads(1)
    dataset = load("mnist", path=args.data)
    rows = []
    for name in args.configs:
        for seed in args.seeds:
            folder = Path(args.out) / f"{name}-seed{seed}"
            train_if_missing(folder, find_config(name).with_seed(seed), dataset)
            finish_run(folder, dataset, timeout_s=900, on_step=tell)
            rows.append(row_of(folder))
            write_table(BENCHMARK, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
