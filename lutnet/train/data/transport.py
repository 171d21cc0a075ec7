"""One HTTP request, with every way in which it can fail reduced to one exception."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from lutnet.errors import UserError

__all__ = ["ContentRange", "Response", "RetryPolicy", "TransferError", "get_json", "request"]

_RETRY_STATUS = frozenset((408, 425, 429))
_NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, OSError)
_MAX_JSON_BYTES = 1 << 22


@dataclass(frozen=True)
class RetryPolicy:
    """How stubborn a download is.

    Attributes:
        n_attempts: Rounds over the mirrors without any progress before giving up, at least 1.
        backoff_s: Wait before the second round, in seconds; doubled for each further one.
        timeout_s: Longest silence of a server, in seconds.
    """

    n_attempts: int = 4
    backoff_s: float = 1.0
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        if self.n_attempts < 1 or self.backoff_s < 0 or self.timeout_s <= 0:
            raise UserError(
                "a retry policy needs at least 1 attempt, a wait of 0 s or more and a timeout above 0 s, got "
                f"{self.n_attempts}, {self.backoff_s} and {self.timeout_s}"
            )


@dataclass(frozen=True)
class ContentRange:
    """The header ``Content-Range``: ``bytes start-end/total``, or ``bytes */total`` with status 416.

    Attributes:
        start: First byte that is sent, or ``None``.
        total: Bytes of the whole file, or ``None``.
    """

    start: int | None
    total: int | None

    @classmethod
    def parse(cls, text: str) -> ContentRange | None:
        """Read the header; ``None`` when it is missing or in another unit."""
        unit, _, rest = text.strip().partition(" ")
        span, _, total = rest.partition("/")
        start = span.partition("-")[0]
        if unit != "bytes":
            return None
        return cls(int(start) if start.isdigit() else None, int(total) if total.isdigit() else None)


class TransferError(Exception):
    """A request or transfer failed.

    Attributes:
        reason: What went wrong, with the address.
        permanent: Whether asking the same address again is pointless.
        status: HTTP status, where there was one.
        content_range: The header ``Content-Range``, where there was one.
    """

    def __init__(
        self, reason: str, *, permanent: bool, status: int | None = None, content_range: ContentRange | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent
        self.status = status
        self.content_range = content_range


def _reason(problem: Exception) -> str:
    inner = getattr(problem, "reason", None) or problem
    return str(inner) or type(inner).__name__


@dataclass(frozen=True)
class Response:
    """An open answer; use it as a context manager.

    Attributes:
        url: The address that was asked.
        raw: The standard library's response.
    """

    url: str
    raw: http.client.HTTPResponse

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.raw.close()

    @property
    def status(self) -> int:
        """HTTP status, 200 or 206."""
        return self.raw.status

    def header(self, name: str) -> str:
        """A header, or the empty string."""
        return str(self.raw.headers.get(name, ""))

    @property
    def length(self) -> int | None:
        """Bytes of the body as announced, or ``None``."""
        text = self.header("Content-Length")
        return int(text) if text.isdigit() else None

    @property
    def content_range(self) -> ContentRange | None:
        """Which part of the file the body is."""
        return ContentRange.parse(self.header("Content-Range"))

    @property
    def validator(self) -> str:
        """What ``If-Range`` may carry: a strong ``ETag`` or ``Last-Modified``; empty when the server gives neither."""
        etag = self.header("ETag")
        return etag if etag and not etag.startswith("W/") else self.header("Last-Modified")

    def read(self, n_bytes: int) -> bytes:
        """At most ``n_bytes`` of the body, empty at its end.

        Raises:
            TransferError: The connection broke.
        """
        try:
            return self.raw.read(n_bytes)
        except _NETWORK_ERRORS as problem:
            raise TransferError(f"the connection to {self.url} broke: {_reason(problem)}", permanent=False) from problem


def request(url: str, headers: Mapping[str, str], timeout_s: float) -> Response:
    """Ask for ``url``.

    Raises:
        TransferError: No answer, or an HTTP status other than success.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise TransferError(f"{url} is not an http or https address", permanent=True)
    question = urllib.request.Request(url, headers={"User-Agent": "lutnet", "Accept-Encoding": "identity", **headers})
    try:
        return Response(url, urllib.request.urlopen(question, timeout=timeout_s))
    except urllib.error.HTTPError as problem:
        problem.close()
        permanent = 400 <= problem.code < 500 and problem.code not in _RETRY_STATUS
        raise TransferError(
            f"{url} answered {problem.code} {problem.reason}",
            permanent=permanent,
            status=problem.code,
            content_range=ContentRange.parse(str(problem.headers.get("Content-Range", ""))),
        ) from problem
    except _NETWORK_ERRORS as problem:
        raise TransferError(f"{url} cannot be reached: {_reason(problem)}", permanent=False) from problem


def get_json(url: str, policy: RetryPolicy) -> object:
    """A small JSON document.

    Raises:
        TransferError: It cannot be had, is too long, or is no JSON.
    """
    with request(url, {"Accept": "application/json"}, policy.timeout_s) as response:
        text = b""
        while len(text) <= _MAX_JSON_BYTES and (block := response.read(1 << 16)):
            text += block
    if len(text) > _MAX_JSON_BYTES:
        raise TransferError(f"{url} sent more than {_MAX_JSON_BYTES} bytes of description", permanent=True)
    try:
        return json.loads(text)
    except ValueError as problem:
        raise TransferError(f"{url} did not send JSON", permanent=False) from problem
