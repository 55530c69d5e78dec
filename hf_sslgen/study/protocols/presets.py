"""Protocols by name, as presets with their published settings.

All presets deviate from the publications in the following, so that cells of one study can be compared:

- Hyper-parameters are selected by the negative log-likelihood of the validation split. The publications select by
  validation accuracy, which often ties on small splits and ignores confidence.
- Pixels follow the study's geometry (image size and interpolation), which is the same for all backbones of a twin set;
  the protocol decides only how a picture is cropped to it (`resize`). The publications use 224 px.
- Normalisation is the backbone's own.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from hf_sslgen.errors import InputError, hinted, nearest_names
from hf_sslgen.settings import settings_of, shown
from hf_sslgen.study.protocols.kinds import (
    FewShotProtocol,
    FineTuningProtocol,
    KNNProtocol,
    LinearProtocol,
    Protocol,
)

__all__ = [
    "PRESETS",
    "FewShotProtocol",
    "FineTuningProtocol",
    "KNNProtocol",
    "LinearProtocol",
    "PresetName",
    "Protocol",
    "departures",
    "get_protocol",
    "protocol_settings",
]


def _decades(first: float, last: float, count: int) -> tuple[float, ...]:
    """Return powers of ten at `count` equally spaced exponents."""
    return tuple(float(f"{value:.12g}") for value in np.logspace(first, last, count))


PRESETS: dict[str, Protocol] = {
    "linear": LinearProtocol(),
    "finetune": FineTuningProtocol(),
    # Ericsson, Gouk and Hospedales 2021, "How Well Do Self-Supervised Models Transfer?", and its code. The grid is
    # walked from high to low learning rates, as there. Its training has no seed; ours has.
    "ssl-transfer": FineTuningProtocol(
        optimiser="sgd",
        learning_rates=_decades(-1, -4, 4),
        weight_decays=(0.0, *_decades(-6, -3, 4)),
        weight_decay_over_learning_rate=True,
        decay_all_parameters=True,
        nesterov=True,
        max_steps=5000,
        max_grad_norm=0.0,
        minimum_crop_area=0.08,
        retrain_on_validation=True,
        resize="shorter_side",
    ),
    # The same paper; its fits stop after 100 iterations (warnings suppressed), ours converge or are counted.
    "ssl-transfer-linear": LinearProtocol(
        inverse_regularisations=_decades(6, -5, 45),
        standardise=False,
        retrain_on_validation=True,
        resize="shorter_side",
    ),
    # Zhai et al. 2019, "A Large-scale Study of Representation Learning with the Visual Task Adaptation Benchmark":
    # the one setting of its default sweep. Its 1000 images are the first of the training split, ours are stratified.
    "vtab-1k": FineTuningProtocol(
        optimiser="sgd",
        learning_rates=(0.01,),
        weight_decays=(0.0,),
        max_steps=1000,
        schedule="steps",
        step_milestones=(300, 600, 900),
        warmup_steps=80.0,
        max_grad_norm=0.0,
        minimum_crop_area=1.0,
        horizontal_flip=False,
        zero_initialised_classifier=True,
        train_images=800,
        validation_images=200,
        retrain_on_validation=True,
        resize="squash",
    ),
    "dino-knn": KNNProtocol(),
    # 5 ways, 5 shots, 15 queries and 600 episodes: Ericsson et al. 2021, after Guo et al. 2020.
    "few-shot": FewShotProtocol(),
    # Our default for practitioners. Label smoothing stays off: it would bias calibration.
    "full": FineTuningProtocol(
        optimiser="by_architecture",
        learning_rates=(1e-4, 3e-4, 1e-3),
        weight_decays=(0.05,),
        sgd_learning_rates=(3e-3, 1e-2, 3e-2),
        sgd_weight_decays=(1e-4,),
        nesterov=True,
        layer_decay=0.75,
        num_train_epochs=30.0,
        warmup_steps=0.1,
        early_stopping_patience=5,
    ),
}
"""Presets by name."""

PresetName = Literal[
    "linear", "finetune", "ssl-transfer", "ssl-transfer-linear", "vtab-1k", "dino-knn", "few-shot", "full"
]
"""The names of `PRESETS`, as a type for options."""


def get_protocol(name: str, overrides: Mapping[str, Any] | None = None) -> Protocol:
    """Return a preset with some of its fields replaced (tuples can be given as lists).

    Raises:
        InputError: the preset or a field is unknown (the nearest known name is given), or a value has the wrong type
            or range.
    """
    if name not in PRESETS:
        raise InputError(hinted(f"protocol {shown(name)} is unknown; known: {', '.join(PRESETS)}", name, PRESETS))
    preset = PRESETS[name]
    known = settings_of(type(preset))
    for key in overrides or {}:
        if key not in known:
            hint = nearest_names(key, known) or f"it has {', '.join(sorted(known))}"
            raise InputError(f"protocol {name!r} has no field {shown(key)}; {hint}")
    try:
        return dataclasses.replace(preset, **{key: known[key].read(value) for key, value in (overrides or {}).items()})
    except InputError as error:
        raise InputError(f"protocol {name!r}: {error}") from error


def departures(name: str, protocol: Protocol) -> dict[str, Any]:
    """Return the fields, as JSON values, in which a protocol differs from the preset of that name."""
    of_preset, actual = protocol_settings(PRESETS[name]), protocol_settings(protocol)
    return {key: value for key, value in actual.items() if key not in of_preset or of_preset[key] != value}


def protocol_settings(protocol: Protocol | None) -> dict[str, Any]:
    """Return everything in a protocol that decides its outcome, as JSON values; {} for the pretrained stage."""
    if protocol is None:
        return {}
    settings = {
        key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(protocol).items()
    }
    # Cells computed before there was such a setting keep their identity.
    return {key: value for key, value in settings.items() if key != "bf16" or value}
