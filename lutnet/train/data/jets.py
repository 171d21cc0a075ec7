"""Jet tagging: 16 features and 5 classes, from the simulated jets, OpenML 42468, or the CERNBox file of LogicNets."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.train.data.archives import MAX_ARCHIVE_BYTES
from lutnet.train.data.arff import read_arff
from lutnet.train.data.dataset import Dataset, Split
from lutnet.train.data.splits import carve_validation, shuffled_groups
from lutnet.train.data.standard import read_standard_npz

__all__ = ["JET_CLASSES", "JET_FEATURES", "read_jets_arff", "read_jets_hdf5", "read_jets_npz"]

JET_FEATURES = (
    "zlogz",
    "c1_b0_mmdt",
    "c1_b1_mmdt",
    "c1_b2_mmdt",
    "c2_b1_mmdt",
    "c2_b2_mmdt",
    "d2_b1_mmdt",
    "d2_b2_mmdt",
    "d2_a1_b1_mmdt",
    "d2_a1_b2_mmdt",
    "m2_b1_mmdt",
    "m2_b2_mmdt",
    "n2_b1_mmdt",
    "n2_b2_mmdt",
    "mass_mmdt",
    "multiplicity",
)
"""The 16 features in the order of LogicNets' configuration and of OpenML 42468."""

JET_CLASSES = ("g", "q", "w", "z", "t")
"""Gluon, light quark, W, Z, top: the order of LogicNets' configuration, used for every jet set."""

_TEST_FRACTION = 0.2
_TEST_SEED = 42
_HDF5_KEY = "t_allpar_new"


def read_jets_npz(path: Path, name: str) -> Dataset:
    """Jets in lutnet's own layout; see :func:`read_standard_npz`.

    Raises:
        UserError: The file is unusable or holds other features or classes.
    """
    data = read_standard_npz(path, name)
    if data.n_features != len(JET_FEATURES) or data.n_classes != len(JET_CLASSES):
        raise UserError(
            f"'{path}' has {data.n_features} features and {data.n_classes} classes, expected {len(JET_FEATURES)} and "
            f"{len(JET_CLASSES)} for '{name}'; load data of your own under the name 'custom'"
        )
    return data


def _published_split(name: str, x: npt.NDArray[np.float64], y: npt.NDArray[np.int64], source: str) -> Dataset:
    """The published test rows (a fifth, seed 42), and a stratified tenth of the others for validation."""
    groups = shuffled_groups(len(y), _TEST_FRACTION, _TEST_SEED)
    parts = carve_validation(Split.from_arrays(x[groups.kept], y[groups.kept]))
    return Dataset(
        name=name,
        train=parts.train,
        validation=parts.validation,
        test=Split.from_arrays(x[groups.held_out], y[groups.held_out]),
        feature_names=JET_FEATURES,
        class_names=JET_CLASSES,
        source=source,
    )


def read_jets_arff(path: Path) -> Dataset:
    """OpenML 42468 (``hls4ml_lhc_jets_hlf``): 16 numeric attributes and the class as a name.

    The test set is that of the hls4ml tutorial and of the papers that follow it: scikit-learn's ``train_test_split``
    with ``test_size=0.2, random_state=42`` on the rows in file order. Classes are numbered in the order of
    :data:`JET_CLASSES`, not alphabetically.

    Raises:
        UserError: The file is no such ARFF file.
    """
    table = read_arff(path)
    columns = {name.removeprefix("j_"): values for name, values in table.numeric.items()}
    missing = [name for name in JET_FEATURES if name not in columns]
    if missing or len(table.nominal) != 1:
        raise UserError(
            f"'{path}' has the numeric attributes {', '.join(columns) or '(none)'} and {len(table.nominal)} others, "
            "expected the 16 jet features and one class; give the file of OpenML data set 42468"
        )
    (labels,) = table.nominal.values()
    unknown = sorted(set(np.unique(labels)) - set(JET_CLASSES))
    if unknown:
        raise UserError(
            f"'{path}' has jets of class '{unknown[0]}', expected {', '.join(JET_CLASSES)}; "
            "give the file of OpenML data set 42468"
        )
    y = np.zeros(len(labels), dtype=np.int64)
    for number, class_name in enumerate(JET_CLASSES):
        y[labels == class_name] = number
    x = np.stack([columns[name] for name in JET_FEATURES], axis=1)
    return _published_split("jets_openml", x, y, "OpenML data set 42468")


def _h5py() -> ModuleType:
    try:
        return importlib.import_module("h5py")
    except ImportError as problem:
        raise UserError(
            "the CERNBox jets are an HDF5 file and need the package h5py; install it with: pip install 'lutnet[data]'"
        ) from problem


def read_jets_hdf5(path: Path) -> Dataset:
    """The CERNBox file of LogicNets: HDF5 in spite of its suffix ``.z``, one compound data set ``t_allpar_new``.

    As in LogicNets' loader, rows that repeat in all 16 features and 5 labels are dropped (the first one stays), and the
    test set is scikit-learn's ``train_test_split(test_size=0.2, random_state=42)``, so it is the published one.

    Raises:
        UserError: ``h5py`` is missing, or the file is no such HDF5 file.
    """
    names = [f"j_{name}" for name in (*JET_FEATURES, *JET_CLASSES)]
    rows = _compound_columns(_h5py(), path, names) + 0.0  # turns -0.0 into 0.0, so that equal rows have equal bytes
    _, first = np.unique(rows.view(f"V{rows.itemsize * rows.shape[1]}").ravel(), return_index=True)
    rows = rows[np.sort(first)]
    x, one_hot = rows[:, : len(JET_FEATURES)], rows[:, len(JET_FEATURES) :]
    if not np.array_equal(np.sort(one_hot, axis=1), np.tile((0.0, 0.0, 0.0, 0.0, 1.0), (len(rows), 1))):
        raise UserError(
            f"'{path}' has jets without exactly one class among {', '.join(names[-5:])}; give LogicNets' CERNBox file"
        )
    return _published_split("jets_cernbox", x, one_hot.argmax(axis=1).astype(np.int64), "CERNBox file of LogicNets")


def _compound_columns(h5py: ModuleType, path: Path, names: list[str]) -> npt.NDArray[np.float64]:
    """Fields of the compound data set as columns, float64, C order."""
    try:
        with h5py.File(path, "r") as archive:
            table = archive.get(_HDF5_KEY)
            fields = getattr(getattr(table, "dtype", None), "names", None) or ()
            missing = [name for name in names if name not in fields]
            if missing:
                raise UserError(
                    f"'{path}' has no field '{missing[0]}' in a table '{_HDF5_KEY}'; "
                    "give the CERNBox file that LogicNets uses"
                )
            if table.shape[0] * 8 * len(names) > MAX_ARCHIVE_BYTES:
                raise UserError(f"'{path}' announces {table.shape[0]} rows, more than are read; download it again")
            rows = table.fields(names)[()]
    except (OSError, RuntimeError, ValueError, TypeError) as problem:
        raise UserError(f"'{path}' is not a readable HDF5 file ({problem}); download it again") from problem
    return np.ascontiguousarray(np.stack([rows[name].astype(np.float64) for name in names], axis=1))
