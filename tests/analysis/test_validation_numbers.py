"""A network in memory gets the numbers of `analyze`, stays as it was, and trains on exactly as without measuring."""

import copy
import math
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from datasets import ClassLabel, Dataset, Features, Image
from torch import Tensor, nn
from transformers import (
    AutoImageProcessor,
    AutoModelForImageClassification,
    Trainer,
    TrainingArguments,
    default_data_collator,
)

import hf_sslgen
from hf_sslgen import AnalysisSettings, ValidationNumbers, validation_numbers
from hf_sslgen.analysis.backbone_analysis import adapted_analysis
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.errors import InputError
from hf_sslgen.preprocessing import evaluation_pixels, normalise
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone

SETTINGS = AnalysisSettings(max_subset=12, batch_size=8)
FOUR = ("accuracy", "expected_calibration_error", "gini", "invariance_mean", "recall_at_1_mean", "rankme")


def expected(backbone: LoadedBackbone, domain: Domain) -> dict[str, float]:
    """The overall numbers of `analyze`, by the names that `validation_numbers` gives them."""
    analysis = adapted_analysis(backbone, domain, "fine-tuned", SETTINGS, None)
    wanted = {"": "", "mean": "_mean", "mean_geometric": "_mean_geometric", "mean_appearance": "_mean_appearance"}
    return {
        f"{number.metric}{wanted[number.transform]}": number.value
        for number in analysis.numbers
        if number.transform in wanted and number.metric != "temperature"
    }


@pytest.fixture(scope="module")
def pictures(digits_domain: Domain) -> tuple[list[Any], list[int]]:
    test = digits_domain.test
    return [test.image(position) for position in range(len(test))], test.labels.tolist()


@pytest.mark.parametrize("name", ["timm_resnet", "timm_vit", "transformers_resnet", "transformers_vit"])
def test_the_numbers_are_those_of_analyze(name, small_backbones, digits_domain):
    """As a network of transformers with its own processor, and as timm's own network."""
    location = small_backbones[name]
    backbone = load_backbone(location, digits_domain.class_names)
    numbers = expected(backbone, digits_domain)
    assert numbers.keys() >= set(FOUR)
    processor = AutoImageProcessor.from_pretrained(location) if name.startswith("transformers") else None
    assert validation_numbers(backbone.model, digits_domain, processor=processor, settings=SETTINGS) == pytest.approx(
        numbers, nan_ok=True, rel=1e-9
    )
    if name.startswith("timm"):
        network = backbone.model.timm_model
        found = validation_numbers(network, digits_domain, processor=backbone.preprocessing, settings=SETTINGS)
        assert found == pytest.approx(numbers, nan_ok=True, rel=1e-9)


def test_pictures_and_datasets_are_the_same_images(pictures, small_backbones, digits_domain):
    backbone = load_backbone(small_backbones["timm_resnet"], digits_domain.class_names)
    images, labels = pictures
    found = validation_numbers(backbone.model, images, labels, settings=SETTINGS)
    features = Features({"label": ClassLabel(names=list(digits_domain.class_names)), "image": Image()})
    dataset = Dataset.from_dict({"label": labels, "image": images}, features=features)
    dataset.set_transform(lambda rows: {"pixel_values": rows["image"]})
    assert validation_numbers(backbone.model, dataset, settings=SETTINGS) == pytest.approx(found, nan_ok=True)
    # Digits are numbered by row in a domain, and from 0 here: what is drawn per image differs, what is not agrees.
    numbers = expected(backbone, digits_domain)
    for name in ("accuracy", "negative_log_likelihood", "expected_calibration_error"):
        assert found[name] == pytest.approx(numbers[name])


class Small(nn.Module):
    """A network of no library, which returns a mapping."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.5))
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(8, 10)

    def forward(self, pixel_values: Tensor) -> dict[str, Tensor]:
        return {"logits": self.head(self.pool(self.trunk(pixel_values)).flatten(1))}


def state(model: nn.Module) -> dict[str, Any]:
    """Everything about a module that measuring could disturb."""
    return {
        "weights": {name: each.detach().clone() for name, each in model.state_dict().items()},
        "modes": [module.training for module in model.modules()],
        "wanted": [each.requires_grad for each in model.parameters()],
        "grads": [None if each.grad is None else each.grad.clone() for each in model.parameters()],
        "own": [sorted(vars(module)) for module in model.modules()],
        "hooks": [
            len(module._forward_hooks) + len(module._forward_pre_hooks) + len(module._backward_hooks)
            for module in model.modules()
        ],
        "generators": (random.getstate()[1], str(np.random.get_state()), torch.get_rng_state()),
    }


@pytest.mark.parametrize("name", ["timm_vit", "of no library"])
def test_a_bare_loop_goes_on_bit_for_bit(name, pictures, small_backbones, digits_domain):
    backbone = load_backbone(small_backbones["timm_resnet" if name == "of no library" else name], ("a",) * 10)
    preprocessing = backbone.preprocessing
    torch.manual_seed(0)
    start = Small() if name == "of no library" else backbone.model.timm_model
    start.train()
    for parameter in list(start.parameters())[:2]:
        parameter.requires_grad_(False)
    batch = normalise(
        torch.stack([evaluation_pixels(picture, preprocessing.geometry) for picture in pictures[0][:16]]),
        preprocessing,
    )
    labels = torch.tensor(pictures[1][:16])

    def train(measured: bool) -> nn.Module:
        model = copy.deepcopy(start)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        torch.manual_seed(1)
        for _ in range(3):
            logits = model(batch + 0.01 * torch.randn_like(batch))
            logits = logits["logits"] if isinstance(logits, dict) else logits
            nn.functional.cross_entropy(logits, labels).backward()
            if measured:
                before = state(model)
                with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                    found = validation_numbers(model, *pictures, processor=preprocessing, settings=SETTINGS)
                assert not math.isnan(found["negative_log_likelihood"])
                assert repr(state(model)) == repr(before)
            optimiser.step()
            optimiser.zero_grad()
        return model

    once, again = train(False).state_dict(), train(True).state_dict()
    assert all(torch.equal(once[key], again[key]) for key in once)


def rows_of(domain: Domain, split: str, location: str) -> list[dict[str, Any]]:
    """Samples of a plain Trainer."""
    preprocessing, images = load_backbone(location, domain.class_names).preprocessing, vars(domain)[split]
    pixels = [evaluation_pixels(images.image(position), preprocessing.geometry) for position in range(len(images))]
    return [
        {"pixel_values": normalise(each, preprocessing), "labels": label}
        for each, label in zip(pixels, images.labels.tolist(), strict=True)
    ]


def with_noise(rows: list[dict[str, Any]]) -> dict[str, Tensor]:
    """Augment by torch's own generator, which measuring must leave as it is."""
    batch = default_data_collator(rows)
    return {**batch, "pixel_values": batch["pixel_values"] + 0.1 * torch.randn_like(batch["pixel_values"])}


@pytest.fixture(scope="module")
def trained(small_backbones, digits_domain, tmp_path_factory) -> Callable[..., Trainer]:
    """Train a network of transformers by a plain Trainer, with or without the callback."""
    location = small_backbones["transformers_resnet"]
    train, validation = (rows_of(digits_domain, split, location) for split in ("train", "validation"))

    def run(with_callback: bool, **options: Any) -> Trainer:
        torch.manual_seed(0)
        model = AutoModelForImageClassification.from_pretrained(location, num_labels=10, ignore_mismatched_sizes=True)
        folder = tmp_path_factory.mktemp("trainer")
        arguments = TrainingArguments(
            str(folder),
            max_steps=4,
            per_device_train_batch_size=8,
            learning_rate=1e-2,
            eval_strategy="steps",
            save_strategy="steps",
            eval_steps=2,
            save_steps=2,
            use_cpu=True,
            disable_tqdm=True,
            **options,
        )
        trainer = Trainer(model, arguments, with_noise, train_dataset=train, eval_dataset=validation)
        if with_callback:
            processor = AutoImageProcessor.from_pretrained(location)
            trainer.add_callback(ValidationNumbers(trainer, digits_domain, processor=processor, settings=SETTINGS))
        trainer.train()
        return trainer

    return run


def test_a_plain_trainer_logs_the_numbers_and_trains_as_without(trained, small_backbones, digits_domain):
    plain = trained(False, bf16=True)
    best = {"metric_for_best_model": "sslgen_negative_log_likelihood", "greater_is_better": False}
    watched = trained(True, bf16=True, load_best_model_at_end=True, **best)
    rows = [row for row in watched.state.log_history if "eval_sslgen_accuracy" in row]
    assert [row["step"] for row in rows] == [2, 4]
    assert all(f"eval_sslgen_{name}" in row for name in FOUR for row in rows)
    likelihoods = [row["eval_sslgen_negative_log_likelihood"] for row in rows]
    assert watched.state.best_metric == min(likelihoods)
    again = watched.evaluate()  # of the best weights, which may be those of an earlier step
    assert again["eval_sslgen_negative_log_likelihood"] == pytest.approx(min(likelihoods), rel=1e-6)
    with torch.no_grad():
        watched.model.classifier[1].weight.zero_()
    assert watched.evaluate()["eval_sslgen_mean_confidence"] != again["eval_sslgen_mean_confidence"]
    last = Path(watched.args.output_dir, "checkpoint-4")
    saved = AutoModelForImageClassification.from_pretrained(last).state_dict()
    alone = AutoModelForImageClassification.from_pretrained(Path(plain.args.output_dir, "checkpoint-4")).state_dict()
    assert all(torch.equal(saved[name], alone[name]) for name in saved)
    AutoImageProcessor.from_pretrained(small_backbones["transformers_resnet"]).save_pretrained(last)
    backbone = load_backbone(str(last), digits_domain.class_names, match="position")
    numbers = expected(backbone, digits_domain)
    for name in FOUR:
        assert rows[-1][f"eval_sslgen_{name}"] == pytest.approx(numbers[name], rel=1e-6), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [1, 2]}, "labels must be a class index for each picture"),
        ({"labels": [0.5] * 40}, "labels must be a class index for each picture"),
        ({"labels": [10] * 40}, "but the network has 10 outputs"),
        ({"labels": [-1] * 40}, "labels lie between -1 and -1"),
        ({"processor": None}, "processor is missing"),
        ({"processor": {"input_size": (3, 32, 24)}}, "is not square"),
        ({"model": nn.Conv2d(3, 10, 3)}, "has no linear layer"),
        ({"images": Dataset.from_dict({"picture": [1]}), "labels": None}, "image_column 'image' is not a column"),
        ({"images": Dataset.from_dict({"image": [1], "label": [1]}), "labels": None}, "not images"),
        ({"images": Dataset.from_dict({"image": [1], "label": [1]})}, "labels are only for a list of pictures"),
    ],
)
def test_what_can_not_be_measured_is_one_sentence(changes, message, pictures):
    given = {"model": Small(), "images": pictures[0], "labels": pictures[1], "processor": {"input_size": (3, 32, 32)}}
    with pytest.raises(InputError, match=message):
        validation_numbers(**{**given, **changes}, settings=SETTINGS)


def test_classes_in_another_order_are_refused(digits_domain, small_backbones):
    backbone = load_backbone(small_backbones["timm_resnet"], digits_domain.class_names[::-1])
    with pytest.raises(InputError, match="give labels in the order of the outputs"):
        validation_numbers(backbone.model, digits_domain, settings=SETTINGS)


def test_the_package_exports_them_and_stays_light():
    assert {"validation_numbers", "ValidationNumbers", "AnalysisSettings"} <= set(dir(hf_sslgen))
    with pytest.raises(AttributeError, match="has no attribute 'validation_number'"):
        _ = hf_sslgen.validation_number
    code = "import hf_sslgen, sys; assert not {'torch', 'transformers', 'datasets', 'numpy'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_network_of_timm_states_its_own_preprocessing(pictures):
    model = timm.create_model("test_resnet", num_classes=10)
    found = validation_numbers(model, pictures[0][:12], pictures[1][:12], settings=SETTINGS)
    given = validation_numbers(
        model,
        pictures[0][:12],
        pictures[1][:12],
        processor=timm.data.resolve_model_data_config(model),
        settings=SETTINGS,
    )
    assert found == pytest.approx(given, nan_ok=True)
