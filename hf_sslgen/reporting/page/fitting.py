"""Round numbers to what their intervals leave certain: no more decimals than two digits of half the interval."""

import math

from hf_sslgen.reporting.vocabulary import format_decimals, words

MAX_DECIMALS = 5


def fitted_decimals(low: float, high: float, metric: str) -> int:
    """Return the decimals for a number with this interval, in the number's displayed unit.

    A number without an interval has the decimals of the catalogue, and no number has more. A bound that is not zero is
    not written as zero, so that no verdict looks wrong.
    """
    scale, most = words(metric).scale, words(metric).decimals
    if math.isnan(low) or math.isnan(high) or high <= low:
        return most
    half = (high - low) * scale / 2
    decimals = min(most, max(0, 1 - math.floor(math.log10(half))))
    bounds = [abs(bound * scale) for bound in (low, high) if bound]
    while decimals < MAX_DECIMALS and any(float(f"{bound:.{decimals}f}") == 0 for bound in bounds):
        decimals += 1
    return decimals


def fitted_value(value: float, low: float, high: float, metric: str, signed: bool = False) -> str:
    """Return a number as text, without its unit."""
    return format_decimals(
        value * words(metric).scale, fitted_decimals(low, high, metric), signed or words(metric).signed
    )


def fitted_interval(low: float, high: float, metric: str, signed: bool = False) -> str:
    """Return an interval as `low to high`, without its unit; empty if there is none."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"{fitted_value(low, low, high, metric, signed)} to {fitted_value(high, low, high, metric, signed)}"
