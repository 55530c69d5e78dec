"""The overall numbers of an analysis by one name each, for logs and trackers; those of single transforms left out."""

from collections.abc import Iterable

from hf_sslgen.analysis.families import FAMILIES, PAIR
from hf_sslgen.analysis.numbers import Number


def overall_numbers(numbers: Iterable[Number]) -> dict[str, float]:
    """Return values by metric, and for means over transforms by metric and family, such as `invariance_mean`."""
    return {
        f"{number.metric}_{number.transform}".rstrip("_"): number.value
        for number in numbers
        if number.transform in ("", PAIR, *FAMILIES)
    }
