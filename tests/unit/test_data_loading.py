"""load(): where data are found, and what the readers of local files make of them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lutnet.errors import UserError
from lutnet.train.data import DATASETS, Dataset, load
from lutnet.train.data.jets import JET_CLASSES, JET_FEATURES
from lutnet.train.data.sample import decode_planes, encode_planes
from lutnet.train.data.unsw import NID_CLASSES, attack_test_mask

RANDOM = np.random.RandomState(0)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LUTNET_DATA", raising=False)
    monkeypatch.setenv("LUTNET_CACHE", str(tmp_path / "cache"))


def jets_arrays(n: int = 50, n_features: int = 16) -> dict[str, np.ndarray]:
    arrays = {f"x_{part}": RANDOM.rand(n, n_features).astype(np.float32) for part in ("train", "val", "test")}
    return arrays | {f"y_{part}": (np.arange(n) % 5).astype(np.uint8) for part in ("train", "val", "test")}


def equal(a: Dataset, b: Dataset) -> None:
    assert (a.feature_names, a.class_names) == (b.feature_names, b.class_names)
    for left, right in zip(a.parts.values(), b.parts.values(), strict=True):
        np.testing.assert_array_equal(left.x, right.x)
        np.testing.assert_array_equal(left.y, right.y)


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"no data set 'jets', expected one of jets_sim, .*mnist.*custom, unsw_nb15"):
        load("jets")
    assert {"jets_sim", "jets_openml", "jets_cernbox", "mnist", "nid", "unsw_nb15_82k", "custom"} <= set(DATASETS)


def test_embedded_sample_needs_nothing() -> None:
    data = load("jets_sim")
    assert (data.feature_names, data.class_names) == (JET_FEATURES, JET_CLASSES)
    assert [split.n_rows for split in data.parts.values()] == [70_000, 10_000, 20_000]
    for split in data.parts.values():
        assert split.x.flags.c_contiguous
        shares = np.bincount(split.y) / split.n_rows
        assert np.all(abs(shares - 0.2) < 0.005)
    np.testing.assert_array_equal(data.train.x[:, 6], data.train.x[:, 8])
    np.testing.assert_array_equal(data.train.x[:, 15], np.round(data.train.x[:, 15]))
    rows = {row.tobytes() for row in data.test.x} & {row.tobytes() for row in data.train.x}
    assert not rows
    equal(data, load("jets_sim_sample"))


def test_planes_keep_every_bit() -> None:
    values = np.array([[0.0, -0.0, 1e-45], [np.inf, 3.1415927, -65504.0]], dtype=np.float32)
    planes = encode_planes(values)
    assert planes.shape == (4, 3, 2) and planes.dtype == np.uint8
    assert planes[3, 0].tolist() == [0x00, 0x7F]
    assert decode_planes(planes).tobytes() == values.tobytes()
    with pytest.raises(UserError, match=r"\(4, f, n\)"):
        decode_planes(planes[:3])


def test_order_path_then_environment_then_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("given", "folder/jets_sim"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        np.savez(tmp_path / f"{name}.npz", **jets_arrays())
    monkeypatch.setenv("LUTNET_DATA", str(tmp_path / "folder"))
    assert load("jets_sim", path=tmp_path / "given.npz").source == "file given.npz"
    assert load("jets_sim").source == "file jets_sim.npz"
    monkeypatch.setenv("LUTNET_DATA", str(tmp_path / "given.npz"))
    assert load("jets_sim").source == "file given.npz"
    assert load("jets_sim_sample").source.startswith("sample")
    monkeypatch.setenv("LUTNET_DATA", str(tmp_path))
    assert load("jets_sim").source.startswith("sample")


def test_paths_that_do_not_exist_or_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no file '.*absent\.npz'"):
        load("jets_sim", path=tmp_path / "absent.npz")
    with pytest.raises(UserError, match=r"does not hold data set 'mnist', expected mnist\.npz or train-images"):
        load("mnist", path=tmp_path)
    (tmp_path / "data.txt").write_text("1")
    with pytest.raises(UserError, match=r"data\.txt' is not a file of data set 'mnist'"):
        load("mnist", path=tmp_path / "data.txt")
    with pytest.raises(UserError, match="takes no path"):
        load("jets_sim_sample", path=tmp_path)
    with pytest.raises(UserError, match="'custom' needs a file"):
        load("custom")
    monkeypatch.setenv("LUTNET_DATA", str(tmp_path / "gone"))
    with pytest.raises(UserError, match=r"LUTNET_DATA is '.*gone', which does not exist"):
        load("jets_sim")


def test_jets_npz_must_have_16_features_and_5_classes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **jets_arrays(n_features=4))
    with pytest.raises(UserError, match="has 4 features and 5 classes, expected 16 and 5"):
        load("jets_sim", path=tmp_path / "a.npz")


def test_custom_file_in_full(tmp_path: Path) -> None:
    arrays = jets_arrays(n_features=2)
    names = {"feature_names": np.array(["u", "v"]), "class_names": np.array(list("abcde"))}
    np.savez(tmp_path / "mine.npz", **arrays, **names)
    data = load("custom", path=tmp_path / "mine.npz")
    assert (data.name, data.feature_names, data.class_names) == ("mine", ("u", "v"), tuple("abcde"))
    np.testing.assert_array_equal(data.validation.x, arrays["x_val"])
    np.testing.assert_array_equal(data.train.y, arrays["y_train"])


def test_custom_file_without_validation_and_names(tmp_path: Path) -> None:
    arrays = {key: value for key, value in jets_arrays(n=100, n_features=2).items() if "val" not in key}
    np.savez(tmp_path / "mine.npz", **arrays)
    data = load("custom", path=tmp_path / "mine.npz")
    assert (data.feature_names, data.class_names) == (("x0", "x1"), ("0", "1", "2", "3", "4"))
    assert np.bincount(data.validation.y).tolist() == [2] * 5 and data.train.n_rows == 90
    np.testing.assert_array_equal(data.test.x, arrays["x_test"])
    joined = np.concatenate([data.train.x, data.validation.x])
    assert {row.tobytes() for row in joined} == {row.tobytes() for row in arrays["x_train"]}
    equal(data, load("custom", path=tmp_path / "mine.npz"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_val": None}, "only one of x_val and y_val"),
        ({"feature_names": np.zeros(2)}, "'feature_names' .* list of strings"),
        ({"y_test": np.full(50, 7)}, "label of row 0 in the test set of 'mine' is 7"),
        ({"x_train": np.ones((50, 2))}, "one single value .*'x0', 'x1'"),
        ({"x_train": np.zeros((50, 2, 2))}, r"\(50, 2, 2\)"),
        ({"x_train": np.zeros((0, 2)), "y_train": np.zeros(0, int)}, "training set in '.*' is empty"),
    ],
)
def test_custom_file_refused(tmp_path: Path, changes: dict[str, np.ndarray | None], message: str) -> None:
    arrays = {k: v for k, v in (jets_arrays(n_features=2) | changes).items() if v is not None}
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(UserError, match=message):
        load("custom", path=tmp_path / "mine.npz")


def test_custom_file_may_allow_constant_features(tmp_path: Path) -> None:
    arrays = jets_arrays(n_features=2) | {"x_train": np.ones((50, 2)), "allow_constant": np.array(True)}
    np.savez(tmp_path / "mine.npz", **arrays)
    assert load("custom", path=tmp_path / "mine.npz").constant_features() == (0, 1)


@pytest.mark.parametrize("shape", [(28, 28), (784,)])
def test_mnist_npz(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images = RANDOM.randint(0, 256, (100, *shape)).astype(np.uint8)
    images.reshape(100, -1)[:, 0] = 0
    labels = np.arange(100) % 10
    np.savez(tmp_path / "mnist.npz", x_train=images, y_train=labels, x_test=images[:7], y_test=labels[:7])
    data = load("mnist", path=tmp_path)
    assert (data.train.n_rows, data.validation.n_rows, data.n_classes) == (90, 10, 10)
    assert data.feature_names[28 * 3 + 5] == "pixel_3_5"
    np.testing.assert_array_equal(data.test.x, images[:7].reshape(7, 784))
    assert 0 in data.constant_features()
    np.savez(tmp_path / "mnist.npz", x_train=images[:, :9], y_train=labels, x_test=images, y_test=labels)
    with pytest.raises(UserError, match="expected uint8 of shape"):
        load("mnist", path=tmp_path / "mnist.npz")


def test_nid_npz(tmp_path: Path) -> None:
    train, test = (RANDOM.randint(0, 2, (n, 594)).astype(np.uint8) for n in (40, 9))
    np.savez(tmp_path / "bits.npz", train=train, test=test)
    data = load("unsw_nb15", path=tmp_path / "bits.npz")
    assert (data.name, data.n_features, data.class_names) == ("nid", 593, NID_CLASSES)
    np.testing.assert_array_equal(data.test.x, test[:, :-1])
    np.testing.assert_array_equal(data.test.y, test[:, -1])
    assert data.validation.n_rows == 4
    np.savez(tmp_path / "bits.npz", train=train[:, 1:], test=test)
    with pytest.raises(UserError, match=r"'train' .* shape \(40, 593\), expected .* \(n, 594\)"):
        load("nid", path=tmp_path / "bits.npz")
    np.savez(tmp_path / "bits.npz", train=train, test=test * 2)
    with pytest.raises(UserError, match="values other than 0 and 1"):
        load("nid", path=tmp_path / "bits.npz")


def unsw_rows(n: int) -> list[list[str]]:
    """Header and rows with a byte-order mark, an id and two numeric columns, as in the original CSV."""
    rows = [["\ufeffid", "dur", "proto", "service", "state", "stcpb", "attack_cat", "label"]]
    for i in range(n):
        attack = ("Normal", "DoS", "Worms")[i % 3]
        service, number = ("-", "dns")[i % 2], str(4294967295 - 1000 * i)
        rows.append([str(i), str(i / 8), "tcp", service, "FIN", number, attack, str(int(i % 3 > 0))])
    return rows


def write_csv_zip(path: Path, rows: list[list[str]]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("UNSW_NB15_training-set.csv", "\r\n".join(",".join(row) for row in rows))


def test_unsw_csv_and_npz_are_the_same_data_set(tmp_path: Path) -> None:
    rows = unsw_rows(60)
    write_csv_zip(tmp_path / "u.zip", rows)
    data = load("unsw_nb15_82k", path=tmp_path / "u.zip")
    assert data.feature_names == ("dur", "stcpb", "proto=tcp", "service=-", "service=dns", "state=FIN")
    assert data.class_names == NID_CLASSES
    test = np.flatnonzero(attack_test_mask([row[6] for row in rows[1:]]))
    assert len(test) == 15
    np.testing.assert_array_equal(data.test.x[:, 0], test / 8)
    np.testing.assert_array_equal(data.test.x[:, 1], (4294967295 - 1000 * test).astype(np.float32))
    np.testing.assert_array_equal(data.test.x[:, 4], test % 2)
    np.testing.assert_array_equal(data.test.y, test % 3 > 0)
    i = np.arange(60)
    np.savez(
        tmp_path / "unsw_nb15_82k.npz",
        x_num=np.stack([i / 8, 4294967295.0 - 1000 * i], axis=1),
        num_names=np.array(["dur", "stcpb"]),
        x_cat=np.stack([0 * i, i % 2, 0 * i], axis=1).astype(np.int16),
        cat_names=np.array(["proto", "service", "state"]),
        proto_values=np.array(["tcp"]),
        service_values=np.array(["-", "dns"]),
        state_values=np.array(["FIN"]),
        y=(i % 3 > 0).astype(np.uint8),
        suggested_test_mask=np.isin(i, test),
    )
    equal(data, load("unsw_nb15_82k", path=tmp_path))


def test_unsw_test_rows_are_pinned() -> None:
    attacks = ["Normal"] * 9 + ["DoS"] * 6 + ["Worms"] * 3
    assert np.flatnonzero(attack_test_mask(attacks)).tolist() == [4, 7, 11, 12, 15]


@pytest.mark.parametrize(
    ("row", "column", "value", "message"),
    [
        (0, 7, "labels", "no column 'label'"),
        (3, 1, "fast", "text where a number is expected"),
        (2, 7, "0,0", "line 3 of the CSV .* has 9 columns, expected 8"),
    ],
)
def test_unsw_csv_refused(tmp_path: Path, row: int, column: int, value: str, message: str) -> None:
    rows = unsw_rows(20)
    rows[row][column] = value
    write_csv_zip(tmp_path / "u.zip", rows)
    with pytest.raises(UserError, match=message):
        load("unsw_nb15_82k", path=tmp_path / "u.zip")


def test_importing_the_loaders_imports_neither_torch_nor_h5py() -> None:
    code = "import sys, lutnet.train.data; print(sorted({'torch', 'h5py', 'networkx'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
