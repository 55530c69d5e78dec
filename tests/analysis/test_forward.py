"""Features and predictions of one pass over a split."""

from typing import Any

import numpy as np
import pytest
import torch
from encoding import encode

from hf_sslgen.analysis.forward import run_split
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
    np.testing.assert_allclose(run_split(backbone, split, 5).features, features, atol=1e-5)
    np.testing.assert_allclose(encode(backbone, pixels.float() / 255, 5), features, atol=1e-5)


def test_a_pass_is_in_the_splits_order_whatever_the_batch_size(backbone: LoadedBackbone, digits_domain: Any) -> None:
    test = digits_domain.test
    order = np.random.default_rng(0).permutation(len(test))
    whole, shuffled = run_split(backbone, test, 64), run_split(backbone, test.select(order), 1)
    np.testing.assert_array_equal(shuffled.predictions.sample_ids, test.sample_ids[order])
    np.testing.assert_array_equal(shuffled.predictions.references, test.labels[order])
    np.testing.assert_array_equal(shuffled.predictions.predictions, whole.predictions.predictions[order])
    for column in ("confidences", "negative_log_likelihoods", "brier_scores"):
        ours, others = vars(shuffled.predictions)[column], vars(whole.predictions)[column]
        np.testing.assert_allclose(ours, others[order], atol=1e-5)
    np.testing.assert_allclose(shuffled.features, whole.features[order], atol=1e-4)


def test_predictions_are_the_softmax_of_the_logits(backbone: LoadedBackbone, digits_domain: Any) -> None:
    outputs = run_split(backbone, digits_domain.test, 16)
    _, classifier = find_classifier(backbone.model)
    weight, bias = (tensor.detach().double().numpy() for tensor in (classifier.weight, classifier.bias))
    logits = outputs.features.astype(float) @ weight.T + bias
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    reference = digits_domain.test.labels
    np.testing.assert_array_equal(outputs.predictions.predictions, probabilities.argmax(1))
    np.testing.assert_allclose(outputs.predictions.confidences, probabilities.max(1), atol=1e-6)
    likelihood = probabilities[np.arange(len(reference)), reference]
    np.testing.assert_allclose(outputs.predictions.negative_log_likelihoods, -np.log(likelihood), atol=1e-5)
    brier = np.square(probabilities - np.eye(10)[reference]).sum(1)
    np.testing.assert_allclose(outputs.predictions.brier_scores, brier, atol=1e-6)
