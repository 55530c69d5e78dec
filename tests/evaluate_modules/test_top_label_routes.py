"""The calibration family through `evaluate`: batches, combination, processes, precision, and input that is wrong."""

import json
import os
import subprocess
import sys

import evaluate
import numpy as np
import pytest

from hf_sslgen import metric_path, metrics

FAMILY = ("expected_calibration_error", "prediction_confidence", "brier_score", "risk_coverage")
ROWS = {"predictions": [1, 0, 1], "references": [1, 1, 1], "confidences": [0.9, 0.6, 0.7]}


@pytest.fixture
def load(tmp_path):
    """A factory of fresh modules, whose storage no other test shares."""
    return lambda name="expected_calibration_error", **options: evaluate.load(
        metric_path(name), cache_dir=str(tmp_path), **options
    )


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("in_memory", [False, True])
def test_batches_and_single_samples_make_the_whole(load, digits, name, in_memory):
    whole = load(name).compute(**digits.columns())
    module = load(name, keep_in_memory=in_memory)
    for start in range(0, 1000, 137):
        rows = slice(start, min(start + 137, 1000))
        module.add_batch(**{column: values[rows] for column, values in digits.columns().items()})
    for i in range(1000, 1003):
        module.add(prediction=digits.predictions[i], reference=digits.references[i], confidence=digits.confidences[i])
    rest = {column: values[1003:] for column, values in digits.columns().items()}
    assert_same(module.compute(**rest), whole)
    assert_same(module.compute(**digits.columns()), whole)  # nothing is left over


def assert_same(left: dict, right: dict) -> None:
    np.testing.assert_equal(left, right)  # takes NaN as equal to itself


def test_combination_of_the_family(digits, load):
    together = evaluate.combine([load(name) for name in FAMILY])
    result = together.compute(**digits.columns(), num_bins=10)
    for name in FAMILY:
        alone = load(name).compute(**digits.columns(), **({"num_bins": 10} if name.startswith("expected") else {}))
        np.testing.assert_equal(result[name], alone[name])
    assert result["risk_coverage_n"] == result["brier_score_n"] == len(digits.references)

    from_table = together.compute(probabilities=digits.probabilities, references=digits.references)
    assert from_table["brier_score"] == metrics.brier_score(digits.probabilities, digits.references).mean

    for rows in (slice(0, 700), slice(700, None)):
        together.add_batch(**{column: values[rows] for column, values in digits.columns().items()})
    np.testing.assert_equal(together.compute(num_bins=10), result)
    together.add(prediction=1, reference=1, confidences=0.75)
    assert together.compute()["prediction_confidence"] == 0.75


def test_combination_of_paths(digits):
    result = evaluate.combine([metric_path(name) for name in FAMILY]).compute(**digits.columns())
    assert set(FAMILY) <= result.keys()


WORKER = """
import sys
sys.modules["transformers"] = None  # for speed: evaluate imports it for what is not used here
import json, evaluate, numpy as np
del sys.modules["transformers"]
from hf_sslgen import metric_path
process, count, cache, rows = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], np.load(sys.argv[4])
module = evaluate.load(
    metric_path("risk_coverage"), num_process=count, process_id=process, experiment_id="two", cache_dir=cache
)
for part in np.array_split(np.array_split(np.arange(len(rows["references"])), count)[process], 3):
    module.add_batch(**{name: rows[name][part] for name in rows})
print(json.dumps(module.compute(return_curve=True)))
"""


def test_two_processes_of_evaluates_own(load, digits, tmp_path):
    np.savez(tmp_path / "rows.npz", **digits.columns())
    command = [sys.executable, "-c", WORKER]
    arguments = ["2", str(tmp_path / "shared"), str(tmp_path / "rows.npz")]
    workers = [
        subprocess.Popen([*command, str(i), *arguments], stdout=subprocess.PIPE, env=os.environ, text=True)
        for i in range(2)
    ]
    first, second = (json.loads(worker.communicate()[0]) for worker in workers)
    assert second is None
    assert_same(first, load("risk_coverage").compute(**digits.columns(), return_curve=True))


def test_gathered_first_as_evaluate_recommends(load, digits):
    shards = [{column: values[i::2] for column, values in digits.columns().items()} for i in range(2)]
    gathered = {column: np.concatenate([shard[column] for shard in shards]) for column in shards[0]}
    whole = load().compute(**digits.columns())
    np.testing.assert_allclose(
        load().compute(**gathered)["expected_calibration_error"], whole["expected_calibration_error"], rtol=1e-12
    )


def test_float64_stays_float64(load):
    """0.3 lies in the third of ten bins, and float32 0.3 above its edge, in the fourth."""
    rows = {"predictions": [1], "references": [1], "confidences": [0.3]}
    assert float(np.float32(0.3)) > 0.3
    for module in (load(), load(keep_in_memory=True)):
        module.add_batch(**rows)
        result = module.compute(num_bins=10)
        assert result["bin_counts"] == [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
        assert result["bin_confidence"][2] == 0.3
    single = load().compute(**rows | {"confidences": np.array([0.3], dtype=np.float32)}, num_bins=10)
    assert single["bin_counts"][3] == 1
    third = load("prediction_confidence").compute(**rows | {"confidences": [1.0 / 3.0]})
    assert third["prediction_confidence"] == 1.0 / 3.0


def test_labels_beyond_float64_are_told_apart(load):
    big = 2**60
    rows = {"predictions": [big, big], "references": [big, big + 1], "confidences": [0.5, 0.5]}
    assert load().compute(**rows)["expected_calibration_error"] == 0.0


def test_tensors_and_lists_are_taken(load):
    torch = pytest.importorskip("torch")
    expected = load().compute(**ROWS)
    tensors = {name: torch.tensor(values) for name, values in ROWS.items()}
    tensors["confidences"] = torch.tensor(ROWS["confidences"], dtype=torch.float64)
    assert_same(load().compute(**tensors), expected)


BAD_ROWS = [
    ({"confidences": [0.9, float("nan"), 0.7]}, r"confidences must be finite, but confidences\[1\] is nan"),
    ({"confidences": [0.9, None, 0.7]}, "confidences must hold real numbers"),
    ({"confidences": [0.9, 1.5, 0.7]}, r"confidences must be probabilities in \[0, 1\]"),
    ({"confidences": ["0.9", "0.6", "0.7"]}, "confidences must hold real numbers"),
    ({"confidences": [0.9, 0.6]}, "predictions and confidences must have the same length"),
    ({"confidences": [[0.9], [0.6], [0.7]]}, r"confidences must have shape \(N,\)"),
    ({"predictions": [1.7, 0, 1]}, r"predictions must be integer class labels, but predictions\[0\] is 1.7"),
    ({"predictions": ["1", "0", "1"]}, "predictions must hold real numbers"),
    ({"predictions": [1, None, 1]}, "predictions must hold real numbers"),
    ({"predictions": [[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]]}, r"predictions must have shape \(N,\)"),
    ({"references": [1, -1, 1]}, "references must be integer class labels"),
    ({"references": [1, 1, 1, 1]}, "predictions and references must have the same length"),
    ({"predictions": [], "references": [], "confidences": []}, "predictions must not be empty"),
    ({"confidences": None}, "lacks confidences: pass either predictions, references, confidences, or probabilities"),
    ({"references": None, "predictions": None}, "lacks predictions and references"),
]


@pytest.mark.parametrize(("change", "message"), BAD_ROWS)
@pytest.mark.parametrize("method", ["compute", "add_batch"])
def test_bad_rows_are_named_before_they_are_stored(load, change, message, method):
    module = load()
    module.add_batch(**ROWS)
    with pytest.raises(ValueError, match=message):
        vars(module)[method](**ROWS | change)
    assert_same(module.compute(), load().compute(**ROWS))  # the good batch is still there, alone


TABLE = {"probabilities": [[0.2, 0.8], [0.5, 0.5]], "references": [1, 0]}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "has no input, and nothing was added before"),
        ({"from_logits": True}, "from_logits=True describes probabilities, which are missing"),
        ({**ROWS, "from_logits": True}, "from_logits=True"),
        ({**ROWS, "probabilities": TABLE["probabilities"]}, "probabilities and also predictions or confidences"),
        ({**TABLE, "confidences": [0.8, 0.5]}, "probabilities and also predictions or confidences"),
        ({**TABLE, "references": None}, "lacks references"),
        ({**TABLE, "references": [1, 2]}, r"references must be integer class labels in \[0, 2\)"),
        ({**TABLE, "probabilities": [[2.0, 3.0], [1.0, 0.0]]}, "from_logits=True"),
        ({**ROWS, "num_bin": 10}, "has no argument num_bin;"),
    ],
)
@pytest.mark.parametrize("name", FAMILY)
def test_mixed_or_missing_inputs_are_one_clear_error(load, name, inputs, message):
    with pytest.raises(ValueError, match=message) as error:
        load(name).compute(**inputs)
    assert len(str(error.value).splitlines()) == 1


def test_bad_options_leave_nothing_behind(load, tmp_path):
    module = load()
    for _ in range(2):
        with pytest.raises(ValueError, match="num_bins must be an integer of at least 1, got 0"):
            module.compute(**ROWS, num_bins=0)
    assert list(tmp_path.rglob("*.arrow")) == []
    assert_same(module.compute(**ROWS), load().compute(**ROWS))


def test_probabilities_do_not_join_stored_samples(load):
    module = load()
    module.add_batch(**ROWS)
    with pytest.raises(ValueError, match="samples were added before"):
        module.compute(**TABLE)
    with pytest.raises(ValueError, match="stores predictions, references, confidences, got probabilities"):
        module.add_batch(**TABLE)
    with pytest.raises(ValueError, match="does not collect probabilities from 2 processes"):
        load(num_process=2, process_id=0).compute(**TABLE)
