"""Compiling a netlist's C code once, and keeping the result in a cache.

A library is found again by a digest of the netlist, the input quantisers, the code generator, the compiler, its options and the
processor, so that a file from another machine is never loaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import lutnet.backends as backends
from lutnet.backends import CCode
from lutnet.backends.templates import data_folder
from lutnet.errors import UserError
from lutnet.files import replaced_file
from lutnet.formats import InputEncoder
from lutnet.ir.netlist import Netlist
from lutnet.tools.base import Tool, tool_version
from lutnet.tools.compiler import c_compiler, compile_object, link_shared

__all__ = ["CACHE_BYTES", "TOP", "cache_folder", "library_bytes"]

TOP = "emulated"
"""What every name in a library starts with."""

CACHE_BYTES = 1 << 30
"""Size from which the libraries that were not used for longest are removed."""

_FLAGS = ("-O1", "-march=native", "-fPIC")

_GATE_FLAGS = tuple(
    f"-fno-{name}"
    for name in ("tree-pta", "tree-fre", "tree-dominator-opts", "tree-ccp", "forward-propagate", "tree-dse", "tree-sra")
)
"""What finds nothing in straight-line code in which every value is new; units without other code compile a fifth sooner."""


def cache_folder() -> Path:
    """Folder of the libraries: ``emulate-<user id>`` in ``LUTNET_CACHE``, else in ``lutnet`` in ``XDG_CACHE_HOME`` or ``~/.cache``."""
    own = os.environ.get("LUTNET_CACHE")
    base = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lutnet"
    return base / f"emulate-{os.geteuid()}"


def library_bytes(net: Netlist, encoder: InputEncoder | None) -> bytes:
    """The shared library of a netlist, from the cache or compiled now.

    Args:
        net: The netlist; it has at least one input.
        encoder: Input quantisers that the library shall contain.

    Raises:
        MissingToolError: There is no C compiler.
        ToolError: It failed.
    """
    tool = c_compiler()
    folder = _private_folder()
    path = None if folder is None else folder / f"{_digest(net, encoder, tool)}.library"
    found = None if path is None else _read(path)
    if found is not None:
        return found
    library = _compiled(net, encoder, tool)
    if path is not None:
        with contextlib.suppress(UserError), replaced_file(path) as file:
            file.write(hashlib.sha256(library).digest() + library)
        _prune(path.parent)
    return library


def _read(path: Path) -> bytes | None:
    """A library of the cache, whose digest stands before it; ``None`` when there is none or it is damaged."""
    try:
        raw = path.read_bytes()
        os.utime(path)
    except OSError:
        return None
    n_digest = hashlib.sha256().digest_size
    return raw[n_digest:] if hashlib.sha256(raw[n_digest:]).digest() == raw[:n_digest] else None


def _private_folder() -> Path | None:
    """The cache folder when nobody else can have written into it; without one every process compiles anew."""
    folder = cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
    except OSError:
        return None
    foreign = found.st_uid != os.geteuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return None if foreign else folder


def _digest(net: Netlist, encoder: InputEncoder | None, tool: Tool) -> str:
    digest = hashlib.sha256(net.key)
    if encoder is not None:
        digest.update(repr(encoder.widths).encode())
        for levels in encoder.thresholds:
            digest.update(levels.tobytes())
    for text in (_generator(), _processor(), tool.argv[0], str(tool_version(tool)), " ".join(_FLAGS + _GATE_FLAGS)):
        digest.update(b"\0" + text.encode())
    return digest.hexdigest()


@cache
def _generator() -> str:
    """A digest of the code that writes the C files."""
    digest = hashlib.sha256()
    sources = Path(backends.__file__).parent.glob("c*.py")
    for path in (*sorted(sources), *sorted((data_folder("rtl_templates") / "c").iterdir())):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@cache
def _processor() -> str:
    """What ``-march=native`` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    wanted = {line for line in lines if re.match(r"(flags|Features|model name|CPU part)\b", line)}
    return "\n".join([platform.machine(), platform.processor(), *sorted(wanted)])


def _compiled(net: Netlist, encoder: InputEncoder | None, tool: Tool) -> bytes:
    files = CCode(top=TOP, encoder=encoder).emit(net)
    with tempfile.TemporaryDirectory(prefix="lutnet-") as scratch:
        folder = Path(scratch)
        for name in (f"{TOP}.c", f"{TOP}.h"):
            (folder / name).write_text(files[PurePosixPath(name)])
        source, objects = folder / f"{TOP}.c", []
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            jobs = []
            for unit in range(_n_units(files[PurePosixPath(f"{TOP}.c")])):
                objects.append(folder / f"unit{unit}.o")
                flags = (*_FLAGS, *(_GATE_FLAGS if unit else ()), f"-DLUTNET_UNIT={unit}")
                jobs.append(pool.submit(compile_object, tool, source, objects[-1], flags=flags))
            for job in jobs:
                job.result()
        link_shared(tool, objects, folder / "library.so")
        return (folder / "library.so").read_bytes()


def _n_units(source: str) -> int:
    """Units that the file may be compiled in side by side."""
    found = re.search(r"^#define LUTNET_UNITS (\d+)$", source, re.MULTILINE)
    if found is None:
        raise AssertionError("the C back end says how many units its file has")
    return int(found.group(1))


@dataclass(frozen=True)
class _Kept:
    path: Path
    used: float
    n_bytes: int


def _prune(folder: Path) -> None:
    """Removes the libraries that were not used for longest."""
    with contextlib.suppress(OSError):
        states = [(path, path.stat()) for path in folder.glob("*.library")]
        kept = [_Kept(path, state.st_mtime, state.st_size) for path, state in states]
        total = sum(item.n_bytes for item in kept)
        for item in sorted(kept, key=lambda item: item.used):
            if total <= CACHE_BYTES:
                return
            item.path.unlink(missing_ok=True)
            total -= item.n_bytes
