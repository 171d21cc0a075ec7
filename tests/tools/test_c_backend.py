"""The emitted C: free of warnings, free of undefined behaviour, and the netlist's function bit for bit."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import pytest

import lutnet.backends.c_tables as c_tables
from lutnet import Format, InputEncoder, Netlist, NetlistBuilder, TruthTable, UserError
from lutnet.backends import pack_words, unpack_words, write_files
from lutnet.backends.c import CCode
from lutnet.testing import mutate_table, random_netlist
from lutnet.verify.vectors import make_vectors

WARNINGS = ["-Wall", "-Wextra", "-pedantic", "-Werror"]
SANITIZE = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
WIDTHS = [["-DLUTNET_WORDS=1"], ["-DLUTNET_WORDS=4"], []]


def compiled(net: Netlist, folder: Path, options: list[str]) -> Path:
    """The emitted program."""
    shutil.rmtree(folder, ignore_errors=True)
    write_files(CCode(top="dut").emit(net), folder)
    argv = ["gcc", "-std=c99", *WARNINGS, *options, "dut.c", "main.c", "-o", "dut"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "dut"


def answers(program: Path, net: Netlist, codes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    packed = pack_words(codes, net.input_widths)
    done = subprocess.run([program], input=packed.tobytes(), capture_output=True)
    assert done.returncode == 0, done.stderr
    words = np.frombuffer(done.stdout, dtype=np.uint8).reshape(len(codes), -1)
    return unpack_words(words, net.output_widths)


def wide_netlist() -> Netlist:
    """Ports of up to 62 bits that cross the words of a packed vector, and outputs that are inputs and constants."""
    b = NetlistBuilder()
    x = [b.input(width, signed=width % 2 == 1) for width in (62, 5, 61, 62, 1)]
    b.output(b.argmax([b.slice(x[0], 3, 50), x[2], x[1]]))
    b.output(x[3])
    b.output(b.const(5, 62))
    b.output(b.sum([b.slice(x[2], 0, 55, signed=True), x[1]], [-4, 8], bias=-3))
    b.output(b.concat([x[4], x[1], b.threshold(x[3], 1 << 60)]))
    return b.build()


def test_the_program_equals_the_netlist_under_the_sanitizers(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    nets = [random_netlist(seed, n_inputs=1 + seed % 5, n_nodes=24, max_width=1 + seed % 7) for seed in range(6)]
    for seed, net in enumerate([*nets, wide_netlist()]):
        program = compiled(net, tmp_path / "c", [*SANITIZE, *WIDTHS[seed % 3], "-O1"])
        codes = np.stack([rng.integers(0, 1 << width, 700) for width in net.input_widths], axis=1)
        np.testing.assert_array_equal(answers(program, net, codes), net.evaluate(codes))


def test_tables_may_be_read_sample_by_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_tables, "LOOKUP_BITS", 2)
    rng = np.random.default_rng(2)
    b = NetlistBuilder()
    x = [b.input(3), b.input(4)]
    wide = [b.lut(TruthTable((3, 4), bits, rng.integers(0, 1 << bits, 128)), x) for bits in (5, 13, 31, 32)]
    for row in wide:
        b.output(row)
    b.output(b.lut(TruthTable((3, 2), 3, rng.integers(0, 8, 32)), [b.slice(wide[3], 7, 3), b.slice(x[1], 1, 2)]))
    assert "    lookup8(" in CCode().emit(b.build())[PurePosixPath("lutnet_top.c")]
    for net in (b.build(), random_netlist(3), random_netlist(4)):
        program = compiled(net, tmp_path / "c", [*SANITIZE, "-O1"])
        codes = make_vectors(net.input_widths).codes
        np.testing.assert_array_equal(answers(program, net, codes), net.evaluate(codes))


def test_a_mutant_is_seen(tmp_path: Path) -> None:
    net = random_netlist(5)
    program = compiled(mutate_table(net), tmp_path / "c", ["-O1"])
    codes = make_vectors(net.input_widths).codes
    assert (answers(program, net, codes) != net.evaluate(codes)).any()


def test_short_arrays_and_wrong_codes_are_refused(tmp_path: Path) -> None:
    net = random_netlist(6, n_inputs=3)
    write_files(CCode(top="dut").emit(net), tmp_path / "c")
    subprocess.run(
        ["gcc", "-std=c99", "-O1", "-shared", "-fPIC", "dut.c", "-o", "dut.so"], cwd=tmp_path / "c", check=True
    )
    library = ctypes.CDLL(str(tmp_path / "c" / "dut.so"))
    n_out = len(net.outputs)
    codes, out = np.zeros((4, 3), dtype=np.int64), np.zeros((4, n_out), dtype=np.int64)

    def status(n_in: int, n_out: int, n: int) -> int:
        sizes = (ctypes.c_size_t(n_in), ctypes.c_size_t(n_out), ctypes.c_size_t(n))
        pointers = (ctypes.c_void_p(codes.ctypes.data), ctypes.c_void_p(out.ctypes.data))
        return int(library.dut_eval_codes(pointers[0], sizes[0], pointers[1], sizes[1], sizes[2]))

    assert status(12, 4 * n_out, 4) == 0
    assert status(11, 4 * n_out, 4) == 1 and status(12, 4 * n_out - 1, 4) == 1
    assert status(12, 4 * n_out, 2**63) == 1 and status(0, 0, 0) == 0
    codes[2, 1] = -1
    assert status(12, 4 * n_out, 4) == 2
    codes[2, 1] = 1 << net.input_widths[1]
    assert status(12, 4 * n_out, 4) == 2


def test_the_wrapper_is_cplusplus(tmp_path: Path) -> None:
    net = random_netlist(7)
    levels = tuple(np.arange((1 << width) - 1.0) for width in net.input_widths)
    encoder = InputEncoder(levels, tuple(Format(width) for width in net.input_widths), net.input_names)
    write_files(CCode(top="dut", encoder=encoder).emit(net), tmp_path / "c")
    text = """
#include "dut.hpp"
int main() {
    std::vector<std::int64_t> codes(2 * DUT_N_INPUTS);
    if (dut::eval_codes(codes).size() != 2 * DUT_N_OUTPUTS) return 1;
    if (dut::eval(std::vector<unsigned char>(DUT_IN_BYTES)).size() != DUT_OUT_BYTES) return 2;
    std::vector<double> features(700 * DUT_N_INPUTS, 0.5);
    if (dut::eval_features(features).size() != 700 * DUT_N_OUTPUTS) return 3;
    codes[0] = -1;
    try { dut::eval_codes(codes); return 4; } catch (const std::out_of_range &) { }
    features.back() = 1e308 * 10;
    try { dut::eval_features(features); return 5; } catch (const std::domain_error &) { }
    return 0;
}
"""
    (tmp_path / "c" / "user.cpp").write_text(text)
    for argv in (
        ["gcc", "-std=c99", *WARNINGS, *SANITIZE, "-O1", "-c", "dut.c"],
        ["g++", "-std=c++11", *WARNINGS, *SANITIZE, "user.cpp", "dut.o", "-o", "user"],
        ["./user"],
    ):
        subprocess.run(argv, cwd=tmp_path / "c", check=True)


def test_the_text_is_the_same_every_time() -> None:
    net = random_netlist(8)
    assert CCode().emit(net) == CCode().emit(net)


def test_what_cannot_be_written_is_refused() -> None:
    b = NetlistBuilder()
    b.output(b.const(1, 2))
    with pytest.raises(UserError, match="at least one input"):
        CCode().emit(b.build())
    with pytest.raises(UserError, match="prefix"):
        CCode(top="not a name")
    with pytest.raises(UserError, match="prefix"):
        CCode(top="main")
    b = NetlistBuilder()
    b.output(b.input(2))
    encoder = InputEncoder((np.zeros(7),), (Format(3),), ("x",))
    with pytest.raises(UserError, match="the netlist reads"):
        CCode(encoder=encoder).emit(b.build())
    b = NetlistBuilder()
    b.output(b.input(19))
    encoder = InputEncoder((np.arange((1 << 19) - 1.0),), (Format(19),), ("x",))
    with pytest.raises(UserError, match="thresholds"):
        CCode(encoder=encoder).emit(b.build())


@pytest.mark.parametrize("widths", [(1, 2, 3, 1), (2, 6, 1)])
def test_raw_features_are_quantised_as_the_encoder_does(widths: tuple[int, ...], tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    levels = tuple(np.sort(rng.normal(size=(1 << width) - 1).round(1)) for width in widths)
    names = tuple(f"f{i}" for i in range(len(widths)))
    encoder = InputEncoder(levels, tuple(Format(width) for width in widths), names)
    b = NetlistBuilder()
    b.output(b.concat([b.input(width) for width in widths]))
    net = b.build()
    write_files(CCode(top="dut", encoder=encoder).emit(net), tmp_path / "c")
    argv = ["gcc", "-std=c99", *WARNINGS, "-O1", "-shared", "-fPIC", "dut.c", "-o", "dut.so"]
    subprocess.run(argv, cwd=tmp_path / "c", check=True)
    library = ctypes.CDLL(str(tmp_path / "c" / "dut.so"))
    for dtype, name in ((np.float64, "doubles"), (np.float32, "floats")):
        x = np.concatenate([rng.normal(size=(900, len(widths))).round(1), rng.choice(levels[1], (100, len(widths)))])
        x = x.astype(dtype)
        out = np.zeros((len(x), 1), dtype=np.int64)

        def status(x: npt.NDArray[np.floating], out: npt.NDArray[np.int64] = out, name: str = name) -> int:
            sizes = (ctypes.c_size_t(x.size), ctypes.c_size_t(out.size), ctypes.c_size_t(len(x)))
            pointers = (ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(out.ctypes.data))
            return int(getattr(library, f"dut_eval_{name}")(pointers[0], sizes[0], pointers[1], sizes[1], sizes[2]))

        assert status(x) == 0
        np.testing.assert_array_equal(out, net.evaluate(encoder.encode(x)))
        for wrong in (np.nan, np.inf, -np.inf):
            bad = x.copy()
            bad[700, 1] = wrong
            assert status(bad) == 4
