"""The whole way on the jets inside the package, from training to the report, step by step. `make demo` runs this."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from lutnet import cli

HERE = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="build/demo", help="folder of the run")
    parser.add_argument("--config", default=str(HERE / "jets.toml"), help="a TOML file or a name such as jsc-s")
    parser.add_argument("--data", help="a data file in place of the packaged sample")
    parser.add_argument("--epochs", type=int, help="epochs in place of the configuration's")
    args = parser.parse_args()
    data = ["--data", args.data] if args.data else []
    train = ["train", args.config, "--out", args.out, *data]
    if args.data is None:
        train += ["--dataset", "jets_sim_sample"]
    if args.epochs is not None:
        train += ["--epochs", str(args.epochs)]
    steps = [
        train,
        ["compile", args.out, *data],
        ["opt", args.out, *data],
        ["emit", args.out, "--valid", "--reset", "--tables", "wide"],
        ["simulate", args.out],
        ["prove", args.out],
        ["synth", args.out],
        ["report", args.out, *data],
    ]
    for step in steps:
        start = time.perf_counter()
        print(f"\n$ lutnet {' '.join(step)}", flush=True)
        status = cli.main(step)
        if status != 0:
            return status
        print(f"({time.perf_counter() - start:.0f} s)", flush=True)
    print(f"\nEverything is in {args.out}: model/, netlist.npz, rtl/, report.md, report.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
