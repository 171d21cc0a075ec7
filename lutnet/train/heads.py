"""Heads from configurations, checked against the data that they are to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lutnet.errors import UserError
from lutnet.nn.anomaly import AnomalyHead
from lutnet.nn.head_options import HeadOptions
from lutnet.nn.heads import ClassHead, Head, LabelsHead, RegressionHead, ScoresHead
from lutnet.train.data import Dataset
from lutnet.train.targets import learning_rows

__all__ = ["dataset_for", "make_head"]


def make_head(options: HeadOptions, class_names: Sequence[str], dataset: Dataset | None) -> Head:
    """The head of a configuration.

    Args:
        options: Which one.
        class_names: Of the classes, numbers or labels.
        dataset: Its training set gives the scale of numbers; ``None`` for a head that is loaded later.

    Raises:
        UserError: The data set has class numbers where the head needs a column a neuron, or the other way round, or lacks the class
            that is normal.
    """
    head = _empty_head(options, class_names)
    if dataset is not None and dataset.has_classes == head.needs_columns:
        wanted = "real targets, y of shape (n, n_targets)" if head.needs_columns else "class numbers, y of shape (n,)"
        raise UserError(
            f"the head '{options.kind}' needs {wanted}, data set '{dataset.name}' has y of shape {dataset.train.y.shape}; set "
            "model.head.kind to what the data are for"
        )
    if dataset is not None and isinstance(head, RegressionHead):
        head.fit(dataset.train.y)
    return head


def dataset_for(head: Head, dataset: Dataset) -> Dataset:
    """The data set with the training rows that a head learns from; features that do not vary in them are allowed."""
    train = learning_rows(dataset.train, head)
    return dataset if train is dataset.train else replace(dataset, train=train, allow_constant=True)


def _empty_head(options: HeadOptions, class_names: Sequence[str]) -> Head:
    if options.kind == "regression":
        return RegressionHead(len(class_names))
    if options.kind == "labels":
        return LabelsHead(len(class_names), best=options.thresholds == "validation")
    if options.kind == "scores":
        return ScoresHead()
    if options.kind == "class":
        return ClassHead()
    if options.normal not in class_names:
        raise UserError(
            f"model.head.normal is the class that is no anomaly, one of {', '.join(class_names)}, got '{options.normal}'"
        )
    return AnomalyHead(list(class_names).index(options.normal), options)
