"""A dense floating-point network of the same layer sizes: what sparsity and few bits are measured against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt
import torch
from torch import Tensor, nn

from lutnet.cost.device import Device
from lutnet.nn.heads import ClassHead, Head

__all__ = ["DenseReference"]


class DenseReference(nn.Module):
    """Standardised features, then fully connected layers with batch norm and rectifier, in float32.

    It is no part of the hardware: its accuracy is the yardstick in reports.

    Attributes:
        mean: Buffer, mean of each feature in the training set.
        spread: Buffer, standard deviation of each feature, 1 where it is 0.
        layers: The network.
        head: What its scores are for.
    """

    def __init__(
        self, x: npt.ArrayLike, hidden_layers: Sequence[int], n_outputs: int, seed: int, head: Head | None = None
    ) -> None:
        """Make the network.

        Args:
            x: Training features, shape ``(n, n_features)``.
            hidden_layers: Neurons of each hidden layer.
            n_outputs: Neurons of the output layer.
            seed: Of the first weights.
            head: That of the network beside it; a copy is kept. Classes when left out.
        """
        super().__init__()
        self.head = ClassHead() if head is None else head.copy()
        data = torch.as_tensor(x).double()
        spread = data.std(dim=0, unbiased=False)
        self.register_buffer("mean", data.mean(dim=0))
        self.register_buffer("spread", torch.where(spread > 0, spread, 1.0))
        parts: list[nn.Module] = []
        width = data.shape[1]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for size in hidden_layers:
                parts += [nn.Linear(width, size), nn.BatchNorm1d(size), nn.ReLU()]
                width = size
            self.layers = nn.Sequential(*parts, nn.Linear(width, n_outputs))

    def prepare(self, x: Tensor) -> Tensor:
        """Standardised features, float32, limited to 20 standard deviations."""
        return ((x.double() - self.mean) / self.spread).clamp(-20.0, 20.0).float()

    def run(self, prepared: Tensor) -> Tensor:
        """Scores, float32, shape ``(batch, n_outputs)``."""
        return self.layers(prepared)

    def forward(self, x: Tensor) -> Tensor:
        """Scores of raw features."""
        return self.run(self.prepare(x))

    def cost(self, device: Device) -> Tensor:
        """Zero: it is no hardware."""
        return torch.zeros((), device=self.mean.device)

    def penalty(self) -> Tensor:
        """Zero."""
        return torch.zeros((), device=self.mean.device)

    def schedule(self, progress: float) -> None:
        """Nothing changes with time."""

    def after_step(self) -> None:
        """Nothing needs to be brought back."""
