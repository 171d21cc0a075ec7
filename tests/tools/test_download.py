"""Downloads against a local HTTP server that can misbehave."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_server import FAST, Server, running_server

from lutnet.errors import UserError
from lutnet.train.data import FileChecksum, RemoteFile, RetryPolicy, fetch

ONCE = RetryPolicy(n_attempts=1, backoff_s=0.0, timeout_s=5.0)
BODY = np.random.RandomState(7).bytes(1 << 20)
HALF = len(BODY) // 2


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with running_server(monkeypatch) as running:
        yield running


def sha256(body: bytes) -> FileChecksum:
    return FileChecksum("sha256", hashlib.sha256(body).hexdigest())


def pinned(*urls: str, **changes: object) -> RemoteFile:
    return replace(RemoteFile("data.bin", 1 << 21, urls, sha256(BODY)), **changes)  # type: ignore[arg-type]


def trusting(*urls: str) -> RemoteFile:
    return pinned(*urls, checksum=None)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_download_verifies_reports_and_caches(server: Server, tmp_path: Path) -> None:
    remote = pinned(server.put("/a", BODY))
    seen: list[tuple[str, int, int | None]] = []
    path = fetch(remote, tmp_path / "new" / "cache", progress=lambda *now: seen.append(now), policy=FAST)
    assert path.read_bytes() == BODY and names(path.parent) == ["data.bin"]
    assert seen[0] == ("data.bin", 0, len(BODY)) and seen[-1] == ("data.bin", len(BODY), len(BODY))
    assert [n for _, n, _ in seen] == sorted({n for _, n, _ in seen})
    fetch(remote, path.parent, policy=FAST)
    assert server.asked == [("/a", None)]


def test_a_dropped_connection_is_resumed_in_the_same_call(server: Server, tmp_path: Path) -> None:
    remote = trusting(server.put("/a", BODY, drops=[HALF, 1000, None]))
    assert fetch(remote, tmp_path, policy=FAST).read_bytes() == BODY
    assert server.asked == [("/a", None), ("/a", f"bytes={HALF}-"), ("/a", f"bytes={HALF + 1000}-")]


def test_progress_earns_further_attempts(server: Server, tmp_path: Path) -> None:
    remote = pinned(server.put("/a", BODY, drops=[HALF // 4] * 7 + [None]))
    assert fetch(remote, tmp_path, policy=replace(FAST, n_attempts=2)).read_bytes() == BODY


class Stop(Exception):
    """Raised by a progress callback."""


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, Stop])
@pytest.mark.parametrize("make", [pinned, trusting])
def test_an_interrupted_download_is_resumed_by_the_next_call(
    server: Server, tmp_path: Path, interruption: type[BaseException], make: object
) -> None:
    remote = make(server.put("/a", BODY))  # type: ignore[operator]

    def stop_halfway(name: str, n_bytes: int, n_total: int | None) -> None:
        if n_bytes >= HALF:
            raise interruption

    with pytest.raises(interruption):
        fetch(remote, tmp_path, progress=stop_halfway, policy=FAST)
    assert names(tmp_path) == ["data.bin.part", "data.bin.part.json"]
    n_kept = (tmp_path / "data.bin.part").stat().st_size
    assert n_kept >= HALF
    assert fetch(remote, tmp_path, policy=FAST).read_bytes() == BODY
    assert server.asked[-1] == ("/a", f"bytes={n_kept}-")
    assert not [name for name in names(tmp_path) if ".part" in name]


def test_a_server_that_ignores_ranges_is_read_from_the_start(server: Server, tmp_path: Path) -> None:
    remote = pinned(server.put("/a", BODY, drops=[HALF, None], ranges=False))
    assert fetch(remote, tmp_path, policy=FAST).read_bytes() == BODY
    assert server.asked[1] == ("/a", f"bytes={HALF}-")


def test_a_complete_part_needs_no_further_byte(server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.bin.part").write_bytes(BODY)
    assert fetch(pinned(server.put("/a", BODY)), tmp_path, policy=FAST).read_bytes() == BODY
    assert server.asked == [("/a", f"bytes={len(BODY)}-")]


@pytest.mark.parametrize("left", [b"junk" * 1000, BODY + b"tail"])
def test_a_foreign_part_is_thrown_away(server: Server, tmp_path: Path, left: bytes) -> None:
    (tmp_path / "data.bin.part").write_bytes(left)
    assert fetch(pinned(server.put("/a", BODY)), tmp_path, policy=FAST).read_bytes() == BODY


def test_without_a_checksum_only_the_same_version_is_continued(server: Server, tmp_path: Path) -> None:
    url = server.put("/a", b"old" * HALF, drops=[HALF, 0])
    with pytest.raises(UserError, match="closed the connection after"):
        fetch(trusting(url), tmp_path, policy=ONCE)
    server.put("/a", BODY, etag='"v2"')
    assert fetch(trusting(url), tmp_path, policy=FAST).read_bytes() == BODY


def test_without_a_checksum_bytes_of_two_addresses_are_not_joined(server: Server, tmp_path: Path) -> None:
    remote = trusting(server.put("/a", b"old" * HALF, drops=[HALF, 0]), server.put("/b", BODY))
    assert fetch(remote, tmp_path, policy=FAST).read_bytes() == BODY
    assert server.asked == [("/a", None), ("/b", None)]


def test_without_checksum_and_validator_nothing_is_continued(server: Server, tmp_path: Path) -> None:
    remote = trusting(server.put("/a", BODY, etag="", drops=[HALF, None]))
    assert fetch(remote, tmp_path, policy=FAST).read_bytes() == BODY
    assert [asked for _, asked in server.asked] == [None, None]


def test_mirrors_are_tried_in_order_and_share_the_bytes(server: Server, tmp_path: Path) -> None:
    urls = (server.url("/gone"), server.put("/a", BODY, drops=[HALF]), server.put("/b", BODY))
    assert fetch(pinned(*urls), tmp_path, policy=FAST).read_bytes() == BODY
    assert server.asked == [("/gone", None), ("/a", None), ("/b", f"bytes={HALF}-")]


def test_server_errors_are_tried_again_and_missing_files_are_not(server: Server, tmp_path: Path) -> None:
    remote = pinned(server.put("/a", BODY, statuses=[503, 429, 200]), server.url("/gone"))
    assert fetch(remote, tmp_path, policy=FAST).read_bytes() == BODY
    assert [path for path, _ in server.asked] == ["/a", "/gone", "/a", "/a"]


def test_not_found_is_one_sentence(server: Server, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"could not download 'data.bin': .*/gone answered 404 .*; check .* --data"
    ) as caught:
        fetch(pinned(server.url("/gone")), tmp_path, policy=FAST)
    assert "\n" not in str(caught.value) and len(server.asked) == 1 and names(tmp_path) == []


def test_offline_is_one_sentence(server: Server, tmp_path: Path) -> None:
    url = server.url("/a")
    server.shutdown()
    server.server_close()
    with pytest.raises(UserError, match=r"cannot be reached: .*refused"):
        fetch(pinned(url), tmp_path, policy=FAST)
    assert names(tmp_path) == []


def test_corrupt_bytes_are_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    wrong = BODY[:-1] + b"!"
    remote = pinned(server.put("/a", wrong))
    with pytest.raises(UserError, match=f"checksum {sha256(wrong).hexdigest}, expected {remote.checksum.hexdigest}"):
        fetch(remote, tmp_path, policy=FAST)
    assert names(tmp_path) == [] and len(server.asked) == 1
    assert fetch(pinned(*remote.urls, server.put("/b", BODY)), tmp_path, policy=FAST).read_bytes() == BODY


def test_a_damaged_cached_file_is_refused(server: Server, tmp_path: Path) -> None:
    for remote in (pinned(server.put("/a", BODY)), trusting(server.put("/a", BODY))):
        path = fetch(remote, tmp_path, policy=FAST)
        path.write_bytes(BODY[1:])
        with pytest.raises(UserError, match=r"data\.bin' has the checksum .*; delete it"):
            fetch(remote, tmp_path, policy=FAST)
        path.unlink()


def test_trust_on_first_use(server: Server, tmp_path: Path) -> None:
    remote = trusting(server.put("/a", BODY))
    path = fetch(remote, tmp_path, policy=FAST)
    assert (tmp_path / "data.bin.sha256").read_text() == f"{sha256(BODY).hexdigest}  data.bin\n"
    path.unlink()
    server.put("/a", b"changed")
    with pytest.raises(UserError, match=r"of the first download \(recorded in '.*data\.bin\.sha256'; delete it"):
        fetch(remote, tmp_path, policy=FAST)
    assert not path.exists()
    (tmp_path / "data.bin.sha256").unlink()
    assert fetch(remote, tmp_path, policy=FAST).read_bytes() == b"changed"


def test_a_web_page_is_not_taken_for_data(server: Server, tmp_path: Path) -> None:
    remote = replace(trusting(server.put("/a", b"<html>log in</html>")), magic=b"\x89HDF")
    with pytest.raises(UserError, match="sent something else than the file"):
        fetch(remote, tmp_path, policy=FAST)
    assert names(tmp_path) == []
    (tmp_path / "data.bin").write_bytes(b"<html>")
    with pytest.raises(UserError, match="not in the format of the original"):
        fetch(remote, tmp_path, policy=FAST)


@pytest.mark.parametrize("limit", [100, len(BODY) - 1])
def test_too_much_is_refused(server: Server, tmp_path: Path, limit: int) -> None:
    with pytest.raises(UserError, match=f"more than the {limit} of the genuine file"):
        fetch(pinned(server.put("/a", BODY), max_bytes=limit), tmp_path, policy=FAST)
    assert len(server.asked) == 1 and names(tmp_path) == []


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/a"])
def test_only_http_addresses_are_asked(tmp_path: Path, url: str) -> None:
    with pytest.raises(UserError, match="is not an http or https address"):
        fetch(pinned(url), tmp_path, policy=FAST)


def test_unwritable_cache(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot store .* choose another cache folder"):
        fetch(pinned(server.put("/a", BODY)), tmp_path / "file" / "cache", policy=FAST)


def test_two_downloads_of_one_file_do_not_mix(server: Server, tmp_path: Path) -> None:
    remote = pinned(server.put("/a", BODY))
    problems: list[str] = []

    def start_another(name: str, n_bytes: int, n_total: int | None) -> None:
        if not problems:
            with pytest.raises(UserError) as caught:
                fetch(remote, tmp_path, policy=FAST)
            problems.append(str(caught.value))

    assert fetch(remote, tmp_path, progress=start_another, policy=FAST).read_bytes() == BODY
    assert "another process is downloading" in problems[0]


@pytest.mark.parametrize("name", ["../escape", "a/b", "", ".hidden"])
def test_file_names_name_no_folder(name: str) -> None:
    with pytest.raises(UserError, match="file name of a source"):
        RemoteFile(name, 1, ("http://127.0.0.1/a",))
