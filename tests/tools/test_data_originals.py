"""load() downloads the original formats from a local HTTP server and reads them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from data_server import FAST, Server, running_server

from lutnet.errors import UserError
from lutnet.train.data import SOURCES, FileChecksum, MemberChecksum, Source, load
from lutnet.train.data.catalogue import OpenMLCatalogue, ZenodoCatalogue
from lutnet.train.data.checksums import Checksum
from lutnet.train.data.jets import JET_CLASSES, JET_FEATURES
from lutnet.train.data.splits import shuffled_groups


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with running_server(monkeypatch) as running:
        yield running


def no_checksum(body: bytes) -> None:
    """A source that pins nothing."""


def own_sha256(body: bytes) -> FileChecksum:
    return FileChecksum("sha256", hashlib.sha256(body).hexdigest())


def serve(
    server: Server, name: str, files: dict[str, bytes], checksum: Callable[[bytes], Checksum | None]
) -> dict[str, Source]:
    """The table of sources with one data set moved to the local server."""
    source = SOURCES[name]
    moved = []
    for remote in source.files:
        url = server.put(f"/{remote.name}", files[remote.name])
        own = checksum(files[remote.name])
        catalogue = remote.catalogue
        if catalogue is not None:
            md5 = hashlib.md5(files[remote.name]).hexdigest()
            catalogue = replace(catalogue, url=server.url("/catalogue"))
            server.put("/catalogue", catalogue_page(catalogue, url, md5))
        moved.append(replace(remote, urls=() if catalogue else (url,), checksum=own, catalogue=catalogue))
    return {**SOURCES, name: replace(source, files=tuple(moved))}


def catalogue_page(catalogue: object, url: str, md5: str) -> bytes:
    if isinstance(catalogue, OpenMLCatalogue):
        return json.dumps({"data_set_description": {"id": "42468", "url": url, "md5_checksum": md5}}).encode()
    assert isinstance(catalogue, ZenodoCatalogue)
    entry = {"key": catalogue.key, "checksum": f"md5:{md5}", "links": {"self": url}}
    return json.dumps({"files": [{"key": "other"}, entry]}).encode()


def jets(n: int) -> np.ndarray:
    return np.random.RandomState(3).rand(n, 16).round(4)


def published_test_rows(n: int) -> np.ndarray:
    return shuffled_groups(n, 0.2, 42).held_out


def arff(x: np.ndarray, labels: np.ndarray) -> bytes:
    lines = ["% hls4ml", "@RELATION hls4ml_lhc_jets_hlf", ""]
    lines += [f"@ATTRIBUTE {name} REAL" for name in JET_FEATURES]
    lines += ["@ATTRIBUTE class {g, q, t, w, z}", "", "@DATA"]
    lines += [",".join([*map(str, row), str(label)]) for row, label in zip(x.tolist(), labels, strict=True)]
    return "\n".join(lines).encode()


def test_openml_jets(server: Server, tmp_path: Path) -> None:
    x, y = jets(200), np.arange(200) * 7 % 5
    body = arff(x, np.array(JET_CLASSES)[y])
    sources = serve(server, "jets_openml", {"hls4ml_lhc_jets_hlf.arff": body}, no_checksum)
    data = load("jets_openml", cache_dir=tmp_path, policy=FAST, sources=sources)
    rows = published_test_rows(200)
    np.testing.assert_array_equal(data.test.x, x[rows].astype(np.float32))
    np.testing.assert_array_equal(data.test.y, y[rows])
    assert (data.train.n_rows, data.validation.n_rows, data.class_names) == (144, 16, JET_CLASSES)
    asked = len(server.asked)
    load("jets_openml", cache_dir=tmp_path, policy=FAST, sources=sources)
    assert len(server.asked) == asked
    assert (tmp_path / "data" / "jets_openml" / "hls4ml_lhc_jets_hlf.arff.sha256").exists()


@pytest.mark.parametrize(
    ("page", "message"),
    [
        (b"{}", "did not send an OpenML description"),
        (b'{"data_set_description": {"url": 3}}', "states no address and checksum"),
        (b"<html>", "did not send JSON"),
    ],
)
def test_a_catalogue_that_changed_its_form(server: Server, tmp_path: Path, page: bytes, message: str) -> None:
    sources = serve(server, "jets_openml", {"hls4ml_lhc_jets_hlf.arff": b""}, no_checksum)
    server.put("/catalogue", page)
    with pytest.raises(UserError, match=message):
        load("jets_openml", cache_dir=tmp_path, policy=FAST, sources=sources)


def test_a_published_checksum_is_enforced(server: Server, tmp_path: Path) -> None:
    body = arff(jets(50), np.array(JET_CLASSES)[np.arange(50) % 5])
    sources = serve(server, "jets_openml", {"hls4ml_lhc_jets_hlf.arff": body}, no_checksum)
    server.put("/hls4ml_lhc_jets_hlf.arff", body.replace(b",g", b",q"))
    with pytest.raises(UserError, match=r"expected .* of the catalogue"):
        load("jets_openml", cache_dir=tmp_path, policy=FAST, sources=sources)


def hdf5(x: np.ndarray, y: np.ndarray) -> bytes:
    fields = [f"j_{name}" for name in (*JET_CLASSES, "pt", *JET_FEATURES)]
    table = np.zeros(len(x), dtype=[("index", "<i8"), *((name, "<f8") for name in fields)])
    table["index"] = np.arange(len(x))
    for i, name in enumerate(JET_FEATURES):
        table[f"j_{name}"] = x[:, i]
    for i, name in enumerate(JET_CLASSES):
        table[f"j_{name}"] = y == i
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as archive:
        archive.create_dataset("t_allpar_new", data=table, compression="gzip")
    return buffer.getvalue()


CERNBOX = SOURCES["jets_cernbox"].files[0].name


def test_cernbox_jets_without_repeated_rows(server: Server, tmp_path: Path) -> None:
    x, y = jets(100), np.arange(100) % 5
    x[7, 3] = 0.0
    twice = np.concatenate([np.arange(60), [5, 7], np.arange(60, 100), [99, 0]])
    repeated = x[twice]
    repeated[61, 3] = -0.0
    sources = serve(server, "jets_cernbox", {CERNBOX: hdf5(repeated, y[twice])}, no_checksum)
    data = load("jets_cernbox", cache_dir=tmp_path, policy=FAST, sources=sources)
    rows = published_test_rows(100)
    np.testing.assert_array_equal(data.test.x, x[rows].astype(np.float32))
    np.testing.assert_array_equal(data.test.y, y[rows])
    assert sum(split.n_rows for split in data.parts.values()) == 100
    assert (tmp_path / "data" / "jets_cernbox" / f"{CERNBOX}.sha256").exists()


def test_cernbox_file_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / CERNBOX
    path.write_bytes(b"not HDF5")
    with pytest.raises(UserError, match="not a readable HDF5 file"):
        load("jets_cernbox", path=path)
    path.write_bytes(hdf5(jets(10), np.full(10, 9)))
    with pytest.raises(UserError, match="without exactly one class among j_g, j_q, j_w, j_z, j_t"):
        load("jets_cernbox", path=path)
    with h5py.File(path, "w") as archive:
        archive["other"] = np.zeros(3)
    with pytest.raises(UserError, match="no field 'j_zlogz' in a table 't_allpar_new'"):
        load("jets_cernbox", path=path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"need the package h5py; install it with: pip install 'lutnet\[data\]'"):
        load("jets_cernbox", path=path)


def idx(array: np.ndarray) -> bytes:
    header = bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


def test_mnist_originals(server: Server, tmp_path: Path) -> None:
    random = np.random.RandomState(1)
    images = {"train": random.randint(0, 256, (100, 28, 28)), "t10k": random.randint(0, 256, (20, 28, 28))}
    files = {f"{part}-images-idx3-ubyte.gz": idx(x) for part, x in images.items()}
    files |= {f"{part}-labels-idx1-ubyte.gz": idx(np.arange(len(x)) % 10) for part, x in images.items()}
    sources = serve(server, "mnist", files, own_sha256)
    data = load("mnist", cache_dir=tmp_path, policy=FAST, sources=sources)
    assert (data.train.n_rows, data.validation.n_rows) == (90, 10)
    np.testing.assert_array_equal(data.test.x, images["t10k"].reshape(20, 784))
    np.testing.assert_array_equal(data.test.y, np.arange(20) % 10)
    assert len(server.asked) == 4
    again = load("mnist", path=tmp_path / "data" / "mnist")
    np.testing.assert_array_equal(again.train.x, data.train.x)


def test_binarised_unsw(server: Server, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    bits = np.random.RandomState(2).randint(0, 2, (50, 594)).astype(np.uint8)
    np.savez_compressed(buffer, train=bits[:40], test=bits[40:])
    sources = serve(server, "nid", {"unsw_nb15_binarized.npz": buffer.getvalue()}, no_checksum)
    data = load("nid", cache_dir=tmp_path, policy=FAST, sources=sources)
    np.testing.assert_array_equal(data.test.x, bits[40:, :-1])
    server.put("/catalogue", b'{"files": []}')
    with pytest.raises(UserError, match=r"lists no file 'unsw_nb15_binarized\.npz'"):
        load("nid", cache_dir=tmp_path / "other", policy=FAST, sources=sources)


def test_zipped_unsw_is_checked_by_its_content(server: Server, tmp_path: Path) -> None:
    text = "id,dur,proto,service,state,attack_cat,label\n" + "".join(
        f"{i},{i / 4},tcp,-,FIN,{'Normal' if i % 2 else 'DoS'},{(i + 1) % 2}\n" for i in range(40)
    )

    def zipped(content: str, level: int) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
            archive.writestr("folder/UNSW_NB15_training-set.csv", content)
        return buffer.getvalue()

    name = SOURCES["unsw_nb15_82k"].files[0].name
    member = MemberChecksum(".csv", 10_000, hashlib.sha256(text.encode()).hexdigest())
    for level in (1, 9):
        sources = serve(server, "unsw_nb15_82k", {name: zipped(text, level)}, lambda _: member)
        data = load("unsw_nb15_82k", cache_dir=tmp_path / str(level), policy=FAST, sources=sources)
        assert data.test.n_rows == 10 and data.feature_names == ("dur", "proto=tcp", "service=-", "state=FIN")
    for wrong in (zipped(text.replace("tcp", "udp"), 9), b"PK\x03\x04 no archive"):
        sources = serve(server, "unsw_nb15_82k", {name: wrong}, lambda _: member)
        with pytest.raises(UserError, match="sent bytes with the checksum"):
            load("unsw_nb15_82k", cache_dir=tmp_path / "wrong", policy=FAST, sources=sources)


def test_every_source_states_how_it_is_verified() -> None:
    pinned_or_published = {
        name: all(f.checksum or f.catalogue for f in s.files) for name, s in SOURCES.items() if s.files
    }
    assert pinned_or_published == {
        "jets_openml": True,
        "jets_cernbox": False,
        "mnist": True,
        "nid": True,
        "unsw_nb15_82k": True,
    }
    for source in SOURCES.values():
        for remote in source.files:
            catalogue = (remote.catalogue.url,) if remote.catalogue else ()
            assert all(url.startswith("https://") for url in (*remote.urls, *catalogue))
            assert remote.checksum or remote.catalogue or remote.magic
