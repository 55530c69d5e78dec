"""Features of pixels in memory, computed by the network that measures."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.analysis.network import measuring
from hf_sslgen.zoo.backbone_loading import LoadedBackbone


def encode(backbone: LoadedBackbone, pixels: Tensor, batch_size: int = 64) -> NDArray[np.float32]:
    """(N, D) features of (N, 3, S, S) bytes, or of floats in [0, 1]."""
    with measuring(backbone) as network, torch.inference_mode():
        return torch.cat([network(batch).features.cpu() for batch in pixels.split(batch_size)]).numpy()
