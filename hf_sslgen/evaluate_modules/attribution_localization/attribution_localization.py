"""Attribution localisation for `evaluate.load`; its numbers are those of `hf_sslgen.metrics`."""

from typing import Any, Literal

import evaluate

from hf_sslgen.evaluate_modules.keyword_metric import KeywordMetric, keyword_info
from hf_sslgen.evaluate_modules.module_result import module_result
from hf_sslgen.metrics.localization import attribution_localization

DESCRIPTION = """
Whether attribution maps (Grad-CAM, integrated gradients, attention ...) lie on the object, given its mask or box: the
share of their mass inside it, the ratio of that to the object's share of the image, and how often the largest cell
lies inside (pointing game).
"""

INPUTS = """
Pass all arrays at once, by keyword, with either masks or boxes, not both.

- `maps` (N, h, w): attributions on the layer's own grid.
- `masks` (N, h', w'): 0 outside the object, 1 inside, or fractions; h' and w' are multiples of h and w, and masks are
  averaged per cell.
- `boxes` (N, 4): x0, y0, x1, y1 relative to the image, in [0, 1]; cells on the border count by their covered share.
- `sign` ("positive"): "positive" keeps max(A, 0), the convention of Grad-CAM; "absolute" takes |A|.
- `return_per_sample` (False): whether to return the N values behind each mean, for paired comparisons.

```python
>>> result = metric.compute(maps=[[[3.0, 1.0], [0.0, 0.0]]], boxes=[[0.0, 0.0, 0.5, 1.0]])
>>> result["attribution_localization"], result["lift"], result["pointing_game"]
(0.75, 1.5, 1.0)
>>> metric.compute(maps=[[[3.0, 1.0], [0.0, 0.0]]], masks=[[[0, 1], [0, 1]]])["attribution_localization"]
0.25

```
"""

RETURNS = """
Returns a dict. Means over samples with a map that is not all-zero and an object that is not empty; `x_interval` is
the 95% interval of `x` over samples, [low, high]:

- `attribution_localization`, also returned as `mass_accuracy`: share of the mass inside the object; higher is better.
- `lift`: mass accuracy divided by the object's share of the image; a uniform map gets 1.
- `pointing_game`: how often the largest cell lies inside; cells that share the maximum are averaged.
- `area_share`: the object's share of the image.
- `zero_map_rate`: share of maps that are all-zero after the sign rule.
- `n`, `n_undefined`: number of samples, and of those left out.
- `reason`: why a number is NaN; otherwise empty.
- `per_sample_mass_accuracy` and so on: with `return_per_sample`, N values, NaN for a sample left out.
"""

LIMITS = """
- Mass accuracy is high for any map if the object fills the image, so read it together with `lift`.
- Context may be a good reason for a prediction, so a map off the object does not prove a wrong reason.
- The grid is coarse; an object smaller than a cell can't score more than its share of that cell.
"""

CITATION = """
@article{zhang2018topdown,
  title={Top-Down Neural Attention by Excitation Backprop},
  author={Zhang, Jianming and Bargal, Sarah Adel and Lin, Zhe and Brandt, Jonathan and Shen, Xiaohui and Sclaroff,
  Stan}, journal={International Journal of Computer Vision},
  volume={126},
  pages={1084--1102},
  year={2018}
}
"""


class AttributionLocalization(KeywordMetric):
    """See `DESCRIPTION`."""

    def _info(self) -> evaluate.MetricInfo:
        return keyword_info(DESCRIPTION, CITATION, INPUTS + RETURNS)

    def _measure(
        self,
        *,
        maps: Any,
        masks: Any = None,
        boxes: Any = None,
        sign: Literal["positive", "absolute"] = "positive",
        return_per_sample: bool = False,
    ) -> dict[str, Any]:
        result = attribution_localization(maps, masks=masks, boxes=boxes, sign=sign)
        return module_result(self.name, "mass_accuracy", result, return_per_sample)
