"""Torch modules of the user's own that train like networks of lutnet."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lutnet.cost import Device
from lutnet.nn.heads import ClassHead, Head
from lutnet.nn.layer import Layer

__all__ = ["LutModule"]


class LutModule(nn.Module):
    """A module of layers in any graph, which :func:`lutnet.train.loop.train` takes.

    A subclass makes its layers and writes ``forward``: raw features of shape ``(batch, n_features)`` to scores, by an
    :class:`InputQuantizer` first. What the layers cost, add to the loss and do after every step is gathered from them.

    Attributes:
        head: What the scores are for; a class each unless the subclass sets another.
    """

    def __init__(self) -> None:
        super().__init__()
        self.head: Head = ClassHead()

    def layers(self) -> Iterator[Layer]:
        """Every layer once, those inside of other layers left to them."""
        waiting: list[nn.Module] = [self]
        seen: set[int] = set()
        while waiting:
            part = waiting.pop()
            if id(part) in seen:
                continue
            seen.add(id(part))
            if isinstance(part, Layer):
                yield part
            else:
                waiting += reversed(list(part.children()))

    def prepare(self, x: Tensor) -> Tensor:
        """Raw features as they are."""
        return x

    def run(self, prepared: Tensor) -> Tensor:
        """Scores; see ``forward``."""
        return self(prepared)

    def cost(self, device: Device) -> Tensor:
        """Differentiable estimate of the lookup tables of all layers, a scalar."""
        return self._total(layer.cost(device) for layer in self.layers())

    def penalty(self) -> Tensor:
        """What the layers add to the training loss, a scalar."""
        return self._total(layer.penalty() for layer in self.layers())

    def schedule(self, progress: float) -> None:
        """Tells the layers how far the training is; see :meth:`Layer.schedule`."""
        for layer in self.layers():
            layer.schedule(progress)

    def after_step(self) -> None:
        """Lets the layers bring their parameters back where they belong after a step of the optimiser."""
        for layer in self.layers():
            layer.after_step()

    def _total(self, parts: Iterator[Tensor]) -> Tensor:
        device = next((parameter.device for parameter in self.parameters()), None)
        return torch.stack([torch.zeros((), device=device), *(part.to(device) for part in parts)]).sum()
