"""Expected calibration error for `evaluate.load`; its numbers are those of `hf_sslgen.metrics`."""

from typing import Any

import evaluate

from hf_sslgen.evaluate_modules.module_result import module_result
from hf_sslgen.evaluate_modules.top_label_metric import INPUTS as TOP_LABEL_INPUTS
from hf_sslgen.evaluate_modules.top_label_metric import FamilyOptions, TopLabelMetric, top_label_info
from hf_sslgen.metrics.calibration import expected_calibration_error
from hf_sslgen.metrics.inputs import BoolArray, FloatArray

DESCRIPTION = """
How much a classifier's confidence (its largest class probability) differs from its accuracy, in bins of equal width:

    ECE = sum over bins b of  n_b / N * |accuracy_b - mean confidence_b|

Bins are right-closed, (lo, hi], and the first also contains 0. The module also returns the error expected of a
perfectly calibrated model with these confidences, which in a finite sample is above 0 unless every confidence is 0 or
1.
"""

INPUTS = (
    TOP_LABEL_INPUTS
    + """
Options:

- `num_bins` (15): number of bins M.
- `num_simulations` (0): number of simulated calibrated models, for `ece_if_calibrated_95`; `seed` (0) seeds them.

```python
>>> metric.compute(
...     predictions=[1, 0, 1, 1], references=[1, 0, 0, 1], confidences=[0.9, 0.8, 0.7, 0.6]
... )["expected_calibration_error"]
0.35
>>> metric.compute(
...     probabilities=[[0.25, 0.75], [0.5, 0.5]], references=[1, 0], num_bins=1
... )["expected_calibration_error"]
0.375

```
"""
)

RETURNS = """
Returns a dict. All values except counts and the table are in units of probability, from 0 to 1:

- `expected_calibration_error`: the error, l1; lower is better.
- `l2_calibration_error`: square root of the weighted mean of squared differences.
- `maximum_calibration_error`: largest difference of any bin.
- `ece_if_calibrated`: expected error if each prediction were right with probability equal to its confidence.
- `ece_if_calibrated_95`: 95th percentile of that error, by simulation; NaN without `num_simulations`.
- `n`, `num_bins`: numbers of samples and bins.
- `bin_edges` (M + 1), `bin_counts`, `bin_confidence`, `bin_accuracy` (M each): the table; NaN for empty bins.
"""

LIMITS = """
- The estimate is biased upward, more so with few samples or many bins; compare it with `ece_if_calibrated`, and
  compare models only at the same N and M.
- It has no interval, because a bootstrap interval around it does not cover. Use `brier_score` for inference.
- It judges only the confidence of the predicted class, and a useless model that knows its accuracy can reach 0.
- Confidences are compared with bin edges in float64: float32 0.3 exceeds 3/10 and falls into the next bin.
"""

CITATION = """
@inproceedings{naeini2015obtaining,
  title={Obtaining Well Calibrated Probabilities Using Bayesian Binning},
  author={Naeini, Mahdi Pakdaman and Cooper, Gregory F. and Hauskrecht, Milos},
  booktitle={AAAI Conference on Artificial Intelligence},
  year={2015}
}
@inproceedings{guo2017calibration,
  title={On Calibration of Modern Neural Networks},
  author={Guo, Chuan and Pleiss, Geoff and Sun, Yu and Weinberger, Kilian Q.},
  booktitle={International Conference on Machine Learning},
  year={2017}
}
"""


class ExpectedCalibrationError(TopLabelMetric):
    """See `DESCRIPTION`."""

    def _info(self) -> evaluate.MetricInfo:
        return top_label_info(DESCRIPTION, CITATION, INPUTS + RETURNS)

    def _from_top_labels(self, confidences: FloatArray, correct: BoolArray, options: FamilyOptions) -> dict[str, Any]:
        result = expected_calibration_error(
            confidences,
            correct,
            num_bins=options.num_bins,
            num_simulations=options.num_simulations,
            seed=options.seed,
        )
        return module_result(self.name, "expected_calibration_error", result)
