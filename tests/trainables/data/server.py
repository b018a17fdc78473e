"""A server on this machine that serves one file and misbehaves as it is told."""

from __future__ import annotations

import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Served:
    """A file, and how it is served: `breaks` after so many bytes of each answer, or not at all."""

    body: bytes
    breaks: int | None = None
    ranges: bool = True
    status: int | None = None
    shifted: bool = False
    """Whether a part begins elsewhere than it was asked for."""
    asked: list[str | None] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(served: Served) -> Generator[Served]:
    """The server while it runs; `url` is the address of the file."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802 (http.server calls it so)
            answer(self, served)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        served.url = f"http://127.0.0.1:{server.server_port}/file"
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()


def answer(handler: BaseHTTPRequestHandler, served: Served) -> None:
    wanted = handler.headers.get("Range")
    served.asked.append(wanted)
    if served.status is not None:
        handler.send_error(served.status)
        return
    body = served.body
    start = int(re.findall(r"\d+", wanted)[0]) if wanted and served.ranges else 0
    if start >= len(body) and start:
        handler.send_response(416)
        handler.send_header("Content-Range", f"bytes */{len(body)}")
        handler.end_headers()
        return
    if wanted and served.ranges:
        start -= 1 if served.shifted else 0
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    else:
        handler.send_response(200)
    rest = body[start:]
    handler.send_header("Content-Length", str(len(rest)))
    handler.end_headers()
    handler.wfile.write(rest if served.breaks is None else rest[: served.breaks])
