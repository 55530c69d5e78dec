"""Does a self-supervised backbone generalise better than its supervised twin, on your images?"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_sslgen.analysis.analysis_settings import AnalysisSettings as AnalysisSettings
    from hf_sslgen.analysis.validation_callback import ValidationNumbers as ValidationNumbers
    from hf_sslgen.analysis.validation_numbers import validation_numbers as validation_numbers

__version__ = "0.1.0"

_METRICS = Path(__file__).parent / "evaluate_modules"

_EXPORTED = {
    "AnalysisSettings": "analysis_settings",
    "ValidationNumbers": "validation_callback",
    "validation_numbers": "validation_numbers",
}
"""What can be imported from here, with its module in `hf_sslgen.analysis`, which is imported only then."""


def __getattr__(name: str) -> Any:
    if name not in _EXPORTED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return vars(importlib.import_module(f"hf_sslgen.analysis.{_EXPORTED[name]}"))[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTED})


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
