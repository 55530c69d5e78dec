"""One definition: each module returns what the pure function returns, number by number."""

import doctest
import re

import numpy as np
import pytest

from hf_sslgen import metric_names, metrics


def same(left, right) -> bool:
    """Equality of plain values to the last bit, NaN being equal to itself."""
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and (left == right or (left != left and right != right))


def assert_holds(result: dict, expected: dict) -> None:
    assert expected.keys() <= result.keys()
    for name, value in expected.items():
        assert same(result[name], value), f"{name}: {result[name]} is not {value}"


def per_sample(result: metrics.MetricResult) -> dict:
    return {name: value.tolist() for name, value in vars(result).items() if name.startswith("per_sample")}


@pytest.mark.parametrize("route", ["rows", "probabilities", "logits"])
class TestOfTopLabels:
    """On real predictions, by each route."""

    @pytest.fixture
    def inputs(self, route, digits) -> dict:
        if route == "rows":
            return digits.columns()
        if route == "probabilities":
            return {"probabilities": digits.probabilities, "references": digits.references}
        return {"probabilities": digits.logits, "references": digits.references, "from_logits": True}

    @pytest.fixture
    def top(self, route, digits) -> tuple[np.ndarray, np.ndarray]:
        if route == "rows":
            return digits.confidences, digits.correct
        scores = digits.logits if route == "logits" else digits.probabilities
        labels = metrics.top_label(scores, digits.references, from_logits=route == "logits")
        return labels.per_sample_confidence, labels.per_sample_correct

    def test_expected_calibration_error(self, modules, inputs, top):
        options = {"num_bins": 10, "num_simulations": 20, "seed": 3}
        result = modules["expected_calibration_error"].compute(**inputs, **options)
        assert 0.0 < result["expected_calibration_error"] < 1.0
        assert_holds(result, metrics.expected_calibration_error(*top, **options).to_dict())

    def test_prediction_confidence(self, modules, inputs, top):
        expected = metrics.prediction_confidence(*top).to_dict()
        result = modules["prediction_confidence"].compute(**inputs)
        assert 0.5 < result["auroc"] < 1.0
        assert_holds(result, {"prediction_confidence": expected["mean_confidence"], **expected})

    def test_risk_coverage(self, modules, inputs, top):
        expected = metrics.risk_coverage(*top).to_dict()
        result = modules["risk_coverage"].compute(**inputs, return_curve=True)
        assert_holds(result, {"risk_coverage": expected["aurc"], **expected})
        without_curve = modules["risk_coverage"].compute(**inputs)
        assert without_curve == {name: value for name, value in result.items() if name not in ("coverage", "risk")}

    def test_brier_score(self, modules, inputs, top, route):
        result = modules["brier_score"].compute(**inputs, return_per_sample=True)
        of_top = metrics.top_label_brier(*top)
        assert_holds(
            result,
            {
                "top_label_brier": of_top.mean,
                "top_label_brier_interval": list(of_top.intervals["mean"]),
                "per_sample_top_label_score": of_top.per_sample_score.tolist(),
                "n": len(top[0]),
            },
        )
        if route == "rows":
            assert np.isnan(result["brier_score"])
            assert "all classes" in result["reason"]
            assert "per_sample_score" not in result
        else:
            score = metrics.brier_score(inputs["probabilities"], inputs["references"], from_logits=route == "logits")
            assert result["reason"] == ""
            assert_holds(
                result,
                {
                    "brier_score": score.mean,
                    "brier_score_interval": list(score.intervals["mean"]),
                    "per_sample_score": score.per_sample_score.tolist(),
                },
            )


@pytest.mark.parametrize("sign", ["positive", "absolute"])
def test_attribution_concentration(modules, sign):
    maps = np.random.default_rng(0).normal(size=(40, 7, 5))
    maps[3] = 0.0
    result = modules["attribution_concentration"].compute(maps=maps, sign=sign, return_per_sample=True)
    expected = metrics.attribution_concentration(maps, sign)
    assert result["n_undefined"] == 1
    assert_holds(result, {"attribution_concentration": expected.gini, **expected.to_dict(), **per_sample(expected)})


@pytest.mark.parametrize("truth", ["masks", "boxes"])
def test_attribution_localization(modules, truth):
    generator = np.random.default_rng(1)
    maps = generator.normal(size=(30, 7, 7))
    corners = np.sort(generator.random((30, 2, 2)), axis=1).reshape(30, 4)
    objects = {"masks": generator.random((30, 14, 14)) < 0.3, "boxes": corners}[truth]
    result = modules["attribution_localization"].compute(maps=maps, return_per_sample=True, **{truth: objects})
    expected = metrics.attribution_localization(maps, **{truth: objects})
    assert_holds(
        result, {"attribution_localization": expected.mass_accuracy, **expected.to_dict(), **per_sample(expected)}
    )


@pytest.mark.parametrize("stage", ["pretrained", "fine-tuned"])
def test_invariance(modules, stage):
    generator = np.random.default_rng(2)
    features = generator.normal(size=(60, 1)) + 1e-3 * generator.normal(size=(60, 16))
    moved = features + 0.1 * generator.normal(size=features.shape)
    options = {
        "groups": generator.integers(0, 3, 60),
        "unchanged": generator.random(60) < 0.1,
        "gallery_size": 20,
    }
    result = modules["invariance"].compute(
        features=features, transformed_features=moved, stage=stage, return_per_sample=True, **options
    )
    expected = metrics.invariance(features, moved, **options)
    assert_holds(result, {**expected.to_dict(), **per_sample(expected)})
    guards = metrics.representation_guards(features, stage).to_dict()
    assert_holds(result, {"guards_reason": guards.pop("reason"), **guards})
    assert result["collapsed"] == (stage == "pretrained")


class Recorder:
    """A module that remembers which keys it has returned, asked for everything."""

    def __init__(self, module):
        self.module = module
        self.keys = set()

    def compute(self, **inputs):
        everything = {"risk_coverage": {"return_curve": True}}.get(self.module.name, {"return_per_sample": True})
        self.keys |= self.module.compute(**inputs, **everything).keys()
        return self.module.compute(**inputs)


@pytest.mark.parametrize("name", metric_names())
def test_examples_hold_and_every_key_is_described(modules, name):
    recorder = Recorder(modules[name])
    text = modules[name].inputs_description
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(doctest.DocTestParser().get_doctest(text, {"metric": recorder}, name, None, 0))
    outcome = runner.summarize(verbose=False)
    assert outcome.attempted >= 1
    assert outcome.failed == 0

    described = set(re.findall(r"`(\w+)`", text.split("Returns a dict.")[1]))
    keys = {key.removesuffix("_interval") for key in recorder.keys}
    of_samples = {key for key in keys if key.startswith("per_sample") and name != "brier_score"}
    assert keys - of_samples - described == set()


def test_names_are_those_of_the_main_numbers(modules):
    assert {name: module.name for name, module in modules.items()} == {name: name for name in modules}
    assert len(modules) == 7
