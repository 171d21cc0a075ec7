"""Random changes of training rows."""

from __future__ import annotations

import torch
from torch import Tensor

from lutnet.errors import UserError
from lutnet.train.data import Dataset

__all__ = ["RandomShift"]


class RandomShift:
    """Moves images by whole pixels; what comes in from outside is blank.

    Attributes:
        pixels: Largest shift to either side, along rows and columns; each of the ``(2 * pixels + 1)**2`` shifts is
            equally likely, for every image by itself.
    """

    def __init__(self, dataset: Dataset, pixels: int, blank: Tensor) -> None:
        """Prepare the shifts.

        Args:
            dataset: Names the shape of its images.
            pixels: Largest shift, at least 1 and less than the images' sides.
            blank: Prepared row of an empty image, shape ``(1, n_features)``.

        Raises:
            UserError: The rows are no images, are prepared to another width, or the shift is as large as they are.
        """
        if dataset.image_shape is None:
            raise UserError(f"train.shift_pixels moves images, and the rows of {dataset.name} are none; set it to 0")
        height, width = dataset.image_shape
        if blank.shape[1] != height * width:
            raise UserError(
                f"train.shift_pixels needs one number a pixel, {height} x {width} of them; the network prepares "
                f"{blank.shape[1]}"
            )
        if not 1 <= pixels < min(height, width):
            raise UserError(f"train.shift_pixels is 1 to {min(height, width) - 1} for this data, got {pixels}")
        self.pixels = pixels
        self._blank = blank.cpu()
        grid = torch.full((height + 2 * pixels, width + 2 * pixels), -1, dtype=torch.int64)
        grid[pixels : pixels + height, pixels : pixels + width] = torch.arange(height * width).view(height, width)
        self._sources = torch.stack(
            [
                grid[down : down + height, right : right + width].reshape(-1)
                for down in range(2 * pixels + 1)
                for right in range(2 * pixels + 1)
            ]
        )

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Shifted rows.

        Args:
            x: Prepared rows, shape ``(batch, n_features)``.
            generator: Draws the shifts, on the CPU.

        Returns:
            The same shape and type.
        """
        chosen = torch.randint(len(self._sources), (len(x),), generator=generator)
        out = torch.empty_like(x)
        for shift, source in enumerate(self._sources):
            rows = torch.nonzero(chosen == shift).view(-1).to(x.device)
            inside = (source >= 0).to(x.device)
            moved = x[rows].index_select(1, source.clamp_min(0).to(x.device))
            out[rows] = torch.where(inside, moved, self._blank.to(x))
        return out
