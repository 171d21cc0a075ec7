"""Checksums of files, and the record of files whose checksum nobody publishes."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lutnet.errors import UserError
from lutnet.train.data.archives import read_zip_member

__all__ = ["Checksum", "FileChecksum", "MemberChecksum", "TrustRecord", "file_digest"]

_ALGORITHMS = ("md5", "sha256")


def file_digest(path: Path, algorithm: str) -> str:
    """Hexadecimal digest of a file's bytes.

    Args:
        path: The file.
        algorithm: ``md5`` or ``sha256``.

    Raises:
        UserError: The algorithm is another, or the file cannot be read.
    """
    if algorithm not in _ALGORITHMS:
        raise UserError(
            f"checksums are of type {' or '.join(_ALGORITHMS)}, got '{algorithm}'; correct the table of sources"
        )
    digest = hashlib.new(algorithm, usedforsecurity=False)
    try:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    except OSError as problem:
        raise UserError(f"cannot read '{path}' ({problem.strerror}); check its permissions") from problem
    return digest.hexdigest()


@dataclass(frozen=True)
class FileChecksum:
    """Checksum of a file's own bytes.

    Attributes:
        algorithm: ``md5`` or ``sha256``.
        hexdigest: Lower-case hexadecimal digest.
    """

    algorithm: str
    hexdigest: str

    def compute(self, path: Path) -> str:
        """The digest that ``path`` has."""
        return file_digest(path, self.algorithm)


@dataclass(frozen=True)
class MemberChecksum:
    """SHA-256 of one member of a zip file, for contents that several people have zipped.

    Attributes:
        suffix: How the member's name ends.
        max_bytes: Largest size that is read.
        hexdigest: Lower-case hexadecimal SHA-256 of the unpacked member.
    """

    suffix: str
    max_bytes: int
    hexdigest: str

    def compute(self, path: Path) -> str:
        """The digest that the member in ``path`` has."""
        return hashlib.sha256(read_zip_member(path, self.suffix, self.max_bytes)).hexdigest()


Checksum: TypeAlias = FileChecksum | MemberChecksum


@dataclass(frozen=True)
class TrustRecord:
    """Trust on first use: the SHA-256 of a file at its first download, kept beside it as ``<file>.sha256``.

    The record has the format of ``sha256sum``, so ``sha256sum -c`` checks it as well.

    Attributes:
        target: The downloaded file.
    """

    target: Path

    @property
    def path(self) -> Path:
        """The record's own file."""
        return self.target.with_name(self.target.name + ".sha256")

    def checksum(self) -> FileChecksum | None:
        """What was recorded, or ``None`` before the first download.

        Raises:
            UserError: The record is not of the expected form.
        """
        try:
            words = self.path.read_text(encoding="utf-8").split()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as problem:
            raise UserError(
                f"cannot read the checksum record '{self.path}' ({problem}); delete it to record anew"
            ) from problem
        if len(words) != 2 or len(words[0]) != 64 or set(words[0]) - set("0123456789abcdef"):
            raise UserError(f"'{self.path}' is not a line of sha256sum; delete it to record the checksum anew")
        return FileChecksum("sha256", words[0])

    def write(self, hexdigest: str) -> None:
        """Record a digest, replacing an earlier one."""
        temporary = self.path.with_name(self.path.name + ".tmp")
        temporary.write_text(f"{hexdigest}  {self.target.name}\n", encoding="utf-8")
        os.replace(temporary, self.path)
