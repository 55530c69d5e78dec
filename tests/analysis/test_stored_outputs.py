"""Outputs of frozen trunks from the store: the same as computed directly, and every image passes a trunk once."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image
from torch import nn
from transformers import PreTrainedModel

from hf_sslgen.analysis import decoded_pictures
from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.attribution_analysis import Attributed
from hf_sslgen.analysis.backbone_analysis import adapted_analysis, pretrained_analysis
from hf_sslgen.analysis.feature_store import FeatureStore
from hf_sslgen.analysis.network_tail import ACTIVATIONS, BLOCK_INPUT
from hf_sslgen.analysis.numbers import Analysis
from hf_sslgen.analysis.one_pass import split_features
from hf_sslgen.analysis.pass_shards import Run
from hf_sslgen.analysis.stored_outputs import StoredTrunk
from hf_sslgen.analysis.subset import analysis_subset
from hf_sslgen.analysis.trunk_passes import counted_passes
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone

SETTINGS = AnalysisSettings(max_subset=24, batch_size=5, num_examples=2)
TAILS = {
    "timm_resnet": ACTIVATIONS,
    "timm_vit": BLOCK_INPUT,
    "transformers_resnet": ACTIVATIONS,
    "transformers_vit": BLOCK_INPUT,
}


@pytest.fixture(scope="module", params=TAILS)
def named(request: pytest.FixtureRequest, small_backbones: dict[str, str], digits_domain: Any) -> tuple[str, Any]:
    return request.param, load_backbone(small_backbones[request.param], digits_domain.class_names)


def stored(folder: Path) -> Run:
    return Run(features=FeatureStore(folder, 10**9))


@contextmanager
def images_through(model: PreTrainedModel, side: int) -> Iterator[list[int]]:
    """Count the pictures that enter the first convolution of a network or of its copies, independently of the package.

    Pictures of one colour are not counted: the last block of a transformer runs again below such a picture.
    """
    images: list[int] = []

    def count(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(module, nn.Conv2d) and inputs[0].shape[1:] == (3, side, side):
            images.append(int((inputs[0].flatten(2).std(2).amax(1) > 0).sum()))

    handle = torch.nn.modules.module.register_module_forward_pre_hook(count)
    try:
        yield images
    finally:
        handle.remove()


def test_features_are_the_same_bits_whatever_the_batch_the_order_or_the_columns(
    named: tuple[str, LoadedBackbone], digits_domain: Any, tmp_path: Path
) -> None:
    _, backbone = named
    test = digits_domain.test
    order = np.random.default_rng(0).permutation(len(test))
    found = []
    for batch_size, split in ((64, test), (5, test.select(order)), (1, test), (7, test.select(order))):
        settings = replace(SETTINGS, batch_size=batch_size)
        trunk = StoredTrunk(backbone, settings, FeatureStore(tmp_path / str(batch_size), 10**9))
        features = trunk.test_features(split) if batch_size != 5 else trunk.features(split)
        found.append(features if split is test else features[np.argsort(order)])
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    direct = split_features(backbone, test, SETTINGS)
    np.testing.assert_allclose(found[0], direct, rtol=0, atol=2e-6 * np.abs(direct).max())


def test_maps_of_any_classifier_follow_without_another_pass(
    named: tuple[str, LoadedBackbone], digits_domain: Any, tmp_path: Path
) -> None:
    name, backbone = named
    subset, run = analysis_subset(digits_domain.test, SETTINGS), stored(tmp_path)
    assert run.features is not None and StoredTrunk(backbone, SETTINGS, run.features).tail == TAILS[name]
    attributed = Attributed(subset, subset.labels)
    _, classifier = find_classifier(backbone.model)
    for seed in (0, 1):
        with torch.no_grad():
            classifier.weight.normal_(generator=torch.Generator().manual_seed(seed))
        with counted_passes() as passes:
            found = attributed.maps_of(backbone, SETTINGS, run)
        assert passes.images == (len(subset) if seed == 0 else 0)
        direct = attributed.maps_of(backbone, SETTINGS, Run())
        assert np.abs(direct).max() > 0
        np.testing.assert_allclose(found, direct, rtol=0, atol=1e-5 * np.abs(direct).max())


def assert_same_numbers(first: Analysis, second: Analysis) -> None:
    assert [replace(number, value=0, low=0, high=0) for number in first.numbers] == [
        replace(number, value=0, low=0, high=0) for number in second.numbers
    ]
    for one, other in zip(first.numbers, second.numbers, strict=True):
        for field in ("value", "low", "high"):
            assert vars(one)[field] == pytest.approx(vars(other)[field], rel=1e-3, abs=2e-5, nan_ok=True), one
    assert list(first.records.columns) == list(second.records.columns)
    for key in first.examples or {}:
        np.testing.assert_allclose(first.examples[key], (second.examples or {})[key], atol=1e-4)


def test_analyses_are_those_computed_directly_with_one_pass_for_all(
    named: tuple[str, LoadedBackbone], digits_domain: Any, tmp_path: Path
) -> None:
    _, backbone = named
    settings, run = replace(SETTINGS, reinitialised_control=True), stored(tmp_path)
    side = backbone.preprocessing.geometry.image_size
    with images_through(backbone.model, side) as images, counted_passes() as passes:
        found = [pretrained_analysis(backbone, digits_domain, settings, run)]
        for _ in range(2):
            found.append(adapted_analysis(backbone, digits_domain, "pretrained", settings, None, run))
    variants = sum(number.metric == "invariance" and number.severity != "" for number in found[0].numbers)
    least = len(digits_domain.test) + 24 * variants + 24  # of these 24 for the control
    assert passes.images == least
    assert sum(images) >= least  # beside the noise by which layers are folded and tails found
    assert_same_numbers(found[0], pretrained_analysis(backbone, digits_domain, settings))
    direct = adapted_analysis(backbone, digits_domain, "pretrained", settings, None)
    assert_same_numbers(found[1], direct)
    assert_same_numbers(found[2], direct)


def test_a_changed_weight_or_picture_is_computed_again(
    small_backbones: dict[str, str], digits_domain: Any, tmp_path: Path
) -> None:
    backbone = load_backbone(small_backbones["timm_resnet"], digits_domain.class_names)
    split, run = digits_domain.test.select(np.arange(6)), stored(tmp_path)

    def passes_of(some: ImageSplit) -> int:
        decoded_pictures._kept.clear()
        with counted_passes() as passes:
            features = split_features(backbone, some, SETTINGS, run)
        np.testing.assert_allclose(features, split_features(backbone, some, SETTINGS), atol=1e-5)
        return passes.images

    assert passes_of(split) == 6
    _, classifier = find_classifier(backbone.model)
    with torch.no_grad():
        classifier.weight.add_(1)
    assert passes_of(split) == 0
    pictures = [split.image(position) for position in range(6)]
    pictures[2] = pictures[2].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    contents = []
    for picture in pictures:
        file = io.BytesIO()
        picture.save(file, "PNG")
        contents.append({"image": {"bytes": file.getvalue(), "path": None}})
    other = replace(split, dataset=Dataset.from_list(contents), sample_ids=np.arange(6))
    first = passes_of(other)
    assert first in (1, 6)  # the other files may be the same bytes
    assert passes_of(other) == 0
    with torch.no_grad():
        next(backbone.model.parameters()).mul_(1.5)
    assert passes_of(split) == 6
