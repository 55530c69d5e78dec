"""The HTTP side: connections, tokens, faults, the log of requests."""

import json
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.loopback_hub import access, benchmarks, files, jobs, repositories, uploads
from tests.loopback_hub.body import Body, ConnectionDroppedError
from tests.loopback_hub.faults import Fault, Faults
from tests.loopback_hub.replies import HubError, Reply, as_json
from tests.loopback_hub.routing import Request, Route, Site

FAULTS = "/_faults"
"""Where faults are set from outside; no fault strikes it."""

ROUTES: tuple[Route, ...] = (*repositories.ROUTES, *files.ROUTES, *uploads.ROUTES, *benchmarks.ROUTES, *jobs.ROUTES)


@dataclass(frozen=True)
class Visit:
    """A line of the log: no header and no query, so no token. `status` is 0 where the connection broke instead."""

    method: str
    path: str
    role: str
    status: int
    received: int
    sent: int
    range: str = ""
    fault: str = ""

    def __str__(self) -> str:
        extra = "".join(f"  {word}" for word in (self.range, self.fault) if word)
        return f"{self.status} {self.role:9} {self.method:6} {self.path}  in {self.received} out {self.sent}{extra}"


class HubServer(ThreadingHTTPServer):
    """Remembers its open connections, so that going down also cuts those that clients keep alive."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(
        self, port: int, site: Site, faults: Faults, record: Callable[[Visit], None], stop: Callable[[], None]
    ) -> None:
        self.site = site
        self.faults = faults
        self.record = record
        self.stop = stop
        self._connections: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._guard:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._connections.discard(request)
        super().shutdown_request(request)

    def cut_connections(self) -> None:
        with self._guard:
            for connection in self._connections:
                cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news; everything else shows."""
        if not isinstance(sys.exception(), ConnectionError):
            traceback.print_exc()


def cut(connection: socket.socket) -> None:
    """Ends a connection for both sides at once."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is closed already
        return


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: HubServer

    def log_message(self, format: str, *args: Any) -> None:
        """The log is the Hub's."""

    def _serve(self) -> None:
        path, query = urlsplit(self.path).path, urlsplit(self.path).query
        chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        body = Body(self.rfile, self.headers.get("Content-Length"), chunked)
        fault = None if path == FAULTS else self.server.faults.take(self.command, path)
        span = self.headers.get("Range", "")
        status = sent = 0
        role: access.Role | None = None
        try:
            role = access.identify(self.headers.get("Authorization"))
            request = Request(self.command, path, parse_qs(query), span, body, role, self.server.site)
            reply = self._answer(request, fault)
            body.drain()
            status, sent = self._send(reply, fault)
        except HubError as error:
            body.drain()
            status, sent = self._send(error.reply(), None)
        except (ConnectionDroppedError, ConnectionError):
            self.close_connection = True
            cut(self.connection)
        finally:
            kind = "" if fault is None else fault.kind
            name = "anonymous" if role is None else role.name
            self.server.record(Visit(self.command, path, name, status, body.received, sent, span, kind))

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815

    def _answer(self, request: Request, fault: Fault | None) -> Reply:
        if fault is not None:
            if fault.kind == "stop":
                self.server.stop()
                raise ConnectionDroppedError
            if fault.kind == "status":
                raise HubError(fault.status, f"Injected fault {fault.status}", headers=dict(fault.headers))
            if fault.kind == "before" and fault.action is not None:
                fault.action()
            if fault.kind == "drop" and request.body.expected:
                request.body.limit = request.body.declared // 2 if fault.after is None else fault.after
        if request.path == FAULTS:
            return self._change_faults(request)
        try:
            for route in ROUTES:
                arguments = route.match(request.method, request.path)
                if arguments is not None:
                    reply = route.answer(request, **arguments)
                    break
            else:
                raise HubError(501, f"This Hub has no {request.method} {request.path}")
        except (HubError, ConnectionDroppedError, ConnectionError):
            raise
        except Exception as error:
            # Whatever it is, it is a fault of this Hub: 501 is the one status that no client tries again.
            traceback.print_exc()
            raise HubError(501, f"This Hub failed: {type(error).__name__}: {error}".replace("\n", " ")) from error
        if fault is not None and fault.kind == "lose_reply":
            raise ConnectionDroppedError
        return reply

    def _change_faults(self, request: Request) -> Reply:
        """Sets a fault sent as JSON, or takes all back: for a Hub started by hand."""
        if request.method == "DELETE":
            self.server.faults.clear()
            return as_json({})
        try:
            self.server.faults.add(Fault(**json.loads(request.body.read())))
        except (TypeError, ValueError) as error:
            raise HubError(400, f"Not a fault: {error}") from error
        return as_json({})

    def _send(self, reply: Reply, fault: Fault | None) -> tuple[int, int]:
        content = b"" if self.command == "HEAD" else reply.read()
        size = reply.size
        kind = "" if fault is None else fault.kind
        if kind == "drop" and not content:
            raise ConnectionDroppedError
        if kind == "truncate" and content:
            content = content[: len(content) // 2]
            size = len(content)
        elif kind == "corrupt" and content:
            content = content[:-1] + bytes([content[-1] ^ 0xFF])
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(size))
        self.end_headers()
        if kind == "drop":
            half = len(content) // 2 if fault is None or fault.after is None else fault.after
            self.wfile.write(content[:half])
            self.wfile.flush()
            raise ConnectionDroppedError
        self.wfile.write(content)
        return reply.status, len(content)
