"""One small run that the command-line tests share: trained, compiled and emitted through the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lutnet import cli

CONFIG = """
name = "tiny"
dataset = "custom"
[model]
hidden_layers = [10]
input_bitwidth = 2
hidden_bitwidth = 2
output_bitwidth = 3
[train]
epochs = 4
batch_size = 64
learning_rate = 2e-2
"""


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(1)
    arrays = {}
    for part, rows in (("train", 800), ("val", 300), ("test", 300)):
        x = rng.normal(size=(rows, 6)).astype(np.float32)
        arrays[f"x_{part}"], arrays[f"y_{part}"] = x, ((x[:, 0] > 0) + 2 * (x[:, 1] > x[:, 2])).astype(np.int64)
    path = tmp_path_factory.mktemp("data") / "tiny.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="session")
def tiny_run(tiny_data: Path, tiny_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert cli.main(["train", str(tiny_config), "--out", str(folder), "--data", str(tiny_data)]) == 0
    assert cli.main(["compile", str(folder), "--data", str(tiny_data)]) == 0
    assert cli.main(["emit", str(folder), "--valid", "--reset"]) == 0
    return folder
