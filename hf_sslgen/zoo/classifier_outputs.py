"""Changing the outputs of a network's classifier: drawn anew, only some of them, with other names."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from hf_sslgen.zoo.anatomy import find_classifier


def new_classifier(model: PreTrainedModel) -> set[str]:
    """Re-initialise a classifier as transformers would, from torch's generator; returns its parameters' names."""
    name, classifier = find_classifier(model)
    drawn = nn.Linear(classifier.in_features, classifier.out_features, classifier.bias is not None)
    model._init_weights(drawn)  # it skips loaded parameters, so it is given new ones
    classifier.load_state_dict(drawn.state_dict())
    return {f"{name}.{key}" for key, _ in classifier.named_parameters()}


def keep_outputs(model: PreTrainedModel, rows: Sequence[int], class_names: Sequence[str]) -> None:
    """Reduce a model's classifier to these outputs, in this order and with these names, in place."""
    _, classifier = find_classifier(model)
    chosen = torch.tensor(rows)
    classifier.weight = nn.Parameter(classifier.weight.detach()[chosen].clone())
    if classifier.bias is not None:
        classifier.bias = nn.Parameter(classifier.bias.detach()[chosen].clone())
    classifier.out_features = len(rows)
    name_outputs(model.config, class_names)


def name_outputs(config: Any, class_names: Sequence[str]) -> None:
    """Store class names in a configuration, in output order."""
    config.id2label = dict(enumerate(class_names))
    config.label2id = {label: index for index, label in enumerate(class_names)}
