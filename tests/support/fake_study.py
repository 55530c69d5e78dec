"""A small store on disk: synthetic but self-consistent records, and numbers that follow from them."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from hf_sslgen.analysis.few_shot_records import few_shot_records
from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.metrics import (
    Statistic,
    bootstrap_interval,
    expected_calibration_error,
    invariance_statistic,
    mean_statistic,
)
from hf_sslgen.metrics.episodes import episode_estimate
from hf_sslgen.study.cells.cell_folder import Cell, cell_folder, read_cells, write_cell
from hf_sslgen.study.inference.contrasts import compare_all
from hf_sslgen.study.inference.differences import Difference

IMAGES = 240
ANNOTATED = ("photo-patches", "similar-domain-0")
"""Domains with a box for every image but some, with pairs of pictures, and whose published encoders have maps too."""

CLASSES = 5
TRANSFORMS = (("rotation", "20"), ("resized_crop", "0.5"), ("brightness", "1.4"), ("gaussian_blur", "1"))
GEOMETRIC = ("rotation", "resized_crop")
RESAMPLES = 200
TEMPERATURE = 1.3


LOCALIZATION = (
    *("lift", "mass_accuracy", "pointing_game", "area_share"),
    *("control_gini", "control_spatial_spread", "control_lift"),
)


@dataclass(frozen=True)
class FakeBackbone:
    """The distribution of a backbone's synthetic records."""

    name: str
    objective: str
    accuracy: float
    invariance: float
    parameters: int = 23_512_130
    licence: str | None = "apache-2.0"
    source: str | None = "photos"
    pretraining_seed: int | None = None
    different: float = 0.0
    """What its accuracy gains on domains unlike the source."""


SUPERVISED = FakeBackbone("resnet50-supervised", "supervised", 0.86, 0.75)
SELF_SUPERVISED = FakeBackbone("resnet50-simclr", "simclr", 0.72, 0.85)
UNTRAINED = FakeBackbone("resnet50-untrained", "untrained", 0.35, 0.15, licence=None)
BACKBONES = (SUPERVISED, SELF_SUPERVISED, UNTRAINED)
CLASS_NAMES = ("cat", "coffee", "rocket", "flower", "vase")
DOMAINS = (("photo-patches", "similar"), ("specimen-patches", "different"))


@dataclass(frozen=True)
class Study:
    """A store with the cells and differences read from it."""

    store: Path
    cells: list[Cell]
    differences: list[Difference]


def generator_of(*names: object) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32("/".join(map(str, names)).encode()))


def clean_records(
    backbone: FakeBackbone, domain: str, seed: int = 0, stage: str = "pretrained", protocol: str = "linear"
) -> pd.DataFrame:
    """A row per clean image; the untrained control has some maps without positive evidence."""
    names = (backbone.name, domain, seed) if protocol == "linear" else (backbone.name, domain, seed, protocol)
    shared, own = generator_of("images", domain), generator_of(*names)
    difficulty = shared.normal(0, 0.7, IMAGES)
    reference = shared.integers(0, CLASSES, IMAGES)
    chance = np.clip(1 / (1 + np.exp(-(np.log(backbone.accuracy / (1 - backbone.accuracy)) - difficulty))), 0.2, 0.99)
    correct = own.random(IMAGES) < chance
    confidence = np.clip(chance + own.normal(0.04, 0.05, IMAGES), 1 / CLASSES, 0.999)
    gini = np.clip(own.normal(0.6, 0.08, IMAGES), 0.05, 0.95)
    spread = np.clip(own.normal(0.7, 0.1, IMAGES), 0.05, 1.2)
    if backbone.objective == "untrained":
        gini[::9] = spread[::9] = np.nan
    records = pd.DataFrame(
        {
            "sample_id": [f"{domain}-{index:04d}" for index in range(IMAGES)],
            "stage": stage,
            "transform": "",
            "severity": "",
            "reference": reference,
            "prediction": np.where(correct, reference, (reference + 1) % CLASSES),
            "correct": correct.astype(float),
            "confidence": confidence,
            "negative_log_likelihood": -np.log(np.where(correct, confidence, (1 - confidence) / (CLASSES - 1))),
            "brier_score": np.where(correct, 1.25 * (1 - confidence) ** 2, 1 + confidence**2),
            "gini": gini,
            "spatial_spread": spread,
            "zero_map": np.isnan(gini).astype(float),
            "confidence_after_temperature": confidence**TEMPERATURE,
        }
    )
    return records.assign(**localization_of(backbone, domain, np.isnan(gini))) if domain in ANNOTATED else records


def localization_of(backbone: FakeBackbone, domain: str, is_zero: np.ndarray) -> dict[str, np.ndarray]:
    """Columns of maps beside boxes, which every tenth image lacks, and of the re-initialised control."""
    shared, own = generator_of("boxes", domain), generator_of(backbone.name, domain, "boxes")
    area = shared.uniform(0.1, 0.6, IMAGES)
    lift = np.clip(own.lognormal(backbone.invariance - 0.4, 0.3, IMAGES), 0, 1 / area)
    undefined = is_zero | (np.arange(IMAGES) % 10 == 3)
    columns = {
        "lift": lift,
        "mass_accuracy": lift * area,
        "pointing_game": (own.random(IMAGES) < lift * area).astype(float),
        "area_share": area,
        "control_lift": np.clip(own.lognormal(-0.05, 0.2, IMAGES), 0, 1 / area),
    }
    columns = {name: np.where(undefined, np.nan, values) for name, values in columns.items()}
    return columns | {
        "control_gini": np.clip(own.normal(0.3, 0.05, IMAGES), 0, 1),
        "control_spatial_spread": np.clip(own.normal(0.95, 0.03, IMAGES), 0, 1.2),
    }


def published_map_records(backbone: FakeBackbone, domain: str) -> pd.DataFrame:
    """A row per clean image of an encoder measured without a classifier: nothing is predicted."""
    columns = (
        "sample_id",
        "stage",
        "transform",
        "severity",
        "reference",
        "gini",
        "spatial_spread",
        "zero_map",
        "lift",
    )
    return clean_records(backbone, domain, protocol="pretrained")[list(columns)]


def transforms_of(domain: str) -> tuple[tuple[str, str], ...]:
    return (*TRANSFORMS, ("pair", "")) if domain in ANNOTATED else TRANSFORMS


def invariance_records(backbone: FakeBackbone, domain: str) -> pd.DataFrame:
    """A row per image and transform."""
    own = generator_of(backbone.name, domain, "invariance")
    frames = []
    for index, (transform, severity) in enumerate(transforms_of(domain)):
        chance = np.clip(own.normal(0.4, 0.03, IMAGES), 0, 0.9)
        corrected = backbone.invariance - 0.06 * index + own.normal(0, 0.1, IMAGES)
        frames.append(
            pd.DataFrame(
                {
                    "sample_id": [f"{domain}-{i:04d}" for i in range(IMAGES)],
                    "stage": "pretrained",
                    "transform": transform,
                    "severity": severity,
                    "cosine": np.minimum(1, chance + corrected * (1 - chance)),
                    "chance_cosine": chance,
                    "candidate_chance_cosine": chance,
                    "recall_at_1": (own.random(IMAGES) < backbone.invariance).astype(float),
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def estimated(
    metric: str,
    statistic: Statistic,
    stage: str = "pretrained",
    transform: str = "",
    severity: str = "",
    undefined: int = 0,
) -> Number:
    estimate = bootstrap_interval(statistic, IMAGES, num_resamples=RESAMPLES)
    return Number(
        metric, estimate.value, estimate.low, estimate.high, IMAGES - undefined, stage, transform, severity, undefined
    )


def probe_numbers(records: pd.DataFrame, stage: str = "pretrained") -> list[Number]:
    values = records.set_index("sample_id")
    table = expected_calibration_error(values["confidence"], values["correct"])
    columns = {
        "accuracy": values["correct"],
        "mean_confidence": values["confidence"],
        "confidence_gap": values["confidence"] - values["correct"],
        "negative_log_likelihood": values["negative_log_likelihood"],
        "brier_score": values["brier_score"],
    }
    numbers = [estimated(name, mean_statistic(column.to_numpy()), stage) for name, column in columns.items()]
    numbers += map_numbers(values, stage)
    scaled = values["confidence_after_temperature"]
    numbers.append(Number("temperature", TEMPERATURE, n=100, stage=stage))
    numbers.append(
        estimated("confidence_gap_after_temperature", mean_statistic((scaled - values["correct"]).to_numpy()), stage)
    )
    numbers.append(Number("expected_calibration_error", table.expected_calibration_error, n=IMAGES, stage=stage))
    numbers.append(Number("ece_if_calibrated", table.ece_if_calibrated, n=IMAGES, stage=stage))
    return numbers


def map_numbers(records: pd.DataFrame, stage: str = "pretrained") -> list[Number]:
    """Numbers of every column of maps that the records have."""
    found = [*(name for name in ("gini", "spatial_spread", *LOCALIZATION) if name in records)]
    numbers = [
        estimated(name, mean_statistic(records[name].to_numpy()), stage, undefined=int(records[name].isna().sum()))
        for name in found
    ]
    if "control_lift" in records:
        over = (records["lift"] - records["control_lift"]).to_numpy()
        numbers.append(
            estimated("lift_over_control", mean_statistic(over), stage, undefined=int(np.isnan(over).sum()))
        )
    return [*numbers, estimated("zero_map_rate", mean_statistic(records["zero_map"].to_numpy()), stage)]


def invariance_numbers(records: pd.DataFrame, covariance_rank: float) -> list[Number]:
    numbers = []
    for transform, severity in records[["transform", "severity"]].drop_duplicates().itertuples(index=False):
        rows = records[(records["transform"] == transform) & (records["severity"] == severity)]
        similarities = (rows[name].to_numpy() for name in ("cosine", "chance_cosine", "candidate_chance_cosine"))
        statistic = invariance_statistic(*similarities)
        numbers.append(estimated("invariance", statistic, transform=transform, severity=severity))
        for name in ("cosine", "chance_cosine", "recall_at_1"):
            numbers.append(
                estimated(name, mean_statistic(rows[name].to_numpy()), transform=transform, severity=severity)
            )
    families = {"mean": [name for name, _ in TRANSFORMS], "mean_geometric": GEOMETRIC}
    families["mean_appearance"] = [name for name, _ in TRANSFORMS if name not in GEOMETRIC]
    for family, members in families.items():
        of_family = [n for n in numbers if n.transform in members]
        for metric in ("invariance", "recall_at_1"):
            value, low, high = np.mean([(n.value, n.low, n.high) for n in of_family if n.metric == metric], axis=0)
            numbers.append(Number(metric, float(value), float(low), float(high), IMAGES, transform=family))
    numbers.append(Number("covariance_effective_rank", covariance_rank, n=IMAGES))
    numbers.append(Number("rankme", 3 * covariance_rank, n=IMAGES))
    numbers.append(Number("collapsed", float(covariance_rank < 2), n=IMAGES))
    numbers.append(Number("dead_dimension_share", 0.031, n=IMAGES))
    return numbers


def examples_of(backbone: FakeBackbone, domain: str) -> dict[str, np.ndarray]:
    """Six images with a bright square each, and maps around it; the control's second map has no positive evidence.

    In annotated domains the square has a box, but for that of the last image.
    """
    shared, own = generator_of("examples", domain), generator_of(backbone.name, domain, "maps")
    images = np.zeros((6, 64, 64, 3), dtype=np.uint8)
    maps = np.zeros((6, 7, 7), dtype=np.float32)
    boxes = np.full((6, 4), np.nan)
    rows, columns = np.mgrid[0:7, 0:7]
    for index in range(6):
        images[index] = shared.integers(40, 200, 3) * np.linspace(0.5, 1, 64)[:, None, None]
        y, x = shared.integers(4, 40, 2)
        images[index, y : y + 20, x : x + 20] = shared.integers(60, 255, 3)
        boxes[index] = np.array([x, y, x + 20, y + 20]) / 64
        width = own.uniform(1, 6)
        maps[index] = np.exp(-((rows - (y + 10) / 9.1) ** 2 + (columns - (x + 10) / 9.1) ** 2) / width) - 0.1
    if backbone.objective == "untrained":
        maps[1] = -np.abs(maps[1])
    ids = np.array([f"{domain}-{index:04d}" for index in range(6)])
    boxes[-1] = np.nan
    examples = {"images": images, "maps": maps, "sample_ids": ids}
    return examples | {"boxes": boxes} if domain in ANNOTATED else examples


def provenance_of(backbone: FakeBackbone, group: str, class_names: list[str]) -> dict[str, object]:
    return {
        "objective": backbone.objective,
        "group": group,
        "parameters": backbone.parameters,
        "licence": backbone.licence,
        "seconds": 41.5,
        "domain_metric": "accuracy",
        "class_names": class_names,
        "not_label_preserving": [],
        **({"source": backbone.source} if backbone.source else {}),
        **({"pretraining_seed": backbone.pretraining_seed} if backbone.pretraining_seed is not None else {}),
        "notes": ["Learning rates were chosen by validation NLL from one grid."],
    }


def protocol_analysis(backbone: FakeBackbone, domain: str, setting: "Setting", seed: int) -> Analysis:
    """What a protocol yields: invariance of the encoder, accuracy of episodes, or predictions with attribution."""
    if setting.protocol == "pretrained":
        records = invariance_records(backbone, domain)
        rank = 1.4 if backbone.objective == "untrained" else 87.3
        numbers = invariance_numbers(records, rank)
        if domain not in ANNOTATED:
            return Analysis(tuple(numbers), records)
        maps = published_map_records(backbone, domain)
        together = pd.concat([maps, records], ignore_index=True)
        return Analysis((*map_numbers(maps), *numbers), together, examples_of(backbone, domain))
    if setting.protocol == "few-shot":
        own = generator_of(backbone.name, domain, "episodes")
        accuracies = np.clip(own.normal(backbone.accuracy - 0.1, 0.08, 120), 0, 1)
        effects = own.normal(0, 0.3, IMAGES)
        records = few_shot_records(accuracies, np.arange(IMAGES), effects)
        estimate = episode_estimate(accuracies, effects)
        return Analysis((Number("accuracy", estimate.value, estimate.low, estimate.high, 120),), records)
    records = clean_records(backbone, domain, seed, setting.stage, setting.protocol + setting.labels.strip("0%"))
    return Analysis(tuple(probe_numbers(records, setting.stage)), records, examples_of(backbone, domain))


@dataclass(frozen=True)
class Setting:
    """A protocol with its label budget and seeds."""

    protocol: str
    labels: str = "100%"
    seeds: tuple[int, ...] = (0,)
    penalty: float = 0.0
    """What accuracy loses under it."""

    @property
    def stage(self) -> str:
        return "fine-tuned" if self.protocol.startswith("finetune") else "pretrained"


def build_study(
    store: Path,
    backbones: Sequence[FakeBackbone] = BACKBONES,
    names: Sequence[str] = (),
    domains: Sequence[tuple[str, str]] = DOMAINS,
    class_names: Sequence[str] = CLASS_NAMES,
) -> Study:
    """Write the pretrained stage and a linear probe of every backbone on every domain, read them back, and compare.

    `names` replaces the backbones' own.
    """
    if names:
        backbones = [replace(backbone, name=name) for backbone, name in zip(backbones, names, strict=True)]
    write_study(store, backbones, domains, class_names, (Setting("pretrained"), Setting("linear")))
    cells = list(read_cells(store))
    return Study(store, cells, compare_all(cells))


def write_study(
    store: Path,
    backbones: Sequence[FakeBackbone],
    domains: Sequence[tuple[str, str]],
    class_names: Sequence[str] = CLASS_NAMES,
    settings: Sequence[Setting] = (),
) -> None:
    """Write the cells of every backbone on every domain under every setting."""
    for domain, group in domains:
        for backbone in backbones:
            provenance = provenance_of(backbone, group, list(class_names))
            for setting in settings:
                accuracy = backbone.accuracy - setting.penalty + (group == "different") * backbone.different
                drawn = replace(backbone, accuracy=accuracy)
                for seed in setting.seeds:
                    identity = {
                        "backbone": backbone.name,
                        "domain": domain,
                        "protocol": setting.protocol,
                        "labels": setting.labels,
                        "seed": seed,
                    }
                    if setting.protocol == "pretrained" and domain in ANNOTATED:
                        identity["analysis"] = {"attribution_method": "occlusion"}
                    analysis = protocol_analysis(drawn, domain, setting, seed)
                    write_cell(cell_folder(store, identity), identity, provenance, analysis)


def build_large_study(store: Path, domains_per_group: int = 4) -> list[Cell]:
    """Two objectives, one of them with two pretraining seeds, against supervised twins, under five settings."""
    twins = [
        replace(twin, name=f"{twin.name}-seed{seed}", pretraining_seed=seed, source="tiny-imagenet", different=gain)
        for seed in (0, 1)
        for twin, gain in ((SUPERVISED, -0.08), (SELF_SUPERVISED, 0.1))
    ]
    other = FakeBackbone("resnet50-dino", "dino", 0.8, 0.8, source="tiny-imagenet", pretraining_seed=0, different=0.04)
    domains = [
        (f"{group}-domain-{index}", group) for group in ("similar", "different") for index in range(domains_per_group)
    ]
    settings = (
        Setting("pretrained"),
        Setting("linear"),
        Setting("linear", "10%", penalty=0.1),
        Setting("finetune", seeds=(0, 1), penalty=-0.03),
        Setting("few-shot", "5-shot"),
    )
    write_study(store, (*twins, other, UNTRAINED), domains=domains, settings=settings)
    return list(read_cells(store))
