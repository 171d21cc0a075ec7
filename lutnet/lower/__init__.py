"""From trained models to netlists: the only bridge between the two towers."""

from lutnet.lower.module import ModuleNetlist, lower_module
from lutnet.lower.network import lower_classifier, lower_layer, lower_network, lower_scores
from lutnet.lower.streaming import stream_network
from lutnet.lower.trees import lower_tree_values, lower_trees

__all__ = [
    "ModuleNetlist",
    "lower_classifier",
    "lower_layer",
    "lower_module",
    "lower_network",
    "lower_scores",
    "lower_tree_values",
    "lower_trees",
    "stream_network",
]
