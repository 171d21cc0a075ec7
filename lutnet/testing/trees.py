"""What every ensemble of trees must pass, from its sums to its Verilog: :func:`check_trees`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lutnet.ir.netlist import Netlist
from lutnet.lower.trees import lower_tree_values, lower_trees
from lutnet.passes import DEFAULT_PASSES, Pipeline, parse_passes, run_passes
from lutnet.testing.verilog import check_verilog
from lutnet.trees.boosting import BoostedTrees
from lutnet.trees.store import load_ensembles, save_ensembles
from lutnet.verify.equivalence import check_equivalent
from lutnet.verify.vectors import random_codes

__all__ = ["check_trees"]

EXHAUSTIVE_BITS = 14
ROWS = 4000


def check_trees(found: BoostedTrees, x: npt.NDArray[np.float32], *, simulate: bool = True) -> Netlist:
    """Checks an ensemble from raw features to Verilog.

    Shapes and types; codes and thresholds that agree with comparisons of the raw features; every tree equal to its part
    of the netlist and the class equal to the netlist's, on every code (on random ones where the features have more than
    14 bits together), before and after the passes; a file that restores every score; Verilog equal to the netlist in
    Icarus and re-read by pyverilog.

    Args:
        found: The ensemble and its yardstick.
        x: Raw features, shape ``(n, n_features)``.
        simulate: Whether to simulate and re-read the Verilog.

    Returns:
        The optimised and pipelined netlist.

    Raises:
        AssertionError: Something differs; the message says what.
    """
    ensemble = found.quantized
    encoder = ensemble.encoder
    classes = ensemble.predict(x)
    assert classes.shape == (len(x),) and classes.dtype == np.int64, f"classes are {classes.dtype} of {classes.shape}"
    assert classes.min() >= 0 and classes.max() < len(ensemble.class_names), "a class is out of range"
    for feature, code in ensemble.keys:
        raw = x[:, feature].astype(np.float64) >= encoder.thresholds[feature][code - 1]
        assert np.array_equal(raw, encoder.encode(x)[:, feature] >= code), (
            f"comparison {code} of feature {feature} differs"
        )
    codes = _codes(encoder.widths)
    values = np.stack([tree.evaluate(codes) for tree in ensemble.trees], axis=1)
    assert np.array_equal(lower_tree_values(ensemble).evaluate(codes), values), "a tree differs from its netlist"
    scores = np.tile(np.asarray(ensemble.bias), (len(codes), 1))
    for column, output in zip(values.T, ensemble.outputs, strict=True):
        scores[:, output] += column
    assert np.array_equal(scores, ensemble.scores(codes)), "the scores are not the sums of the trees"
    expected = ensemble.predict_codes(codes)
    net = lower_trees(ensemble)
    assert np.array_equal(net.evaluate(codes)[:, 0], expected), "the netlist differs from the ensemble"
    assert net == lower_trees(ensemble), "lowering twice gives different netlists"
    net, _ = run_passes(net, [*parse_passes(DEFAULT_PASSES), Pipeline()], check=check_equivalent)
    assert np.array_equal(net.evaluate(codes)[:, 0], expected), "the passes change the function"
    _check_file(found, codes, x)
    if simulate:
        check_verilog(net, "the ensemble")
    return net


def _codes(widths: tuple[int, ...]) -> npt.NDArray[np.int64]:
    if sum(widths) > EXHAUSTIVE_BITS:
        return random_codes(widths, ROWS, seed=0)
    address = np.arange(1 << sum(widths), dtype=np.int64)
    starts = np.cumsum(widths) - np.asarray(widths)
    return np.asarray((address[:, None] >> starts) & ((1 << np.asarray(widths)) - 1))


def _check_file(found: BoostedTrees, codes: npt.NDArray[np.int64], x: npt.NDArray[np.float32]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        again = load_ensembles(save_ensembles(Path(folder) / "trees.json", found))
    assert np.array_equal(again.quantized.scores(codes), found.quantized.scores(codes)), "a file changes the scores"
    assert np.array_equal(again.quantized.encoder.encode(x), found.quantized.encoder.encode(x)), (
        "a file changes the codes"
    )
    assert np.array_equal(again.reference.margins(x), found.reference.margins(x)), "a file changes the yardstick"
