"""`lutnet predict` and `lutnet emit --backend c` on a trained run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from lutnet import cli
from lutnet.backends import pack_words, unpack_words
from lutnet.ir import Design, load_design, save_design


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUTNET_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture
def test_rows(tiny_data: Path, tmp_path: Path) -> npt.NDArray[np.floating]:
    with np.load(tiny_data) as data:
        x, y = data["x_test"], data["y_test"]
    np.savez(tmp_path / "data.npz", x=x, y=y)
    return np.asarray(x)


def test_predict(
    run: Path, test_rows: npt.NDArray[np.floating], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    design = load_design(run / "netlist.npz")
    assert design.encoder is not None
    codes = design.encoder.encode(test_rows)
    classes = design.netlist.evaluate(codes)[:, 0]
    data, out = str(tmp_path / "data.npz"), str(tmp_path / "out.npy")
    assert cli.main(["predict", str(run), data, "-o", out, "--labels", "y"]) == 0
    np.testing.assert_array_equal(np.load(out), classes)
    with np.load(data) as arrays:
        assert f"accuracy {(classes == arrays['y']).mean():.4f}" in capsys.readouterr().out
    for result, shape in (("scores", (len(codes), 4)), ("probabilities", (len(codes), 4)), ("values", (len(codes), 1))):
        assert cli.main(["predict", str(run), data, "-o", out, "--result", result, "--threads", "1"]) == 0
        assert np.load(out).shape == shape
    np.save(tmp_path / "codes.npy", codes)
    np.save(tmp_path / "packed.npy", pack_words(codes, design.netlist.input_widths))
    netlist = str(run / "netlist.npz")
    assert cli.main(["predict", netlist, str(tmp_path / "codes.npy"), "-o", out, "--input", "codes"]) == 0
    np.testing.assert_array_equal(np.load(out), classes)
    packed = ["--input", "packed", "--result", "outputs"]
    assert cli.main(["predict", netlist, str(tmp_path / "packed.npy"), "-o", out, *packed]) == 0
    np.testing.assert_array_equal(unpack_words(np.load(out), design.netlist.output_widths)[:, 0], classes)


def test_predict_says_what_is_wrong(
    run: Path, test_rows: npt.NDArray[np.floating], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = str(tmp_path / "data.npz"), str(tmp_path / "out.npy")
    np.save(tmp_path / "narrow.npy", test_rows[:, :3])
    bare = save_design(tmp_path / "bare.npz", Design(load_design(run / "netlist.npz").netlist))
    for argv, message in (
        ([str(run), str(tmp_path / "nothing.npz")], "no data file"),
        ([str(run), str(tmp_path / "narrow.npy")], "expected features of shape (batch, 6), got ("),
        ([str(run), data, "--array", "z"], "no array 'z'"),
        ([str(run), data, "--labels", "x"], "to hold"),
        ([str(run), data, "--labels", "z"], "array 'z'"),
        ([str(run), data, "--labels", "y", "--result", "scores"], "compared with answers"),
        ([str(run), data, "--input", "codes", "--result", "scores"], "--input codes gives --result answers, outputs"),
        ([str(bare), data], "no input encoder"),
    ):
        assert cli.main(["predict", *argv, "-o", out]) == 2
        assert message in capsys.readouterr().err
    assert not Path(out).exists()


def test_emit_c(
    run: Path, test_rows: npt.NDArray[np.floating], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["emit", str(run), "--backend", "c", "--top", "jets"]) == 0
    folder = run / "c"
    assert capsys.readouterr().out.split() == [
        str(folder / name) for name in ("jets.c", "jets.h", "jets.hpp", "main.c")
    ]
    subprocess.run(["gcc", "-std=c99", "-O1", "jets.c", "main.c", "-o", "jets"], cwd=folder, check=True)
    design = load_design(run / "netlist.npz")
    assert design.encoder is not None and "jets_eval_doubles" in (folder / "jets.h").read_text()
    codes = design.encoder.encode(test_rows)
    words = pack_words(codes, design.netlist.input_widths)
    done = subprocess.run([folder / "jets"], input=words.tobytes(), capture_output=True, check=True)
    outputs = np.frombuffer(done.stdout, dtype=np.uint8).reshape(len(codes), -1)
    np.testing.assert_array_equal(unpack_words(outputs, design.netlist.output_widths), design.netlist.evaluate(codes))
    done = subprocess.run([folder / "jets"], input=b"\0", capture_output=True, text=False)
    assert done.returncode == 2 and b"ends inside a vector" in done.stderr
    netlist = str(run / "netlist.npz")
    assert cli.main(["emit", netlist, "--backend", "c"]) == 2 and "--out" in capsys.readouterr().err
    assert cli.main(["emit", netlist, "--backend", "c", "-o", str(tmp_path / "here")]) == 0
    assert cli.main(["emit", str(run), "-o", str(tmp_path / "here")]) == 2
