"""What a network is to answer: labels, targets or features, mixed with what a teacher says."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lutnet.errors import UserError
from lutnet.nn.heads import ClassHead, Head
from lutnet.train.data import Split

__all__ = ["learning_rows", "training_targets"]


def learning_rows(split: Split, head: Head) -> Split:
    """The rows that a head is trained on.

    Raises:
        UserError: It learns from none of them.
    """
    chosen = head.learns_from(split.y)
    if chosen.all():
        return split
    if np.count_nonzero(chosen) < 2:
        raise UserError(
            f"training needs at least 2 rows, but the head '{head.kind}' learns from {np.count_nonzero(chosen)} of {split.n_rows}"
        )
    return Split(split.x[chosen], split.y[chosen])


def training_targets(
    head: Head, prepared: Tensor, y: Tensor, teacher: npt.NDArray[np.float32] | None, weight: float, n_classes: int
) -> Tensor:
    """What the head asks for, with a teacher probabilities of the classes.

    Args:
        head: What the network is for.
        prepared: Training rows as the first layer reads them.
        y: What the data set says of them.
        teacher: Probabilities that a teacher gives them, float32, shape ``(n, n_classes)``.
        weight: Share of the teacher, 0 to 1.
        n_classes: Number of classes.

    Raises:
        UserError: There is a weight and no teacher, a teacher and no weight, no classes, or probabilities of another shape.
    """
    if (teacher is not None) != (weight > 0):
        raise UserError(
            f"train.teacher_weight is {weight} and {'a' if teacher is not None else 'no'} teacher was given; give both or neither"
        )
    if teacher is None:
        return head.targets(prepared, y)
    if not isinstance(head, ClassHead):
        raise UserError(
            f"a teacher gives probabilities of classes, the head '{head.kind}' has none; set train.teacher_weight = 0"
        )
    if teacher.shape != (len(y), n_classes):
        raise UserError(f"a teacher gives probabilities of shape ({len(y)}, {n_classes}), got {teacher.shape}")
    return nn.functional.one_hot(y, n_classes).float().lerp(torch.from_numpy(teacher).to(y.device), weight)
