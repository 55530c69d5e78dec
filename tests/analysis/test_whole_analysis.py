"""What an analysis says where the domain marks objects and pairs, by every method, with the control."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from encoding import encode
from PIL import Image

from hf_sslgen.analysis.analysis_settings import AnalysisSettings, AttributionMethod
from hf_sslgen.analysis.attribution import ATTRIBUTION_METHODS
from hf_sslgen.analysis.backbone_analysis import adapted_analysis, pretrained_analysis, validation_logits
from hf_sslgen.analysis.grad_cam import grad_cam
from hf_sslgen.analysis.localization_numbers import localization_analysis
from hf_sslgen.analysis.network import measuring
from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.analysis.picture_pairs import pair_partners
from hf_sslgen.analysis.subset import analysis_subset, subset_pixels
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain, load_domain
from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.metrics import attribution_concentration, invariance, map_similarity
from hf_sslgen.zoo.anatomy import find_attribution_layer
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone
from hf_sslgen.zoo.reinitialised import cascade, reinitialised

SETTINGS = AnalysisSettings(max_subset=16, num_examples=16, batch_size=8, reinitialised_control=True)
SIDE = 48


def placed(digit: Image.Image, row: int) -> tuple[bytes, list[int]]:
    """A digit of 20 px somewhere on a dark picture, as a PNG, and its box."""
    left, top = 4 * (row % 7), 3 * (row % 9)
    picture = Image.new("RGB", (SIDE, SIDE), (30, 40, 50))
    picture.paste(digit.resize((20, 20)), (left, top))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue(), [left, top, left + 20, top + 20]


@pytest.fixture(scope="module")
def marked(digits_domain: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits with their boxes; two pictures in a row are of one burst, and the last of none."""
    folder = tmp_path_factory.mktemp("marked")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=[str(digit) for digit in range(10)]),
            "bbox": datasets.List(datasets.Value("int32"), length=4),
            "burst": datasets.Value("string"),
        }
    )
    for name, split in (("train", digits_domain.train), ("test", digits_domain.test)):
        drawn = [placed(split.image(position), position) for position in range(len(split))]
        columns = {
            "image": [{"bytes": content, "path": None} for content, _ in drawn],
            "label": split.labels.tolist(),
            "bbox": [box for _, box in drawn],
            "burst": [f"burst {row // 2}" if row + 2 < len(split) else None for row in range(len(split))],
        }
        datasets.Dataset.from_dict(columns, features=features).to_parquet(folder / f"{name}.parquet")
    return folder


def load(marked: Path, **columns: str) -> Domain:
    return load_domain(DomainArguments(str(marked), **columns))


@pytest.fixture(scope="module")
def domain(marked: Path) -> Domain:
    return load(marked, box_column_name="bbox", pair_column_name="burst")


@pytest.fixture(scope="module", params=["timm_resnet", "timm_vit"])
def backbone(request: pytest.FixtureRequest, small_backbones: dict[str, str], domain: Domain) -> LoadedBackbone:
    return load_backbone(small_backbones[request.param], domain.class_names, geometry=Geometry(96, None, "bilinear"))


@pytest.fixture(scope="module")
def tuned(backbone: LoadedBackbone, domain: Domain) -> Analysis:
    validation = validation_logits(backbone, domain, SETTINGS)
    return adapted_analysis(backbone, domain, "fine-tuned", SETTINGS, validation)


def number(analysis: Analysis, metric: str, transform: str = "") -> Number:
    (found,) = (n for n in analysis.numbers if (n.metric, n.transform) == (metric, transform))
    return found


def clean(analysis: Analysis) -> Any:
    return analysis.records[analysis.records["transform"] == ""].set_index("sample_id")


def test_lift_is_that_of_the_maps_in_the_boxes(tuned: Analysis, backbone: LoadedBackbone, domain: Domain) -> None:
    examples = tuned.examples
    assert examples is not None
    split = replace(domain.test, sample_ids=examples["sample_ids"], labels=domain.test.labels[:16])
    numbers, columns = localization_analysis(examples["maps"], split, backbone.preprocessing.geometry, "fine-tuned")
    for expected in numbers:
        assert number(tuned, expected.metric).value == pytest.approx(expected.value, nan_ok=True)
    rows = clean(tuned).loc[examples["sample_ids"]]
    np.testing.assert_allclose(rows["lift"], columns["lift"])
    left = [4 * (row % 7) / SIDE for row in examples["sample_ids"]]
    np.testing.assert_allclose(examples["boxes"][:, 0], left)
    assert rows["area_share"].dropna().to_numpy() == pytest.approx((20 / 48) ** 2)


def test_the_control_is_compared_image_by_image(tuned: Analysis) -> None:
    rows = clean(tuned)
    over = (rows["lift"] - rows["control_lift"]).dropna()
    found = number(tuned, "lift_over_control")
    assert found.n == len(over) > 5
    assert found.value == pytest.approx(over.mean())
    assert np.isnan(found.low) and len(over) < 100
    assert number(tuned, "control_gini").value == pytest.approx(rows["control_gini"].mean())
    assert number(tuned, "control_gini").value != number(tuned, "gini").value


def test_the_control_is_attributed_for_the_class_of_the_network(
    tuned: Analysis, backbone: LoadedBackbone, domain: Domain
) -> None:
    subset = analysis_subset(domain.test, SETTINGS)
    control = reinitialised(backbone, SETTINGS.seed)
    rows = clean(tuned).loc[subset.sample_ids]
    classes = torch.tensor(rows["prediction"].astype(int).tolist())
    with measuring(control, layer=find_attribution_layer(control.model)) as network:
        outputs = network(subset_pixels(control, subset))
        assert not torch.equal(outputs.logits.argmax(1), classes) and outputs.activations is not None
        weight = network.classifier_weight
        maps = grad_cam(outputs.activations, outputs.features, outputs.logits, weight, classes, SETTINGS.target)
    ginis = attribution_concentration(maps.numpy()).per_sample_gini
    np.testing.assert_allclose(rows["control_gini"], ginis, atol=1e-4)


def test_the_control_s_maps_are_compared_and_those_on_the_way_to_it_where_asked_for(
    tuned: Analysis, backbone: LoadedBackbone, domain: Domain
) -> None:
    assert {n.metric for n in tuned.numbers if n.metric.startswith("map_")} == {
        "map_rank_correlation_all",
        "map_structural_similarity_all",
    }
    settings = replace(SETTINGS, randomisation_cascade=True)
    analysis = adapted_analysis(backbone, domain, "pretrained", settings, validation=None)
    subset = analysis_subset(domain.test, settings)
    assert analysis.examples is not None
    control = reinitialised(backbone, settings.seed)
    classes = torch.tensor(clean(analysis).loc[subset.sample_ids]["prediction"].astype(int).tolist())
    networks = {**dict(cascade(backbone, control)), "all": control}
    assert len(networks) >= 4
    own = dict(zip(analysis.examples["sample_ids"].tolist(), analysis.examples["maps"], strict=True))
    maps = np.stack([own[sample_id] for sample_id in subset.sample_ids.tolist()])
    for part, network in networks.items():
        with measuring(network, layer=find_attribution_layer(network.model)) as measured:
            outputs = measured(subset_pixels(network, subset))
            assert outputs.activations is not None
            weight, target = measured.classifier_weight, settings.target
            others = grad_cam(outputs.activations, outputs.features, outputs.logits, weight, classes, target)
        expected = map_similarity(maps, others.numpy())
        for field in ("rank_correlation", "structural_similarity"):
            found = number(analysis, f"map_{field}_{part}")
            column = clean(analysis).loc[subset.sample_ids, f"map_{field}_{part}"]
            assert found.value == pytest.approx(vars(expected)[field], abs=2e-2)
            assert found.value == pytest.approx(column.mean())
            assert found.n == column.notna().sum() and found.n + found.n_undefined == len(subset)
            assert np.isnan(found.low)


def test_pairs_are_two_pictures_of_one_thing(tuned: Analysis, backbone: LoadedBackbone, domain: Domain) -> None:
    pairs = pair_partners(domain.test.pair_keys(), SETTINGS.seed, SETTINGS.max_subset)
    assert len(pairs.anchors) == 16 and pairs.n_alone == 2
    features = encode(backbone, subset_pixels(backbone, domain.test))
    pretrained = pretrained_analysis(backbone, domain, SETTINGS)
    expected = invariance(features[pairs.anchors], features[pairs.partners])
    found = number(pretrained, "invariance", "pair")
    assert found.value == pytest.approx(expected.invariance, abs=1e-5)
    assert (found.n, found.n_undefined) == (16, 2)
    of_pair = pretrained.records[pretrained.records["transform"] == "pair"]
    assert list(of_pair["sample_id"]) == list(domain.test.sample_ids[pairs.anchors])
    labels = domain.test.labels[pairs.anchors]
    within = invariance(features[pairs.anchors], features[pairs.partners], groups=labels)
    assert number(tuned, "invariance", "pair").value == pytest.approx(within.invariance, abs=1e-5, nan_ok=True)
    variants = [n for n in pretrained.numbers if n.metric == "invariance" and not n.transform.startswith("mean")]
    others = [n.value for n in variants if n.transform not in ("pair", *domain.not_label_preserving)]
    assert number(pretrained, "invariance", "mean").value == pytest.approx(np.nanmean(others))


def test_without_a_second_picture_of_anything_the_column_is_refused(
    backbone: LoadedBackbone, domain: Domain, marked: Path
) -> None:
    alone = replace(domain, test=domain.test.select(np.arange(0, 20, 2)))
    with pytest.raises(InputError, match="split 'test' has two pictures for only 0 values of pair_column_name"):
        pretrained_analysis(backbone, alone, SETTINGS)


@pytest.mark.parametrize("method", ATTRIBUTION_METHODS)
def test_every_method_attributes(method: Any, backbone: LoadedBackbone, domain: Domain, tuned: Analysis) -> None:
    settings = replace(SETTINGS, attribution_method=method, reinitialised_control=False)
    analysis = adapted_analysis(backbone, domain, "pretrained", settings, validation=None)
    assert analysis.examples is not None and tuned.examples is not None
    maps, of_grad_cam = analysis.examples["maps"], tuned.examples["maps"]
    assert maps.shape == of_grad_cam.shape and np.isfinite(maps).all() and np.abs(maps).max() > 0
    # Behind a linear head attribution by gradients is one and the same, up to the baseline that one of them has.
    by_gradient = method != "occlusion" and find_attribution_layer(backbone.model).patch_size is None
    is_close = np.allclose(maps, of_grad_cam, atol=1e-2 * np.abs(of_grad_cam).max())
    assert is_close == (method == "grad_cam" or by_gradient)
    assert number(analysis, "gini").n + number(analysis, "gini").n_undefined == 16


def test_the_published_encoder_is_attributed_by_occlusion_alone(backbone: LoadedBackbone, domain: Domain) -> None:
    settings = replace(SETTINGS, attribution_method="occlusion")
    analysis = pretrained_analysis(backbone, domain, settings)
    assert analysis.examples is not None
    assert (analysis.examples["maps"] >= 0).all()
    assert number(analysis, "lift").n > 10 and number(analysis, "lift_over_control").n > 10
    rows = clean(analysis)
    assert len(rows) == 16 and rows["gini"].notna().all() and "correct" not in rows
    assert (rows["stage"] == "pretrained").all()
    assert pretrained_analysis(backbone, domain, SETTINGS).examples is None


def test_the_true_class_is_attributed_on_request(backbone: LoadedBackbone, domain: Domain, tuned: Analysis) -> None:
    analysis = adapted_analysis(backbone, domain, "pretrained", replace(SETTINGS, attributed_class="true"), None)
    assert analysis.examples is not None and tuned.examples is not None
    rows = clean(analysis).loc[analysis.examples["sample_ids"]]
    is_right = (rows["prediction"] == rows["reference"]).to_numpy()
    same = [
        np.allclose(a, b, atol=1e-6) for a, b in zip(analysis.examples["maps"], tuned.examples["maps"], strict=True)
    ]
    assert list(is_right) == same
    assert not all(same)


def test_option_and_methods_have_the_same_names() -> None:
    assert set(AttributionMethod.__args__) == set(ATTRIBUTION_METHODS)
