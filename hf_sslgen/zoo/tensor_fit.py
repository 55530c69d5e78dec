"""Check that a checkpoint fits a network: all trunk tensors are present, used, and finite."""

import functools
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.weight_files import StoredTensor

DERIVED_BUFFERS = frozenset(
    {
        "num_batches_tracked",
        "position_ids",
        "relative_position_index",
        "relative_coords_table",
        "attn_mask",
        "inv_freq",
        "periods",
        "total_ops",
        "total_params",
    }
)
"""Name suffixes of buffers in older checkpoints that networks compute themselves or no longer need."""

BESIDE_THE_TRUNK = re.compile(
    r"(pooler\.dense|pre_logits|decoder\w*|lm_head|projector|predictor|prototypes|queue\w*|text_model|text_projection"
    r"|visual_projection|logit_scale|logit_bias)(\.|$)"
)
"""Name prefixes of pretraining modules that classification does not need: decoders of masked image modelling,
projections and prototypes of contrastive learning, the text encoder of CLIP, ViT's pooler."""

CLASSIFIERS = re.compile(r"((\w+_)?heads?(_\w+)?|\w*classifier\w*|fc|last_linear)(\.|$)")
"""Name prefixes of layers that produce logits of some kind."""

INTEGER_TYPES = frozenset({"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"})

SHOWN = 3


@dataclass(frozen=True)
class LoadReport:
    """The outcome of loading a checkpoint.

    Attributes:
        missing: names of the network's tensors that the checkpoint lacks or has in another shape; batch counters,
            which affect nothing, are left out.
        unexpected: names of the checkpoint's tensors that the network does not have, in the architecture's naming;
            those that the architecture declares ignorable are left out.
    """

    missing: frozenset[str]
    unexpected: frozenset[str] = frozenset()


def _shown(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(repr(name) for name in names[:SHOWN]) + (" ..." if len(names) > SHOWN else "")


def _plain(name: str, model: PreTrainedModel) -> str:
    """Strip the prefix from a tensor's name that a checkpoint may omit."""
    return name.removeprefix(f"{model.base_model_prefix}.")


def _other_layout(missing: Iterable[str], unexpected: Iterable[str], model: PreTrainedModel) -> str | None:
    """Find the prefix that a checkpoint's tensors have and this network's lack; None if that is not the difference."""
    wanted = {_plain(name, model) for name in missing}
    given = [_plain(name, model) for name in unexpected]
    for prefix in sorted({".".join(name.split(".")[:depth]) + "." for name in given for depth in (1, 2, 3)}, key=len):
        of_prefix = {_plain(name.removeprefix(prefix), model) for name in given if name.startswith(prefix)}
        if len(wanted & of_prefix) > len(wanted) / 2:
            return prefix
    return None


def _complain_of_missing(name: str, model: PreTrainedModel, trunk: list[str], report: LoadReport) -> None:
    plain = functools.partial(_plain, model=model)
    prefix = _other_layout(trunk, report.unexpected, model)
    if prefix is not None:
        example = min(name for name in map(plain, report.unexpected) if name.startswith(prefix))
        raise InputError(
            f"model_name_or_path {name!r} is in another layout: its tensor names have the prefix {prefix!r}, as in "
            f"{example!r}; save them without it, as in {type(model).__name__}"
        )
    found = f", but has {_shown(report.unexpected)}" if report.unexpected else ""
    raise InputError(
        f"model_name_or_path {name!r} lacks {len(trunk)} tensors of {type(model).__name__}, or has them in another "
        f"shape, such as {trunk[0]!r}{found}; it is not a checkpoint of this architecture"
    )


def check_report(name: str, model: PreTrainedModel, report: LoadReport) -> None:
    """Require that only the classifier is missing and only tensors outside the trunk are unused.

    Args:
        name: the checkpoint's name in errors.

    Raises:
        InputError: names some of the tensors.
    """
    classifier = _plain(find_classifier(model)[0], model)
    trunk = sorted(key for key in report.missing if not _plain(key, model).startswith(f"{classifier}."))
    if trunk:
        _complain_of_missing(name, model, trunk, report)
    own = {_plain(key, model) for key in model.state_dict()}
    unused = [key for key in report.unexpected if not _is_beside_the_trunk(_plain(key, model), own, classifier)]
    if unused:
        raise InputError(
            f"model_name_or_path {name!r} holds {len(unused)} tensors that the {type(model).__name__} described by "
            f"its config.json does not have: {_shown(unused)}; dropping them would change the network, so correct the "
            "settings (depth, biases, stages) in config.json"
        )


def _is_beside_the_trunk(name: str, own: set[str], classifier: str) -> bool:
    """Whether a tensor that the network does not have lies outside its trunk.

    Args:
        own: names of the network's tensors.
        classifier: name of its classifier.
    """
    last = name.rpartition(".")[2]
    if last in DERIVED_BUFFERS or last == "mask_token":
        return True
    if (match := BESIDE_THE_TRUNK.match(name)) is not None:
        return not any(key.startswith(match[1]) for key in own)
    if (match := CLASSIFIERS.match(name)) is None:
        return False
    beginning = f"{match[1]}."
    others = any(key.startswith(beginning) and not key.startswith(f"{classifier}.") for key in own)
    return not others and (f"{classifier}.".startswith(beginning) or not any(key.startswith(beginning) for key in own))


def check_stored(name: str, model: PreTrainedModel, stored: Mapping[str, StoredTensor]) -> None:
    """Require that no tensor occurs under two names, and none holds integers where the network has floats.

    Raises:
        InputError: names the tensor.
    """
    state = model.state_dict()
    mapping = get_model_conversion_mapping(model)
    renamings = [each for each in mapping if isinstance(each, WeightRenaming)]
    converters = [each for each in mapping if isinstance(each, WeightConverter)]
    taken: dict[str, str] = {}
    for key, tensor in stored.items():
        target, pattern = rename_source_key(key, renamings, converters, model.base_model_prefix, state)
        if target not in state and key in state:
            target, pattern = key, None
        if target not in state:
            continue
        if pattern is None and target in taken:
            raise InputError(
                f"model_name_or_path {name!r} holds {target!r} twice, as {taken[target]!r} and as {key!r}; remove one"
            )
        taken[target] = key
        if tensor.dtype in INTEGER_TYPES and state[target].is_floating_point():
            raise InputError(
                f"model_name_or_path {name!r} stores {key!r} as integers ({tensor.dtype}), so it is quantised or "
                "damaged; give a floating-point checkpoint"
            )


def check_values(name: str, model: nn.Module) -> None:
    """Require that all weights are finite.

    Raises:
        InputError: names a tensor that holds NaN or infinity.
    """
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise InputError(
                f"model_name_or_path {name!r} holds NaN or infinity in {key!r}: its training diverged, or the file is "
                "damaged; give another checkpoint"
            )
