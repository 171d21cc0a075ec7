"""Readers of foreign files: exact on good ones, one sentence on bad ones."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lutnet.errors import UserError
from lutnet.train.data.archives import read_idx_gz, read_npz, read_zip_member
from lutnet.train.data.arff import read_arff
from lutnet.train.data.checksums import FileChecksum, TrustRecord, file_digest


def test_read_npz_reads_only_what_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.arange(6).reshape(2, 3), names=np.array(["p", "q"]), other=np.zeros(1))
    arrays = read_npz(path, ["x"], ["names", "absent"])
    assert sorted(arrays) == ["names", "x"]
    np.testing.assert_array_equal(arrays["x"], [[0, 1, 2], [3, 4, 5]])
    assert arrays["names"].tolist() == ["p", "q"]


def test_read_npz_names_found_and_expected_arrays(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros(1))
    with pytest.raises(UserError, match="has the arrays images, expected x_train, y_train; add x_train, y_train"):
        read_npz(tmp_path / "a.npz", ["x_train", "y_train"])


def test_read_npz_never_unpickles(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (Path(tmp_path / "exploded"),))  # type: ignore[return-value]

    np.savez(tmp_path / "a.npz", x=np.array([Bomb()], dtype=object))
    with pytest.raises(UserError, match="pickled objects"):
        read_npz(tmp_path / "a.npz", ["x"])
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut short"])
def test_read_npz_refuses_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"not a readable \.npz file"):
        read_npz(tmp_path / "a.npz", ["x"])


def test_read_npz_refuses_truncated_and_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.random.RandomState(0).rand(1000))
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(UserError, match=r"not a readable \.npz file"):
        read_npz(path, ["x"])
    damaged = bytearray(good)
    damaged[len(good) // 2] ^= 0xFF
    path.write_bytes(bytes(damaged))
    with pytest.raises(UserError, match=r"not a readable \.npz file"):
        read_npz(path, ["x"])


def forged_npz(path: Path, shape: tuple[int, ...], n_bytes: int) -> None:
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "<f4", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", member.getvalue() + bytes(n_bytes))


@pytest.mark.parametrize(("shape", "n_bytes"), [((1 << 40,), 64), ((4,), 15), ((4,), 17)])
def test_read_npz_compares_header_and_size_before_it_allocates(
    tmp_path: Path, shape: tuple[int, ...], n_bytes: int
) -> None:
    forged_npz(tmp_path / "a.npz", shape, n_bytes)
    with pytest.raises(UserError, match="size that its header announces"):
        read_npz(tmp_path / "a.npz", ["x"])


def test_read_npz_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(10_000))
    monkeypatch.setattr("lutnet.train.data.archives.MAX_ARCHIVE_BYTES", 1000)
    with pytest.raises(UserError, match="unpacks to more than"):
        read_npz(tmp_path / "a.npz", ["x"])


def test_missing_files_are_named(tmp_path: Path) -> None:
    for read in (
        lambda p: read_npz(p, ["x"]),
        lambda p: read_idx_gz(p, ndim=1, max_bytes=9),
        lambda p: read_zip_member(p, ".csv", 9),
        read_arff,
    ):
        with pytest.raises(UserError, match=r"there is no file .*absent"):
            read(tmp_path / "absent")


def idx(shape: tuple[int, ...], data: bytes, *, kind: int = 8) -> bytes:
    header = bytes((0, 0, kind, len(shape))) + struct.pack(f">{len(shape)}I", *shape)
    return gzip.compress(header + data, mtime=0)


def test_read_idx_gz(tmp_path: Path) -> None:
    (tmp_path / "i.gz").write_bytes(idx((2, 1, 3), bytes(range(6))))
    np.testing.assert_array_equal(read_idx_gz(tmp_path / "i.gz", ndim=3, max_bytes=6), [[[0, 1, 2]], [[3, 4, 5]]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx((2, 3), bytes(5)), "announces 6 bytes of data but holds 5"),
        (idx((2, 3), bytes(7)), "announces 6 bytes of data but holds more"),
        (idx((2, 3), bytes(6), kind=13), "not an IDX file of bytes with 2 dimensions"),
        (idx((6,), bytes(6)), "not an IDX file of bytes with 2 dimensions"),
        (idx((1 << 20, 1 << 20), b""), "more than the 100 that are read"),
        (gzip.compress(b"\0\0", mtime=0), "not an IDX file"),
        (idx((2, 3), bytes(6))[:-9], "not a readable gzip file"),
        (b"<html>login</html>", "not a readable gzip file"),
    ],
)
def test_read_idx_gz_refuses(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "i.gz").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_idx_gz(tmp_path / "i.gz", ndim=2, max_bytes=100)


def test_zip_member_is_read_in_memory_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("__MACOSX/._a.csv", "junk")
        archive.writestr("../../outside.csv", "1,2\n")
    assert read_zip_member(path, ".csv", 100) == b"1,2\n"
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.zip"]
    with pytest.raises(UserError, match="larger than the 3 bytes"):
        read_zip_member(path, ".csv", 3)
    with pytest.raises(UserError, match=r"no file that ends in '\.txt'"):
        read_zip_member(path, ".txt", 3)


ARFF = """% comment
@RELATION 'jets'

@attribute 'first one' NUMERIC
@ATTRIBUTE second real
@attribute class {g,q, 'w'}
@DATA
1.5,-2e3,g
% between
0, 7 ,'w'
"""


def test_read_arff(tmp_path: Path) -> None:
    (tmp_path / "a.arff").write_text(ARFF)
    table = read_arff(tmp_path / "a.arff")
    assert list(table.numeric) == ["first one", "second"]
    np.testing.assert_array_equal(table.numeric["first one"], [1.5, 0])
    np.testing.assert_array_equal(table.numeric["second"], [-2000, 7])
    assert table.nominal["class"].tolist() == ["g", "w"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0, 7 ,'w'", "0,7", "not a readable dense ARFF file"),
        ("0, 7 ,'w'", "0,?,g", "not a readable dense ARFF file"),
        ("second real", "second date", "of type 'date'"),
        ("@attribute class", "@attribut class", "header line '@attribut class"),
        ("@DATA", "%", "header line '1.5"),
        (ARFF, "", "no @attribute lines"),
    ],
)
def test_read_arff_refuses(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "a.arff").write_text(ARFF.replace(old, new))
    with pytest.raises(UserError, match=message):
        read_arff(tmp_path / "a.arff")


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a", "md5") == "900150983cd24fb0d6963f7d28e17f72"
    assert FileChecksum("sha256", "").compute(tmp_path / "a").startswith("ba7816bf8f01cfea414140de5dae2223")
    with pytest.raises(UserError, match="md5 or sha256"):
        file_digest(tmp_path / "a", "crc32")


def test_trust_record_round_trip_and_damage(tmp_path: Path) -> None:
    record = TrustRecord(tmp_path / "data.bin")
    assert record.checksum() is None
    record.write("0" * 64)
    assert record.path.read_text() == "0" * 64 + "  data.bin\n"
    assert record.checksum() == FileChecksum("sha256", "0" * 64)
    for damaged in ("", "0" * 64, f"{'0' * 63}  data.bin", f"{'g' * 64}  data.bin"):
        record.path.write_text(damaged)
        with pytest.raises(UserError, match="delete it to record"):
            record.checksum()
