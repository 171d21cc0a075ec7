"""The data sets that lutnet knows: where each file is, and how its integrity is established.

One table, written out by hand. Three ways of trusting a file, strongest first:

- *pinned*: its checksum stands in this table;
- *published*: the archive's own catalogue (OpenML, Zenodo) states the checksum, asked for over HTTPS at download time;
- *trust on first use*: nobody publishes a checksum; the SHA-256 of the first download is recorded beside the file and
  every later copy must equal it.

Files of the second kind are recorded in the same way, so that a cached copy is checked without the network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lutnet.errors import UserError
from lutnet.train.data.catalogue import Catalogue, OpenMLCatalogue, ZenodoCatalogue
from lutnet.train.data.checksums import Checksum, FileChecksum, MemberChecksum

__all__ = ["SOURCES", "RemoteFile", "Source"]


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be downloaded.

    Attributes:
        name: File name in the cache; letters, digits, ``.``, ``_`` and ``-``, so that it names no other folder.
        max_bytes: Most bytes that are accepted.
        urls: Addresses in order of preference; empty when the catalogue states the address.
        checksum: The pinned checksum, or ``None``.
        catalogue: Who publishes address and checksum, or ``None``.
        magic: First bytes of every genuine file, so that a login page is not taken for data.
    """

    name: str
    max_bytes: int
    urls: tuple[str, ...] = ()
    checksum: Checksum | None = None
    catalogue: Catalogue | None = None
    magic: bytes = b""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", self.name):
            raise UserError(f"a file name of a source has letters, digits, '.', '_' and '-' only, got '{self.name}'")
        if not self.urls and self.catalogue is None:
            raise UserError(f"source file '{self.name}' needs an address or a catalogue")


@dataclass(frozen=True)
class Source:
    """A data set and its files.

    Attributes:
        name: Name as given to :func:`lutnet.train.data.load`.
        title: What it is, for people.
        homepage: Where it is described.
        terms: Licence or conditions of use.
        files: The original files; empty where nothing can be downloaded.
        npz_name: File name that is looked for in a folder of local ``.npz`` files.
    """

    name: str
    title: str
    homepage: str
    terms: str
    files: tuple[RemoteFile, ...]
    npz_name: str


_GZIP = b"\x1f\x8b"
_ZIP = b"PK\x03\x04"
_HDF5 = b"\x89HDF\r\n\x1a\n"

_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://yann.lecun.com/exdb/mnist/",
)


def _mnist(name: str, n_bytes: int, sha256: str) -> RemoteFile:
    urls = tuple(mirror + name for mirror in _MNIST_MIRRORS)
    return RemoteFile(name, n_bytes, urls, FileChecksum("sha256", sha256), magic=_GZIP)


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "jets_sim": Source(
            name="jets_sim",
            title="simulated LHC jets, 16 features, 5 classes (500,000 jets; a sample comes with the package)",
            homepage="lutnet/train/data/samples/README.md",
            terms="Apache-2.0",
            files=(),
            npz_name="jets_sim.npz",
        ),
        "jets_openml": Source(
            name="jets_openml",
            title="hls4ml LHC jets, high-level features, 16 features, 5 classes (830,000 jets)",
            homepage="https://www.openml.org/d/42468",
            terms="see the OpenML page",
            files=(
                RemoteFile(
                    "hls4ml_lhc_jets_hlf.arff",
                    1_000_000_000,
                    catalogue=OpenMLCatalogue("https://www.openml.org/api/v1/json/data/42468"),
                ),
            ),
            npz_name="jets_openml.npz",
        ),
        "jets_cernbox": Source(
            name="jets_cernbox",
            title="LHC jets as used by LogicNets, 16 features, 5 classes (about 987,000 jets)",
            homepage="https://cernbox.cern.ch/index.php/s/jvFd5MoWhGs1l5v",
            terms="not stated by the authors",
            files=(
                RemoteFile(
                    "processed-pythia82-lhc13-all-pt1-50k-r1_h022_e0175_t220_nonu_truth.z",
                    2_000_000_000,
                    (
                        "https://cernbox.cern.ch/index.php/s/jvFd5MoWhGs1l5v/download",
                        "https://cernbox.cern.ch/s/jvFd5MoWhGs1l5v/download",
                        "https://cernbox.cern.ch/remote.php/dav/public-files/jvFd5MoWhGs1l5v/"
                        "processed-pythia82-lhc13-all-pt1-50k-r1_h022_e0175_t220_nonu_truth.z",
                    ),
                    magic=_HDF5,
                ),
            ),
            npz_name="jets_cernbox.npz",
        ),
        "mnist": Source(
            name="mnist",
            title="MNIST handwritten digits, 28 x 28 pixels, 10 classes",
            homepage="http://yann.lecun.com/exdb/mnist/",
            terms="no formal licence from the authors; usually redistributed as CC BY-SA 3.0",
            files=(
                _mnist(
                    "train-images-idx3-ubyte.gz",
                    9_912_422,
                    "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                ),
                _mnist(
                    "train-labels-idx1-ubyte.gz",
                    28_881,
                    "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                ),
                _mnist(
                    "t10k-images-idx3-ubyte.gz",
                    1_648_877,
                    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                ),
                _mnist(
                    "t10k-labels-idx1-ubyte.gz",
                    4_542,
                    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                ),
            ),
            npz_name="mnist.npz",
        ),
        "nid": Source(
            name="nid",
            title="UNSW-NB15 network intrusion, 593 binary features (Murovic and Trost's binarisation), 2 classes",
            homepage="https://zenodo.org/records/4519767",
            terms="free for academic research with citation of Moustafa and Slay (MilCIS 2015)",
            files=(
                RemoteFile(
                    "unsw_nb15_binarized.npz",
                    500_000_000,
                    catalogue=ZenodoCatalogue("https://zenodo.org/api/records/4519767", "unsw_nb15_binarized.npz"),
                    magic=_ZIP,
                ),
            ),
            npz_name="unsw_nb15_binarized.npz",
        ),
        "unsw_nb15_82k": Source(
            name="unsw_nb15_82k",
            title="UNSW-NB15 network intrusion, the 82,332-record partition, 190 features of 42 columns, 2 classes",
            homepage="https://research.unsw.edu.au/projects/unsw-nb15-dataset",
            terms="free for academic research with citation of Moustafa and Slay (MilCIS 2015)",
            files=(
                RemoteFile(
                    "UNSW_NB15_training-set.zip",
                    20_000_000,
                    (
                        "https://raw.githubusercontent.com/vincentlemaire-labs/CAID2025/"
                        "6c2c870554ecbdef36b4909a1b9fa8efaa722592/UNSW_NB15_training-set.zip",
                        "https://raw.githubusercontent.com/akritiupadhyay-au/Cyber-Attack-Detection-with-Random-Forest/"
                        "f666564e36db598d9e667bab58f97f955f095d99/UNSW_NB15_training-set.csv.zip",
                    ),
                    MemberChecksum(
                        ".csv", 15_380_800, "734fe6642edf758f7c94d7d9149426b49d202fe8e7bf0bef47392489c3c0a559"
                    ),
                    magic=_ZIP,
                ),
            ),
            npz_name="unsw_nb15_82k.npz",
        ),
    }
)
"""Every known data set by name."""
