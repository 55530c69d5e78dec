"""Prediction confidence for `evaluate.load`; its numbers are those of `hf_sslgen.metrics`."""

from typing import Any

import evaluate

from hf_sslgen.evaluate_modules.module_result import module_result
from hf_sslgen.evaluate_modules.top_label_metric import INPUTS as TOP_LABEL_INPUTS
from hf_sslgen.evaluate_modules.top_label_metric import FamilyOptions, TopLabelMetric, top_label_info
from hf_sslgen.metrics.confidence import prediction_confidence
from hf_sslgen.metrics.inputs import BoolArray, FloatArray

DESCRIPTION = """
How confident a classifier is (its largest class probability, averaged over samples), whether that confidence is
justified (the gap to its accuracy), and how well confidence separates right predictions from wrong ones (AUROC).
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
Returns a dict. All values except counts are in units of probability; `x_interval` is the 95% interval of `x` over
samples, [low, high]:

- `prediction_confidence`, also returned as `mean_confidence`: mean confidence of all predictions, from 0 to 1.
- `mean_confidence_correct`, `mean_confidence_incorrect`: mean confidence of right and of wrong predictions.
- `gap`: mean confidence minus accuracy, from -1 to 1; positive is over-confident.
- `auroc`: probability that a right prediction is more confident than a wrong one, ties counting half; 0.5 is
  uninformative.
- `n`: number of samples.
- `reason`: why a number is NaN (all predictions right, or all wrong); otherwise empty.
"""

LIMITS = """
- Neither higher nor lower confidence is better by itself; read it together with the gap.
- A gap of 0 can hide over-confidence in some places and under-confidence in others; see `expected_calibration_error`.
- AUROC ranks the predictions of one model; the AUROCs of models that make different mistakes do not rank the same
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
