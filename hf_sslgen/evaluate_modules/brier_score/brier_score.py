"""Brier score for `evaluate.load`; its numbers are those of `hf_sslgen.metrics`."""

from typing import Any

import evaluate

from hf_sslgen.evaluate_modules.top_label_metric import INPUTS as TOP_LABEL_INPUTS
from hf_sslgen.evaluate_modules.top_label_metric import FamilyOptions, TopLabelMetric, top_label_info
from hf_sslgen.metrics.inputs import BoolArray, FloatArray
from hf_sslgen.metrics.scores import ProperScoreResult, brier_score, top_label_brier
from hf_sslgen.metrics.top_label import top_label

DESCRIPTION = """
Multi-class Brier score: the squared difference between class probabilities and the true class, summed over classes and
averaged over samples. It ranges from 0 to 2, lower is better; scikit-learn's default binary form is half of it.

It needs the probabilities of all classes. If only the confidence p of the predicted class is known, the module instead
returns `top_label_brier`, the mean of (p - y)^2 with y = 1 for a right prediction; `brier_score` is then NaN, with a
`reason`, because the two numbers are not comparable.
"""

INPUTS = (
    TOP_LABEL_INPUTS
    + """
Only the second route gives `brier_score`; the first one gives `top_label_brier`.

Options:

- `return_per_sample` (False): whether to return the N values behind each mean, for paired comparisons.

```python
>>> metric.compute(probabilities=[[0.25, 0.75], [0.5, 0.5]], references=[1, 0])["brier_score"]
0.3125
>>> metric.compute(
...     predictions=[1, 0], references=[1, 1], confidences=[0.75, 0.5]
... )["top_label_brier"]
0.15625

```
"""
)

RETURNS = """
Returns a dict. `x_interval` is the 95% interval of `x` over samples, [low, high]:

- `brier_score`: from 0 to 2; NaN if only confidences are known.
- `top_label_brier`: from 0 to 1.
- `n`: number of samples.
- `reason`: why `brier_score` is NaN; otherwise empty.
- `per_sample_score`, `per_sample_top_label_score`: with `return_per_sample`, N values each; the first only if
  `brier_score` is defined.
"""

LIMITS = """
- It mixes calibration with accuracy: a sharper model can have a better score and worse calibration.
- Compare models only on the same samples, pair by pair (`return_per_sample`).
- The interval applies to samples like these, not to other datasets or training seeds.
"""

CITATION = """
@article{brier1950verification,
  title={Verification of Forecasts Expressed in Terms of Probability},
  author={Brier, Glenn W.},
  journal={Monthly Weather Review},
  volume={78},
  number={1},
  pages={1--3},
  year={1950}
}
"""

NO_BRIER = "the Brier score needs the probabilities of all classes, and only confidences are known"


class BrierScore(TopLabelMetric):
    """See `DESCRIPTION`."""

    def _info(self) -> evaluate.MetricInfo:
        return top_label_info(DESCRIPTION, CITATION, INPUTS + RETURNS)

    def _from_top_labels(self, confidences: FloatArray, correct: BoolArray, options: FamilyOptions) -> dict[str, Any]:
        top = top_label_brier(confidences, correct)
        values = {"brier_score": float("nan"), **_named("top_label_brier", top), "n": top.n, "reason": NO_BRIER}
        if options.return_per_sample:
            values["per_sample_top_label_score"] = top.per_sample_score.tolist()
        return values

    def _from_probabilities(
        self, probabilities: Any, references: Any, from_logits: bool, options: FamilyOptions
    ) -> dict[str, Any]:
        score = brier_score(probabilities, references, from_logits)
        labels = top_label(probabilities, references, from_logits)
        values = self._from_top_labels(labels.per_sample_confidence, labels.per_sample_correct, options)
        values = _named("brier_score", score) | {
            name: value for name, value in values.items() if name != "brier_score"
        }
        values["reason"] = ""
        if options.return_per_sample:
            values["per_sample_score"] = score.per_sample_score.tolist()
        return values


def _named(name: str, score: ProperScoreResult) -> dict[str, Any]:
    """Return the mean and, if there is one, its interval, under the name of the score."""
    interval = score.intervals.get("mean")
    return {name: score.mean} | ({} if interval is None else {f"{name}_interval": list(interval)})
