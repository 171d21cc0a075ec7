"""Draw the sample of simulated jets that comes with the package from the full file.

Usage: python benchmarks/make_sample.py --data jets_sim.npz [--out lutnet/train/data/samples/jets_sim_sample.npz]

The draw is stratified and seeded, and training, validation and test rows come from the parts of the same name.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from lutnet.errors import UserError
from lutnet.train.data.dataset import Split
from lutnet.train.data.jets import read_jets_npz
from lutnet.train.data.sample import encode_planes
from lutnet.train.data.splits import stratified_groups

DEFAULT_OUT = Path(__file__).resolve().parents[1] / "lutnet" / "train" / "data" / "samples" / "jets_sim_sample.npz"
N_ROWS = {"train": 70_000, "val": 10_000, "test": 20_000}
MAX_BYTES = 3_000_000
SEED = 20261121


def draw(split: Split, n_rows: int) -> Split:
    """The same fraction of every class, rows in their original order."""
    rows = stratified_groups(split.y, n_rows / split.n_rows, SEED).held_out
    return Split(split.x[rows], split.y[rows])


def main() -> int:
    """Write the sample; 2 when the input is unusable."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the full jets_sim.npz")
    parser.add_argument("--out", type=Path, default=DEFAULT_OUT)
    options = parser.parse_args()
    try:
        full = read_jets_npz(options.data, "jets_sim")
    except UserError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    parts = {"train": full.train, "val": full.validation, "test": full.test}
    sample = {part: draw(split, N_ROWS[part]) for part, split in parts.items()}
    every_row = np.concatenate([split.x for split in sample.values()])
    _, first, column = np.unique(every_row, axis=1, return_index=True, return_inverse=True)
    order = np.sort(first)
    arrays = {f"planes_{part}": encode_planes(split.x[:, order]) for part, split in sample.items()}
    arrays |= {f"y_{part}": split.y.astype(np.uint8) for part, split in sample.items()}
    arrays["column"] = np.searchsorted(order, first[column.ravel()]).astype(np.uint8)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = options.out.with_name(options.out.name + ".tmp")
    with temporary.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    n_bytes = temporary.stat().st_size
    if n_bytes > MAX_BYTES:
        temporary.unlink()
        print(f"error: the sample has {n_bytes} bytes, more than {MAX_BYTES}; lower N_ROWS", file=sys.stderr)
        return 2
    os.replace(temporary, options.out)
    print(f"{options.out}: {n_bytes} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
