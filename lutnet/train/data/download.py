"""Resumable, verified download of one file into a cache folder.

The target appears under its name complete and verified, or not at all. Ctrl-C and a crash leave ``<file>.part`` with a
one-line note beside it (``<file>.part.json``), and the next call continues there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lutnet.errors import UserError
from lutnet.train.data.checksums import Checksum, FileChecksum, TrustRecord, file_digest
from lutnet.train.data.partfile import PartFile
from lutnet.train.data.sources import RemoteFile
from lutnet.train.data.transport import Response, RetryPolicy, TransferError, request

__all__ = ["Progress", "fetch"]

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes there so far, and the bytes in all (``None`` while unknown)."""

_BLOCK_BYTES = 1 << 18


def _silent(name: str, n_bytes: int, n_total: int | None) -> None:
    """The progress report of a caller who wants none."""


def fetch(
    remote: RemoteFile, folder: Path, *, progress: Progress | None = None, policy: RetryPolicy | None = None
) -> Path:
    """The file, from the cache when it is there, otherwise downloaded; verified in both cases.

    Args:
        remote: What to fetch.
        folder: Cache folder; made when missing.
        progress: Told about the transfer; an exception that it raises ends the download and keeps the ``.part`` file.
        policy: Retries and timeouts.

    Returns:
        Path of the verified file.

    Raises:
        UserError: No address delivers the file, its checksum is wrong, the folder cannot be written, or another process
            is downloading the same file.
    """
    target = folder / remote.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            with PartFile(target) as part:
                if not target.exists():
                    _Download(remote, part, progress or _silent, policy or RetryPolicy()).run()
                    return target
        return _verified(remote, target)
    except OSError as problem:
        raise UserError(
            f"cannot store '{target}' ({problem.strerror or problem}); choose another cache folder or make room"
        ) from problem


def _verified(remote: RemoteFile, target: Path) -> Path:
    """A cached file against its pinned or recorded checksum; a file put there by hand is recorded."""
    record = TrustRecord(target)
    expected = remote.checksum or record.checksum()
    if expected is None:
        if not _has_magic(remote, target):
            raise UserError(f"'{target}' is not in the format of the original file; delete it to download it again")
        record.write(file_digest(target, "sha256"))
    elif (found := expected.compute(target)) != expected.hexdigest:
        raise UserError(
            f"'{target}' has the checksum {found}, expected {expected.hexdigest}; delete it to download it again"
        )
    return target


def _has_magic(remote: RemoteFile, path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(remote.magic)) == remote.magic


@dataclass(frozen=True)
class _Download:
    """One run over the addresses of a file that is not in the cache."""

    remote: RemoteFile
    part: PartFile
    progress: Progress
    policy: RetryPolicy

    def run(self) -> None:
        """Round after round over the addresses, until one delivers or several rounds in a row bring nothing new."""
        record = TrustRecord(self.part.target)
        location = self._locate(record)
        urls = list(location.urls)
        problem, best, n_idle = "", self.part.size, 0
        while urls and n_idle < self.policy.n_attempts:
            if n_idle:
                time.sleep(self.policy.backoff_s * 2 ** (n_idle - 1))
            for url in tuple(urls):
                try:
                    resumed = self._transfer(url, location.same_bytes)
                    self._check(url, location, resumed)
                except TransferError as failure:
                    problem = failure.reason
                    if failure.permanent:
                        urls.remove(url)
                else:
                    if self.remote.checksum is None:
                        record.write(file_digest(self.part.path, "sha256"))
                    self.part.finish()
                    return
            n_idle = 0 if self.part.size > best else n_idle + 1
            best = max(best, self.part.size)
        raise self._failure(problem)

    def _failure(self, problem: str) -> UserError:
        return UserError(
            f"could not download '{self.remote.name}': {problem}; check the network and try again, or put the file at "
            f"'{self.part.target}' or give a local one with --data"
        )

    def _locate(self, record: TrustRecord) -> _Location:
        """Addresses and every checksum that is known beforehand."""
        pinned, recorded = self.remote.checksum, record.checksum()
        known: list[_Expectation] = []
        if pinned is not None:
            known.append(_Expectation(pinned, "the genuine file"))
        elif recorded is not None:
            known.append(
                _Expectation(
                    recorded, f"the first download (recorded in '{record.path}'; delete it to accept the change)"
                )
            )
        if self.remote.catalogue is None:
            return _Location(self.remote.urls, tuple(known))
        for attempt in range(self.policy.n_attempts):
            if attempt:
                time.sleep(self.policy.backoff_s * 2 ** (attempt - 1))
            try:
                publication = self.remote.catalogue.publication(self.policy)
            except TransferError as failure:
                if failure.permanent or attempt == self.policy.n_attempts - 1:
                    raise self._failure(failure.reason) from failure
            else:
                return _Location((publication.url,), (_Expectation(publication.checksum, "the catalogue"), *known))
        raise AssertionError("a retry policy has at least one attempt")

    def _transfer(self, url: str, same_bytes: bool) -> bool:
        """Bring the ``.part`` file to its end from one address; whether earlier bytes were kept."""
        headers = {}
        if self.part.size and not same_bytes:
            headers["If-Range"] = self.part.validator_of(url)
            if not headers["If-Range"]:
                self.part.discard()
        offset = self.part.size
        if offset:
            headers["Range"] = f"bytes={offset}-"
        try:
            response = request(url, headers if offset else {}, self.policy.timeout_s)
        except TransferError as failure:
            if failure.status != 416:
                raise
            if failure.content_range is not None and failure.content_range.total == offset:
                return True
            self.part.discard()
            raise TransferError(f"{url} cannot continue at byte {offset}", permanent=False) from failure
        with response:
            self._receive(response, offset)
        return offset > 0 and response.status == 206

    def _receive(self, response: Response, offset: int) -> None:
        url = response.url
        if response.header("Content-Encoding") not in ("", "identity"):
            raise TransferError(f"{url} sent a compressed answer that was not asked for", permanent=True)
        if response.status == 206:
            span = response.content_range
            if span is None or span.start != offset:
                self.part.discard()
                raise TransferError(f"{url} did not send the range that was asked for", permanent=False)
            total = span.total
        else:
            self.part.discard()
            offset, total = 0, response.length
        if (total or 0) > self.remote.max_bytes:
            raise TransferError(
                f"{url} announces {total} bytes, more than the {self.remote.max_bytes} of the genuine file",
                permanent=True,
            )
        self.part.note(url, response.validator)
        self._copy(response, offset, total)

    def _copy(self, response: Response, n_bytes: int, total: int | None) -> None:
        self.progress(self.remote.name, n_bytes, total)
        while block := response.read(_BLOCK_BYTES):
            n_bytes += len(block)
            if n_bytes > self.remote.max_bytes:
                self.part.discard()
                raise TransferError(
                    f"{response.url} sends more than the {self.remote.max_bytes} bytes of the genuine file",
                    permanent=True,
                )
            self.part.stream.write(block)
            self.progress(self.remote.name, n_bytes, total)
        if total is not None and n_bytes < total:
            raise TransferError(
                f"{response.url} closed the connection after {n_bytes} of {total} bytes", permanent=False
            )

    def _check(self, url: str, location: _Location, resumed: bool) -> None:
        """Refuse wrong bytes; those of a fresh transfer condemn the address, a bad joint is tried afresh."""
        self.part.stream.flush()
        if not _has_magic(self.remote, self.part.path):
            self.part.discard()
            raise TransferError(f"{url} sent something else than the file, perhaps a web page", permanent=not resumed)
        for expectation in location.expectations:
            checksum = expectation.checksum
            try:
                found = checksum.compute(self.part.path)
            except UserError:
                found = "of no readable archive"
            if found != checksum.hexdigest:
                self.part.discard()
                raise TransferError(
                    f"{url} sent bytes with the checksum {found}, "
                    f"expected {checksum.hexdigest} of {expectation.origin}",
                    permanent=not resumed,
                )


@dataclass(frozen=True)
class _Expectation:
    """A checksum that must hold, and whose it is."""

    checksum: Checksum
    origin: str


@dataclass(frozen=True)
class _Location:
    """Where a file is and what it must be.

    Attributes:
        urls: Addresses in order of preference.
        expectations: Every checksum that must hold.
    """

    urls: tuple[str, ...]
    expectations: tuple[_Expectation, ...]

    @property
    def same_bytes(self) -> bool:
        """Whether a wrong joint of bytes from two addresses would be noticed."""
        return any(isinstance(expectation.checksum, FileChecksum) for expectation in self.expectations)
