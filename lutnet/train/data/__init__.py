"""Data sets: jets, network intrusion, digits, and a user's own arrays, as three sets of labelled rows.

``load("jets_sim")`` needs no network. See :func:`load` for where data are looked for, ``SOURCES`` for what is known.
Needs NumPy only, and ``h5py`` for the one set that is an HDF5 file.
"""

from __future__ import annotations

from lutnet.train.data.checksums import FileChecksum, MemberChecksum
from lutnet.train.data.dataset import Dataset, Split
from lutnet.train.data.download import Progress, fetch
from lutnet.train.data.loading import ALIASES, DATASETS, default_cache_dir, load
from lutnet.train.data.sources import SOURCES, RemoteFile, Source
from lutnet.train.data.splits import carve_validation
from lutnet.train.data.standard import read_standard_npz
from lutnet.train.data.transport import RetryPolicy

__all__ = [
    "ALIASES",
    "DATASETS",
    "SOURCES",
    "Dataset",
    "FileChecksum",
    "MemberChecksum",
    "Progress",
    "RemoteFile",
    "RetryPolicy",
    "Source",
    "Split",
    "carve_validation",
    "default_cache_dir",
    "fetch",
    "load",
    "read_standard_npz",
]
