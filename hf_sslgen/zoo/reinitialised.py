"""The control of attribution: the same network with none of what it has learned."""

import copy
from dataclasses import replace

from hf_sslgen.zoo.loading import LoadedBackbone, seeded_initialisation, untrained_model


def reinitialised(backbone: LoadedBackbone, seed: int) -> LoadedBackbone:
    """The same architecture, preprocessing and classes with all weights drawn afresh, classifier included.

    The model randomisation test of Adebayo et al. (2018), all layers at once and independently: attribution that says
    something about what was learned has to change. Weights are initialised as timm or transformers does it, and batch
    normalisation has mean 0 and variance 1. They are those of the backbone `untrained:NAME` loaded with this seed.

    Args:
        backbone: of any library; it is left as it is.

    Returns:
        A float32 backbone in evaluation mode, on the device of the given one, without a trained head.
    """
    with seeded_initialisation(seed):
        model, _ = untrained_model(backbone.name, copy.deepcopy(backbone.model.config), seed)
    model.eval().to(backbone.model.device)
    return replace(backbone, model=model, weights=f"re-initialised, seed {seed}", has_trained_head=False)
