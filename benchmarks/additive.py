"""Additive edge tables on the full simulated jets: accuracy against lookup tables, four sizes, three seeds each.

    python benchmarks/additive.py --data jets_sim.npz --out build/bench

Runs that are complete in the output folder are not repeated. The table is written to benchmarks/additive.md, the rows to
benchmarks/additive.json. Every row has been through the ladder without a mismatch; the test set is read once, by the report.
"""

from __future__ import annotations

import sys

from runner import Benchmark, main

AIMS = {
    "jets-additive-xs": (67.6, 360),
    "jets-additive-s": (68.1, 550),
    "jets-additive-m": (68.4, 1000),
    "jets-additive-l": (68.7, 2400),
}

BENCHMARK = Benchmark(
    name="additive",
    title="Additive edge tables on the simulated jets",
    text=(
        "350,000 training, 50,000 validation and 100,000 test jets; weights, sizes and cost weights chosen on validation. `LUTs`",
        "is yosys's estimate for UltraScale+ (dual-output packing counted) of the whole pipelined design, sums and argmax",
        "included. Trained on one core, other work beside it.",
    ),
    data="jets_sim.npz",
    configs=tuple(AIMS),
    aims=AIMS,
    reference=False,
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK, __doc__ or ""))
