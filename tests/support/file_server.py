"""A server of published files on loopback, with the habits of real ones: ranges, none, redirects, refusals, cuts."""

import contextlib
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote


@dataclass
class Served:
    """What a path answers.

    Attributes:
        tag: the ETag; empty for none.
        has_ranges: whether Range is obeyed; If-Range is obeyed with it, unless `ignores_if_range`.
        cuts: after how many bytes of the body the connection breaks, one number per request; later ones arrive whole.
        redirect: where else the file is.
        held: what a connection that breaks waits for, like one that is slow.
        first_statuses: answers to the first requests, before `status`.
    """

    content: bytes = b""
    tag: str = '"1"'
    has_ranges: bool = True
    ignores_if_range: bool = False
    status: int = 200
    kind: str = "application/octet-stream"
    cuts: list[int] = field(default_factory=list)
    redirect: str = ""
    first_statuses: list[int] = field(default_factory=list)
    held: threading.Event | None = None


@dataclass(frozen=True)
class Asked:
    """A request: its path, its Range, and its headers in small letters."""

    path: str
    span: str
    headers: dict[str, str]
    sent: int


class FileServer:
    """A context manager: `files` maps paths to what they answer, `asked` is the log."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.asked: list[Asked] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # a client was killed
                    super().handle()

            def log_message(self, format: str, *args: Any) -> None:
                """The log is `asked`."""

            def do_GET(self) -> None:
                outer.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = unquote(handler.path.partition("?")[0])
        served = self.files.get(path, Served(status=404))
        span, sent = handler.headers.get("Range", ""), 0
        status = served.first_statuses.pop(0) if served.first_statuses else served.status
        headers = {name.lower(): value for name, value in handler.headers.items()}
        if served.redirect or status != 200:
            handler.send_response(302 if served.redirect else status)
            if served.redirect:
                handler.send_header("Location", served.redirect)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
        else:
            sent = self._send(handler, served, span)
        self.asked.append(Asked(handler.path, span, headers, sent))

    def _send(self, handler: BaseHTTPRequestHandler, served: Served, span: str) -> int:
        size, start = len(served.content), 0
        unchanged = served.ignores_if_range or handler.headers.get("If-Range") == served.tag
        found = re.fullmatch(r"bytes=(\d+)-", span)
        if found and served.has_ranges and unchanged:
            start = int(found.group(1))
        handler.send_response(206 if start else 200)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        if served.tag:
            handler.send_header("ETag", served.tag)
        handler.send_header("Content-Type", served.kind)
        handler.send_header("Content-Length", str(size - start))
        handler.end_headers()
        end = min(start + served.cuts.pop(0), size) if served.cuts else size
        handler.wfile.write(served.content[start:end])
        if end < size:
            handler.wfile.flush()
            if served.held is not None:
                served.held.wait(120)
            handler.close_connection = True
        return end - start

    def __enter__(self) -> "FileServer":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
