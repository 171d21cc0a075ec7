"""How good a network is, judged as its head decides."""

from __future__ import annotations

import torch
from torch import Tensor

from lutnet.train.task import Task

__all__ = ["measure", "validate"]

_ROWS = 16384


def measure(task: Task, prepared: Tensor, y: Tensor) -> float:
    """What the head measures, such as the fraction of rows whose class is right; evaluation mode, in chunks of bounded memory.

    Args:
        task: The network.
        prepared: What ``task.prepare`` made of the features, shape ``(n, n_features)``.
        y: What the data set says of the rows, shape ``(n, ...)``.
    """
    return _judge(task, _scores(task, prepared), prepared, y)


def validate(task: Task, prepared: Tensor, y: Tensor) -> float:
    """Lets the head choose what its decision needs, such as thresholds, on validation rows, and :func:`measure` them."""
    scores = _scores(task, prepared)
    task.head.settle(scores, prepared, y)
    return _judge(task, scores, prepared, y)


def _scores(task: Task, prepared: Tensor) -> Tensor:
    was_training = task.training
    task.eval()
    try:
        with torch.no_grad():
            return torch.cat([task.run(rows) for rows in prepared.split(_ROWS)])
    finally:
        task.train(was_training)


def _judge(task: Task, scores: Tensor, prepared: Tensor, y: Tensor) -> float:
    return task.head.measure(task.head.evidence(scores, prepared).cpu().numpy(), y.cpu().numpy())
