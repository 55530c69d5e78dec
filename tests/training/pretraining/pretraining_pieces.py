"""What the tests of pretraining and the processes they start train: a tiny network on 48 embedded pictures."""

import hashlib

from torch import nn

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.geometry import Geometry
from hf_sslgen.training.pretraining.pretraining_state import PretrainingSettings
from hf_sslgen.training.samples import SourceImages

NUM_CLASSES = 6


def small_settings(objective: str, **changes) -> PretrainingSettings:
    """Three steps of 16 images in each of three epochs."""
    values = {
        "architecture_arguments": {"channels": [8, 8, 8, 16]},
        "image_size": 32,
        "view_size": 24,
        "num_train_epochs": 3,
        "per_device_train_batch_size": 16,
        "learning_rate": 0.05,
    }
    return PretrainingSettings(objective, **{**values, **changes})


def small_images() -> SourceImages:
    split = load_domain(DomainArguments("photo-patches", samples_per_class=8)).train
    return SourceImages(split, Geometry(32, 1.0, "bilinear"))


def digest(trunk: nn.Module) -> str:
    """Hexadecimal digits that tell whether two networks are equal to the last bit, buffers included."""
    found = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(trunk.state_dict().items()):
        found.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()
