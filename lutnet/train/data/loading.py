"""Finding a data set: a given path, ``LUTNET_DATA``, the cache, the network, or the sample in the package."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from lutnet.errors import UserError
from lutnet.train.data.dataset import Dataset
from lutnet.train.data.download import Progress, fetch
from lutnet.train.data.jets import read_jets_arff, read_jets_hdf5, read_jets_npz
from lutnet.train.data.mnist import read_mnist_idx, read_mnist_npz
from lutnet.train.data.sample import read_jets_sample
from lutnet.train.data.sources import SOURCES, Source
from lutnet.train.data.standard import read_standard_npz
from lutnet.train.data.transport import RetryPolicy
from lutnet.train.data.unsw import read_nid_npz, read_unsw_csv_zip, read_unsw_npz

__all__ = ["ALIASES", "DATASETS", "default_cache_dir", "load"]

SAMPLE = "jets_sim_sample"
CUSTOM = "custom"

ALIASES: Mapping[str, str] = MappingProxyType({"unsw_nb15": "nid"})
"""Other names of data sets."""

DATASETS: tuple[str, ...] = (*SOURCES, SAMPLE, CUSTOM)
"""Every name that :func:`load` takes, aliases apart."""


@dataclass(frozen=True)
class _Reader:
    """How the files of one data set are read.

    Attributes:
        npz: Reads a local ``.npz`` file.
        originals: Reads the downloaded files (name -> path), or ``None`` where there are none.
    """

    npz: Callable[[Path], Dataset]
    originals: Callable[[Mapping[str, Path]], Dataset] | None


def _only(read: Callable[[Path], Dataset]) -> Callable[[Mapping[str, Path]], Dataset]:
    """A reader of one file as a reader of a set of files."""
    return lambda files: read(next(iter(files.values())))


_READERS: Mapping[str, _Reader] = MappingProxyType(
    {
        "jets_sim": _Reader(lambda path: read_jets_npz(path, "jets_sim"), None),
        "jets_openml": _Reader(lambda path: read_jets_npz(path, "jets_openml"), _only(read_jets_arff)),
        "jets_cernbox": _Reader(lambda path: read_jets_npz(path, "jets_cernbox"), _only(read_jets_hdf5)),
        "mnist": _Reader(read_mnist_npz, read_mnist_idx),
        "nid": _Reader(read_nid_npz, _only(read_nid_npz)),
        "unsw_nb15_82k": _Reader(read_unsw_npz, _only(read_unsw_csv_zip)),
    }
)


def default_cache_dir() -> Path:
    """Folder of downloads: ``LUTNET_CACHE``, else ``lutnet`` in ``XDG_CACHE_HOME``, else ``~/.cache/lutnet``."""
    own = os.environ.get("LUTNET_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lutnet"


def load(
    name: str,
    *,
    path: str | os.PathLike[str] | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    policy: RetryPolicy | None = None,
    sources: Mapping[str, Source] = SOURCES,
) -> Dataset:
    """Load a data set as training, validation and test set.

    It is looked for in this order: ``path``; the environment variable ``LUTNET_DATA``; files downloaded before;
    the network; for ``jets_sim``, which nobody serves, the sample in the package. ``LUTNET_DATA`` names either a file,
    which is then used for every name, or a folder, in which the ``.npz`` file (``npz_name`` in the table of sources) or
    else the original files are looked for; ``path`` may be such a folder as well. The same call on the same files
    always gives the same rows in the same order.

    Args:
        name: One of :data:`DATASETS` or :data:`ALIASES`. ``jets_sim_sample`` is the packaged sample whatever the
            environment says; ``custom`` is a user's own ``.npz`` (see ``read_standard_npz``), named after its file.
        path: An ``.npz`` file, an original file, or a folder of such.
        cache_dir: Folder of downloads, default :func:`default_cache_dir`.
        progress: Told about downloads: file name, bytes so far, bytes in all or ``None``.
        policy: Retries and timeouts of downloads.
        sources: The table of data sets; give a changed copy to use a mirror of your own.

    Raises:
        UserError: The name is unknown, a file is missing or broken, the data cannot be trained on (see
            :class:`Dataset`), or a download failed.
    """
    name = ALIASES.get(name, name)
    if name not in DATASETS:
        raise UserError(f"there is no data set '{name}', expected one of {', '.join((*DATASETS, *ALIASES))}")
    if name == SAMPLE:
        if path is not None:
            raise UserError(
                f"data set '{SAMPLE}' comes with the package and takes no path; use the name 'jets_sim' with a path"
            )
        return read_jets_sample()
    if path is not None:
        return _read_path(name, Path(path).expanduser(), sources)
    local = os.environ.get("LUTNET_DATA")
    if local:
        found = _read_environment(name, Path(local).expanduser(), sources)
        if found is not None:
            return found
    if name == CUSTOM:
        raise UserError("data set 'custom' needs a file; give its path, or set LUTNET_DATA to it")
    files, originals = sources[name].files, _READERS[name].originals
    if originals is None or not files:
        return read_jets_sample()
    folder = (Path(cache_dir).expanduser() if cache_dir is not None else default_cache_dir()) / "data" / name
    return originals({file.name: fetch(file, folder, progress=progress, policy=policy) for file in files})


def _read_environment(name: str, path: Path, sources: Mapping[str, Source]) -> Dataset | None:
    """What ``LUTNET_DATA`` holds of a data set, or ``None`` when its folder lacks it."""
    if not path.exists():
        raise UserError(
            f"LUTNET_DATA is '{path}', which does not exist; set it to a file or folder of data, or unset it"
        )
    if path.is_dir():
        return None if name == CUSTOM else _read_folder(name, path, sources[name])
    return _read_path(name, path, sources)


def _read_folder(name: str, folder: Path, source: Source) -> Dataset | None:
    """A data set from a folder: its ``.npz`` file, else all of its original files, else ``None``."""
    reader = _READERS[name]
    if (folder / source.npz_name).is_file():
        return reader.npz(folder / source.npz_name)
    files = {file.name: folder / file.name for file in source.files}
    if files and reader.originals is not None and all(path.is_file() for path in files.values()):
        return reader.originals(files)
    return None


def _read_path(name: str, path: Path, sources: Mapping[str, Source]) -> Dataset:
    if not path.exists():
        raise UserError(f"there is no file '{path}'; check the path of the data")
    if name == CUSTOM:
        return read_standard_npz(path, path.stem)
    source, reader = sources[name], _READERS[name]
    expected = " or ".join(
        dict.fromkeys((source.npz_name, ", ".join(file.name for file in source.files) or source.npz_name))
    )
    if path.is_dir():
        found = _read_folder(name, path, source)
        if found is None:
            raise UserError(
                f"folder '{path}' does not hold data set '{name}', expected {expected}; give the file or another folder"
            )
        return found
    if path.suffix == ".npz":
        return reader.npz(path)
    if reader.originals is None or len(source.files) != 1:
        raise UserError(
            f"'{path}' is not a file of data set '{name}', expected {expected}; "
            "give an .npz file or the folder of the originals"
        )
    return reader.originals({source.files[0].name: path})
