"""Run `recipes/study_job.py`, after its options have been parsed."""

import logging
import subprocess
import sys
from pathlib import Path

from huggingface_hub import HfApi

from hf_sslgen.commands.push_study import PushStudyArguments
from hf_sslgen.commands.run_push_study import push_study
from hf_sslgen.commands.study_job import StudyJobArguments
from hf_sslgen.errors import HubError, WorkerError
from hf_sslgen.hub_access.exchange import in_one_sentence, require_token
from hf_sslgen.study.cells.cell_folder import stored_folders

logger = logging.getLogger(__name__)

GRACE_SECONDS = 60.0
"""Time that the study's process has to end after an interrupt, before it is killed."""


def run_study_job(arguments: StudyJobArguments) -> None:
    """Run the study in a process of its own, publishing what is finished every few minutes and at the end.

    Raises:
        HubError: there is no token, or the last push failed.
        WorkerError: the study ended with an error; its finished cells have been published.
    """
    require_token(arguments.repository)
    command = [sys.executable, "-m", "hf_sslgen", "study", arguments.study, "--output_dir", arguments.output_dir]
    with in_one_sentence(arguments.repository, "dataset", writing=False):
        if HfApi().repo_exists(arguments.repository, repo_type="dataset"):
            command += ["--pull", arguments.repository]
    process = subprocess.Popen(command)
    try:
        code = _ended(process, arguments)
    finally:
        _stop(process)
        _publish(arguments, with_page=process.returncode == 0)
    if code != 0:
        raise WorkerError(
            f"the study ended with exit code {code}; its message is above, and finished cells are published"
        )


def _ended(process: subprocess.Popen[bytes], arguments: StudyJobArguments) -> int:
    """Wait for the study's end, publishing finished cells meanwhile; a push that fails is repeated later."""
    while True:
        try:
            return process.wait(60 * arguments.push_minutes)
        except subprocess.TimeoutExpired:
            try:
                _publish(arguments, with_page=False)
            except HubError as error:
                logger.warning("%s; the push will be repeated later", error)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _publish(arguments: StudyJobArguments, with_page: bool) -> None:
    """Publish the finished cells, if there are any."""
    if not stored_folders(Path(arguments.output_dir) / "cells"):
        return
    push_study(
        PushStudyArguments(
            arguments.output_dir,
            arguments.repository,
            private=arguments.private,
            report_space=with_page and arguments.report_space,
        )
    )
