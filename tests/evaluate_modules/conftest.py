"""The metrics as other projects load them, real predictions to give them, and a process that has nothing of ours."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import evaluate
import numpy as np
import pytest

from hf_sslgen import metric_names, metric_path

ALONE = """
import sys
sys.modules["hf_sslgen"] = None  # not to be found
sys.modules["transformers"] = None  # nor this, while evaluate imports it (and torch with it) for what is not used here
import evaluate
del sys.modules["transformers"]
import json
"""


class Predictions(NamedTuple):
    """A classifier's outputs on images it has not seen."""

    logits: np.ndarray
    probabilities: np.ndarray
    predictions: np.ndarray
    references: np.ndarray
    confidences: np.ndarray
    correct: np.ndarray

    def columns(self) -> dict[str, np.ndarray]:
        """What the route of one row per sample takes."""
        return {"predictions": self.predictions, "references": self.references, "confidences": self.confidences}


@pytest.fixture(scope="session")
def digits() -> Predictions:
    """Logistic regression on handwritten digits, trained on few and regularised little so that it errs."""
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    images, labels = load_digits(return_X_y=True)
    model = LogisticRegression(C=10.0, max_iter=500).fit(images[:150], labels[:150])
    logits = model.decision_function(images[150:])
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    predictions, references = probabilities.argmax(axis=1), labels[150:]
    return Predictions(
        logits, probabilities, predictions, references, probabilities.max(axis=1), predictions == references
    )


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, evaluate.EvaluationModule]:
    """Every metric, loaded from the package by path."""
    cache = str(tmp_path_factory.mktemp("evaluate"))
    return {name: evaluate.load(metric_path(name), cache_dir=cache) for name in metric_names()}


@pytest.fixture
def run_alone(tmp_path: Path) -> Callable[..., Any]:
    """Runs Python source where hf_sslgen can't be imported and torch is not yet; returns the JSON it prints."""

    def run(source: str, environment: dict[str, str] | None = None) -> Any:
        variables = environment or os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}
        variables = {name: value for name, value in variables.items() if name != "PYTHONPATH"}
        command = [sys.executable, "-P", "-c", ALONE + source]
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout)

    return run
