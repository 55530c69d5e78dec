"""Does a self-supervised backbone generalise better than its supervised twin, on your images?"""

from pathlib import Path

__version__ = "0.1.0"


def metric_path(name: str) -> str:
    """Where a metric lies for `evaluate.load`, such as `evaluate.load(metric_path("expected_calibration_error"))`.

    Args:
        name: one of the folders of `hf_sslgen/evaluate_modules`, which the error for another name lists.

    Raises:
        ValueError: there is no such metric.
    """
    modules = Path(__file__).parent / "evaluate_modules"
    names = sorted(script.stem for script in modules.glob("*/*.py") if script.stem == script.parent.name)
    if name not in names:
        raise ValueError(f"there is no metric {name!r}; there are {', '.join(names)}")
    return str(modules / name)
