"""Ensembles of decision trees: imported or boosted here, quantised, exact on integers. Needs numpy alone until a library
that trains trees is asked for.
"""

from lutnet.trees.boosting import BoostedTrees, train_trees
from lutnet.trees.codes import fit_codes
from lutnet.trees.ensemble import FloatEnsemble, QuantizedEnsemble, Tree
from lutnet.trees.importers import from_lightgbm, from_sklearn, from_xgboost
from lutnet.trees.options import TreeOptions
from lutnet.trees.quantize import quantize_ensemble
from lutnet.trees.store import load_ensembles, save_ensembles

__all__ = [
    "BoostedTrees",
    "FloatEnsemble",
    "QuantizedEnsemble",
    "Tree",
    "TreeOptions",
    "fit_codes",
    "from_lightgbm",
    "from_sklearn",
    "from_xgboost",
    "load_ensembles",
    "quantize_ensemble",
    "save_ensembles",
    "train_trees",
]
