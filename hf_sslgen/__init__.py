"""Does a self-supervised backbone generalise better than its supervised twin, on your images?"""

from pathlib import Path

__version__ = "0.1.0"

_METRICS = Path(__file__).parent / "evaluate_modules"


def metric_names() -> list[str]:
    """Return the names of the metrics that `metric_path` accepts, in alphabetical order."""
    return sorted(script.stem for script in _METRICS.glob("*/*.py") if script.stem == script.parent.name)


def metric_path(name: str) -> str:
    """Return a metric's path, for `evaluate.load(metric_path("expected_calibration_error"))`.

    Raises:
        ValueError: there is no such metric; the message lists the existing ones.
    """
    if name not in metric_names():
        raise ValueError(f"there is no metric {name!r}; available metrics: {', '.join(metric_names())}")
    return str(_METRICS / name)
