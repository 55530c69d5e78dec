"""Workers as processes: how they are ended, and which GPU each has."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hf_sslgen.study.execution import executors
from hf_sslgen.study.execution.executors import stop, worker_environment

ANSWERS = """
import signal, sys, time
signal.signal(signal.SIGTERM, {handler})
print("ready", flush=True)
while True:
    time.sleep(1)
"""


def waiting(handler: str) -> "subprocess.Popen[bytes]":
    """A process that answers SIGTERM with a handler, once that is in place."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ANSWERS.format(handler=handler)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout as said:
        assert said.readline() == b"ready\n"
    return process


def test_workers_are_asked_to_end_and_those_that_do_are_waited_for() -> None:
    slow, ended = waiting("lambda *_: (time.sleep(0.5), sys.exit(3))"), waiting("signal.SIG_DFL")
    ended.terminate()
    ended.wait()
    stop([slow, ended])
    assert slow.returncode == 3


def test_a_worker_that_does_not_end_is_killed_after_a_while(monkeypatch) -> None:
    monkeypatch.setattr(executors, "GRACE_SECONDS", 0.2)
    deaf = waiting("signal.SIG_IGN")
    started = time.monotonic()
    stop([deaf])
    assert deaf.returncode == -9
    assert time.monotonic() - started >= 0.2


def test_each_worker_has_one_of_the_visible_gpus() -> None:
    assert worker_environment(1, 1, {"A": "b"}) == {"A": "b"}
    assert [worker_environment(index, 2, {})["CUDA_VISIBLE_DEVICES"] for index in range(3)] == ["0", "1", "0"]
    allotted = {"CUDA_VISIBLE_DEVICES": "4, GPU-ab12"}
    assert [worker_environment(index, 2, allotted)["CUDA_VISIBLE_DEVICES"] for index in (0, 1)] == ["4", "GPU-ab12"]


@pytest.mark.slow
def test_a_ray_task_that_fails_leaves_its_cells_to_the_others(
    study_file: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")

    def first_breaks(_: str, output_dir: str, *__: object) -> dict[str, int]:
        try:
            (Path(output_dir) / "first").touch(exist_ok=False)
        except FileExistsError:
            return {"computed": 1}
        raise RuntimeError("it broke")

    monkeypatch.setattr(executors, "_ray_worker", first_breaks)
    executors.run_on_ray(study_file(), tmp_path, 2, None)
    assert "a Ray worker ended with RuntimeError: it broke; its cells are left to the others" in caplog.text
