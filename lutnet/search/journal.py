"""A file that many processes append to, and that survives the death of any of them at any moment."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from optuna.storages.journal import BaseJournalBackend

from lutnet.errors import UserError

__all__ = ["JournalFile", "locked"]

_KEYS = {"op_code", "worker_id"}


class JournalFile(BaseJournalBackend):
    """One line of JSON an operation, for :class:`optuna.storages.JournalStorage`.

    Optuna's own backend locks with a second file, which a killed process leaves behind, and a line that a killed process wrote in
    part makes its journal unreadable. Here the lock is the operating system's and ends with its owner, on one machine and on network
    file systems with record locks; a line without an end was never written, and the next writer removes it.

    The file appears with the first operation that is written; reading makes none.
    """

    def __init__(self, path: str | Path) -> None:
        """Opens a journal, or one that is yet to be.

        Raises:
            UserError: The file is there and is no journal, or cannot be read.
        """
        self.path = Path(path)
        self._ends = [0]
        _check_journal(self.path)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Operations from a number on.

        Raises:
            UserError: A line is damaged.
        """
        if not self.path.is_file():
            return
        first = min(log_number_from, len(self._ends) - 1)
        with self.path.open("rb") as file:
            file.seek(self._ends[first])
            for number, line in enumerate(file, start=first):
                if not line.endswith(b"\n"):
                    return
                if number == len(self._ends) - 1:
                    self._ends.append(self._ends[number] + len(line))
                if number >= log_number_from:
                    yield _parsed(line, self.path, number + 1)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Writes operations; they are on the disk when this returns.

        Raises:
            UserError: The file cannot be written.
        """
        text = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with locked(self.path) as file:
            file.truncate(_end_of_lines(file))
            file.seek(0, os.SEEK_END)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """A file, made when missing, that no other process has locked meanwhile; waits for its turn.

    Raises:
        UserError: The file cannot be opened or locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose a folder that is writable") from None
    with file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX)
        except OSError as error:
            raise UserError(
                f"cannot lock {path}: {error.strerror}; choose a file system with locks, or a database as --storage"
            ) from None
        yield file


def _end_of_lines(file: BinaryIO) -> int:
    """Where the last whole line ends."""
    size = file.seek(0, os.SEEK_END)
    end, block = size, 1 << 16
    while end > 0:
        begin = max(0, end - block)
        file.seek(begin)
        place = file.read(end - begin).rfind(b"\n")
        if place >= 0:
            return begin + place + 1
        end = begin
    return 0


def _check_journal(path: Path) -> None:
    """Refuses a file that somebody else wrote."""
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            first = file.readline(1 << 20)
    except OSError as error:
        raise UserError(f"cannot read the store {path}: {error.strerror}; name a journal file or a database") from None
    if first.endswith(b"\n") and not set(_parsed(first, path, 1)) >= _KEYS:
        raise UserError(f"{path} is no journal of a search; name another file as --storage")
    if first and not first.endswith(b"\n") and not first.startswith(b"{"):
        raise UserError(f"{path} is no journal of a search; name another file as --storage")


def _parsed(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(
            f"{path} is no journal of a search or is damaged in line {number}; name another file as --storage"
        )
    return found
