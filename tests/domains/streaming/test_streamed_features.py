"""Features of training images that are streamed: every picture once, with its label, and kept in the store."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel

from hf_sslgen.analysis import training_features as module
from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.feature_store import FeatureStore
from hf_sslgen.analysis.pass_shards import Run
from hf_sslgen.analysis.training_features import training_features
from hf_sslgen.analysis.trunk_passes import counted_passes
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.zoo.backbone_loading import load_backbone

SETTINGS = AnalysisSettings(batch_size=10)


def rows(features: np.ndarray, labels: np.ndarray) -> list[tuple[float, ...]]:
    return sorted((float(label), *row.round(4).tolist()) for row, label in zip(features, labels, strict=True))


def test_a_stream_fills_the_store_as_it_passes(
    small_backbones: dict[str, str], hub_folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STREAMED_AT_ONCE", 16)
    folder = hub_folder({"train": [0, 1, 1] * 14, "test": [1, 0, 1]}, ClassLabel(names=["cat", "dog"]))
    streamed = load_domain(DomainArguments(str(folder), streaming=True))
    stored = load_domain(DomainArguments(str(folder)))
    backbone = load_backbone(small_backbones["timm_resnet"], stored.class_names)
    run = Run(features=FeatureStore(tmp_path / "features", 10**9))
    with counted_passes() as passes:
        found = training_features(backbone, streamed.train, SETTINGS, run)
        again = training_features(backbone, streamed.train, SETTINGS, run)
    assert passes.images == len(found.labels) > 16
    assert rows(again.features, again.labels) == rows(found.features, found.labels)
    with counted_passes() as passes:
        parts = [training_features(backbone, split, SETTINGS, run) for split in (stored.train, stored.validation)]
    assert passes.images == len(streamed.validation)  # all others were streamed
    everything = [row for part in parts for row in rows(part.features, part.labels)]
    assert set(rows(found.features, found.labels)) < set(everything)
