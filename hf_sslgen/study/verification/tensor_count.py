"""Count the tensors of a checkpoint's trunk against those that its architecture has."""

from collections.abc import Iterable
from dataclasses import dataclass

from transformers import PreTrainedModel

from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.tensor_fit import DERIVED_BUFFERS


@dataclass(frozen=True)
class TensorCount:
    """Tensors of a trunk, without its classifier and without buffers that a network computes itself.

    Attributes:
        stored: in the checkpoint's files; modules beside the trunk, such as a projection, are counted too.
        architecture: of the architecture, such as 265 of a ResNet-50.
    """

    stored: int
    architecture: int

    @property
    def agrees(self) -> bool:
        return self.stored == self.architecture


def count_tensors(model: PreTrainedModel, stored: Iterable[str]) -> TensorCount:
    """Count the names in a checkpoint's files and those of the model that was loaded from it.

    Args:
        stored: names of the tensors, as in the files.
    """
    classifier, _ = find_classifier(model)
    # A library may wrap its network, so that the classifier's name has one more prefix in the model than in the files.
    classifiers = tuple(f"{name}." for name in (classifier, classifier.partition(".")[2]) if name)
    return TensorCount(
        sum(_is_of_trunk(name, classifiers) for name in stored),
        sum(_is_of_trunk(name, classifiers) for name in model.state_dict()),
    )


def _is_of_trunk(name: str, classifiers: tuple[str, ...]) -> bool:
    return not name.startswith(classifiers) and name.rpartition(".")[2] not in DERIVED_BUFFERS
