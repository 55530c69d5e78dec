"""Area under the risk-coverage curve for `evaluate.load`; its numbers are those of `hf_sslgen.metrics`."""

from typing import Any

import evaluate

from hf_sslgen.evaluate_modules.module_result import module_result
from hf_sslgen.evaluate_modules.top_label_metric import INPUTS as TOP_LABEL_INPUTS
from hf_sslgen.evaluate_modules.top_label_metric import FamilyOptions, TopLabelMetric, top_label_info
from hf_sslgen.metrics.inputs import BoolArray, FloatArray
from hf_sslgen.metrics.risk_coverage import risk_coverage

DESCRIPTION = """
How often a classifier is wrong on the samples it is most confident about: if it answers only the most confident share
of samples (coverage), what share of its answers is wrong (risk)? The area under that curve (AURC) is low for an
accurate model whose confidence ranks its mistakes last. Samples of equal confidence are answered together, so their
order does not matter.
"""

INPUTS = (
    TOP_LABEL_INPUTS
    + """
Options:

- `return_curve` (False): whether to return the curve, up to N points.

```python
>>> metric.compute(
...     predictions=[1, 0, 1, 1], references=[1, 0, 1, 0], confidences=[0.9, 0.8, 0.7, 0.6]
... )["risk_coverage"]
0.0625
>>> metric.compute(probabilities=[[0.1, 0.9], [0.8, 0.2]], references=[0, 0])["risk_coverage"]
0.75

```
"""
)

RETURNS = """
Returns a dict. Areas are in units of risk, the share of wrong answers, from 0 to 1; lower is better:

- `risk_coverage`, also returned as `aurc`: the area.
- `excess_aurc`: its excess over the area of a perfect ordering, all right predictions first.
- `n`: number of samples.
- `coverage`, `risk`: with `return_curve`, the curve at the ends of groups of equal confidence.
"""

LIMITS = """
- AURC depends on accuracy, and so, less strongly, does `excess_aurc` (in random order it is .35 at an accuracy of .5
  and .09 at .9); compare only models of similar accuracy.
- Only the order of confidences matters: the area says nothing about calibration.
- It has no interval here; compare models on the same samples.
"""

CITATION = """
@inproceedings{geifman2017selective,
  title={Selective Classification for Deep Neural Networks},
  author={Geifman, Yonatan and El-Yaniv, Ran},
  booktitle={Advances in Neural Information Processing Systems},
  year={2017}
}
@inproceedings{geifman2019bias,
  title={Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers},
  author={Geifman, Yonatan and Uziel, Guy and El-Yaniv, Ran},
  booktitle={International Conference on Learning Representations},
  year={2019}
}
"""


class RiskCoverage(TopLabelMetric):
    """See `DESCRIPTION`."""

    def _info(self) -> evaluate.MetricInfo:
        return top_label_info(DESCRIPTION, CITATION, INPUTS + RETURNS)

    def _from_top_labels(self, confidences: FloatArray, correct: BoolArray, options: FamilyOptions) -> dict[str, Any]:
        values = module_result(self.name, "aurc", risk_coverage(confidences, correct))
        if options.return_curve:
            return values
        return {name: value for name, value in values.items() if name not in ("coverage", "risk")}
