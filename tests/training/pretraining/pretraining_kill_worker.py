"""Kill pretraining at random moments with SIGKILL, start it again, and compare its weights with uninterrupted ones.

    pretraining_kill_worker.py FOLDER SEED KILLS

Every training is a process of its own, forked before anything was trained, because a fork is quick and importing the
libraries is not. Prints a JSON list with a row for each kill.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from pretraining_pieces import NUM_CLASSES, digest, small_images, small_settings

from hf_sslgen.training.pretraining.objectives import OBJECTIVES
from hf_sslgen.training.pretraining.pretraining_loop import pretrain
from hf_sslgen.training.samples import SourceImages

EPOCHS = 4


def start_training(images: SourceImages, objective: str, folder: Path) -> int:
    """Fork a process that trains, saving after every step, and writes `digest` at the end; returns its id."""
    process = os.fork()
    if process:
        return process
    settings = small_settings(objective, num_train_epochs=EPOCHS)
    trunk = pretrain(images, len(images), NUM_CLASSES, settings, folder, save_minutes=0.0)
    (folder / "digest").write_text(digest(trunk))
    os._exit(0)


def steps_done(folder: Path) -> int | None:
    """How far the checkpoint is, three steps an epoch; None where there is none yet."""
    path = folder / "checkpoint.pt"
    if not path.exists():
        return None
    checkpoint = torch.load(path, weights_only=True)
    return 3 * len(checkpoint["log"]) + checkpoint["steps_of_epoch"]


def finish(process: int) -> None:
    _, status = os.waitpid(process, 0)
    if status != 0:
        raise SystemExit(f"training ended with status {status}")


def await_checkpoint(folder: Path) -> None:
    """Wait for the first one, with which training has begun."""
    deadline = time.monotonic() + 600
    while not (folder / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.002)


def main(root: Path, seed: int, kills: int) -> None:
    torch.set_num_threads(1)
    images = small_images()
    seconds, expected = {}, {}
    for objective in OBJECTIVES[-min(kills, len(OBJECTIVES)) :]:
        process = start_training(images, objective, root / objective)
        await_checkpoint(root / objective)
        started = time.monotonic()
        finish(process)
        seconds[objective] = time.monotonic() - started
        expected[objective] = (root / objective / "digest").read_text()
    moments = random.Random(seed)
    rows = []
    for kill in range(kills):
        objective = list(expected)[kill % len(expected)]
        folder = root / f"killed-{kill}"
        process = start_training(images, objective, folder)
        if kill % 5 < 4:  # the others are killed wherever they are in the same time from their start
            await_checkpoint(folder)
        moment = moments.uniform(0, 0.9) * seconds[objective]
        time.sleep(moment)
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        row = {"objective": objective, "moment": round(moment, 3), "steps": steps_done(folder)}
        finish(start_training(images, objective, folder))
        row["killed"] = os.WIFSIGNALED(status)
        row["left"] = [path.name for path in folder.iterdir() if path.name.endswith(".unfinished")]
        row["equal"] = (folder / "digest").read_text() == expected[objective]
        rows.append(row)
    print(json.dumps(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
