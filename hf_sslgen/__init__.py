"""Does a self-supervised backbone generalise better than its supervised twin, on your images?"""

from pathlib import Path

__version__ = "0.1.0"

_METRICS = Path(__file__).parent / "evaluate_modules"


def metric_names() -> list[str]:
    """The metrics that `metric_path` knows, in alphabetical order."""
    return sorted(script.stem for script in _METRICS.glob("*/*.py") if script.stem == script.parent.name)


def metric_path(name: str) -> str:
    """Where a metric lies, for `evaluate.load(metric_path("expected_calibration_error"))`.

    Raises:
        ValueError: there is no such metric; the message lists those there are.
    """
    if name not in metric_names():
        raise ValueError(f"there is no metric {name!r}; there are {', '.join(metric_names())}")
    return str(_METRICS / name)
