"""The app's own addresses beside Gradio's: to send dropped files with their folders, and to show a finished report."""

from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hf_sslgen.app.dropped_files import DropArea
from hf_sslgen.app.shown_html import REPORT_PATH, TABLES
from hf_sslgen.errors import InputError

DROP_PATH = "/dropped"
"""Address that files are sent to, by `drop_zone.js`."""

OWN_PAGES = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; frame-ancestors 'self'"
)
"""What the browser lets the app's pages fetch: nothing from elsewhere. Gradio evaluates scripts that it is given."""

REPORTS = (
    "sandbox allow-scripts allow-downloads allow-popups allow-modals; default-src 'none'; "
    "script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; "
    "connect-src data:; frame-ancestors 'self'"
)
"""The same for a report, which needs nothing but itself and can't act as the app, since it shows names from data."""

LOCAL = ("127.0.0.1", "localhost", "::1")


class SecurityHeaders:
    """Adds headers that keep pages from asking other servers, and other sites from framing them or acting as them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _acts_for_another_site(Headers(scope=scope), scope["method"]):
            await PlainTextResponse("Requests from other sites are refused.", status_code=403)(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [name.lower() for name, _ in message["headers"]]
                added = {b"x-content-type-options": b"nosniff", b"referrer-policy": b"no-referrer"}
                if b"content-security-policy" not in headers:
                    added[b"content-security-policy"] = OWN_PAGES.encode()
                message["headers"] = [*message["headers"], *added.items()]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def _acts_for_another_site(headers: Headers, method: str) -> bool:
    """Whether a request that changes something comes from a page of another site, or from a report."""
    origin = headers.get("origin")
    return method not in ("GET", "HEAD") and origin is not None and urlsplit(origin).netloc != headers.get("host")


def middleware(host: str) -> list[Middleware]:
    """Return what every request passes: on a local address, only those that name it, so that no other site's can."""
    guards = [Middleware(SecurityHeaders)]
    if host in LOCAL:
        guards.insert(0, Middleware(TrustedHostMiddleware, allowed_hosts=[*LOCAL, "[::1]"], www_redirect=False))
    return guards


def own_routes(area: DropArea, report_page: Callable[[], Path | None]) -> Sequence[Route]:
    """Return the routes.

    Args:
        report_page: returns the page of the comparison to show; None if there is none yet.
    """

    async def receive_file(request: Request) -> Response:
        try:
            with area.receiving(request.path_params["token"], request.query_params.get("name", "")) as write:
                async for part in request.stream():
                    if write is not None:
                        write(part)
        except InputError as error:
            return PlainTextResponse(str(error), status_code=400)
        except ClientDisconnect:
            return PlainTextResponse("The file did not arrive.", status_code=400)
        except OSError as error:
            return PlainTextResponse(f"the file can't be stored: {error.strerror}", status_code=507)
        return PlainTextResponse("kept" if write is not None else "skipped")

    async def show_report(request: Request) -> Response:
        page = report_page()
        if page is None or not page.is_file():
            return PlainTextResponse("There is no report yet.", status_code=404)
        return FileResponse(page, headers={"Content-Security-Policy": REPORTS, "Cache-Control": "no-store"})

    async def send_table(request: Request) -> Response:
        page, name = report_page(), request.path_params["name"]
        path = page.parent.parent / name if page is not None else None
        if name not in TABLES or path is None or not path.is_file():
            return PlainTextResponse("There is no such table.", status_code=404)
        return FileResponse(path, media_type="text/csv", filename=name)

    return [
        Route(DROP_PATH + "/{token}", receive_file, methods=["PUT"]),
        Route(REPORT_PATH + "/", show_report),
        Route(REPORT_PATH + "/{name}", send_table),
    ]
