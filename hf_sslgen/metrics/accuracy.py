"""Top-1 accuracy, over samples and averaged over classes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.inputs import BoolArray, label_array, positive_integer, require_equal_lengths
from hf_sslgen.metrics.results import MetricResult


@dataclass(frozen=True, eq=False)
class AccuracyResult(MetricResult):
    """`accuracy` and `mean_per_class_accuracy` in [0, 1]; `n_absent_classes` is 0 if `num_classes` was not given."""

    accuracy: float
    mean_per_class_accuracy: float
    n_absent_classes: int
    n: int
    per_sample_correct: BoolArray


def accuracy(predictions: npt.ArrayLike, references: npt.ArrayLike, num_classes: int | None = None) -> AccuracyResult:
    """Share of samples whose predicted class is the true one.

        accuracy = sum_i [prediction_i = reference_i] / N
        mean_per_class_accuracy = mean over classes c of the accuracy on the samples with reference c

    The per-class mean is the metric of the transfer literature for Aircraft, Caltech-101, Flowers and Pets
    (Kornblith, Shlens and Le 2019). Classes absent from the references have no accuracy: they are left out of that
    mean and, where `num_classes` says that they exist, counted.

    Args:
        predictions: predicted labels, shape (N,). Class scores are refused: take their argmax first.
        references: true labels, shape (N,).
        num_classes: number of classes C; labels must then lie in [0, C).

    Raises:
        ValueError: for shapes other than (N,), different lengths, N = 0, or labels outside [0, C).
    """
    if num_classes is not None:
        num_classes = positive_integer(num_classes, "num_classes")
    predicted = label_array(predictions, "predictions", num_classes)
    true = label_array(references, "references", num_classes)
    require_equal_lengths(predictions=predicted, references=true)

    correct = predicted == true
    present, class_index, class_sizes = np.unique(true, return_inverse=True, return_counts=True)
    per_class = np.bincount(class_index, weights=correct) / class_sizes
    return AccuracyResult(
        accuracy=float(correct.mean()),
        mean_per_class_accuracy=float(per_class.mean()),
        n_absent_classes=0 if num_classes is None else num_classes - len(present),
        n=len(correct),
        per_sample_correct=correct,
    )
