"""Whatever the classes, the data set and the base model of a pushed model are called: the card shows it as text."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import warm_python
import yaml
from hostile import HOSTILE_NAMES, Markdown, one_line, split_card

from hf_sslgen.reporting.cards import card_yaml, escape_markdown
from hf_sslgen.reporting.unseen import without_unseen
from tests.loopback_hub import Hub

ROOT = Path(__file__).parents[2]
DATA = """<b>data<i> | `c` "quoted": # no \N{RIGHT-TO-LEFT OVERRIDE}%99 &amp;"""
"""A folder's name without what `datasets` takes for a pattern."""

BLOCKS = {"heading", "paragraph", "bullet_list", "list_item", "table", "thead", "tbody", "tr", "th", "td"}
"""Kinds of pieces that a card has, behind which `_open` and `_close` stand."""


def fine_tune(hub: Hub, folder: Path, pictures: Path, base: str) -> None:
    """Push a model whose classes, data set and base model, folders all, have hostile names."""
    backbone = folder / HOSTILE_NAMES[4]
    shutil.copytree(base, backbone)
    for split in ("train", "validation", "test"):
        for source, name in zip(sorted((pictures / split).iterdir()), HOSTILE_NAMES, strict=False):
            shutil.copytree(source, folder / DATA / split / name)
    options = ["--model_name_or_path", str(backbone), "--dataset_name", str(folder / DATA), "--use_cpu"]
    options += ["--output_dir", str(folder / "out"), "--num_train_epochs", "1", "--push_to_hub"]
    options += ["--hub_model_id", "org/model", "--hub_license", "mit"]
    warm_python.run([ROOT / "recipes" / "finetune.py", *options], env=hub.environment("owner"), check=True)


def test_the_names_of_a_model_are_text(
    hub_in_process: Hub, small_backbones: dict[str, str], image_folder: Callable[..., Path], tmp_path: Path
) -> None:
    pictures = image_folder({"train": 4, "validation": 2, "test": 4})
    fine_tune(hub_in_process, tmp_path, pictures, small_backbones["timm_resnet"])
    api = hub_in_process.api("owner")
    head, text = split_card(Path(api.hf_hub_download("org/model", "README.md")).read_text(encoding="utf-8"))
    assert (head["license"], head["library_name"]) == ("mit", "timm")
    assert {result["dataset"]["name"] for result in head["model-index"][0]["results"]} == {DATA}
    card = Markdown(text)
    blocks = {f"{name}_{end}" for name in BLOCKS for end in ("open", "close")}
    inline = {"softbreak", "code_inline", "image", "strong_open", "strong_close"}
    assert set(card.kinds) <= blocks | inline | {"fence", "code_block"}
    assert card.links == ["reliability.png"]
    classes = ", ".join(sorted(map(one_line, HOSTILE_NAMES[:3])))
    assert [line for line in card.shown if line.startswith("Classes: ")] == [f"Classes: {classes}."]
    assert any(f"fine-tuned on {one_line(DATA)} to classify images into 3 classes" in line for line in card.shown)
    assert any(line.startswith(f"path/to/{one_line(HOSTILE_NAMES[4])}, weights ") for line in card.shown)
    labels = json.loads(Path(api.hf_hub_download("org/model", "config.json")).read_text())["label_names"]
    assert sorted(labels) == sorted(HOSTILE_NAMES[:3])  # of the model itself nothing is changed


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_each_name_anywhere(name: str) -> None:
    """In a table, in a sentence and in YAML, as cards and `.eval_results` have them."""
    plain, shown = (
        Markdown(f"| a | b |\n|---|---|\n| {text} | **{text}** |\n\nOn {text} alone.\n")
        for text in ("name", without_unseen(escape_markdown(name)))
    )
    assert shown.kinds == plain.kinds
    assert shown.links == []
    assert shown.shown == ["a", "b", one_line(name), one_line(name), f"On {one_line(name)} alone."]
    values = {"name": name, "list": [name], "nested": [{"key": name}]}
    text = card_yaml(values)
    line = " ".join(name.split())
    assert yaml.safe_load(text) == {"name": line, "list": [line], "nested": [{"key": line}]}
    assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in text
    assert len(text.splitlines()) == 5
