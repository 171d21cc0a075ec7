"""Ensembles as JSON: plain numbers, checked when they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lutnet.errors import UserError
from lutnet.files import write_text
from lutnet.formats import Format, InputEncoder
from lutnet.trees.boosting import BoostedTrees
from lutnet.trees.ensemble import FloatEnsemble, QuantizedEnsemble, Tree

__all__ = ["load_ensembles", "save_ensembles"]

VERSION = 1


def save_ensembles(path: str | Path, found: BoostedTrees) -> Path:
    """Writes both ensembles into one file, in one step."""
    small, reference = found.quantized, found.reference
    content = {
        "version": VERSION,
        "feature_names": small.encoder.feature_names,
        "class_names": small.class_names,
        "formats": [_format_data(fmt) for fmt in small.encoder.formats],
        "thresholds": [cuts.tolist() for cuts in small.encoder.thresholds],
        "scale": small.scale,
        "bias": small.bias,
        "outputs": small.outputs,
        "trees": [_tree_data(tree) for tree in small.trees],
        "reference": {
            "base": reference.base,
            "outputs": reference.outputs,
            "trees": [_tree_data(tree) for tree in reference.trees],
        },
    }
    return write_text(Path(path), json.dumps(content) + "\n")


def load_ensembles(path: str | Path) -> BoostedTrees:
    """Reads what :func:`save_ensembles` wrote.

    Raises:
        UserError: The file is missing, damaged, or of another version.
    """
    source = Path(path)
    try:
        data = json.loads(source.read_text())
        if data["version"] != VERSION:
            raise UserError(
                f"{source} has version {data['version']}, this lutnet reads {VERSION}; train the trees again"
            )
        names, classes = tuple(data["feature_names"]), tuple(data["class_names"])
        encoder = InputEncoder(
            tuple(np.asarray(cuts, dtype=np.float64) for cuts in data["thresholds"]),
            tuple(Format(**fmt) for fmt in data["formats"]),
            names,
        )
        trees = tuple(_tree(entry, np.int64) for entry in data["trees"])
        bias = tuple(int(b) for b in data["bias"])
        small = QuantizedEnsemble(encoder, trees, tuple(data["outputs"]), bias, float(data["scale"]), classes)
        other = data["reference"]
        grown = tuple(_tree(entry, np.float64) for entry in other["trees"])
        reference = FloatEnsemble(grown, tuple(other["outputs"]), tuple(other["base"]), names, classes)
    except OSError as error:
        raise UserError(f"cannot read the trees {source}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise UserError(f"{source} holds no trees of lutnet or is damaged ({reason}); train them again") from None
    return BoostedTrees(small, reference)


def _format_data(fmt: Any) -> dict[str, Any]:
    return {"bits": fmt.bits, "signed": fmt.signed, "scale": fmt.scale, "offset": fmt.offset}


def _tree_data(tree: Tree) -> dict[str, list[float]]:
    return {name: getattr(tree, name).tolist() for name in ("feature", "threshold", "left", "right", "value")}


def _tree(data: dict[str, Any], kind: type[np.generic]) -> Tree:
    whole = {name: np.asarray(data[name], dtype=np.int64) for name in ("feature", "left", "right")}
    return Tree(
        threshold=np.asarray(data["threshold"], dtype=kind), value=np.asarray(data["value"], dtype=kind), **whole
    )
