"""Serve the app on an address of this machine until it is interrupted."""

import asyncio
import contextlib
import logging
import os
import socket

import gradio
import uvicorn
from starlette.applications import Starlette

from hf_sslgen.app import gradio_page
from hf_sslgen.app.app_session import AppSession
from hf_sslgen.app.gradio_look import FOOTER, look
from hf_sslgen.app.web_routes import LOCAL, middleware, own_routes
from hf_sslgen.errors import InputError

logger = logging.getLogger(__name__)

SECONDS_TO_CLOSE = 2
"""Time for open pages to hang up when the app ends."""


def application(session: AppSession, host: str) -> Starlette:
    """Return the whole app: its own addresses, and Gradio's page."""
    app = Starlette(routes=[*own_routes(session.area, session.report_page)], middleware=middleware(host))
    gradio.mount_gradio_app(
        app,
        gradio_page.build_page(session),
        path="/",
        server_name=host,
        run_history=False,
        footer_links=FOOTER,
        show_error=False,
        max_file_size="1kb",  # files arrive by the app's own address
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=look(),
        css=gradio_page.STYLE.read_text(encoding="utf-8"),
    )
    return app


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on this address; port 0 takes any free one.

    Raises:
        InputError: the address is taken or not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except OSError as error:
        listening.close()
        raise InputError(
            f"the app can't listen on {host}:{port} ({error.strerror or error}); give another --port, or 0 for any"
        ) from error
    return listening


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Whether a record of uvicorn's is not only that an open page was hung up on when the app ended."""
    return record.exc_info is None or not isinstance(record.exc_info[1], asyncio.CancelledError)


def serve(session: AppSession, host: str, port: int) -> None:
    """Serve the app until Ctrl-C or SIGTERM."""
    os.environ["GRADIO_TEMP_DIR"] = str(session.folder / "gradio")
    with listen(host, port) as listening:
        app = application(session, host)
        if host not in LOCAL:
            logger.warning(
                "anyone who reaches %s can use the app without a password, and look at pictures on this machine", host
            )
        shown = f"[{host}]" if ":" in host else host
        print(f"The app is at http://{shown}:{listening.getsockname()[1]} (Ctrl-C ends it)", flush=True)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=SECONDS_TO_CLOSE))
        logging.getLogger("uvicorn.error").addFilter(_is_worth_saying)
        with contextlib.suppress(KeyboardInterrupt):  # the usual way to end it
            server.run(sockets=[listening])
