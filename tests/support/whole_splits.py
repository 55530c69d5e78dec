"""A network's outputs on every image of a split."""

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.one_pass import split_features, split_logits
from hf_sslgen.analysis.predictions import predictions_of
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.training.evaluation import Predictions
from hf_sslgen.zoo.backbone_loading import LoadedBackbone


def features_of(backbone: LoadedBackbone, split: ImageSplit, batch_size: int) -> NDArray[np.float32]:
    """(N, D), in the split's order."""
    return split_features(backbone, split, AnalysisSettings(batch_size=batch_size))


def classified(backbone: LoadedBackbone, split: ImageSplit, batch_size: int) -> Predictions:
    """The classifier's predictions for the images."""
    logits = split_logits(backbone, split, AnalysisSettings(batch_size=batch_size))
    return predictions_of(split.sample_ids, split.labels, logits)
