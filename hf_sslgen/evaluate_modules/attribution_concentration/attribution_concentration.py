"""Attribution concentration for `evaluate.load`; its numbers are those of `hf_sslgen.metrics`."""

from typing import Any, Literal

import evaluate

from hf_sslgen.evaluate_modules.keyword_metric import KeywordMetric, keyword_info
from hf_sslgen.evaluate_modules.module_result import module_result
from hf_sslgen.metrics.concentration import attribution_concentration

DESCRIPTION = """
How concentrated attribution maps (Grad-CAM, integrated gradients, attention ...) are: on how few grid cells their mass
lies (Gini coefficient, effective area and four more numbers), and how far apart these cells are (spread). The Gini
coefficient ignores where the mass lies: rectified Gaussian noise has 0.707, like a clean blob, but a spread near 1.
Both are therefore reported together.
"""

INPUTS = """
Pass all arrays at once, by keyword.

- `maps` (N, h, w): attributions on the layer's own grid. Upsampling before measuring changes the numbers.
- `sign` ("positive"): "positive" keeps max(A, 0), the convention of Grad-CAM; "absolute" takes |A|.
- `return_per_sample` (False): whether to return the N values behind each mean, for paired comparisons.

```python
>>> metric.compute(maps=[[[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 4.0]]])["attribution_concentration"]
0.375

```
"""

RETURNS = """
Returns a dict. Means over maps that are not all-zero; `x_interval` is the 95% interval of `x` over maps, [low, high]:

- `attribution_concentration`, also returned as `gini`: Gini coefficient; 0 for a uniform map, (n - 1)/n for one cell
  of n.
- `effective_area`: exp(entropy)/n, a share of the grid; `participation_ratio`: 1/(n sum p^2), likewise.
- `top_10_percent_mass`: share of the mass in the largest 10% of cells.
- `area_at_80_percent_mass`: share of the grid that holds 80% of the mass.
- `entropy`: in nats; grows with the grid, so compare equal grids.
- `spread`: standard deviation of position, relative to the uniform map's: 1; 0 for a single cell; NaN on a 1 x 1 grid.
- `zero_map_rate`: share of maps that are all-zero after the sign rule.
- `n`, `n_undefined`: number of maps, and of those that are all-zero.
- `reason`: why a number is NaN; otherwise empty.
- `per_sample_gini` and so on for each of the seven: with `return_per_sample`, N values, NaN for an all-zero map.
"""

LIMITS = """
- Neither higher nor lower concentration is better: a model may look at one small, wrong thing.
  `attribution_localization` compares maps with the object's position.
- Compare models on images where both maps are non-zero, and by their zero-map rates; also compare with the same
  network with fresh weights.
- Entropy and spread depend on the grid; the other numbers do not change if every cell is divided into equal parts.
"""

CITATION = """
@article{hurley2009comparing,
  title={Comparing Measures of Sparsity},
  author={Hurley, Niall and Rickard, Scott},
  journal={IEEE Transactions on Information Theory},
  volume={55},
  number={10},
  pages={4723--4741},
  year={2009}
}
@inproceedings{chalasani2020concise,
  title={Concise Explanations of Neural Networks using Adversarial Training},
  author={Chalasani, Prasad and Chen, Jiefeng and Chowdhury, Amrita Roy and Wu, Xi and Jha, Somesh},
  booktitle={International Conference on Machine Learning},
  year={2020}
}
"""


class AttributionConcentration(KeywordMetric):
    """See `DESCRIPTION`."""

    def _info(self) -> evaluate.MetricInfo:
        return keyword_info(DESCRIPTION, CITATION, INPUTS + RETURNS)

    def _measure(
        self, *, maps: Any, sign: Literal["positive", "absolute"] = "positive", return_per_sample: bool = False
    ) -> dict[str, Any]:
        return module_result(self.name, "gini", attribution_concentration(maps, sign), return_per_sample)
