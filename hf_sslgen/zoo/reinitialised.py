"""The attribution control: the same network without anything it has learned."""

import copy
import math
from collections.abc import Iterator
from dataclasses import replace

from hf_sslgen.zoo.anatomy import find_classifier, numbered_stages
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, seeded_initialisation, untrained_model


def reinitialised(backbone: LoadedBackbone, seed: int) -> LoadedBackbone:
    """Re-initialise all weights of a backbone, including the classifier, keeping architecture and preprocessing.

    Attribution that reflects what was learned must differ from this control's. Weights are initialised as timm or
    transformers does, batch normalisation has mean 0 and variance 1, and the result equals the backbone
    `untrained:NAME` loaded with this seed.

    Args:
        backbone: from any library; it is not modified.

    Returns:
        A float32 backbone in evaluation mode, on the device of the given one, without a trained head.
    """
    with seeded_initialisation(seed):
        model, _ = untrained_model(backbone.name, copy.deepcopy(backbone.model.config), seed)
    model.eval().to(backbone.model.device)
    return replace(backbone, model=model, weights=f"re-initialised, seed {seed}", has_trained_head=False)


CASCADE = {"head": 0.0, "last_quarter": 0.25, "last_half": 0.5, "last_three_quarters": 0.75}
"""Parts of a network, by the share of its blocks, counted from the output, that they include."""


def cascade(backbone: LoadedBackbone, control: LoadedBackbone) -> Iterator[tuple[str, LoadedBackbone]]:
    """Replace more and more of a network's weights by a control's, from the classifier towards the input.

    This is the cascading randomisation of Adebayo et al. (2018) in a few steps. Blocks are identified by the first
    number in their parameters' names, in the order in which the network lists them; shares of blocks are rounded up.
    The last step, all weights, is the control itself.

    Args:
        control: `reinitialised(backbone, ...)`.

    Yields:
        Names from `CASCADE` with float32 backbones in evaluation mode; a part equal to the previous one is skipped.
    """
    trained, fresh = backbone.model.state_dict(), control.model.state_dict()
    classifier, _ = find_classifier(backbone.model)
    names = list(trained)
    blocks = list(dict.fromkeys(numbered_stages([name for name in names if not name.startswith(f"{classifier}.")])))
    before: set[str] = set()
    for part, share in CASCADE.items():
        count = math.ceil(share * len(blocks))
        start = next((i for i, name in enumerate(names) if count and name.startswith(blocks[-count])), len(names))
        drawn = {name for i, name in enumerate(names) if i >= start or name.startswith(f"{classifier}.")}
        if drawn != before:
            model = copy.deepcopy(backbone.model)
            model.load_state_dict({name: (fresh if name in drawn else trained)[name] for name in names})
            yield part, replace(backbone, model=model.eval(), weights=f"{control.weights}, {part.replace('_', ' ')}")
        before = drawn
