"""A cell's identity: whatever decides a number is in it, and what decides none is not."""

import copy
import dataclasses
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file

import hf_sslgen
from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.study.backbones import backbone_entry
from hf_sslgen.study.cells.cell_folder import cell_folder, identity_hash
from hf_sslgen.study.cells.cell_identity import cell_identity
from hf_sslgen.study.execution.workbench import prepare_cell, split_fingerprints
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.prepared_cell import BackboneFacts, PreparedCell
from hf_sslgen.study.protocols.presets import PRESETS
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX

SIDE = 32

Monkey = pytest.MonkeyPatch


@dataclass(frozen=True)
class Content:
    """What a small annotated data set holds, split by split."""

    pictures: dict[str, list[bytes]]
    names: tuple[str, ...] = ("cat", "dog")
    labels: dict[str, list[int]] = field(
        default_factory=lambda: {"train": [0, 1, 0, 1], "validation": [0, 1], "test": [1, 0, 1]}
    )
    boxes: tuple[int, ...] = (2, 3, 9, 12)
    pairs: tuple[str, ...] = ("a", "a", "b")
    mask: int = 3

    def write(self, folder: Path) -> Path:
        features = datasets.Features(
            {
                "image": datasets.Image(),
                "label": datasets.ClassLabel(names=list(self.names)),
                "box": datasets.List(datasets.Value("int32")),
                "pair": datasets.Value("string"),
                "mask": datasets.Array2D((64, 64), "uint8"),
            }
        )
        (folder / "data").mkdir(parents=True)
        for split, labels in self.labels.items():
            mask = np.zeros((64, 64), dtype=np.uint8)
            mask[: self.mask] = 1
            rows = {
                "image": [{"bytes": each, "path": None} for each in self.pictures[split]],
                "label": labels,
                "box": [list(self.boxes)] * len(labels),
                "pair": (list(self.pairs) * 2)[: len(labels)],
                "mask": [mask] * len(labels),
            }
            data = datasets.Dataset.from_dict(rows, features=features)
            data.to_parquet(folder / "data" / f"{split}-00000-of-00001.parquet")
        return folder


@pytest.fixture(scope="session")
def content() -> Content:
    path = Path(hf_sslgen.__file__).parent / "domains" / "embedded" / "photo-patches" / "train.parquet"
    pictures = iter([row["bytes"] for row in pq.read_table(path, columns=["image"])["image"].to_pylist()])
    return Content(
        {split: [next(pictures) for _ in range(n)] for split, n in (("train", 4), ("validation", 2), ("test", 3))}
    )


COLUMNS: dict[str, Any] = {"box_column_name": "box", "mask_column_name": "mask", "pair_column_name": "pair"}


@pytest.fixture
def identity(content: Content, small_backbones: dict[str, str], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The identity of a linear probe, with another data set, other domain options, or another specification."""
    numbers = iter(range(1000))

    def of(changed: Content = content, options: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        folder = changed.write(tmp_path / str(next(numbers)) / "mine")
        spec = CellSpec(
            backbone_entry(small_backbones["timm_vit"], name="net"),
            DomainArguments(str(folder), **COLUMNS | (options or {})),
            "linear",
            PRESETS["linear"],
            0,
            AnalysisSettings(),
            Geometry(SIDE, 1.0, "bilinear"),
        )
        cell = prepare_cell(replace(spec, **changes))
        return cell_identity(cell, split_fingerprints(cell.spec.domain))

    return of


def test_the_same_again_is_the_same_cell(identity: Any, tmp_path: Path) -> None:
    first, second = identity(), identity()
    assert first == second
    assert cell_folder(tmp_path, first) == cell_folder(tmp_path, second)


def other_pictures(content: Content, split: str) -> Content:
    """One bit of one picture's file is another."""
    first = content.pictures[split][0]
    return replace(content, pictures=content.pictures | {split: [first + b"\0", *content.pictures[split][1:]]})


def other_labels(content: Content, split: str) -> Content:
    labels = content.labels[split]
    return replace(content, labels=content.labels | {split: [*labels[:-1], 1 - labels[-1]]})


CONTENTS: dict[str, Callable[[Content], Content]] = {
    **{f"a picture of {split}": lambda c, s=split: other_pictures(c, s) for split in ("train", "validation", "test")},
    **{f"a label of {split}": lambda c, s=split: other_labels(c, s) for split in ("train", "validation", "test")},
    "the name of a class": lambda c: replace(c, names=("cat", "wolf")),
    "the order of the classes' names": lambda c: replace(c, names=("dog", "cat")),
    "a class that nothing shows": lambda c: replace(c, names=("cat", "dog", "fox")),
    "a box": lambda c: replace(c, boxes=(2, 3, 9, 13)),
    "a mask": lambda c: replace(c, mask=4),
    "a pair": lambda c: replace(c, pairs=("a", "b", "b")),
    "the order of the pictures": lambda c: replace(
        c,
        pictures=c.pictures | {"test": c.pictures["test"][::-1]},
        labels=c.labels | {"test": c.labels["test"][::-1]},
    ),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "boxes read as corner and size": {"box_format": "xywh"},
    "boxes not read": {"box_column_name": None},
    "masks not read": {"mask_column_name": None},
    "pairs not read": {"pair_column_name": None},
    "groups": {"group_column_name": "pair"},
    "fewer training images": {"max_train_samples": 3},
    "fewer validation images": {"max_eval_samples": 1},
    "fewer test images": {"max_test_samples": 2},
    "few labels": {"samples_per_class": 1},
    "as a registered domain": {"registered_as": "digits"},
}


def test_each_part_of_a_data_set_decides(identity: Any, content: Content) -> None:
    found = {"as it is": identity()}
    found |= {name: identity(change(content)) for name, change in CONTENTS.items()}
    found |= {name: identity(options=options) for name, options in OPTIONS.items()}
    hashes = {name: identity_hash(each) for name, each in found.items()}
    assert len(set(hashes.values())) == len(hashes), hashes


def test_sample_ids_by_which_records_are_paired_decide(digits_domain: Any) -> None:
    test = digits_domain.test
    assert (
        test.fingerprint() != replace(test, sample_ids=test.sample_ids + 1, dataset=Moved(test.dataset)).fingerprint()
    )


@dataclass(frozen=True)
class Moved:
    """The same pictures one row further on."""

    dataset: Any

    def __len__(self) -> int:
        return len(self.dataset) + 1

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self.dataset[row - 1]


@pytest.fixture(scope="session")
def prepared(small_backbones: dict[str, str]) -> PreparedCell:
    spec = CellSpec(
        backbone_entry(small_backbones["timm_vit"], name="net"),
        DomainArguments("digits", max_train_samples=20, max_eval_samples=10, max_test_samples=10),
        "finetune",
        PRESETS["finetune"],
        0,
        AnalysisSettings(),
        Geometry(SIDE, 1.0, "bilinear"),
    )
    return prepare_cell(spec)


def hash_of(prepared: PreparedCell, **changes: Any) -> str:
    """Of the identity with another specification of the same pictures and weights."""
    changed = replace(prepared, spec=replace(prepared.spec, **changes))
    return identity_hash(cell_identity(changed, split_fingerprints(prepared.spec.domain)))


def other_value(value: Any) -> Any:
    """Another value of a setting, of about the same kind."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return (*value, 0.123) if isinstance(value, tuple) else "other"


def with_other(settings: Any, name: str) -> Any:
    """Settings with another value of one field, whether or not it goes together with the rest."""
    changed = copy.copy(settings)
    object.__setattr__(changed, name, other_value(vars(settings)[name]))
    return changed


@pytest.mark.parametrize("preset", list(PRESETS))
def test_each_setting_of_a_protocol_decides(preset: str, prepared: PreparedCell) -> None:
    protocol = PRESETS[preset]
    changed = [with_other(protocol, each.name) for each in dataclasses.fields(protocol)]
    hashes = {hash_of(prepared, protocol=each) for each in (protocol, *changed)}
    assert len(hashes) == 1 + len(changed)


BY_ROUNDING = {"batch_size"}
"""Settings of the analysis that change numbers by rounding at most."""


def test_each_setting_of_the_analysis_decides_but_how_many_images_a_batch(prepared: PreparedCell) -> None:
    settings = prepared.spec.analysis
    names = [each.name for each in dataclasses.fields(settings)]
    assert set(names) > BY_ROUNDING
    hashes = {name: hash_of(prepared, analysis=with_other(settings, name)) for name in names}
    decides = {name: found for name, found in hashes.items() if name not in BY_ROUNDING}
    assert len(set(decides.values()) | {hash_of(prepared)}) == 1 + len(decides)
    assert {hashes[name] for name in BY_ROUNDING} == {hash_of(prepared)}


def test_backbone_protocol_seed_and_definitions_decide(prepared: PreparedCell, monkeypatch: Monkey) -> None:
    facts, other = prepared.facts, replace(prepared.spec.backbone, name="another")
    pixels = facts.preprocessing
    seen = [
        hash_of(prepared),
        hash_of(prepared, backbone=other),
        hash_of(prepared, protocol_name="another"),
        hash_of(prepared, seed=1),
        hash_of(replace(prepared, facts=replace(facts, weights="0" * 16))),
        hash_of(replace(prepared, facts=replace(facts, preprocessing=replace(pixels, mean=(0.4, 0.4, 0.4))))),
        hash_of(replace(prepared, facts=replace(facts, preprocessing=replace(pixels, std=(0.4, 0.4, 0.4))))),
        hash_of(replace(prepared, domain=replace(prepared.domain, not_label_preserving=()))),
    ]
    for name in ("image_size", "crop_pct", "interpolation"):
        geometry = with_other(pixels.geometry, name)
        changed = replace(facts, preprocessing=replace(pixels, geometry=geometry))
        seen.append(hash_of(replace(prepared, facts=changed)))
    monkeypatch.setattr("hf_sslgen.study.cells.cell_identity.METRIC_DEFINITIONS", 0)
    seen.append(hash_of(prepared))
    assert len(set(seen)) == len(seen)


def test_what_is_said_of_backbone_and_domain_decides_nothing(prepared: PreparedCell) -> None:
    backbone, domain = prepared.spec.backbone, prepared.spec.domain
    said = replace(backbone, objective="simclr", source="photographs", pretraining_seed=3)
    assert hash_of(prepared, backbone=said) == hash_of(prepared)
    assert hash_of(prepared, domain=replace(domain, group="similar")) == hash_of(prepared)
    grouped = replace(prepared.domain, group="similar", notes=("other",), metric="mean_per_class_accuracy")
    assert hash_of(replace(prepared, domain=grouped)) == hash_of(prepared)


def rewrite_json(path: Path, key: str, value: Any) -> None:
    content = json.loads(path.read_text())
    assert content.get(key) != value
    path.write_text(json.dumps(content | {key: value}))


def change_weights(path: Path) -> None:
    tensors = load_file(path)
    name = next(name for name, tensor in tensors.items() if tensor.is_floating_point())
    tensors[name].view(-1)[0] += 1
    save_file(tensors, path, metadata={"format": "pt"})


FILES: list[tuple[str, str, Callable[[Path], None]]] = [
    ("transformers_vit", "config.json", lambda path: rewrite_json(path, "layer_norm_eps", 0.01)),
    ("transformers_vit", "config.json", lambda path: rewrite_json(path, "hidden_act", "relu")),
    ("transformers_vit", "preprocessor_config.json", lambda path: rewrite_json(path, "image_mean", [0.4, 0.4, 0.4])),
    ("transformers_vit", "preprocessor_config.json", lambda path: rewrite_json(path, "resample", 3)),
    ("transformers_vit", "model.safetensors", change_weights),
    (
        "timm_resnet",
        "config.json",
        lambda path: rewrite_json(path, "model_args", {"channels": [8, 16, 16, 32], "act_layer": "gelu"}),
    ),
    ("timm_resnet", "model.safetensors", change_weights),
]


@pytest.mark.parametrize("prefix", ["", UNTRAINED_PREFIX])
@pytest.mark.parametrize(("name", "file", "change"), FILES)
def test_each_file_of_a_checkpoint_decides(
    name: str,
    file: str,
    change: Callable[[Path], None],
    prefix: str,
    small_backbones: dict[str, str],
    tmp_path: Path,
    prepared: PreparedCell,
) -> None:
    """An untrained network depends on everything in the folder but the weights."""
    folder = tmp_path / "net"
    shutil.copytree(small_backbones[name], folder)

    def found() -> str:
        backbone = load_backbone(f"{prefix}{folder}", ("a", "b"), geometry=prepared.spec.geometry)
        facts = BackboneFacts.of(backbone)
        return hash_of(replace(prepared, facts=facts))

    before = found()
    (folder / "README.md").write_text("what nothing is computed from")
    assert found() == before
    change(folder / file)
    assert (found() == before) == bool(prefix and file == "model.safetensors")


def test_a_checkpoint_that_changes_while_a_study_runs_is_not_measured_under_its_old_name(
    small_backbones: dict[str, str], prepared: PreparedCell, tmp_path: Path
) -> None:
    folder = tmp_path / "net"
    shutil.copytree(small_backbones["timm_vit"], folder)
    cell = prepare_cell(replace(prepared.spec, backbone=backbone_entry(str(folder))))
    assert cell.load().weights == cell.facts.weights
    change_weights(folder / "model.safetensors")
    with pytest.raises(InputError, match="was changed while the study was running; run the same command again"):
        cell.load()
