"""UNSW-NB15 network intrusion: the 593-bit binarisation, and the 82,332-record partition with its own columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.train.data.archives import read_npz, read_zip_member
from lutnet.train.data.dataset import Dataset, Split
from lutnet.train.data.splits import carve_validation

__all__ = ["NID_CLASSES", "N_NID_BITS", "attack_test_mask", "read_nid_npz", "read_unsw_csv_zip", "read_unsw_npz"]

N_NID_BITS = 593
"""Binary features of the binarised set."""

NID_CLASSES = ("normal", "attack")
"""Class names; label 1 is an attack."""

_CATEGORIES = ("proto", "service", "state")
_NOT_FEATURES = ("id", "attack_cat", "label")
_MAX_CSV_BYTES = 1 << 26
_TEST_FRACTION = 0.25
_TEST_SEED = 20261120


def read_nid_npz(path: Path) -> Dataset:
    """The binarised set of zenodo 4519767: arrays ``train`` and ``test``, 593 bits and the label in the last column.

    The test set is the published one (82,332 records); validation is a stratified tenth of the 175,341 others. Bits
    stay 0 and 1; bits that never change are allowed, as is usual in a binarisation.

    Raises:
        UserError: The file holds something else.
    """
    splits = []
    arrays = read_npz(path, ("train", "test"))
    for part in ("train", "test"):
        rows = arrays[part]
        if rows.ndim != 2 or rows.shape[1] != N_NID_BITS + 1 or rows.dtype.kind not in "buif":
            raise UserError(
                f"'{part}' in '{path}' is {rows.dtype} of shape {rows.shape}, expected numbers of shape "
                f"(n, {N_NID_BITS + 1}); give unsw_nb15_binarized.npz of zenodo record 4519767"
            )
        if not ((rows == 0) | (rows == 1)).all():
            raise UserError(f"'{part}' in '{path}' has values other than 0 and 1; give unsw_nb15_binarized.npz")
        splits.append(Split.from_arrays(rows[:, :-1], rows[:, -1]))
    parts = carve_validation(splits[0])
    return Dataset(
        name="nid",
        train=parts.train,
        validation=parts.validation,
        test=splits[1],
        feature_names=tuple(f"bit{i}" for i in range(N_NID_BITS)),
        class_names=NID_CLASSES,
        source="zenodo record 4519767",
        allow_constant=True,
    )


@dataclass(frozen=True, eq=False)
class _Records:
    """Columns of the 82,332-record partition.

    Attributes:
        numeric: Values, float64, shape ``(n, n_numeric)``.
        numeric_names: One name a numeric column.
        codes: Category numbers, int64, shape ``(n, 3)``.
        categories: The names that the numbers of each categorical column stand for.
        y: 0 normal, 1 attack.
        test: Which rows are the test set.
    """

    numeric: npt.NDArray[np.float64]
    numeric_names: tuple[str, ...]
    codes: npt.NDArray[np.int64]
    categories: tuple[tuple[str, ...], ...]
    y: npt.NDArray[np.int64]
    test: npt.NDArray[np.bool_]

    def dataset(self, source: str) -> Dataset:
        """Numeric columns as they are, then one 0/1 column for every category of ``proto``, ``service``, ``state``.

        Numeric columns keep their raw, heavy-tailed values: the codes of an input quantiser fitted on quantiles do not
        change under a monotone transform, so none is applied. They are rounded to float32, which alters the 32-bit TCP
        sequence numbers ``stcpb`` and ``dtcpb`` beyond 24 significant bits and real values beyond the seventh digit.
        """
        n = len(self.y)
        if (
            self.codes.shape != (n, len(_CATEGORIES))
            or self.test.shape != (n,)
            or self.test.all()
            or not self.test.any()
        ):
            raise UserError(
                f"the {n} labels of the UNSW-NB15 records do not fit the other columns; give the original file"
            )
        for column, values in enumerate(self.categories):
            if self.codes[:, column].min(initial=0) < 0 or self.codes[:, column].max(initial=0) >= len(values):
                raise UserError(
                    f"column '{_CATEGORIES[column]}' has codes without a name among its {len(values)}; "
                    "give the original file"
                )
        one_hot = [np.arange(len(v)) == self.codes[:, i, None] for i, v in enumerate(self.categories)]
        x = np.concatenate([self.numeric.astype(np.float32), *(bits.astype(np.float32) for bits in one_hot)], axis=1)
        names = tuple(
            f"{column}={v}" for column, values in zip(_CATEGORIES, self.categories, strict=True) for v in values
        )
        parts = carve_validation(Split(x[~self.test], self.y[~self.test]))
        return Dataset(
            name="unsw_nb15_82k",
            train=parts.train,
            validation=parts.validation,
            test=Split(x[self.test], self.y[self.test]),
            feature_names=self.numeric_names + names,
            class_names=NID_CLASSES,
            source=source,
            allow_constant=True,
        )


def attack_test_mask(attacks: Sequence[str] | npt.NDArray[np.str_]) -> npt.NDArray[np.bool_]:
    """Lutnet's test rows of the 82,332 records: a quarter of each attack category, seed 20261120.

    Args:
        attacks: Attack category of each row, ``Normal`` included.

    Returns:
        True for test rows, shape ``(n,)``; equal to ``suggested_test_mask`` of ``unsw_nb15_82k.npz``.
    """
    names = np.asarray(attacks)
    random = np.random.default_rng(_TEST_SEED)
    mask = np.zeros(len(names), dtype=bool)
    for name in np.unique(names):
        rows = np.flatnonzero(names == name)
        mask[random.permutation(rows)[: round(_TEST_FRACTION * len(rows))]] = True
    return mask


def read_unsw_npz(path: Path) -> Dataset:
    """The 82,332 records from lutnet's ``unsw_nb15_82k.npz``.

    Arrays: ``x_num``, ``num_names``, ``x_cat``, ``cat_names``, ``<category>_values``, ``y``, ``suggested_test_mask``.

    Raises:
        UserError: An array is missing or wrong.
    """
    values = tuple(f"{name}_values" for name in _CATEGORIES)
    arrays = read_npz(path, ("x_num", "num_names", "x_cat", "cat_names", *values, "y", "suggested_test_mask"))
    if tuple(arrays["cat_names"].astype(str)) != _CATEGORIES:
        raise UserError(f"'{path}' has other categorical columns than {', '.join(_CATEGORIES)}; give unsw_nb15_82k.npz")
    if (
        arrays["x_num"].shape != (arrays["y"].size, arrays["num_names"].size)
        or arrays["x_num"].dtype.kind not in "buif"
    ):
        raise UserError(
            f"'x_num' in '{path}' is {arrays['x_num'].dtype} of shape {arrays['x_num'].shape}, which does not fit 'y'"
        )
    records = _Records(
        numeric=arrays["x_num"].astype(np.float64),
        numeric_names=tuple(str(name) for name in arrays["num_names"]),
        codes=arrays["x_cat"].astype(np.int64),
        categories=tuple(tuple(str(v) for v in arrays[key]) for key in values),
        y=arrays["y"].astype(np.int64),
        test=arrays["suggested_test_mask"].astype(bool),
    )
    return records.dataset(f"file {path.name}")


def read_unsw_csv_zip(path: Path) -> Dataset:
    """The 82,332 records from the original CSV file inside a zip file; the same data set as from the ``.npz``.

    Raises:
        UserError: The archive is broken, or a column or value is not as in the original.
    """
    text = read_zip_member(path, ".csv", _MAX_CSV_BYTES).decode("utf-8-sig", errors="replace")
    rows = list(csv.reader(io.StringIO(text)))
    header = rows[0] if rows else []
    missing = [name for name in (*_CATEGORIES, "attack_cat", "label") if name not in header]
    if missing or len(rows) < 2:
        raise UserError(
            f"'{path}' has no column '{', '.join(missing)}' or no rows; give UNSW_NB15_training-set.csv in a zip file"
        )
    ragged = next((i for i, row in enumerate(rows) if len(row) != len(header)), None)
    if ragged is not None:
        raise UserError(
            f"line {ragged + 1} of the CSV in '{path}' has {len(rows[ragged])} columns, expected {len(header)}"
        )
    columns = dict(zip(header, np.array(rows[1:], dtype=np.str_).T, strict=True))
    numeric = tuple(name for name in header if name not in (*_CATEGORIES, *_NOT_FEATURES))
    try:
        values = np.stack([columns[name].astype(np.float64) for name in numeric], axis=1)
        y = columns["label"].astype(np.int64)
    except ValueError as problem:
        raise UserError(
            f"the CSV in '{path}' has text where a number is expected ({problem}); give the original file"
        ) from problem
    found = [np.unique(columns[name], return_inverse=True) for name in _CATEGORIES]
    records = _Records(
        numeric=values,
        numeric_names=numeric,
        codes=np.stack([codes.astype(np.int64) for _, codes in found], axis=1),
        categories=tuple(tuple(str(name) for name in names) for names, _ in found),
        y=y,
        test=attack_test_mask(columns["attack_cat"]),
    )
    return records.dataset("UNSW-NB15, 82,332-record partition (original CSV)")
