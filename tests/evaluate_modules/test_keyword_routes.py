"""Modules of maps and features: arrays by keyword, all at once, and nothing else."""

import evaluate
import numpy as np
import pytest

from hf_sslgen import metric_path

MAPS = np.ones((2, 3, 3))
FEATURES = np.random.default_rng(0).normal(size=(8, 4))


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("attribution_concentration", {}, "attribution_concentration lacks maps: pass maps, and of sign, return_per"),
        ("attribution_concentration", {"predictions": [1], "maps": MAPS}, "has no argument predictions: pass maps"),
        ("attribution_concentration", {"map": MAPS}, "has no argument map: pass maps"),
        ("attribution_concentration", {"maps": MAPS * np.nan}, r"maps must be finite, but maps\[0, 0, 0\] is nan"),
        ("attribution_concentration", {"maps": MAPS[0]}, r"maps must have shape \(N, h, w\), got shape \(3, 3\)"),
        ("attribution_concentration", {"maps": MAPS, "sign": "both"}, "sign must be 'positive' or 'absolute'"),
        ("attribution_localization", {"maps": MAPS}, "masks"),
        ("attribution_localization", {"maps": MAPS, "boxes": np.ones((3, 4))}, "maps and boxes"),
        ("invariance", {"features": FEATURES}, "invariance lacks transformed_features: pass features and transformed"),
        ("invariance", {"features": FEATURES, "transformed_features": FEATURES[:3]}, "one shape"),
        ("invariance", {"features": FEATURES, "transformed_features": FEATURES, "references": [1]}, "references"),
    ],
)
def test_wrong_inputs_are_one_clear_error(modules, name, inputs, message):
    with pytest.raises(ValueError, match=message) as error:
        modules[name].compute(**inputs)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["attribution_concentration", "attribution_localization", "invariance"])
def test_nothing_is_stored_or_collected(modules, name):
    with pytest.raises(ValueError, match=f"{name} stores no batches"):
        modules[name].add_batch(predictions=[1], references=[1])
    with pytest.raises(ValueError, match=f"{name} stores no batches"):
        modules[name].add(prediction=1)
    several = evaluate.load(metric_path(name), num_process=2, process_id=1)
    needed = (
        {"maps": MAPS} if name.startswith("attribution") else {"features": MAPS[0], "transformed_features": MAPS[0]}
    )
    with pytest.raises(ValueError, match="does not collect arrays from 2 processes"):
        several.compute(**needed)


def test_modules_of_maps_combine(modules):
    together = evaluate.combine([modules["attribution_concentration"], modules["attribution_localization"]])
    with pytest.raises(ValueError, match="attribution_concentration has no argument boxes"):
        together.compute(maps=MAPS, boxes=[[0, 0, 1, 1]] * 2)


def test_unknown_names_are_refused_with_the_list():
    with pytest.raises(
        ValueError, match=r"there is no metric 'ece'; available metrics: attribution_concentration, .*risk_cover"
    ):
        metric_path("ece")
