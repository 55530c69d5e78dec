"""What the app holds while it runs: the files that were dropped, and the comparison that was started last."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hf_sslgen.app.dropped_files import DropArea, Limits
from hf_sslgen.app.running_comparison import Comparison, ComparisonRequest
from hf_sslgen.errors import InputError
from hf_sslgen.files import remove_abandoned
from hf_sslgen.processes import unfinished_name

FOLDER_NAME = "hf-sslgen-app"


class AppSession:
    """One running app, with one comparison at a time, because a comparison uses all processors."""

    def __init__(self, folder: Path, output_dir: Path, limits: Limits) -> None:
        self.folder, self.output_dir = folder, output_dir
        self.area = DropArea(folder / "dropped", limits)
        self.comparison: Comparison | None = None
        self.number = 0

    def require_idle(self) -> None:
        """Raise InputError while a comparison is running."""
        if self.comparison is not None and self.comparison.is_running:
            raise InputError("a comparison is running; wait until it is done, or stop it")

    def start(self, request: ComparisonRequest) -> Comparison:
        """Start a comparison.

        Raises:
            InputError: another one is still running.
        """
        self.require_idle()
        self.area.in_use = Path(request.dataset_name)
        self.number += 1
        self.comparison = Comparison(request, self.folder / f"comparison-{self.number}.log")
        return self.comparison

    def stop(self) -> None:
        """Stop the running comparison, if there is one."""
        if self.comparison is not None:
            self.comparison.stop()

    def report_page(self) -> Path | None:
        """Return the page of the last comparison once it is written."""
        if self.comparison is None or not self.comparison.state().has_report:
            return None
        return self.comparison.page


@contextmanager
def app_session(output_dir: Path, limits: Limits) -> Iterator[AppSession]:
    """Yield a session whose temporary folder, readable by this user alone, is removed with everything in it.

    What killed apps left behind is removed first; a comparison that is still running at the end is stopped.
    """
    temporary = Path(tempfile.gettempdir())
    remove_abandoned(temporary)
    folder = temporary / unfinished_name(FOLDER_NAME)
    folder.mkdir(mode=0o700)
    session = AppSession(folder, output_dir, limits)
    try:
        yield session
    finally:
        session.stop()
        shutil.rmtree(folder, ignore_errors=True)
