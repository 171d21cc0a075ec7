"""Data archives that state a file's address and checksum in a JSON description."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from lutnet.train.data.checksums import FileChecksum
from lutnet.train.data.transport import RetryPolicy, TransferError, get_json

__all__ = ["Catalogue", "OpenMLCatalogue", "Publication", "ZenodoCatalogue"]


@dataclass(frozen=True)
class Publication:
    """What a catalogue says of a file.

    Attributes:
        url: Its address.
        checksum: Its checksum.
    """

    url: str
    checksum: FileChecksum


def _publication(where: str, url: object, algorithm: str, hexdigest: object) -> Publication:
    lengths = {"md5": 32, "sha256": 64}
    valid = (
        isinstance(hexdigest, str)
        and re.fullmatch(r"[0-9a-fA-F]+", hexdigest)
        and len(hexdigest) == lengths.get(algorithm)
    )
    if not isinstance(url, str) or not isinstance(hexdigest, str) or not valid:
        raise TransferError(f"{where} states no address and checksum in the known form", permanent=True)
    return Publication(url, FileChecksum(algorithm, hexdigest.lower()))


@dataclass(frozen=True)
class OpenMLCatalogue:
    """A data set of openml.org; the description's ``url`` and ``md5_checksum`` are used.

    Attributes:
        url: Address of the JSON description, ``.../api/v1/json/data/<id>``.
    """

    url: str

    def publication(self, policy: RetryPolicy) -> Publication:
        """Ask the catalogue.

        Raises:
            TransferError: It cannot be reached or answers in an unknown form.
        """
        document = get_json(self.url, policy)
        entry = document.get("data_set_description") if isinstance(document, dict) else None
        if not isinstance(entry, dict):
            raise TransferError(f"{self.url} did not send an OpenML description", permanent=True)
        return _publication(self.url, entry.get("url"), "md5", entry.get("md5_checksum"))


@dataclass(frozen=True)
class ZenodoCatalogue:
    """A file of a zenodo.org record; ``links.self`` and ``checksum`` of its entry are used.

    Attributes:
        url: Address of the JSON record, ``.../api/records/<id>``.
        key: Name of the file in the record.
    """

    url: str
    key: str

    def publication(self, policy: RetryPolicy) -> Publication:
        """Ask the catalogue.

        Raises:
            TransferError: It cannot be reached, answers in an unknown form, or lacks the file.
        """
        document = get_json(self.url, policy)
        files = document.get("files") if isinstance(document, dict) else None
        for entry in files if isinstance(files, list) else ():
            if isinstance(entry, dict) and entry.get("key") == self.key:
                links = entry.get("links")
                algorithm, _, hexdigest = str(entry.get("checksum", "")).partition(":")
                return _publication(
                    self.url, links.get("self") if isinstance(links, dict) else None, algorithm, hexdigest
                )
        raise TransferError(f"{self.url} lists no file '{self.key}'", permanent=True)


Catalogue: TypeAlias = OpenMLCatalogue | ZenodoCatalogue
