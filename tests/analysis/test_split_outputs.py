"""One column of a whole split: features and predictions of the smallest request to the one pass."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoding import encode
from whole_splits import classified, features_of

from hf_sslgen.analysis import pass_shards
from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.one_pass import split_features, split_logits
from hf_sslgen.preprocessing import evaluation_pixels, normalise
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone

NAMES = ("timm_resnet", "timm_vit", "transformers_resnet", "transformers_vit")


@pytest.fixture(scope="module", params=NAMES)
def backbone(request: pytest.FixtureRequest, small_backbones: dict[str, str], digits_domain: Any) -> LoadedBackbone:
    return load_backbone(small_backbones[request.param], digits_domain.class_names)


def test_features_are_what_enters_the_classifier(backbone: LoadedBackbone, digits_domain: Any) -> None:
    split = digits_domain.test.select(np.arange(5))
    geometry = backbone.preprocessing.geometry
    pixels = torch.stack([evaluation_pixels(split.image(position), geometry) for position in range(5)])
    features = encode(backbone, pixels, batch_size=2)
    _, classifier = find_classifier(backbone.model)
    with torch.no_grad():
        logits = backbone.model(pixel_values=normalise(pixels, backbone.preprocessing)).logits
    rebuilt = features @ classifier.weight.detach().numpy().T + classifier.bias.detach().numpy()
    np.testing.assert_allclose(rebuilt, logits.numpy(), atol=1e-5)
    np.testing.assert_allclose(features_of(backbone, split, 5), features, atol=1e-5)
    np.testing.assert_allclose(encode(backbone, pixels.float() / 255, 5), features, atol=1e-5)


def test_a_pass_is_in_the_splits_order_whatever_the_batch_size(backbone: LoadedBackbone, digits_domain: Any) -> None:
    test = digits_domain.test
    order = np.random.default_rng(0).permutation(len(test))
    whole, shuffled = classified(backbone, test, 64), classified(backbone, test.select(order), 1)
    np.testing.assert_array_equal(shuffled.sample_ids, test.sample_ids[order])
    np.testing.assert_array_equal(shuffled.references, test.labels[order])
    np.testing.assert_array_equal(shuffled.predictions, whole.predictions[order])
    for column in ("confidences", "negative_log_likelihoods", "brier_scores"):
        np.testing.assert_allclose(vars(shuffled)[column], vars(whole)[column][order], atol=1e-5)
    features = features_of(backbone, test, 64)
    np.testing.assert_allclose(features_of(backbone, test.select(order), 1), features[order], atol=1e-4)


def test_predictions_are_the_softmax_of_the_logits(backbone: LoadedBackbone, digits_domain: Any) -> None:
    features, outputs = (measured(backbone, digits_domain.test, 16) for measured in (features_of, classified))
    _, classifier = find_classifier(backbone.model)
    weight, bias = (tensor.detach().double().numpy() for tensor in (classifier.weight, classifier.bias))
    logits = features.astype(float) @ weight.T + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    reference = digits_domain.test.labels
    np.testing.assert_array_equal(outputs.predictions, probabilities.argmax(1))
    np.testing.assert_allclose(outputs.confidences, probabilities.max(1), atol=1e-6)
    likelihood = probabilities[np.arange(len(reference)), reference]
    np.testing.assert_allclose(outputs.negative_log_likelihoods, -np.log(likelihood), atol=1e-5)
    brier = np.square(probabilities - np.eye(10)[reference]).sum(1)
    np.testing.assert_allclose(outputs.brier_scores, brier, atol=1e-6)


class StoppedError(Exception):
    """Ends a pass."""


def test_features_of_a_split_go_on_by_shards_of_whole_batches(
    backbone: LoadedBackbone, digits_domain: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As bits: a shard of eight images would cut batches of three short, and short batches round otherwise."""
    monkeypatch.setattr(pass_shards, "SHARD_IMAGES", 8)
    split, settings, run = digits_domain.test, AnalysisSettings(batch_size=3), pass_shards.Run(tmp_path)
    sizes: list[int] = []

    def count(_: Any, __: Any, outputs: Any) -> None:
        if torch.is_inference_mode_enabled():  # otherwise folded and unfolded are compared
            sizes.append(len(outputs.logits))
            if len(sizes) == 4:
                raise StoppedError

    with backbone.model.register_forward_hook(count), pytest.raises(StoppedError):
        split_features(backbone, split, settings, run)
    (kept,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert kept.name == "others-000000-000009.safetensors"
    with backbone.model.register_forward_hook(count):
        found = split_features(backbone, split, settings, run)
    assert sizes[:4] == [3] * 4
    assert sizes[4:] == [3] * (len(split) // 3 - 3) + [len(split) % 3] * (len(split) % 3 > 0)
    pixels = torch.stack(
        [evaluation_pixels(split.image(place), backbone.preprocessing.geometry) for place in range(len(split))]
    )
    np.testing.assert_array_equal(found, encode(backbone, pixels, 3))
    split_logits(backbone, split, settings, run)
    assert len({path.parent for path in tmp_path.rglob("*.safetensors")}) == 2  # another column is another pass
