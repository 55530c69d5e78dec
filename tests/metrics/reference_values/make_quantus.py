"""Make quantus.json: Gini and localisation of seeded maps by quantus, another implementation of the same definitions.

    pip install quantus==0.6.0 && python tests/metrics/reference_values/make_quantus.py

One sample at a time, because quantus normalises over the batch. Maps are non-negative, masks whole cells, and the
largest cell unique: elsewhere its definitions are others (a tie with one cell inside counts as a full hit). Its Gini
adds 1e-7 to every cell and its localisation 1e-9 to the total, so agreement ends at about 1e-6.
"""

import json
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
from quantus import AttributionLocalisation, PointingGame, Sparseness

CASES = ((7, 7, 1.0, 0), (14, 14, 3.0, 1), (4, 4, 0.3, 2), (8, 8, 6.0, 3))
MAPS_PER_CASE = 5


def main() -> None:
    warnings.filterwarnings("ignore", category=UserWarning)
    metrics = {
        "gini": Sparseness(disable_warnings=True),
        "mass_accuracy": AttributionLocalisation(disable_warnings=True),
        "pointing_game": PointingGame(disable_warnings=True),
    }
    cases = []
    for height, width, sharpness, seed in CASES:
        generator = np.random.default_rng(seed)
        maps = np.round(generator.random((MAPS_PER_CASE, height, width)) ** sharpness, 6)
        masks = (generator.random((MAPS_PER_CASE, height, width)) < 0.4).astype(int)
        images = np.ones((MAPS_PER_CASE, 1, height, width))
        case = {"maps": maps.tolist(), "masks": masks.tolist()}
        for name, metric in metrics.items():
            case[name] = [
                float(
                    metric(
                        model=None,
                        x_batch=images[i : i + 1],
                        y_batch=np.zeros(1, dtype=int),
                        a_batch=maps[i : i + 1, None].copy(),
                        s_batch=masks[i : i + 1, None],
                    )[0]
                )
                for i in range(MAPS_PER_CASE)
            ]
        cases.append(case)
    content = {"made_by": f"quantus {version('quantus')}, numpy {np.__version__}", "cases": cases}
    Path(__file__).with_name("quantus.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
