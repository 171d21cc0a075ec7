"""The emulator equals the netlist on everything, and says what is wrong with everything else."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from lutnet import Format, InputEncoder, Netlist, NetlistBuilder, TruthTable, UserError
from lutnet.backends import pack_words, unpack_words
from lutnet.emulate import Emulator, library, open_rows, stream
from lutnet.ir import Design
from lutnet.testing import mutate_table, random_netlist
from lutnet.tools import MissingToolError
from lutnet.verify.vectors import make_vectors


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTNET_CACHE", str(shared))


def classifier(last: str = "argmax") -> Design:
    """Three features of 2 and 5 bits, three scores of which one is signed."""
    rng = np.random.default_rng(0)
    widths = (2, 5, 2)
    b = NetlistBuilder()
    x = [b.input(width, f"f{i}") for i, width in enumerate(widths)]
    scores = [b.lut(TruthTable(widths, 4, rng.integers(0, 16, 512)), x, signed=True) for _ in range(2)]
    total = b.sum([*scores, x[1]], [1, -2, 1], bias=-4)
    if last == "argmax":
        b.output(b.argmax([*scores, total]), "class")
    else:
        b.output(b.threshold(total, 3) if last == "threshold" else total, "class")
    levels = tuple(np.sort(rng.normal(size=(1 << width) - 1)) for width in widths)
    encoder = InputEncoder(levels, tuple(Format(width) for width in widths), ("f0", "f1", "f2"))
    return Design(b.build(), encoder)


def features(n: int = 3000) -> npt.NDArray[np.float64]:
    return np.random.default_rng(1).normal(size=(n, 3))


def test_random_netlists_equal_the_reference() -> None:
    for seed in range(4):
        net = random_netlist(seed, n_inputs=1 + seed % 5, n_nodes=30, max_width=1 + seed % 7)
        codes = make_vectors(net.input_widths, seed=seed).codes
        emulator = Emulator(net, threads=1 + seed % 3)
        expected = net.evaluate(codes)
        np.testing.assert_array_equal(emulator.evaluate(codes), expected)
        words = pack_words(codes, net.input_widths)
        np.testing.assert_array_equal(unpack_words(emulator.evaluate_packed(words), net.output_widths), expected)


def test_a_mutant_is_seen() -> None:
    net = random_netlist(5)
    codes = make_vectors(net.input_widths).codes
    assert (Emulator(mutate_table(net)).evaluate(codes) != net.evaluate(codes)).any()


def test_features_classes_scores_and_values() -> None:
    design = classifier()
    assert design.encoder is not None
    x = features()
    expected = design.netlist.evaluate(design.encoder.encode(x))[:, 0]
    emulator = Emulator(design)
    np.testing.assert_array_equal(emulator.predict(x), expected)
    np.testing.assert_array_equal(emulator.classes(design.encoder.encode(x)), expected)
    scores = emulator.scores(x)
    assert scores.min() < 0
    np.testing.assert_array_equal(scores.argmax(axis=1), expected)
    proba = emulator.predict_proba(x, scale=0.25)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(proba[np.arange(len(x)), expected], proba.max(axis=1))
    assert (
        emulator.score(x, expected) == 1 and emulator.score(x[:4], (expected[:4] + np.array([0, 1, 1, 1])) % 3) == 0.25
    )
    binary = Emulator(classifier("threshold"))
    np.testing.assert_array_equal(binary.scores(x).argmax(axis=1), binary.predict(x))
    total = classifier("sum")
    values = Emulator(total).values(x)
    codes = total.netlist.evaluate(design.encoder.encode(x))
    low, high = (1 << (total.netlist.output_widths[0] - 1)), 1 << total.netlist.output_widths[0]
    np.testing.assert_array_equal(values, np.where(codes >= low, codes - high, codes))
    with pytest.raises(UserError, match="made by a sum"):
        Emulator(total).scores(x)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.int64, np.uint16, np.bool_])
def test_features_of_any_type_and_layout(dtype: type) -> None:
    design = classifier()
    assert design.encoder is not None
    x = (features() * 3).astype(dtype)
    expected = design.netlist.evaluate(design.encoder.encode(x))[:, 0]
    emulator = Emulator(design, threads=2)
    np.testing.assert_array_equal(emulator.predict(x), expected)
    np.testing.assert_array_equal(emulator.predict(np.asfortranarray(x)), expected)
    np.testing.assert_array_equal(emulator.predict(x[::-2]), expected[::-2])
    np.testing.assert_array_equal(emulator.predict(np.repeat(x, 2, axis=1)[:, ::2]), expected)
    np.testing.assert_array_equal(emulator.predict(x.tolist()), expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64, np.int64])
def test_codes_of_any_type(dtype: type) -> None:
    net = classifier().netlist
    codes = make_vectors(net.input_widths).codes
    expected = net.evaluate(codes)
    np.testing.assert_array_equal(Emulator(net).evaluate(codes.astype(dtype)), expected)
    np.testing.assert_array_equal(Emulator(net).evaluate(np.asfortranarray(codes.astype(dtype))), expected)


def test_tensors() -> None:
    design = classifier()
    x = features(100)
    emulator = Emulator(design)
    np.testing.assert_array_equal(emulator.predict(torch.tensor(x, requires_grad=True)), emulator.predict(x))
    assert emulator.evaluate(torch.zeros(5, 3, dtype=torch.int64)).shape == (5, 1)


def test_empty_batches() -> None:
    emulator = Emulator(classifier())
    assert emulator.predict(np.empty((0, 3))).shape == (0,)
    assert emulator.evaluate(np.empty((0, 3), dtype=int)).shape == (0, 1)
    assert emulator.evaluate_packed(np.empty((0, 2), dtype=np.uint8)).shape == (0, 1)
    assert emulator.scores(np.empty((0, 3))).shape == (0, 3)
    with pytest.raises(UserError, match="no rows"):
        emulator.score(np.empty((0, 3)), np.empty(0))


def test_wrong_input_is_refused() -> None:
    emulator = Emulator(classifier(), threads=2)
    codes = np.zeros((70000, 3), dtype=np.int64)
    for value in (-1, 4, 1 << 40):
        codes[69999, 2] = value
        with pytest.raises(UserError, match=rf"'f2' takes codes 0 to 3, got {value} in row 69999"):
            emulator.evaluate(codes)
    x = np.zeros((70000, 3))
    for wrong in (np.nan, np.inf, -np.inf):
        x[69998, 1] = wrong
        with pytest.raises(UserError, match="feature 'f1' of row 69998 is"):
            emulator.predict(x)
    for bad in (np.zeros((4, 2)), np.zeros(3), np.zeros((1, 3, 1))):
        with pytest.raises(UserError, match="shape"):
            emulator.predict(bad)
        with pytest.raises(UserError, match="shape"):
            emulator.evaluate(bad.astype(int))
    for dtype in (complex, object, "U4", "M8[s]"):
        with pytest.raises(UserError, match="real numbers"):
            emulator.predict(np.zeros((2, 3)).astype(int).astype(dtype))
    with pytest.raises(UserError, match="integer input codes"):
        emulator.evaluate(np.zeros((2, 3)))
    with pytest.raises(UserError, match="packed vectors"):
        emulator.evaluate_packed(np.zeros((2, 3), dtype=np.uint8))
    with pytest.raises(UserError, match="labels of shape"):
        emulator.score(np.zeros((2, 3)), [1])
    with pytest.raises(UserError, match="no input encoder"):
        Emulator(classifier().netlist).predict(np.zeros((2, 3)))
    with pytest.raises(UserError, match="threads"):
        Emulator(classifier(), threads=0)


def test_thresholds_that_are_too_many_for_constants() -> None:
    b = NetlistBuilder()
    b.output(b.input(19, "wide"))
    levels = np.sort(np.random.default_rng(0).normal(size=(1 << 19) - 1))
    encoder = InputEncoder((levels,), (Format(19),), ("wide",))
    emulator = Emulator(Design(b.build(), encoder))
    x = features(900)[:, :1]
    np.testing.assert_array_equal(emulator.outputs(x), encoder.encode(x))
    x[800] = np.nan
    with pytest.raises(UserError, match="feature 'wide' of row 800"):
        emulator.predict(x)


def test_a_netlist_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTNET_CACHE", str(tmp_path))
    net = random_netlist(11)
    Emulator(net).compile()
    (found,) = tmp_path.glob("emulate-*/*")
    assert found.parent.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(library, "_compiled", lambda *_: pytest.fail("compiled again"))
    Emulator(net).compile()
    monkeypatch.undo()
    monkeypatch.setenv("LUTNET_CACHE", str(tmp_path))
    monkeypatch.setattr(library, "CACHE_BYTES", 1)
    Emulator(random_netlist(12)).compile()
    assert not list(tmp_path.glob("emulate-*/*"))


def test_a_cache_that_others_can_write_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTNET_CACHE", str(tmp_path))
    folder = library.cache_folder()
    folder.mkdir()
    folder.chmod(0o777)
    net = random_netlist(11)
    codes = make_vectors(net.input_widths).codes
    np.testing.assert_array_equal(Emulator(net).evaluate(codes), net.evaluate(codes))
    assert not list(folder.iterdir())


def test_a_damaged_library_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTNET_CACHE", str(tmp_path))
    net = random_netlist(11)
    Emulator(net).compile()
    (found,) = tmp_path.glob("emulate-*/*")
    found.write_bytes(found.read_bytes()[:1000])
    codes = make_vectors(net.input_widths).codes
    np.testing.assert_array_equal(Emulator(net).evaluate(codes), net.evaluate(codes))
    assert found.stat().st_size > 1000


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingToolError, match="LUTNET_CC"):
        Emulator(random_netlist(13)).compile()


@pytest.mark.parametrize("kind", ["npy", "npz", "compressed"])
def test_files_are_streamed(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lutnet.emulate.rows._BLOCK_BYTES", 20000)
    x = features()
    path = tmp_path / ("data.npy" if kind == "npy" else "data.npz")
    if kind == "npy":
        np.save(path, x)
    else:
        (np.savez if kind == "npz" else np.savez_compressed)(path, x=x, y=np.zeros(3))
    emulator = Emulator(classifier())
    rows = open_rows(path)
    assert (rows.n_rows, rows.n_columns, rows.dtype) == (3000, 3, np.float64)
    blocks: list[int] = []
    for evaluate in (emulator.predict, emulator.scores):
        stream(evaluate, rows, tmp_path / "out.npy", on_block=lambda block: blocks.append(len(block)))
        np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), evaluate(x))
    assert len(blocks) == 8 and sum(blocks) == 6000
    np.save(tmp_path / "none.npy", x[:0])
    assert np.load(stream(emulator.scores, open_rows(tmp_path / "none.npy"), tmp_path / "out.npy")).shape == (0, 3)
    x[2000, 1] = np.nan
    np.save(tmp_path / "bad.npy", x)
    with pytest.raises(UserError, match=r"rows 1666 to 2498 of .*'f1' of row 334"):
        stream(emulator.predict, open_rows(tmp_path / "bad.npy"), tmp_path / "new.npy")
    assert not (tmp_path / "new.npy").exists()


def test_files_that_cannot_be_streamed(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with pytest.raises(UserError, match="no data file"):
        open_rows(path)
    np.savez(
        path, a=np.zeros((2, 3)), b=np.zeros(3), f=np.asfortranarray(np.ones((4, 3))), o=np.zeros((2, 3), dtype="U2")
    )
    for name, message in ((None, "has a, b, f, o"), ("b", "shape"), ("f", "Fortran"), ("o", "numbers")):
        with pytest.raises(UserError, match=message):
            open_rows(path, name)
    assert open_rows(path, "a").n_rows == 2
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(UserError, match="no NumPy file"):
        open_rows(tmp_path / "text.npy")
    np.save(tmp_path / "one.npy", np.zeros((2, 3)))
    with pytest.raises(UserError, match="leave out"):
        open_rows(tmp_path / "one.npy", "x")
    with zipfile.ZipFile(path) as archive:
        raw = archive.read("a.npy")
    with zipfile.ZipFile(tmp_path / "short.npz", "w") as archive:
        archive.writestr("x.npy", raw[:-8])
    with pytest.raises(UserError, match="ends early"):
        list(open_rows(tmp_path / "short.npz").blocks())


def test_netlists_share_no_state() -> None:
    first, second = random_netlist(14), random_netlist(15)
    emulators = [Emulator(first), Emulator(second)]
    codes = [make_vectors(net.input_widths).codes for net in (first, second)]
    outs = [emulator.evaluate(rows) for emulator, rows in zip(emulators, codes, strict=True)]
    for net, rows, out in zip((first, second), codes, outs, strict=True):
        np.testing.assert_array_equal(out, net.evaluate(rows))


def test_large_netlists_are_compiled_in_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lutnet.backends.c_text.PART_GATES", 5)
    monkeypatch.setattr("lutnet.backends.c_text._UNIT_PARTS", 2)
    net: Netlist = random_netlist(16, n_nodes=40)
    codes = make_vectors(net.input_widths).codes
    np.testing.assert_array_equal(Emulator(net).evaluate(codes), net.evaluate(codes))
