"""Boosted trees on the simulated jets and on UNSW-NB15: accuracy beside the floating-point ensemble, LUTs, latency.

    python benchmarks/trees.py --data FOLDER --out build/bench

FOLDER holds jets_sim.npz and unsw_nb15_82k.npz. Runs that are complete in the output folder are not repeated. The table is
written to benchmarks/trees.md, the rows to benchmarks/trees.json. Every row has been through the ladder without a mismatch;
the test set is read once, by the report.
"""

from __future__ import annotations

import sys

from runner import Benchmark, main

BENCHMARK = Benchmark(
    name="trees",
    title="Boosted trees",
    text=(
        "`jets-trees`: 350,000 training, 50,000 validation and 100,000 test jets, simulated. `unsw-trees`: our split of the 82,332",
        "records of UNSW-NB15. The float column is an XGBoost ensemble of the same settings on the raw features. `LUTs` is yosys's",
        "estimate for UltraScale+ (dual-output packing counted) of the whole design: comparators, trees, sums and decision.",
    ),
    data="FOLDER",
    configs=("jets-trees", "unsw-trees"),
)

if __name__ == "__main__":
    sys.exit(main(BENCHMARK, __doc__ or ""))
