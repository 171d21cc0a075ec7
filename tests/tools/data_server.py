"""A local HTTP server for the tests of downloads, which can be told to misbehave."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lutnet.train.data import RetryPolicy

__all__ = ["FAST", "Page", "Server", "running_server"]

FAST = RetryPolicy(n_attempts=3, backoff_s=0.0, timeout_s=5.0)


@dataclass
class Page:
    """What the server does with one path: a list entry is used up by a request, the last one stays."""

    body: bytes
    etag: str = '"v1"'
    drops: list[int | None] = field(default_factory=lambda: [None])
    statuses: list[int] = field(default_factory=lambda: [200])
    ranges: bool = True


class Server(ThreadingHTTPServer):
    """Serves ``pages`` and keeps what was asked: path and ``Range`` header."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, str | None]] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def put(self, path: str, body: bytes, **options: object) -> str:
        self.pages[path] = Page(body, **options)  # type: ignore[arg-type]
        return self.url(path)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range")))
        page = self.server.pages.get(self.path)
        status = 404 if page is None else page.statuses.pop(0) if len(page.statuses) > 1 else page.statuses[0]
        if page is None or status >= 400:
            self.send_error(status)
            return
        start = self._start(page)
        if start > 0 and start >= len(page.body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(page.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else status)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(page.body) - 1}/{len(page.body)}")
        self.send_header("Content-Length", str(len(page.body) - start))
        if page.etag:
            self.send_header("ETag", page.etag)
        self.end_headers()
        drop = page.drops.pop(0) if len(page.drops) > 1 else page.drops[0]
        self.wfile.write(page.body[start:] if drop is None else page.body[start : start + drop])
        self.close_connection = True

    def _start(self, page: Page) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        if not match or not page.ranges or (condition is not None and condition != page.etag):
            return 0
        return int(match.group(1))

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def running_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server in a thread, with the environment cleared of proxies and of the user's own data."""
    for name in ("LUTNET_DATA", "LUTNET_CACHE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
