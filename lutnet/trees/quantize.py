"""From real leaves and thresholds to integers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutnet.errors import UserError
from lutnet.formats import InputEncoder
from lutnet.trees.ensemble import FloatEnsemble, QuantizedEnsemble, Tree

__all__ = ["leaf_scale", "quantize_ensemble", "quantize_tree", "threshold_codes"]


def quantize_ensemble(ensemble: FloatEnsemble, encoder: InputEncoder, leaf_bits: int) -> QuantizedEnsemble:
    """Integers for leaves and thresholds.

    Khataei and Bazargan, "TreeLUT", FPGA 2025, Sec. 2.3: every tree is lowered by its smallest leaf, the sum of what was
    taken away becomes a bias of its output, all leaves are scaled by one number so that the largest has ``leaf_bits``
    bits, and rounded. Trees without effect are dropped.

    Args:
        ensemble: Trees over raw features.
        encoder: Codes of the features; thresholds move to the nearest ones that the codes can state.
        leaf_bits: Bits of the largest leaf, at least 1.

    Raises:
        UserError: Names or ranges of the features are others, or all trees are constant.
    """
    if encoder.feature_names != ensemble.feature_names:
        raise UserError(
            f"the encoder codes the features {_few(encoder.feature_names)}, the trees read {_few(ensemble.feature_names)}; give "
            "both the same features in the same order"
        )
    scale = leaf_scale(ensemble.trees, leaf_bits)
    bias = np.asarray(ensemble.base, dtype=np.float64)
    trees, outputs = [], []
    for tree, output in zip(ensemble.trees, ensemble.outputs, strict=True):
        bias[output] += tree.value[tree.leaves].min()
        small = quantize_tree(tree, encoder, scale)
        if small.span > 0:
            trees.append(small)
            outputs.append(output)
    return QuantizedEnsemble(
        encoder,
        tuple(trees),
        tuple(outputs),
        tuple(int(b) for b in np.rint(bias * scale)),
        1.0 / scale,
        ensemble.class_names,
    )


def leaf_scale(trees: tuple[Tree, ...], leaf_bits: int) -> float:
    """What leaves are multiplied with: the widest tree then spans ``2**leaf_bits - 1``.

    Raises:
        UserError: All trees are constant.
    """
    span = max(tree.span for tree in trees)
    if not span > 0:
        raise UserError("every tree of the ensemble is constant, so that nothing can be decided; train with more data")
    return float(((1 << leaf_bits) - 1) / span)


def quantize_tree(tree: Tree, encoder: InputEncoder, scale: float) -> Tree:
    """The tree over codes with integer leaves from 0; what it is lowered by is left to the caller."""
    leaves = tree.leaves
    low = tree.value[leaves].min()
    value = np.where(leaves, np.rint((tree.value - low) * scale), 0).astype(np.int64)
    return Tree(tree.feature, threshold_codes(tree, encoder), tree.left, tree.right, value)


def threshold_codes(tree: Tree, encoder: InputEncoder) -> npt.NDArray[np.int64]:
    """The code that reaches the encoder's threshold nearest to each threshold of a tree; 0 at leaves.

    Raises:
        UserError: A threshold lies outside of what the encoder covers.
    """
    codes = np.zeros(len(tree.feature), dtype=np.int64)
    for row in np.flatnonzero(~tree.leaves).tolist():
        feature, wanted = int(tree.feature[row]), float(tree.threshold[row])
        cuts = encoder.thresholds[feature]
        step = float(np.diff(cuts).max()) if len(cuts) > 1 else 1.0
        if not cuts[0] - step <= wanted <= cuts[-1] + step:
            raise UserError(
                f"a tree compares feature '{encoder.feature_names[feature]}' with {wanted:g}, its codes cover {cuts[0]:g} to "
                f"{cuts[-1]:g}; fit the codes on the data that the trees were trained on, in the same units and order"
            )
        above = min(int(np.searchsorted(cuts, wanted)), len(cuts) - 1)
        below = max(above - 1, 0)
        codes[row] = 1 + (below if wanted - cuts[below] < cuts[above] - wanted else above)
    return codes


def _few(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
