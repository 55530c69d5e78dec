"""Running a study's workers: here, as several processes (one per GPU where there are several), or on a Ray cluster.

All of them share nothing but the store, so each may die without harm and any number may be added elsewhere.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from hf_sslgen.errors import InputError
from hf_sslgen.study.config import read_study
from hf_sslgen.study.plan import expand
from hf_sslgen.study.store import Store
from hf_sslgen.study.worker import run_worker

logger = logging.getLogger(__name__)

GRACE_SECONDS = 20.0


def default_workers() -> int:
    """One per GPU where there are several, else one."""
    return max(1, torch.cuda.device_count())


def _stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End processes: politely, so that they give up their claims, and after a while at once."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run_processes(study: Path, output_dir: Path, workers: int, retry_failed: bool) -> None:
    """Run worker processes until all are done; each has a GPU of its own where there are several.

    Raises:
        InputError: a worker ended with an error; the others are left to finish first.
    """
    command = [sys.executable, "-m", "hf_sslgen.cli", "study", str(study), "--output_dir", str(output_dir)]
    command += ["--workers", "1", "--write_report", "false", "--retry_failed", str(retry_failed).lower()]
    gpus = torch.cuda.device_count()
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for index in range(workers):
            environment = dict(os.environ)
            if gpus > 1:
                environment["CUDA_VISIBLE_DEVICES"] = str(index % gpus)
            processes.append(subprocess.Popen(command, env=environment))
        codes = [process.wait() for process in processes]
    finally:
        _stop(processes)
    failed = [code for code in codes if code != 0]
    if failed:
        raise InputError(
            f"{len(failed)} of {workers} workers ended with an error (exit codes {', '.join(map(str, failed))}; their "
            "messages are above); run the same command again to go on"
        )


def _ray_worker(study: str, output_dir: str, folder: str, retry_failed: bool) -> dict[str, int]:
    """What a Ray worker runs: the loop of any worker, from the folder the study was started in."""
    os.chdir(folder)
    config = read_study(Path(study))
    counts = run_worker(expand(config), Store(Path(output_dir)), config.num_threads, retry_failed)
    return {str(outcome): count for outcome, count in counts.items()}


def run_on_ray(study: Path, output_dir: Path, workers: int, address: str | None, retry_failed: bool) -> None:
    """Run workers as Ray tasks, on a cluster whose machines see `output_dir`, or on a Ray of this machine alone.

    A task whose machine is lost is started again by Ray; the claims of the lost one are overtaken.

    Raises:
        InputError: Ray is not installed, or the cluster can't be reached.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError("executor `ray` needs Ray: pip install 'hf-sslgen[ray]'") from error
    threads = read_study(study).num_threads or 1
    try:
        if address is None:
            ray.init(num_cpus=workers * threads, include_dashboard=False, logging_level=logging.WARNING)
        else:
            ray.init(address=address, logging_level=logging.WARNING)
    except (ConnectionError, ValueError) as error:
        raise InputError(f"ray_address {address!r} can't be reached: {error}") from error
    try:
        task = ray.remote(num_cpus=threads, num_gpus=1 if ray.cluster_resources().get("GPU") else 0, max_retries=3)(
            _ray_worker
        )
        arguments = (str(study.resolve()), str(output_dir.resolve()), str(Path.cwd()), retry_failed)
        for counts in ray.get([task.remote(*arguments) for _ in range(workers)]):
            logger.info("a Ray worker ended: %s", ", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    finally:
        ray.shutdown()
