"""Convert a metric's result to the plain dict that an `evaluate` module returns."""

from typing import Any

from hf_sslgen.metrics.results import PER_SAMPLE, MetricResult


def module_result(name: str, main: str, result: MetricResult, return_per_sample: bool = False) -> dict[str, Any]:
    """Return the main number under the module's name, then every field of the result under its own name.

    Args:
        name: the module's name.
        main: the field that holds the module's main number.
        result: the metric's result.
        return_per_sample: whether to include per-sample arrays, as lists, for paired comparisons.
    """
    values = result.to_dict()
    values = {name: values[main], **values}
    if return_per_sample:
        values |= {field: array.tolist() for field, array in vars(result).items() if field.startswith(PER_SAMPLE)}
    return values
