"""The growing ``.part`` file of a download."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import IO

from lutnet.errors import UserError

__all__ = ["PartFile"]


class PartFile:
    """``<file>.part`` and ``<file>.part.json``, locked against other processes while open; use as a context manager.

    The note beside the bytes holds the address that they came from and the server's validator (``ETag`` or
    ``Last-Modified``). Leaving the context keeps both for a later call, unless there are no bytes.

    Attributes:
        target: The name that the complete file gets.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(target.name + ".part")
        self.note_path = target.with_name(target.name + ".part.json")
        self._stream: IO[bytes] | None = None

    def __enter__(self) -> PartFile:
        stream = self.path.open("ab")
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                stream.close()
                raise UserError(f"another process is downloading '{self.target}'; wait for it and try again") from None
        self._stream = stream
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            empty = self.size == 0
            self._stream.close()
            self._stream = None
            if empty:
                self.path.unlink(missing_ok=True)
                self.note_path.unlink(missing_ok=True)

    @property
    def stream(self) -> IO[bytes]:
        """The open file; writing appends."""
        if self._stream is None:
            raise ValueError(f"'{self.path}' is not open")
        return self._stream

    @property
    def size(self) -> int:
        """Bytes so far."""
        self.stream.flush()
        return os.fstat(self.stream.fileno()).st_size

    def discard(self) -> None:
        """Start over with no bytes and no note."""
        self.note_path.unlink(missing_ok=True)
        self.stream.truncate(0)

    def validator_of(self, url: str) -> str:
        """The validator noted for ``url``; empty when there is none or the bytes are from elsewhere."""
        try:
            note = json.loads(self.note_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return ""
        if not isinstance(note, dict) or note.get("url") != url:
            return ""
        return str(note.get("validator", ""))

    def note(self, url: str, validator: str) -> None:
        """Keep where the bytes come from."""
        temporary = self.note_path.with_name(self.note_path.name + ".tmp")
        temporary.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")
        os.replace(temporary, self.note_path)

    def finish(self) -> None:
        """Give the complete file its name."""
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.stream.close()
        self._stream = None
        os.replace(self.path, self.target)
        self.note_path.unlink(missing_ok=True)
