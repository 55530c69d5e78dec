"""Prediction confidence for `evaluate.load`; its numbers are those of `hf_sslgen.metrics`."""

from typing import Any

import evaluate

from hf_sslgen.evaluate_modules.module_result import module_result
from hf_sslgen.evaluate_modules.top_label_metric import INPUTS as TOP_LABEL_INPUTS
from hf_sslgen.evaluate_modules.top_label_metric import FamilyOptions, TopLabelMetric, top_label_info
from hf_sslgen.metrics.confidence import prediction_confidence
from hf_sslgen.metrics.inputs import BoolArray, FloatArray

DESCRIPTION = """
How confident a classifier is (its largest class probability, averaged over samples), whether it may be (the gap to its
accuracy), and whether confidence tells right predictions from wrong ones (AUROC).
"""

INPUTS = (
    TOP_LABEL_INPUTS
    + """
```python
>>> result = metric.compute(
...     predictions=[1, 0, 1, 1], references=[1, 0, 0, 1], confidences=[0.75, 0.5, 0.75, 0.5]
... )
>>> result["prediction_confidence"], result["gap"], result["auroc"]
(0.625, -0.125, 0.16666666666666666)
>>> metric.compute(probabilities=[[0.25, 0.75], [0.5, 0.5]], references=[1, 0])["prediction_confidence"]
0.625

```
"""
)

RETURNS = """
Returns a dict. All but counts are in units of probability; `x_interval` is the 95% interval of `x` over samples,
[low, high]:

- `prediction_confidence`, and the same as `mean_confidence`: mean confidence of all predictions, from 0 to 1.
- `mean_confidence_correct`, `mean_confidence_incorrect`: of the right and of the wrong ones.
- `gap`: mean confidence less accuracy, from -1 to 1; positive is over-confident.
- `auroc`: chance that a right prediction is more confident than a wrong one, ties counting half; 0.5 tells nothing.
- `n`: number of samples.
- `reason`: why a number is NaN (all predictions right, or all wrong); else empty.
"""

LIMITS = """
- Confidence has no better direction of its own: read it with the gap.
- A gap of 0 can hide over-confidence in one place and under-confidence in another; see `expected_calibration_error`.
- AUROC ranks predictions of one model; the AUROC of models that make different mistakes are not rankings of the same
  samples.
"""

CITATION = """
@inproceedings{hendrycks2017baseline,
  title={A Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks},
  author={Hendrycks, Dan and Gimpel, Kevin},
  booktitle={International Conference on Learning Representations},
  year={2017}
}
"""


class PredictionConfidence(TopLabelMetric):
    """See `DESCRIPTION`."""

    def _info(self) -> evaluate.MetricInfo:
        return top_label_info(DESCRIPTION, CITATION, INPUTS + RETURNS)

    def _from_top_labels(self, confidences: FloatArray, correct: BoolArray, options: FamilyOptions) -> dict[str, Any]:
        return module_result(self.name, "mean_confidence", prediction_confidence(confidences, correct))
