"""Risk-coverage: how errors fall if a model may reject the images it is least confident about."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.inputs import FloatArray, confidences_and_correct
from hf_sslgen.metrics.results import MetricResult


@dataclass(frozen=True, eq=False)
class RiskCoverageResult(MetricResult):
    """Area under the risk-coverage curve, and the curve at its G distinct confidences, from high to low.

    Attributes:
        aurc: mean risk over coverages; lower is better, and it depends on accuracy.
        excess_aurc: `aurc` minus that of the best possible ordering of the same outcomes; 0 is perfect. Its value for
            a random order still depends on accuracy (.35 at an accuracy of .5, .09 at .9).
        n: number of samples.
        coverage, risk: (G,), share of samples with at least that confidence, and the share of errors among them.
    """

    aurc: float
    excess_aurc: float
    n: int
    coverage: FloatArray
    risk: FloatArray


def risk_coverage(confidences: npt.ArrayLike, correct: npt.ArrayLike) -> RiskCoverageResult:
    """Compute the risk-coverage curve and its area (El-Yaniv and Wiener 2010; Geifman, Uziel and El-Yaniv 2019).

    Samples are accepted in order of decreasing confidence. No threshold separates tied samples, so risk is evaluated
    at the ends of groups of equal confidence, and the order of the samples does not matter:

        aurc = sum over groups g of (n_g / N) risk(end of g)

    The oracle accepts all right samples first and then the wrong ones, the k-th at risk k / (n_correct + k):

        excess_aurc = aurc - (1 / N) sum_{k=1}^{n_wrong} k / (n_correct + k)

    Args:
        confidences: p, shape (N,), in [0, 1].
        correct: y, shape (N,), booleans or 0 and 1.

    >>> result = risk_coverage([0.9, 0.8, 0.8], [1, 1, 0])
    >>> result.coverage.round(3).tolist(), result.risk.round(3).tolist(), round(result.aurc, 3)
    ([0.333, 1.0], [0.0, 0.333], 0.222)
    """
    p, y = confidences_and_correct(confidences, correct)
    n = len(p)
    _, group, sizes = np.unique(-p, return_inverse=True, return_counts=True)  # ascending in -p: falling confidence
    errors = np.cumsum(np.bincount(group, weights=~y))
    accepted = np.cumsum(sizes)
    risk = errors / accepted
    wrong = np.arange(1, n - int(y.sum()) + 1)
    oracle = float((wrong / (n - len(wrong) + wrong)).sum() / n)
    aurc = float(np.dot(sizes, risk) / n)
    # The oracle is a lower bound that a perfect ordering may miss by rounding.
    return RiskCoverageResult(aurc, max(0.0, aurc - oracle), n, accepted / n, risk)
