"""Fine-tune, die by SIGKILL at a named place, and fine-tune again into the same folder.

    finetuning_kill_worker.py BACKBONE FOLDER

Every training is forked from this process, which has imported everything and trained nothing. Prints a JSON object:
how each training ended and what its folder held after the death and in the end, by the place of the death.
"""

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from hf_sslgen import files
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.training import finetuning, trainer
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.zoo.backbone_loading import load_backbone

PLACES: dict[str, tuple[Any, str, int]] = {
    "before a checkpoint's checksums": (trainer, "write_checksums", 2),
    "before older checkpoints are removed": (trainer, "rotate_checkpoints", 2),
    "while the model moves to its own name": (files, "finish_replacement", 2),
    "before the results": (finetuning, "write_results", 1),
}
"""A function of a module, and the number of the call that dies."""


def dying(function: Callable[..., Any], calls: int) -> Callable[..., Any]:
    """The function, but for its call of that number, which kills this process."""
    counted = 0

    def run(*arguments: Any, **options: Any) -> Any:
        nonlocal counted
        counted += 1
        if counted == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)

    return run


def train(location: str, folder: Path, place: tuple[Any, str, int] | None = None) -> int:
    """Fine-tune in a process of its own, for two epochs of three steps; returns its exit code."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if place is not None:
        module, name, calls = place
        setattr(module, name, dying(vars(module)[name], calls))
    domain = load_domain(DomainArguments("digits", samples_per_class=3, max_eval_samples=20, max_test_samples=40))
    arguments = FineTuningArguments(
        output_dir=str(folder),
        per_device_train_batch_size=10,
        num_train_epochs=2,
        save_total_limit=1,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    finetuning.finetune(load_backbone(location, domain.class_names), domain, ModelArguments(location), arguments)
    os._exit(0)


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file; of those that hold times only that they are there."""
    timed = ("trainer_state.json", "training_args.bin", "checksums.json")
    paths = [path for path in folder.rglob("*") if path.is_file()]
    digests = [hashlib.sha256(b"" if path.name in timed else path.read_bytes()).hexdigest() for path in paths]
    return {path.relative_to(folder).as_posix(): digest for path, digest in zip(paths, digests, strict=True)}


def main(location: str, root: Path) -> None:
    torch.set_num_threads(1)
    codes = [train(location, root / "whole")]
    rows = {"none": {"codes": codes, "left": {}, "end": contents(root / "whole")}}
    for number, (words, place) in enumerate(PLACES.items()):
        folder = root / str(number)
        codes = [train(location, folder, place)]
        left = contents(folder)
        codes.append(train(location, folder))
        rows[words] = {"codes": codes, "left": left, "end": contents(folder)}
    print(json.dumps(rows))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
