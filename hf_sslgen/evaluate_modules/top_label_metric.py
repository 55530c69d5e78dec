"""Base of the calibration modules: two routes for their inputs, and a workaround for `evaluate`'s storage.

`evaluate` reads `predictions=[1.7]` and the string "1" as 1, and returns float64 columns as float32. Inputs are
therefore checked before they are stored, and read back from Arrow in the stored precision.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any

import datasets
import evaluate
import numpy as np
import pyarrow as pa

from hf_sslgen.metrics.inputs import (
    BoolArray,
    FloatArray,
    confidence_array,
    label_array,
    require_equal_lengths,
)
from hf_sslgen.metrics.top_label import top_label

COLUMNS = ("predictions", "references", "confidences")
FEATURES = datasets.Features(
    {
        "predictions": datasets.Value("int64"),
        "references": datasets.Value("int64"),
        "confidences": datasets.Value("float64"),
    }
)
INPUTS = """
Two routes, never mixed.

**One row per sample**, at once or in batches (`add`, `add_batch`), in one process or several, alone or with
`evaluate.combine`:

- `predictions` (N,): predicted classes, integers.
- `references` (N,): true classes, integers.
- `confidences` (N,): probability of the predicted class, in [0, 1]; kept in float64.

**Class probabilities**, all at once, by keyword:

- `probabilities` (N, C): rows that sum to 1, or logits with `from_logits=True` (never guessed).
- `references` (N,): true classes in [0, C).
"""
ROUTES = f"pass either {', '.join(COLUMNS)}, or probabilities and references"


def top_label_info(description: str, citation: str, inputs_description: str) -> evaluate.MetricInfo:
    """Describe a module of the family to `evaluate`."""
    return evaluate.MetricInfo(
        description=description,
        citation=citation,
        inputs_description=inputs_description,
        features=FEATURES,
        format="numpy",
    )


@dataclass(frozen=True)
class FamilyOptions:
    """Options of the family's modules; each accepts all, because `evaluate.combine` passes all options to each."""

    num_bins: int = 15
    num_simulations: int = 0
    seed: int = 0
    return_curve: bool = False
    return_per_sample: bool = False


class TopLabelMetric(evaluate.Metric, ABC):
    """A metric of each sample's predicted class, true class and confidence, or of all its class probabilities.

    It is abstract, so `evaluate.load`, which uses the first concrete metric in a script, skips it.
    """

    @abstractmethod
    def _from_top_labels(self, confidences: FloatArray, correct: BoolArray, options: FamilyOptions) -> dict[str, Any]:
        """Compute the module's dict from p and y, both of shape (N,)."""

    def _from_probabilities(
        self, probabilities: Any, references: Any, from_logits: bool, options: FamilyOptions
    ) -> dict[str, Any]:
        labels = top_label(probabilities, references, from_logits)
        return self._from_top_labels(labels.per_sample_confidence, labels.per_sample_correct, options)

    def compute(
        self,
        *,
        predictions: Any = None,
        references: Any = None,
        confidences: Any = None,
        probabilities: Any = None,
        from_logits: bool = False,
        **options: Any,
    ) -> dict[str, Any] | None:
        """Compute the metric from the given inputs, or from those stored by `add` and `add_batch`.

        Raises:
            ValueError: an input is missing, invalid or belongs to the other route.
        """
        chosen = self._chosen_options(options)
        if probabilities is not None:
            self._require_probabilities_alone(predictions, references, confidences)
            return self._from_probabilities(probabilities, references, from_logits, chosen)
        if from_logits:
            raise ValueError(f"{self.name}: from_logits=True describes probabilities, which are missing; {ROUTES}")
        columns = {"predictions": predictions, "references": references, "confidences": confidences}
        if any(column is not None for column in columns.values()):
            self._require_all(columns)
        elif self.writer is None:
            raise ValueError(f"{self.name} has no input, and nothing was added before: {ROUTES}")
        stored = super().compute(**columns)
        if stored is None:  # not the first process, which measures the samples of all
            return None
        return self._from_top_labels(stored["confidences"], stored["predictions"] == stored["references"], chosen)

    def add_batch(
        self, *, predictions: Any = None, references: Any = None, confidences: Any = None, **others: Any
    ) -> None:
        """Store a batch: three columns of shape (n,).

        Raises:
            ValueError: a column is missing or invalid.
        """
        if others:
            raise ValueError(f"{self.name} stores {', '.join(COLUMNS)}, got {', '.join(others)}; {ROUTES} to compute")
        self._require_all({"predictions": predictions, "references": references, "confidences": confidences})
        batch = {
            "predictions": label_array(predictions, "predictions"),
            "references": label_array(references, "references"),
            "confidences": confidence_array(confidences, "confidences"),
        }
        require_equal_lengths(**batch)
        if self.writer is None:
            self.selected_feature_format = FEATURES
            self._init_writer()
        self.writer.write_table(pa.table(batch))  # `evaluate` would write the same table one Python number at a time

    def add(self, *, prediction: Any = None, reference: Any = None, confidence: Any = None, **plural: Any) -> None:
        """Store one sample; plural names also work, because `evaluate.combine` uses them.

        Raises:
            ValueError: as `add_batch`.
        """
        sample = {"predictions": prediction, "references": reference, "confidences": confidence} | plural
        self.add_batch(**{name: None if value is None else [value] for name, value in sample.items()})

    def _compute(self, *, predictions: Any = None, references: Any = None, **columns: Any) -> dict[str, Any]:
        # Read again, because the "numpy" format has converted the inputs to float32. Copied, because the file is
        # removed next, before measuring, so that an error leaves no file behind.
        table = self.data.with_format("arrow")[:]
        return {name: np.array(table[name].to_numpy()) for name in COLUMNS}

    def _chosen_options(self, options: dict[str, Any]) -> FamilyOptions:
        known = [field.name for field in fields(FamilyOptions)]
        unknown = [name for name in options if name not in known]
        if unknown:
            raise ValueError(f"{self.name} has no argument {', '.join(unknown)}; {ROUTES}, and of {', '.join(known)}")
        return FamilyOptions(**options)

    def _require_all(self, columns: dict[str, Any]) -> None:
        missing = [name for name, column in columns.items() if column is None]
        if missing:
            raise ValueError(f"{self.name} lacks {' and '.join(missing)}: {ROUTES}")

    def _require_probabilities_alone(self, predictions: Any, references: Any, confidences: Any) -> None:
        if predictions is not None or confidences is not None:
            raise ValueError(
                f"{self.name} got probabilities and also predictions or confidences, which follow: {ROUTES}"
            )
        if references is None:
            raise ValueError(f"{self.name} lacks references: {ROUTES}")
        if self.writer is not None:
            raise ValueError(f"{self.name} got probabilities, but samples were added before: compute() those first")
        if self.num_process != 1:
            raise ValueError(
                f"{self.name} does not collect probabilities from {self.num_process} processes: gather them first and "
                f"compute with num_process=1, or pass {', '.join(COLUMNS)}"
            )
