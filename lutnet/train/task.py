"""What the training loop asks of a network."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from lutnet.cost.device import Device
from lutnet.nn.heads import Head

__all__ = ["Task"]


@runtime_checkable
class Task(Protocol):
    """A network that can be trained: ``LutNetwork`` and ``DenseReference`` are such."""

    training: bool
    head: Head

    def prepare(self, x: Tensor) -> Tensor:
        """Raw features as the first layer reads them; the same in every epoch, so it is computed once."""

    def run(self, prepared: Tensor) -> Tensor:
        """Scores of prepared rows, shape ``(batch, n_neurons)``."""

    def cost(self, device: Device) -> Tensor:
        """Differentiable estimate of the lookup tables, a scalar."""

    def penalty(self) -> Tensor:
        """What the network adds to the training loss, a scalar."""

    def schedule(self, progress: float) -> None:
        """Told before every step which fraction of all steps is done."""

    def after_step(self) -> None:
        """Called after every step of the optimiser."""
