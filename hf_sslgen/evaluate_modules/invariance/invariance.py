"""Invariance of a representation for `evaluate.load`; its numbers are those of `hf_sslgen.metrics`."""

from typing import Any

import evaluate

from hf_sslgen.evaluate_modules.keyword_metric import KeywordMetric, keyword_info
from hf_sslgen.evaluate_modules.module_result import module_result
from hf_sslgen.metrics.guards import representation_guards
from hf_sslgen.metrics.invariance import invariance
from hf_sslgen.metrics.stages import PRETRAINED_STAGE, Stage

DESCRIPTION = """
How little a representation moves when its images are transformed. With c+ the mean cosine between the features of an
image and its transformed version, and c- that between different images, invariance = (c+ - c-) / (1 - c-): 0 at
chance, 1 if nothing moves. A raw cosine can be near 1 for an untrained network, and a collapsed representation can
have invariance 1, so the module also returns retrieval (recall@1) and guards against collapse (two ranks of the
features, and dead dimensions).
"""

INPUTS = """
Pass all arrays at once, by keyword.

- `features`, `transformed_features` (N, D): features of each image and of its transformed version, in the same order.
- `groups` (N,): labels, such as classes, within which chance pairs are formed; without them, pairs are formed among
  all images.
- `unchanged` (N,): 1 where the transform did not change the image; those images are left out.
- `gallery_size` (256): number of images among which recall@1 searches for the transformed version.
- `stage` ("pretrained"): with "fine-tuned", `collapsed` is never set, because a rank near C - 1 is then healthy.
- `return_per_sample` (False): whether to return the N values behind each mean, for paired comparisons.

```python
>>> result = metric.compute(
...     features=[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], transformed_features=[[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]
... )
>>> result["invariance"], result["recall_at_1"], round(result["covariance_effective_rank"], 2)
(1.0, 1.0, 1.75)

```
"""

RETURNS = """
Returns a dict. `x_interval` is the 95% interval of `x` over images, [low, high]:

- `invariance`: chance-corrected cosine, at most 1.
- `cosine`, `chance_cosine`: c+ and c-, from -1 to 1.
- `recall_at_1`: probability that an image is closest to its own transformed version; chance level 1/`gallery_size`.
- `gallery_size`: the size used, at most the number of defined images.
- `distance_invariance`: the same idea with squared distances, 1 - mean over pairs / mean over different images.
- `rank_auc`: probability that an image is closer to its own transformed version than to another image's.
- `n`, `n_undefined`, `n_without_chance`: number of images, of those left out, and of those alone in their group.
- `covariance_effective_rank`: exponential of the entropy of the covariance's eigenvalues, at most min(N - 1, D): the
  number of directions that the features use, weighted by variance. Roy and Vetterli apply the same to the features'
  singular values, which are the square roots of these.
- `rankme`: exponential of the entropy of the singular values of the uncentred features.
- `dead_dimension_share`: share of dimensions that do not vary.
- `collapsed`: whether the effective rank of the covariance is below 2, in which case invariance is meaningless; never
  set with fewer than 10 images.
- `reason`, `guards_reason`: why a number is NaN, or why collapse is not judged; otherwise empty.
- `per_sample_cosine` and so on: with `return_per_sample`, N values, NaN for an image left out.
"""

LIMITS = """
- Compare with the same architecture with fresh weights, which can be very invariant without having learned anything.
- After fine-tuning, images of a class cluster; pass `groups`, or invariance measures the clusters.
- Whether invariance helps depends on the task: invariance to colour is a defect if colour determines the label.
- With few images, ranks are small for any encoder: the example above can't exceed 2. Compare ranks only on the same
  images.
"""

CITATION = """
@inproceedings{ericsson2022why,
  title={Why Do Self-Supervised Models Transfer? On the Impact of Invariance on Downstream Tasks},
  author={Ericsson, Linus and Gouk, Henry and Hospedales, Timothy M.},
  booktitle={British Machine Vision Conference},
  year={2022}
}
@inproceedings{roy2007effective,
  title={The Effective Rank: A Measure of Effective Dimensionality},
  author={Roy, Olivier and Vetterli, Martin},
  booktitle={European Signal Processing Conference},
  year={2007}
}
@inproceedings{garrido2023rankme,
  title={RankMe: Assessing the Downstream Performance of Pretrained Self-Supervised Representations by Their Rank},
  author={Garrido, Quentin and Balestriero, Randall and Najman, Laurent and LeCun, Yann},
  booktitle={International Conference on Machine Learning},
  year={2023}
}
"""


class Invariance(KeywordMetric):
    """See `DESCRIPTION`."""

    def _info(self) -> evaluate.MetricInfo:
        return keyword_info(DESCRIPTION, CITATION, INPUTS + RETURNS)

    def _measure(
        self,
        *,
        features: Any,
        transformed_features: Any,
        groups: Any = None,
        unchanged: Any = None,
        gallery_size: int = 256,
        stage: Stage = PRETRAINED_STAGE,
        return_per_sample: bool = False,
    ) -> dict[str, Any]:
        result = invariance(features, transformed_features, groups, unchanged, gallery_size)
        guards = representation_guards(features, stage).to_dict()
        guards["guards_reason"] = guards.pop("reason")
        return module_result(self.name, "invariance", result, return_per_sample) | guards
