"""Run `hf-sslgen app`, after its options have been parsed."""

import importlib.util

from hf_sslgen.app.app_session import app_session
from hf_sslgen.app.dropped_files import Limits
from hf_sslgen.commands.app import AppArguments
from hf_sslgen.errors import InputError
from hf_sslgen.output_folder import require_output_folder


def run_app(arguments: AppArguments) -> None:
    """Serve the app until it is interrupted.

    Raises:
        InputError: Gradio is absent, or the address or the output folder can't be used.
    """
    if importlib.util.find_spec("gradio") is None:
        raise InputError("the app needs Gradio: pip install 'hf-sslgen[app]'")
    output_dir = require_output_folder(arguments.output_dir, own=["cells"]).resolve()
    from hf_sslgen.app.app_server import serve

    with app_session(output_dir, Limits(total_bytes=int(arguments.max_upload_gb * 10**9))) as session:
        serve(session, arguments.host, arguments.port)
