"""Arguments of transformers' image-classification example and of earlier Trainers: taken, or refused with our name.

The example is `run_image_classification.py`. Options that have the same name and meaning here are in the commands'
own dataclasses and appear nowhere below.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hf_sslgen.domains.split_roles import role_of
from hf_sslgen.errors import InputError
from hf_sslgen.settings import shown
from hf_sslgen.training.configuration import OtherNames

_FRESH = "give --model_name_or_path untrained:NAME for an architecture with fresh weights"
_OWN_FILES = "the checkpoint's own is used; put both into one folder, and give that as --model_name_or_path"
_LOGIN = "give --token, set HF_TOKEN, or log in with `hf auth login`"


@dataclass(frozen=True)
class ExampleArguments:
    """Options of transformers' image-classification example that are taken beside the command's own."""

    train_dir: str | None = field(
        default=None,
        metadata={"help": "Instead of dataset_name: the folder with a folder of training images per class."},
    )
    validation_dir: str | None = field(
        default=None, metadata={"help": "With train_dir, and in the same folder: the validation images."}
    )
    token: str | None = field(
        default=None,
        repr=False,
        metadata={
            "help": "Token for private and gated repositories. Prefer `hf auth login` or HF_TOKEN: other users can "
            "see the command line."
        },
    )
    ignore_mismatched_sizes: bool = field(
        default=True, metadata={"help": "Must stay true: a classifier for other classes is replaced."}
    )
    trust_remote_code: bool = field(
        default=False, metadata={"help": "Must stay false: code from a repository is never run."}
    )
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "Must stay false: nothing is overwritten; give another output_dir."}
    )
    config_name: str | None = field(default=None, metadata={"help": "Must name the checkpoint itself."})
    image_processor_name: str | None = field(default=None, metadata={"help": "Must name the checkpoint itself."})

    def __post_init__(self) -> None:
        if not self.ignore_mismatched_sizes:
            raise InputError(
                "ignore_mismatched_sizes is False, which is not supported: a classifier for other classes is always "
                "replaced; drop it"
            )
        if self.trust_remote_code:
            raise InputError(
                "trust_remote_code is True, which is not supported: code from a repository is never run; drop it"
            )
        if self.overwrite_output_dir:
            raise InputError(
                "overwrite_output_dir is True, which is not supported: a finished or interrupted run is never "
                "overwritten; give another --output_dir, or remove the folder yourself"
            )
        if self.token is not None and not re.fullmatch(r"[!-~]+", self.token):
            raise InputError(f"token holds characters that no token has; {_LOGIN}")

    def use_token(self) -> None:
        """Let every client of the Hub in this process use the token, as if HF_TOKEN had been set."""
        if self.token is not None:
            os.environ["HF_TOKEN"] = self.token


REFUSED: Final[Mapping[str, str]] = {
    "model_type": _FRESH,
    "tokenizer_name": "images need no tokenizer; drop it",
    "feature_extractor_name": _OWN_FILES,
    "cache_dir": "set the environment variable HF_HOME to move the caches of models and datasets",
    "use_auth_token": _LOGIN,
    "push_to_hub_model_id": "give --hub_model_id, as owner/name if it has an owner",
    "push_to_hub_organization": "give --hub_model_id as owner/name",
    "push_to_hub_token": "set HF_TOKEN, log in with `hf auth login`, or give --hub_token",
    "evaluation_strategy": "give --eval_strategy",
    "evaluate_during_training": "give --eval_strategy steps",
    "warmup_ratio": "give --warmup_steps, which below 1 is a share of all steps",
    "no_cuda": "give --use_cpu",
    "use_mps_device": "Apple's GPU is used where there is one; drop it",
    "adafactor": "give --optim adafactor",
    "per_gpu_train_batch_size": "give --per_device_train_batch_size",
    "per_gpu_eval_batch_size": "give --per_device_eval_batch_size",
    "logging_dir": "set the environment variable TENSORBOARD_LOGGING_DIR",
    "save_safetensors": "weights are always saved as safetensors; drop it",
    "fp16_backend": "PyTorch's own mixed precision is used; drop it",
    "half_precision_backend": "PyTorch's own mixed precision is used; drop it",
    "fp16_opt_level": "PyTorch's own mixed precision is used; drop it",
    "include_inputs_for_metrics": "the numbers are computed from predictions and labels; drop it",
    "group_by_length": "images have no length; drop it",
    "torchdynamo": "give --torch_compile_backend",
    "split_batches": "--per_device_train_batch_size is always that of one device; drop it",
    "dispatch_batches": "the order of the images and their distribution to processes are fixed; drop it",
    "with_tracking": "give --report_to with the tracker's name",
    "checkpointing_steps": "give --save_strategy, and --save_steps for steps",
    "num_warmup_steps": "give --warmup_steps",
    "max_train_steps": "give --max_steps",
}
"""Options that the example or earlier Trainers have, and what to give here."""


def _place_folders(values: dict[str, Any]) -> None:
    """Replace `train_dir` and `validation_dir` by the dataset that they are splits of, in place.

    Raises:
        InputError: the images are named twice, a folder is missing, or the two folders lie in different places.
    """
    train, validation = values.get("train_dir"), values.get("validation_dir")
    if train is None and validation is None:
        return
    if train is None:
        raise InputError(
            f"validation_dir is {shown(validation)}, but train_dir is missing; give it too, or measure without "
            "training with `hf-sslgen analyze`"
        )
    if values.get("dataset_name") is not None:
        raise InputError("dataset_name and train_dir both name the images; give only one of them")
    for name, given in (("train_dir", train), ("validation_dir", validation)):
        if given is not None and not Path(given).is_dir():
            raise InputError(f"{name} {given!r} is not a folder")
    folder = Path(train).absolute()
    if validation is None:
        values["dataset_name"] = train
        if role_of(folder.name) is not None:
            values.setdefault("domain_name", folder.parent.name)
        return
    other = Path(validation).absolute()
    if folder.parent != other.parent or folder == other:
        raise InputError(
            f"train_dir {train!r} and validation_dir {validation!r} must be two folders in one; move or link them "
            "into one folder, or give only train_dir, from which validation images are then carved"
        )
    values["dataset_name"] = str(Path(train).parent)
    values["train_split_name"], values["validation_split_name"] = folder.name, other.name


def _translate(values: dict[str, Any]) -> None:
    """Replace the folders, and raise InputError if configuration or image processor are another checkpoint's."""
    _place_folders(values)
    for name in ("config_name", "image_processor_name"):
        given = values.get(name)
        if given is not None and given != values.get("model_name_or_path"):
            raise InputError(f"{name} is {shown(given)}, which is not supported: {_OWN_FILES}")


EXAMPLE: Final = OtherNames(REFUSED, _translate)
