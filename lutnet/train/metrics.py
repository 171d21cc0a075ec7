"""Accuracy, counted as the hardware decides: the largest score wins, ties go to the lowest class."""

from __future__ import annotations

import torch
from torch import Tensor

from lutnet.nn.network import lowest_argmax
from lutnet.train.task import Task

__all__ = ["accuracy", "predict_classes"]

_ROWS = 16384


def predict_classes(task: Task, prepared: Tensor) -> Tensor:
    """Class of each prepared row, int64, shape ``(n,)``; evaluation mode, in chunks of bounded memory."""
    was_training = task.training
    task.eval()
    try:
        with torch.no_grad():
            chunks = [lowest_argmax(task.run(rows)) for rows in prepared.split(_ROWS)]
    finally:
        task.train(was_training)
    return torch.cat(chunks)


def accuracy(task: Task, prepared: Tensor, labels: Tensor) -> float:
    """Fraction of rows whose class is right.

    Args:
        task: The network.
        prepared: What ``task.prepare`` made of the features, shape ``(n, n_features)``.
        labels: int64, shape ``(n,)``.
    """
    return float((predict_classes(task, prepared) == labels).double().mean())
