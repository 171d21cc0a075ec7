"""Files and folders that appear, or are replaced, in one step: nothing half-written stays behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from lutnet.errors import UserError

__all__ = ["replaced_file", "replaced_folder", "write_text"]


@contextmanager
def replaced_file(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write into; it takes the name when the block ends well and vanishes when it does not.

    Raises:
        UserError: The folder cannot be made or written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=target.parent, prefix=target.name + ".", suffix=".part")
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror}; choose a folder that is writable") from None
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        os.chmod(draft, 0o644)
        os.replace(draft, target)
    except OSError as error:
        Path(draft).unlink(missing_ok=True)
        raise UserError(f"cannot write {target}: {error.strerror}; free some space or choose another folder") from None
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def write_text(path: str | Path, text: str) -> Path:
    """Writes a text file in one step and returns its path."""
    with replaced_file(path) as file:
        file.write(text.encode())
    return Path(path)


@contextmanager
def replaced_folder(path: str | Path, marker: str) -> Iterator[Path]:
    """A folder to write into; it takes the name when the block ends well and vanishes when it does not.

    Args:
        path: Where the folder shall be.
        marker: A file by which a folder that lutnet wrote is known. An existing folder is replaced only when it is empty or holds
            that file.

    Raises:
        UserError: The parent cannot be written, or the path holds somebody else's files.
    """
    target = Path(path)
    if target.exists() and not (target / marker).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} exists and was not written by lutnet; choose an empty folder or remove it first")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=target.parent, prefix=target.name + ".", suffix=".part"))
    except OSError as error:
        raise UserError(
            f"cannot write into {target.parent}: {error.strerror}; choose a folder that is writable"
        ) from None
    try:
        draft.chmod(0o755)
        yield draft
        if target.exists():
            old = Path(tempfile.mkdtemp(dir=target.parent, prefix=target.name + ".", suffix=".old"))
            os.replace(target, old / target.name)
            os.replace(draft, target)
            shutil.rmtree(old)
        else:
            os.replace(draft, target)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise UserError(f"cannot write {target}: {error.strerror}; free some space or choose another folder") from None
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
