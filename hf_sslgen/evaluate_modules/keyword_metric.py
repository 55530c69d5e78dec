"""Base of the modules for maps and features, which take all inputs at once, by keyword, bypassing Arrow."""

import inspect
from abc import ABC, abstractmethod
from typing import Any

import datasets
import evaluate


def keyword_info(description: str, citation: str, inputs_description: str) -> evaluate.MetricInfo:
    """Describe a module that stores nothing, and so has no columns, to `evaluate`."""
    return evaluate.MetricInfo(
        description=description,
        citation=citation,
        inputs_description=inputs_description,
        features=datasets.Features({}),
        format="numpy",
    )


class KeywordMetric(evaluate.Metric, ABC):
    """A metric of arrays that would take minutes and gigabytes to store in Arrow.

    It is abstract, so `evaluate.load`, which uses the first concrete metric in a script, skips it.
    """

    @abstractmethod
    def _measure(self, *_: Any, **inputs: Any) -> dict[str, Any]:
        """Compute the module's dict from its keyword arguments; those without a default are required."""

    def compute(self, *, predictions: Any = None, references: Any = None, **inputs: Any) -> dict[str, Any]:
        """Compute the metric from arrays passed by keyword; `predictions` and `references` stay None.

        Raises:
            ValueError: an input is missing, unknown or invalid.
        """
        passed = {"predictions": predictions, "references": references}
        inputs |= {name: value for name, value in passed.items() if value is not None}
        arguments = inspect.signature(self._measure).parameters
        required = [name for name, argument in arguments.items() if argument.default is argument.empty]
        optional = [name for name in arguments if name not in required]
        usage = f"pass {' and '.join(required)}, and of {', '.join(optional)}"
        unknown = [name for name in inputs if name not in arguments]
        if unknown:
            raise ValueError(f"{self.name} has no argument {', '.join(unknown)}: {usage}")
        missing = [name for name in required if inputs.get(name) is None]
        if missing:
            raise ValueError(f"{self.name} lacks {' and '.join(missing)}: {usage}")
        if self.num_process != 1:
            raise ValueError(
                f"{self.name} does not collect arrays from {self.num_process} processes: gather them first and "
                "compute with num_process=1"
            )
        return self._measure(**inputs)

    def add_batch(self, *, predictions: Any = None, references: Any = None, **inputs: Any) -> None:
        """Not available: arrays of maps or features are not stored.

        Raises:
            ValueError: always.
        """
        raise ValueError(f"{self.name} stores no batches: pass whole arrays to compute")

    def add(self, *, prediction: Any = None, reference: Any = None, **inputs: Any) -> None:
        """Not available: arrays of maps or features are not stored.

        Raises:
            ValueError: always.
        """
        self.add_batch()

    def _compute(self, *, predictions: Any = None, references: Any = None, **inputs: Any) -> dict[str, Any]:
        raise NotImplementedError("compute passes its arrays directly to _measure, bypassing evaluate's storage")
