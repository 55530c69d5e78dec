"""From a metric's result to the plain dict that an `evaluate` module returns."""

from typing import Any

from hf_sslgen.metrics.results import PER_SAMPLE, MetricResult


def module_result(name: str, main: str, result: MetricResult, return_per_sample: bool = False) -> dict[str, Any]:
    """The main number under the module's name, then every field of the result under its own.

    Args:
        name: the module's name.
        main: the field that is the module's main number.
        result: what the metric returned.
        return_per_sample: whether the per-sample arrays are kept, as lists; for paired comparisons.
    """
    values = result.to_dict()
    values = {name: values[main], **values}
    if return_per_sample:
        values |= {field: array.tolist() for field, array in vars(result).items() if field.startswith(PER_SAMPLE)}
    return values
