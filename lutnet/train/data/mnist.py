"""MNIST: 28 x 28 grey pixels as 784 features, 10 classes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.train.data.archives import read_idx_gz, read_npz
from lutnet.train.data.dataset import Dataset, Split
from lutnet.train.data.splits import carve_validation

__all__ = ["MNIST_SIDE", "read_mnist_idx", "read_mnist_npz"]

MNIST_SIDE = 28
"""Pixels of a row and of a column."""

_MAX_IDX_BYTES = 70_000 * MNIST_SIDE**2


def _flat(images: npt.NDArray[np.generic], path: Path) -> npt.NDArray[np.generic]:
    n_pixels = MNIST_SIDE**2
    if images.shape[1:] not in ((MNIST_SIDE, MNIST_SIDE), (n_pixels,)) or images.dtype != np.uint8:
        raise UserError(
            f"'{path}' has images of type {images.dtype} and shape {images.shape}, expected uint8 of shape "
            f"(n, {MNIST_SIDE}, {MNIST_SIDE}); give the MNIST files"
        )
    return images.reshape(len(images), n_pixels)


def _dataset(train: Split, test: Split, source: str) -> Dataset:
    """Pixels keep their values 0 to 255; row-major, so pixel (r, c) is column ``28 r + c``.

    The original split is kept; validation is a stratified tenth of the training images.
    """
    parts = carve_validation(train)
    return Dataset(
        name="mnist",
        train=parts.train,
        validation=parts.validation,
        test=test,
        feature_names=tuple(f"pixel_{r}_{c}" for r in range(MNIST_SIDE) for c in range(MNIST_SIDE)),
        class_names=tuple(str(digit) for digit in range(10)),
        source=source,
        allow_constant=True,
        image_shape=(MNIST_SIDE, MNIST_SIDE),
    )


def read_mnist_npz(path: Path) -> Dataset:
    """MNIST from ``x_train``, ``y_train``, ``x_test``, ``y_test``, images uint8 of shape (n, 28, 28) or (n, 784).

    Raises:
        UserError: An array is missing or wrong.
    """
    arrays = read_npz(path, ("x_train", "y_train", "x_test", "y_test"))
    train = Split.from_arrays(_flat(arrays["x_train"], path), arrays["y_train"])
    test = Split.from_arrays(_flat(arrays["x_test"], path), arrays["y_test"])
    return _dataset(train, test, f"file {path.name}")


def read_mnist_idx(files: Mapping[str, Path]) -> Dataset:
    """MNIST from the four original files.

    Args:
        files: Original file name -> path.

    Raises:
        UserError: A file is broken, or images and labels do not fit.
    """
    parts = []
    for part in ("train", "t10k"):
        images = files[f"{part}-images-idx3-ubyte.gz"]
        labels = files[f"{part}-labels-idx1-ubyte.gz"]
        x = _flat(read_idx_gz(images, ndim=3, max_bytes=_MAX_IDX_BYTES), images)
        parts.append(Split.from_arrays(x, read_idx_gz(labels, ndim=1, max_bytes=_MAX_IDX_BYTES)))
    return _dataset(parts[0], parts[1], "original MNIST files")
