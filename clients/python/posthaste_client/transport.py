"""One HTTP request over `http.client`: no redirects, no kept connection, bounded in bytes and time."""

from __future__ import annotations

import http.client
import ssl
import time
from dataclasses import dataclass
from typing import Callable, Mapping, Optional
from urllib.parse import urlsplit

# More than any answer of the API, which looks at 4 MiB of bodies in a call.
ANSWER_BYTES_MAX = 32 * 1024 * 1024
PIECE_BYTES = 64 * 1024


@dataclass(frozen=True)
class Response:
    """`headers`: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


# method, absolute URL, headers, body or None, seconds; raises OSError or http.client.HTTPException when no answer came.
Transport = Callable[[str, str, Mapping[str, str], Optional[bytes], float], Response]


def http_transport(
    method: str, url: str, headers: Mapping[str, str], body: Optional[bytes], timeout_s: float
) -> Response:
    """Connecting, the head of the answer and its body may each take `timeout_s` less what went before."""
    end = time.monotonic() + timeout_s
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(host, parts.port or 443, timeout=timeout_s, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port or 80, timeout=timeout_s)
    try:
        connection.connect()
        sock = connection.sock
        sock.settimeout(left_until(end))
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection.request(method, target, body=body, headers={**headers, "connection": "close"})
        sock.settimeout(left_until(end))
        answer = connection.getresponse()
        pieces = []
        length = 0
        while True:
            sock.settimeout(left_until(end))
            piece = answer.read1(PIECE_BYTES)
            if not piece:
                break
            length += len(piece)
            if length > ANSWER_BYTES_MAX:
                raise OSError(f"the answer has more than {ANSWER_BYTES_MAX} bytes")
            pieces.append(piece)
        if answer.length:
            raise http.client.IncompleteRead(b"", answer.length)
        fields = {name.lower(): value for name, value in answer.getheaders()}
        return Response(answer.status, fields, b"".join(pieces))
    finally:
        connection.close()


def left_until(end: float) -> float:
    left_s = end - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("no whole answer in time")
    return left_s
