"""Records of few-shot cells: a row per episode with its accuracy, and a row per image with its effect on them.

An episode's row has its index as `sample_id` and the share of correct queries as `correct`. The rows of images have
`IMAGE` as their transform, the column `EFFECT` and no accuracy. Cells of earlier versions lack them; their intervals
were over episodes alone, of which any number can be drawn, so they are not shown. Cells of images that come in groups
lack them too, and have no interval: effects of images say nothing about other groups.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics.stages import PRETRAINED_STAGE

if TYPE_CHECKING:
    import pandas as pd

IMAGE, EFFECT = "image", "effect"


def few_shot_records(
    accuracies: NDArray[np.float64], sample_ids: NDArray[np.int64], effects: NDArray[np.float64] | None
) -> "pd.DataFrame":
    """Return the records of a cell.

    Args:
        accuracies: of each episode, (E,).
        sample_ids, effects: of each image that can take part, (M,); without effects, images get no rows.
    """
    import pandas as pd

    if effects is None:
        keys = {"sample_id": np.arange(len(accuracies)), "stage": PRETRAINED_STAGE, "transform": "", "severity": ""}
        return pd.DataFrame({**keys, "correct": accuracies})
    return pd.DataFrame(
        {
            "sample_id": np.concatenate([np.arange(len(accuracies)), sample_ids]),
            "stage": PRETRAINED_STAGE,
            "transform": np.repeat(["", IMAGE], [len(accuracies), len(sample_ids)]),
            "severity": "",
            "correct": np.concatenate([accuracies, np.full(len(sample_ids), np.nan)]),
            EFFECT: np.concatenate([np.full(len(accuracies), np.nan), effects]),
        }
    )
