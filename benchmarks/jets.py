"""The published jet configurations on the full simulated jets: accuracy, cost, LUTs, flip-flops, latency.

    python benchmarks/jets.py --data jets_sim.npz --out build/bench

Runs that are complete in the output folder are not repeated. The table is written to benchmarks/jets.md, the rows to
benchmarks/jets.json. Every row has been through the ladder without a mismatch; the test set is read once, by the report.
"""

from __future__ import annotations

import sys

from runner import Benchmark, main

BENCHMARK = Benchmark(
    name="jets",
    title="Published jet configurations on the simulated jets",
    text=(
        "350,000 training, 50,000 validation and 100,000 test jets; weights chosen on validation. `LUTs` is yosys's estimate",
        "for UltraScale+ (dual-output packing counted, argmax included). The simulated jets are harder than the published",
        "sets: these accuracies do not compare with theirs.",
    ),
    data="jets_sim.npz",
    configs=("jsc-s", "jsc-m", "jsc-l"),
    synth_seeds=(0,),
    place=("jsc-s",),
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK, __doc__ or ""))
