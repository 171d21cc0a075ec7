"""The layout of lutnet's own ``.npz`` files, which is also the one for a user's data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.train.data.archives import read_npz
from lutnet.train.data.dataset import Dataset, Split
from lutnet.train.data.splits import carve_validation

__all__ = ["read_standard_npz"]

_REQUIRED = ("x_train", "y_train", "x_test", "y_test")
_OPTIONAL = ("x_val", "y_val", "feature_names", "class_names", "allow_constant")


def _names(
    arrays: dict[str, npt.NDArray[np.generic]], key: str, default: tuple[str, ...], path: Path
) -> tuple[str, ...]:
    if key not in arrays:
        return default
    if arrays[key].ndim != 1 or arrays[key].dtype.kind != "U":
        raise UserError(
            f"'{key}' in '{path}' must be a list of strings, got {arrays[key].dtype} of shape {arrays[key].shape}"
        )
    return tuple(str(name) for name in arrays[key])


def read_standard_npz(path: Path, name: str) -> Dataset:
    """A data set from ``x_train``, ``y_train``, ``x_test``, ``y_test`` and optional companions.

    Optional arrays: ``x_val`` and ``y_val`` (otherwise a stratified tenth of the training rows is taken),
    ``feature_names`` (otherwise ``x0``, ``x1`` ...), ``class_names``, of the columns of ``y`` where it has some (otherwise ``0``,
    ``1`` ... up to the largest training label or the last column), and the truth value ``allow_constant`` for data such as
    one-hot columns, where a constant feature is meant.

    Args:
        path: The file; ``x`` of shape ``(n, n_features)``, ``y`` of shape ``(n,)`` with class numbers, or ``(n, n_targets)`` with real
            targets, labels of 0 and 1 among them.
        name: Name of the data set.

    Raises:
        UserError: An array is missing or wrong, or the data cannot be trained on; see :class:`Dataset`.
    """
    arrays = read_npz(path, _REQUIRED, _OPTIONAL)
    if ("x_val" in arrays) != ("y_val" in arrays):
        raise UserError(f"'{path}' has only one of x_val and y_val; give both or none")
    train = Split.from_arrays(arrays["x_train"], arrays["y_train"])
    test = Split.from_arrays(arrays["x_test"], arrays["y_test"])
    if not train.n_rows:
        raise UserError(f"the training set in '{path}' is empty, expected at least one row; fill x_train and y_train")
    n_names = train.y.shape[1] if train.y.ndim == 2 else max(int(train.y.max()), 0) + 1
    class_names = _names(arrays, "class_names", tuple(str(k) for k in range(n_names)), path)
    if "x_val" in arrays:
        validation = Split.from_arrays(arrays["x_val"], arrays["y_val"])
    else:
        parts = carve_validation(train)
        train, validation = parts.train, parts.validation
    return Dataset(
        name=name,
        train=train,
        validation=validation,
        test=test,
        feature_names=_names(arrays, "feature_names", tuple(f"x{i}" for i in range(train.n_features)), path),
        class_names=class_names,
        source=f"file {path.name}",
        allow_constant=bool(np.all(arrays["allow_constant"])) if "allow_constant" in arrays else False,
    )
