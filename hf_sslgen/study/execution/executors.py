"""Run a study's workers as processes (one per GPU if there are several) or on a Ray cluster.

Workers share nothing but the store, so any of them can die without harm, and others can join from other machines.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from hf_sslgen.errors import InputError, WorkerError
from hf_sslgen.interruption import deferred_interrupts, raise_on_sigterm
from hf_sslgen.study.config import read_study
from hf_sslgen.study.execution.worker_process import NO_WAIT, QUIET, work
from hf_sslgen.study.pace_line import show_pace
from hf_sslgen.study.plan import expand

logger = logging.getLogger(__name__)

GRACE_SECONDS = 20.0


def default_workers() -> int:
    """Return one per GPU if there are several, else one."""
    return max(1, torch.cuda.device_count())


def stop(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Terminate processes so that they give up their claims; kill them after a while or at a second interrupt."""
    try:
        for process in processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline and any(process.poll() is None for process in processes):
            time.sleep(0.05)
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def worker_environment(index: int, num_gpus: int, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker, with one GPU of its own if this process sees several."""
    if num_gpus < 2:
        return dict(environment)
    said = environment.get("CUDA_VISIBLE_DEVICES")
    visible = said.split(",") if said else [str(number) for number in range(num_gpus)]
    return {**environment, "CUDA_VISIBLE_DEVICES": visible[index % num_gpus].strip()}


def run_processes(study: Path, output_dir: Path, workers: int, wait: bool = True, quiet: bool = True) -> None:
    """Run worker processes and wait for them; they are terminated if this process is.

    Args:
        wait: whether they wait for cells that other processes are computing.
        quiet: whether they show no progress of their own, but this process that of all of them.

    Raises:
        WorkerError: a worker ended with an error; the others have finished their work.
    """
    command = [sys.executable, "-m", "hf_sslgen.study.execution.worker_process", str(study), str(output_dir)]
    command += ([] if wait else [NO_WAIT]) + ([QUIET] if quiet else [])
    num_gpus = torch.cuda.device_count()
    processes: list[subprocess.Popen[bytes]] = []
    try:
        with deferred_interrupts() as request:  # an interrupt must not come between starting a process and listing it
            for index in range(workers):
                environment = worker_environment(index, num_gpus, os.environ)
                processes.append(subprocess.Popen(command, env=environment))
        request.obey()
        if quiet:
            specs = expand(read_study(study))
            show_pace(specs, output_dir, lambda _: _have_ended(processes), sys.stderr, lambda s: _wait(processes, s))
        codes = [process.wait() for process in processes]
    finally:
        stop(processes)
    failed = [code for code in codes if code != 0]
    if failed:
        raise WorkerError(
            f"{len(failed)} of {workers} workers ended with an error (exit codes {', '.join(map(str, failed))}; their "
            "messages are above); finished cells are kept, run the same command again to continue"
        )


def _have_ended(processes: Sequence[subprocess.Popen[bytes]]) -> bool:
    return all(process.poll() is not None for process in processes)


def _wait(processes: Sequence[subprocess.Popen[bytes]], seconds: float) -> None:
    """Wait until all processes have ended, but no longer than so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until and not _have_ended(processes):
        time.sleep(0.1)


def _ray_worker(study: str, output_dir: str, folder: str, wait: bool) -> dict[str, int]:
    """Work as a Ray task the way any worker process does, in the folder the study was started from if it exists."""
    if Path(folder).is_dir():
        os.chdir(folder)
    return {str(outcome): count for outcome, count in work(Path(study), Path(output_dir), wait=wait).items()}


def _workers_of_cluster(resources: Mapping[str, float], threads: int) -> int:
    """Return one worker per GPU of a Ray cluster; without GPUs, one for as many CPUs as a worker has threads."""
    return int(resources.get("GPU", 0)) or max(1, int(resources.get("CPU", 1)) // threads)


def run_on_ray(study: Path, output_dir: Path, workers: int | None, address: str | None, wait: bool = True) -> None:
    """Run workers as Ray tasks, on a cluster whose machines see `output_dir`, or on a local Ray.

    Ray restarts a task whose machine is lost; its claims are taken over. The cells of a task that ends with an error
    are left to the other tasks.

    Args:
        workers: number of tasks; None for one per GPU of the cluster, or without GPUs as many as its CPUs allow.
        wait: whether they wait for cells that other processes are computing.

    Raises:
        InputError: Ray is not installed.
        WorkerError: the cluster can't be reached or was lost, or every worker met an error that is not a fault of any
            cell.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError("executor `ray` needs Ray: pip install 'hf-sslgen[ray]'") from error
    threads = read_study(study).num_threads or 1
    try:
        if address is None:
            cpus = (workers or default_workers()) * threads
            ray.init("local", num_cpus=cpus, include_dashboard=False, logging_level=logging.WARNING)
        else:
            ray.init(address=address, logging_level=logging.WARNING)
    except (ConnectionError, ValueError, RuntimeError) as error:
        what = "a local Ray can't be started" if address is None else f"ray_address {address!r} can't be reached"
        raise WorkerError(f"{what}: {error}") from error
    raise_on_sigterm()  # Ray has installed its own handler
    try:
        resources = ray.cluster_resources()
        count = workers or _workers_of_cluster(resources, threads)
        gpus = 1 if resources.get("GPU") else 0
        task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=3)(_ray_worker)
        arguments = (str(study.resolve()), str(output_dir.resolve()), str(Path.cwd()), wait)
        failures: list[str] = []
        left = [task.remote(*arguments) for _ in range(count)]
        while left:
            (ended,), left = ray.wait(left, num_returns=1)
            try:
                counts = ray.get(ended)
            except (ray.exceptions.RayTaskError, ray.exceptions.WorkerCrashedError) as error:
                cause = error.cause if isinstance(error, ray.exceptions.RayTaskError) else error
                failures.append(f"a Ray worker ended with {type(cause).__name__}: {cause}")
                logger.warning("%s; its cells are left to the others", failures[-1])
            else:
                words = ", ".join(f"{number} {outcome}" for outcome, number in counts.items())
                logger.info("a Ray worker ended: %s", words)
        if len(failures) == count:
            raise WorkerError(f"{failures[0]}; finished cells are kept, run the same command again to continue")
    except ray.exceptions.RayError as error:
        raise WorkerError(f"Ray gave up ({error}); finished cells are kept, run the same command again") from error
    finally:
        ray.shutdown()
