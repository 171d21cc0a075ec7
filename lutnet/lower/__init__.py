"""From trained models to netlists: the only bridge between the two towers."""

from lutnet.lower.network import lower_classifier, lower_layer, lower_scores

__all__ = ["lower_classifier", "lower_layer", "lower_scores"]
