"""Apply the sign rule to attribution maps before concentration and localisation are measured."""

from typing import Any, Literal

import numpy as np

from hf_sslgen.metrics.inputs import BoolArray, FloatArray, float_array

Sign = Literal["positive", "absolute"]


def signed_maps(maps: Any, sign: Sign) -> tuple[FloatArray, BoolArray]:
    """Make maps non-negative, divide each by its peak, and find those that are not all-zero.

    Dividing before any sum keeps maps of 1e-300 or 1e300 from vanishing or overflowing.

    Args:
        maps: finite attributions, shape (N, h, w).
        sign: `"positive"` keeps max(A, 0), the convention of Grad-CAM; `"absolute"` takes |A|.

    Returns:
        The M maps that are not all-zero, (M, h, w) with peak 1, and a mask of shape (N,) that selects them.
    """
    if sign not in ("positive", "absolute"):
        raise ValueError(f"sign must be 'positive' or 'absolute', got {sign!r}")
    values = float_array(maps, "maps", ("N", "h", "w"))
    a = np.maximum(values, 0.0) if sign == "positive" else np.abs(values)
    peak = a.max(axis=(1, 2))
    defined = peak > 0.0
    if not defined.all():
        a, peak = a[defined], peak[defined]
    a /= peak[:, None, None]
    return a, defined
