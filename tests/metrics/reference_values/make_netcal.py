"""Make netcal.json: calibration errors of seeded data by netcal, another implementation of the same definitions.

    pip install netcal==1.4.0 && python tests/metrics/reference_values/make_netcal.py

Confidences keep a distance from bin edges: there netcal, whose bins are closed on the left, defines another number.
Its average calibration error (ACE) is the plain mean over bins that hold samples, which our table gives too.
"""

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
from netcal.metrics import ACE, ECE, MCE

CASES = ((200, 15, 1.0, 0), (1000, 10, 1.6, 1), (500, 20, 0.6, 2), (37, 7, 2.5, 3), (2000, 1, 1.3, 4))


def sample(n: int, num_bins: int, sharpness: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Confidences, and outcomes that are less certain by `sharpness`; no confidence within 1e-4 of an edge."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(1.0, 1.5, n)
    correct = generator.random(n) < 1.0 / (1.0 + np.exp(-logits))
    confidences = np.round(1.0 / (1.0 + np.exp(-sharpness * logits)), 6)
    distance = np.abs(confidences * num_bins - np.rint(confidences * num_bins)) / num_bins
    confidences = np.where(distance < 1e-4, confidences + np.where(confidences < 0.5, 2e-4, -2e-4), confidences)
    return confidences, correct.astype(int)


def main() -> None:
    cases = []
    for case in CASES:
        confidences, correct = sample(*case)
        num_bins = case[1]
        cases.append(
            {
                "confidences": confidences.tolist(),
                "correct": correct.tolist(),
                "num_bins": num_bins,
                "expected_calibration_error": float(ECE(num_bins, detection=True).measure(confidences, correct)),
                "maximum_calibration_error": float(MCE(num_bins, detection=True).measure(confidences, correct)),
                "average_calibration_error": float(ACE(num_bins, detection=True).measure(confidences, correct)),
            }
        )
    content = {"made_by": f"netcal {version('netcal')}, numpy {np.__version__}", "cases": cases}
    Path(__file__).with_name("netcal.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
