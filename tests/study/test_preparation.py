"""What can't be computed is found before anything is computed, and the Hub is asked once for what it does not give."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hf_sslgen.command_line import run_command
from hf_sslgen.errors import DiskFullError, HubError
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.config import parse_study
from hf_sslgen.study.execution.worker import run_worker
from hf_sslgen.study.plan import CellSpec, expand
from hf_sslgen.study.preparation import look_ahead, prepare

Content = Callable[..., dict[str, Any]]


def specs_of(content: dict[str, Any]) -> tuple[CellSpec, ...]:
    return expand(parse_study(content, "study"))


def test_protocols_that_a_domain_is_too_small_for(study_content: Content) -> None:
    protocols = [
        "linear",
        {"preset": "few-shot", "name": "too many queries", "queries": 1000},
        {"preset": "few-shot", "name": "possible", "ways": 2, "shots": 1, "queries": 1},
        {"preset": "dino-knn", "name": "too many neighbours", "neighbours": [5000]},
    ]
    specs = specs_of(study_content(protocols=protocols, seeds=[0]))
    found = {spec.title: str(error) for spec, error in look_ahead(specs, {}).impossible.items()}
    assert len(found) == 4
    assert (
        "an episode of 5 ways needs 5 classes with 1005 test images"
        in found["resnet on digits, too many queries, " + specs[2].labels + " of the labels, seed 0"]
    )
    assert all(
        "[5000] all exceed the 30 training images" in words for title, words in found.items() if "neighbours" in title
    )


def test_a_budget_beyond_a_class_is_refused_by_name(study_content: Content) -> None:
    specs = specs_of(study_content(domains=["digits"], samples_per_class=[2, 5000], seeds=[0]))
    found = look_ahead(specs, {}).impossible
    assert {spec.labels for spec in found} == {"5000-shot"}
    assert all("samples_per_class is 5000, but class " in str(error) for error in found.values())
    assert all("; give at most " in str(error) for error in found.values())


def test_what_is_impossible_is_told_first_and_the_rest_is_computed(
    study_content: Content, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few_shot = {"preset": "few-shot", "queries": 1000}
    specs = specs_of(study_content(protocols=[{"preset": "dino-knn", "neighbours": [5]}, few_shot], seeds=[0]))
    store = Store(tmp_path / "store")
    store.prepare()
    prepare(specs, store, {})
    assert "cells left out that can't be computed: resnet on digits, few-shot" in caplog.text
    assert list(store.cells.iterdir()) == []
    assert [store.has_failed(spec) for spec in specs] == [spec.protocol_name == "few-shot" for spec in specs]
    assert run_worker(specs, store, num_threads=1) == {"computed": 4, "failed": 2}


def test_a_full_disk_is_no_cells_fault(
    study_content: Content,
    tmp_path: Path,
    image_folder: Callable[[dict[str, int]], Path],
    small_disk: Callable[[int], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a cache that has no room for a data set's pictures."""
    pictures, disk = image_folder({"train": 4, "test": 2}), small_disk(100_000)
    rows = [{"image": path.read_bytes(), "label": index} for index, path in enumerate(sorted(pictures.rglob("*.png")))]
    (tmp_path / "tables").mkdir()
    for split in ("train", "test"):
        pd.DataFrame(rows).to_parquet(tmp_path / "tables" / f"{split}.parquet")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(disk))
    (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free))
    specs = specs_of(study_content(domains=[str(tmp_path / "tables")], seeds=[0]))
    store = Store(tmp_path / "store")
    store.prepare()
    with pytest.raises(DiskFullError, match="no disk space left"):
        prepare(specs, store, {})
    assert not any(store.has_failed(spec) for spec in specs)


@pytest.mark.parametrize("what", ["domain", "backbone"])
def test_the_hub_is_asked_once_for_each_name(
    what: str, study_content: Content, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of twelve cells, with other seeds and budgets."""
    asked: list[str] = []

    def away(name: str, *_: Any, **__: Any) -> None:
        asked.append(name)
        raise HubError("the Hub can't be reached")

    target = (
        "hf_sslgen.domains.sources.resolve_dataset"
        if what == "domain"
        else "hf_sslgen.zoo.checkpoints.fetch_checkpoint"
    )
    monkeypatch.setattr(target, away)
    changes: dict[str, Any] = {"domains": ["owner/pictures"]}
    if what == "backbone":
        backbones = [{"location": "owner/net", "objective": "supervised"}, {"location": "untrained:owner/net"}]
        changes = {"backbones": backbones}
    specs = specs_of(study_content(seeds=[0, 1], samples_per_class=[1, 2], **changes))
    assert len(specs) == 10
    store, unavailable = Store(tmp_path / "store"), {}
    store.prepare()
    prepare(specs, store, unavailable)
    assert run_worker(specs, store, num_threads=1, unavailable=unavailable) == {"failed": 10}
    assert asked == ["owner/pictures" if what == "domain" else "owner/net"]
    assert all(store.failure(spec).error.startswith("HubError: ") for spec in specs)
    assert all("the Hub can't be reached" in store.failure(spec).error for spec in specs)


def test_a_cell_that_fails_does_not_hide_the_comparison(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    options = ["--dataset_name", "digits", "--twin_set", "resnet18-tiny-imagenet-100", "--output_dir", str(folder)]
    options += ["--protocol", "dino-knn", "few-shot", "--max_train_samples", "30"]
    options += ["--max_eval_samples", "10", "--max_test_samples", "10"]
    with pytest.raises(SystemExit) as ended:
        run_command("hf_sslgen.commands.compare", options)
    assert ended.value.code == 2
    said = capsys.readouterr()
    (error,) = [line for line in said.err.splitlines() if line.startswith("error: ")]
    assert error.startswith(f"error: the comparison is missing cells (tracebacks in {folder / 'failures'}). Failed: ")
    assert "on digits, few-shot" in error
    assert "an episode of 5 ways needs" in error
    assert f"Report: {folder / 'report' / 'index.html'}" in said.out
    rows = pd.read_csv(folder / "results.csv")
    assert set(rows["protocol"]) == {"pretrained", "dino-knn"}
    assert len(pd.read_csv(folder / "comparisons.csv"))
    assert "an episode of 5 ways" in (folder / "report" / "index.html").read_text()
